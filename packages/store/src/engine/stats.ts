/**
 * Figures of an open database, in shared memory: the sequencer writes, any thread reads without asking.
 * Each is a 64-bit float, whole by itself; together they are no cut through one moment.
 */

/** Counts are since the database was opened; sizes are of now. */
export interface StoreStats {
  readonly commits: number
  /** Commands refused: conflicts mostly. */
  readonly refusals: number
  /** Groups in the log, each of one or more commits. */
  readonly groups: number
  readonly syncs: number
  /** All syncs of the log together, in ms. */
  readonly syncMsTotal: number
  readonly checkpoints: number
  /** Of the newest published commit. */
  readonly sequence: number
  readonly logBytes: number
  /** Pages of 8 KiB in the main file, free ones and those not written yet included. */
  readonly filePages: number
  readonly freePages: number
  readonly cacheFrames: number
  readonly freeFrames: number
  readonly dirtyPages: number
  /** Pages that the sequencer read from the file. */
  readonly cacheMisses: number
  /** Pages that readers read from the file themselves. */
  readonly readerMisses: number
  /** Pages that readers missed, and that were read into the cache for them. */
  readonly admissions: number
  readonly evictions: number
  /** Pages written before a checkpoint, for want of room. */
  readonly spills: number
  /** Pages gone from the newest state that a reader or a snapshot may still need. */
  readonly retiredPages: number
  /** Open snapshots, transactions and iterations. */
  readonly pins: number
  /** Snapshots that were given up because of their age. */
  readonly pinsRevoked: number
  /** Segments of the log that were copied into the archive. */
  readonly archivedSegments: number
  /** Attempts to do so that failed: while it rises, `logBytes` grows. */
  readonly archiveFailures: number
}

type Field = keyof StoreStats

/** Each field's place. */
const PLACES: Record<Field, number> = {
  commits: 0,
  refusals: 1,
  groups: 2,
  syncs: 3,
  syncMsTotal: 4,
  checkpoints: 5,
  sequence: 6,
  logBytes: 7,
  filePages: 8,
  freePages: 9,
  cacheFrames: 10,
  freeFrames: 11,
  dirtyPages: 12,
  cacheMisses: 13,
  admissions: 14,
  evictions: 15,
  spills: 16,
  retiredPages: 17,
  pins: 18,
  pinsRevoked: 19,
  readerMisses: 20,
  archivedSegments: 21,
  archiveFailures: 22,
}

function isField(name: string): name is Field {
  return Object.hasOwn(PLACES, name)
}

const FIELDS: readonly Field[] = Object.keys(PLACES).filter(isField)

export const STATS_BYTES: number = FIELDS.length * 8

export class StatsBoard {
  readonly #values: Float64Array

  constructor(buffer: SharedArrayBuffer) {
    this.#values = new Float64Array(buffer)
  }

  write(stats: StoreStats): void {
    for (const field of FIELDS) this.#values[PLACES[field]] = stats[field]
  }

  read(): StoreStats {
    const stats = { ...PLACES }
    for (const field of FIELDS) stats[field] = this.#values[PLACES[field]] ?? 0
    return stats
  }
}
