/**
 * What the processes say of themselves, second by second, put together. A long run is folded: when there are too many
 * rows, each two become one, so that the figures of a day are as large as those of an hour.
 */
import { addCounts, percentileMs } from '../latencies.ts'
import type { DatabaseCounters } from './database-counters.ts'
import type { ProcessSample } from './process-protocol.ts'
import type { LatencyRow, ProcessSamples, ProcessTotals, Samples } from './run-data.ts'

const MIB = 1024 * 1024
const PAGE_BYTES = 8192
const ROWS_MAX = 1200
const PERCENTILES = [50, 75, 90, 95, 99, 99.9, 99.99, 100]

/** What is added up over processes and over time. */
const COUNTERS = [
  'commits',
  'syncs',
  'syncMsTotal',
  'refusals',
  'turns',
  'turnWaitMs',
] as const satisfies readonly (keyof DatabaseCounters)[]
type Counters = Record<(typeof COUNTERS)[number], number>

interface ProcessRow {
  seconds: number
  operations: number
  /** Undefined: its workers were not all at work. */
  silenceMs: number | undefined
  rssBytes: number
}

interface Row {
  endMs: number
  seconds: number
  operations: number
  reads: number
  freshnessChecks: number
  counters: Counters
  logBytes: number | undefined
  filePages: number | undefined
  readonly latencies: number[]
  /** By process; undefined: it said nothing. */
  readonly processes: (ProcessRow | undefined)[]
}

/** One life of one process. */
interface Life {
  readonly work: object
  last: ProcessSample | undefined
}

interface Slot {
  life: Life | undefined
  starts: number
  operations: number
  reads: number
  freshnessChecks: number
  longestSilenceMs: number
  readonly rssBytesByLife: number[][]
}

/** What one process said. */
export interface Said {
  /** The same object for the whole of its life. */
  readonly work: object
  readonly sample: ProcessSample
}

export class Timeline {
  readonly latencies: number[] = []
  readonly #slots: readonly Slot[]
  /** By process, for the next row. */
  readonly #unseen: number[] = []
  #rows: Row[] = []
  #lastMs = 0
  /** How many ticks make a row. */
  #width = 1
  #ticksInLast = 0

  constructor(processes: number) {
    this.#slots = Array.from({ length: processes }, () => ({
      life: undefined,
      starts: 0,
      operations: 0,
      reads: 0,
      freshnessChecks: 0,
      longestSilenceMs: 0,
      rssBytesByLife: [],
    }))
  }

  /** What a process had acknowledged by its end, as the side file says: it cannot be asked any more. */
  addLast(process: number, work: object, operations: number): void {
    const slot = this.#slots[process]
    if (slot === undefined) return
    const last = slot.life?.work === work ? slot.life.last : undefined
    const unseen = operations - (last?.operations ?? 0)
    slot.operations += unseen
    this.#unseen[process] = (this.#unseen[process] ?? 0) + unseen
  }

  /** What was before the load began, and does not count. */
  begin(said: readonly (Said | undefined)[]): void {
    for (const [at, slot] of this.#slots.entries()) {
      const one = said[at]
      if (one === undefined) continue
      slot.life = { work: one.work, last: one.sample }
      slot.starts = 1
      slot.rssBytesByLife.push([])
    }
  }

  /** @param said by process; undefined of one that is down or does not answer. @param nowMs since the load began */
  add(nowMs: number, said: readonly (Said | undefined)[]): void {
    this.#add(nowMs, said, false)
  }

  /** What was done while the load came to its end: a part of the last row. */
  end(nowMs: number, said: readonly (Said | undefined)[]): void {
    this.#add(nowMs, said, true)
  }

  #add(nowMs: number, said: readonly (Said | undefined)[], isLast: boolean): void {
    const row = emptyRow(nowMs, (nowMs - this.#lastMs) / 1000)
    for (const [at, slot] of this.#slots.entries()) {
      const one = said[at]
      const process = one && this.#take(row, slot, one)
      row.processes.push(process)
      const unseen = this.#unseen[at] ?? 0
      row.operations += unseen
      if (process !== undefined) process.operations += unseen
    }
    this.#unseen.length = 0
    this.#lastMs = nowMs
    addCounts(this.latencies, row.latencies)
    const last = this.#rows.at(-1)
    if (last !== undefined && (isLast || this.#ticksInLast < this.#width)) {
      this.#rows[this.#rows.length - 1] = joined(last, row)
      this.#ticksInLast++
    } else {
      this.#rows.push(row)
      this.#ticksInLast = 1
    }
    if (this.#rows.length > ROWS_MAX) this.#fold()
  }

  /** In all lives together. */
  get operations(): number {
    return this.#sum(({ operations }) => operations)
  }

  get reads(): number {
    return this.#sum(({ reads }) => reads)
  }

  get freshnessChecks(): number {
    return this.#sum(({ freshnessChecks }) => freshnessChecks)
  }

  get commitsPerSync(): number {
    const of = (name: keyof Counters): number =>
      this.#rows.reduce((sum, { counters }) => sum + counters[name], 0)
    return of('commits') / Math.max(1, of('syncs'))
  }

  /** In the second that was added last. */
  get operationsPerSNow(): number {
    const last = this.#rows.at(-1)
    return last === undefined ? 0 : last.operations / Math.max(1e-3, last.seconds)
  }

  /** Resident memory, of the life that lasted longest. */
  rssBytesOfLongestLife(): number[] {
    const lives = this.#slots.flatMap(({ rssBytesByLife }) => rssBytesByLife)
    return lives.reduce((longest, life) => (life.length > longest.length ? life : longest), [])
  }

  latencyTable(): LatencyRow[] {
    return PERCENTILES.flatMap((percentile) => {
      const ms = percentileMs(this.latencies, percentile)
      return ms === undefined ? [] : [{ percentile, ms }]
    })
  }

  processTotals(): ProcessTotals[] {
    return this.#slots.map((slot, at) => ({
      process: at,
      starts: slot.starts,
      operations: slot.operations,
      reads: slot.reads,
      freshnessChecks: slot.freshnessChecks,
      longestSilenceMs: slot.longestSilenceMs,
      rssMaxMiB: Math.max(0, ...slot.rssBytesByLife.map((life) => Math.max(...life))) / MIB,
      stats: slot.life?.last?.stats ?? null,
    }))
  }

  samples(): Samples {
    const rows = this.#rows
    const latency = (percentile: number): (number | null)[] =>
      rows.map(({ latencies }) => percentileMs(latencies, percentile) ?? null)
    const perS = (of: (row: Row) => number): number[] =>
      rows.map((row) => of(row) / Math.max(1e-3, row.seconds))
    return {
      atS: rows.map(({ endMs }) => endMs / 1000),
      operationsPerS: perS(({ operations }) => operations),
      readsPerS: perS(({ reads }) => reads),
      p50Ms: latency(50),
      p90Ms: latency(90),
      p99Ms: latency(99),
      p999Ms: latency(99.9),
      commitsPerSync: rows.map(({ counters }) => ratio(counters.commits, counters.syncs)),
      syncsPerS: perS(({ counters }) => counters.syncs),
      syncMs: rows.map(({ counters }) => ratio(counters.syncMsTotal, counters.syncs)),
      refusalsPerS: perS(({ counters }) => counters.refusals),
      turnsPerS: perS(({ counters }) => counters.turns),
      turnWaitMs: rows.map(({ counters }) => ratio(counters.turnWaitMs, counters.turns)),
      freshnessChecksPerS: perS(({ freshnessChecks }) => freshnessChecks),
      logMiB: rows.map(({ logBytes }) => (logBytes === undefined ? null : logBytes / MIB)),
      fileMiB: rows.map(({ filePages }) =>
        filePages === undefined ? null : (filePages * PAGE_BYTES) / MIB,
      ),
      byProcess: this.#slots.map((_, at) => samplesOf(rows, at)),
    }
  }

  #take(row: Row, slot: Slot, { work, sample }: Said): ProcessRow {
    if (slot.life?.work !== work) {
      slot.life = { work, last: undefined }
      slot.starts++
      slot.rssBytesByLife.push([])
    }
    const { last } = slot.life
    const operations = sample.operations - (last?.operations ?? 0)
    const reads = sample.reads - (last?.reads ?? 0)
    const freshnessChecks = sample.freshnessChecks - (last?.freshnessChecks ?? 0)
    row.operations += operations
    row.reads += reads
    row.freshnessChecks += freshnessChecks
    for (const name of COUNTERS) {
      // A life's first sample may begin in the middle of what recovery counted.
      row.counters[name] += sample.counters[name] - (last?.counters[name] ?? 0)
    }
    row.logBytes = Math.max(row.logBytes ?? 0, sample.counters.logBytes)
    row.filePages = Math.max(row.filePages ?? 0, sample.counters.filePages)
    addCounts(row.latencies, sample.latencies)
    slot.operations += operations
    slot.reads += reads
    slot.freshnessChecks += freshnessChecks
    slot.longestSilenceMs = Math.max(slot.longestSilenceMs, sample.silenceMs)
    // The beginning of a life grows by its nature.
    if (sample.underWay) slot.rssBytesByLife.at(-1)?.push(sample.rssBytes)
    slot.life.last = sample
    const silenceMs = sample.underWay ? sample.silenceMs : undefined
    const { rssBytes } = sample
    return { seconds: row.seconds, operations, silenceMs, rssBytes }
  }

  #fold(): void {
    const folded: Row[] = []
    for (let at = 0; at < this.#rows.length; at += 2) {
      const [one, other] = [this.#rows[at]!, this.#rows[at + 1]]
      folded.push(other === undefined ? one : joined(one, other))
    }
    this.#rows = folded
    // There was one row too many, so the last one is still by itself, with the ticks it has.
    this.#width *= 2
  }

  #sum(of: (slot: Slot) => number): number {
    return this.#slots.reduce((sum, slot) => sum + of(slot), 0)
  }
}

function emptyRow(endMs: number, seconds: number): Row {
  return {
    endMs,
    seconds,
    operations: 0,
    reads: 0,
    freshnessChecks: 0,
    counters: { commits: 0, syncs: 0, syncMsTotal: 0, refusals: 0, turns: 0, turnWaitMs: 0 },
    logBytes: undefined,
    filePages: undefined,
    latencies: [],
    processes: [],
  }
}

/** The first of two rows, and the one that follows it. */
function joined(row: Row, next: Row): Row {
  const latencies = [...row.latencies]
  addCounts(latencies, next.latencies)
  const counters = { ...row.counters }
  for (const name of COUNTERS) counters[name] += next.counters[name]
  return {
    endMs: next.endMs,
    seconds: row.seconds + next.seconds,
    operations: row.operations + next.operations,
    reads: row.reads + next.reads,
    freshnessChecks: row.freshnessChecks + next.freshnessChecks,
    counters,
    logBytes: next.logBytes ?? row.logBytes,
    filePages: next.filePages ?? row.filePages,
    latencies,
    processes: row.processes.map((one, at) => joinedProcess(one, next.processes[at])),
  }
}

function joinedProcess(
  one: ProcessRow | undefined,
  next: ProcessRow | undefined,
): ProcessRow | undefined {
  if (one === undefined || next === undefined) return next ?? one
  return {
    seconds: one.seconds + next.seconds,
    operations: one.operations + next.operations,
    silenceMs: largest(one.silenceMs, next.silenceMs),
    rssBytes: Math.max(one.rssBytes, next.rssBytes),
  }
}

function largest(one: number | undefined, next: number | undefined): number | undefined {
  return one === undefined || next === undefined ? (one ?? next) : Math.max(one, next)
}

function samplesOf(rows: readonly Row[], at: number): ProcessSamples {
  const each = (of: (row: ProcessRow) => number | undefined): (number | null)[] =>
    rows.map(({ processes }) => {
      const one = processes[at]
      return (one && of(one)) ?? null
    })
  return {
    operationsPerS: each(({ operations, seconds }) => operations / Math.max(1e-3, seconds)),
    silenceMs: each(({ silenceMs }) => silenceMs),
    rssMiB: each(({ rssBytes }) => rssBytes / MIB),
  }
}

function ratio(a: number, b: number): number | null {
  return b === 0 ? null : a / b
}
