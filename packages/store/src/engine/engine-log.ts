/** What the engine needs of its log, and a log for databases that need none. */
import type { CommandLog } from '../sequencer/store-sink.ts'
import type { LatencyHistogram } from './latency-histogram.ts'

export interface EngineLog extends CommandLog {
  /** One bounded step of preparing for later. @returns true while there is more to do */
  prepareStep(): boolean
  close(): void
}

/** For a database in memory, and one that is only read. */
export class NoLog implements EngineLog {
  readonly endLsn = 0
  readonly poisoned = undefined
  nextSequence = 1

  writeGroup(_runs: readonly Uint8Array[], recordCount: number): void {
    this.nextSequence += recordCount
  }

  sync(): void {
    // Nothing outlives the process.
  }

  prepareStep(): boolean {
    return false
  }

  close(): void {
    // There is nothing to let go of.
  }
}

/** A sync that takes this long is worth a word: a disk that stalls, or is shared with somebody busy. */
export const SLOW_SYNC_MS = 100

/** Groups and syncs counted, syncs timed, and delayed where asked for. */
export class TimedLog implements EngineLog {
  #log: EngineLog
  readonly #nowMs: () => number
  readonly #delay: () => void
  readonly #syncs: LatencyHistogram
  groups = 0
  slowSyncs = 0
  /** How long the last slow one took. */
  slowSyncMs = 0

  /** @param delay after each sync */
  constructor(log: EngineLog, nowMs: () => number, delay: () => void, syncs: LatencyHistogram) {
    this.#log = log
    this.#nowMs = nowMs
    this.#delay = delay
    this.#syncs = syncs
  }

  /** The same log, taken over again. */
  use(log: EngineLog): void {
    this.#log = log
  }

  get endLsn(): number {
    return this.#log.endLsn
  }

  get nextSequence(): number {
    return this.#log.nextSequence
  }

  get poisoned(): unknown {
    return this.#log.poisoned
  }

  writeGroup(runs: readonly Uint8Array[], recordCount: number, abortedCount: number): void {
    this.#log.writeGroup(runs, recordCount, abortedCount)
    this.groups++
  }

  sync(): void {
    const begunMs = this.#nowMs()
    this.#log.sync()
    this.#delay()
    const tookMs = this.#nowMs() - begunMs
    this.#syncs.add(tookMs)
    if (tookMs < SLOW_SYNC_MS) return
    this.slowSyncs++
    this.slowSyncMs = tookMs
  }

  prepareStep(): boolean {
    return this.#log.prepareStep()
  }

  close(): void {
    this.#log.close()
  }
}
