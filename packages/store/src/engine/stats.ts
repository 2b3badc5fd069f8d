/**
 * Figures of an open database, in shared memory: the sequencer writes, any thread reads without asking.
 * Each is a 64-bit float, whole by itself; together they are no cut through one moment.
 */

const FIELDS = [
  'commits',
  'refusals',
  'groups',
  'syncs',
  'syncMsTotal',
  'checkpoints',
  'sequence',
  'logBytes',
  'filePages',
  'freePages',
  'cacheFrames',
  'freeFrames',
  'dirtyPages',
  'cacheMisses',
  'admissions',
  'evictions',
  'spills',
  'retiredPages',
  'pins',
  'pinsRevoked',
] as const

/** Counts are since the database was opened; sizes are of now. */
export type StoreStats = Readonly<Record<(typeof FIELDS)[number], number>>

export const STATS_BYTES: number = FIELDS.length * 8

export class StatsBoard {
  readonly #values: Float64Array

  constructor(buffer: SharedArrayBuffer) {
    this.#values = new Float64Array(buffer)
  }

  write(stats: StoreStats): void {
    for (const [at, field] of FIELDS.entries()) this.#values[at] = stats[field]
  }

  read(): StoreStats {
    const entries = FIELDS.map((field, at) => [field, this.#values[at] ?? 0] as const)
    // The fields are those of the type, by construction.
    return Object.fromEntries(entries) as StoreStats
  }
}
