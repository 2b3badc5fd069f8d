/**
 * The log's side of the ring: drains, writes a group, frees, syncs, acknowledges. One thread: the
 * log's. No clock, file or thread of its own; the same code runs in `log-thread.ts` and in tests that
 * call `step` by hand.
 *
 *   fold ─► write group (views of the ring, no copy) ─► free ─► sync ─► advance marks, wake
 *
 * Groups form by themselves: whatever was published during the last sync is the next group. When a
 * sync has just acknowledged threads that will append again at once, the next group would begin with
 * the first of them and leave the others to wait for two syncs; `#gather` gives them a moment, bounded
 * by a share of what a sync takes.
 *
 * Invariants
 *  C1 The ring is freed only after its bytes were written; acknowledged only after the sync that the
 *     policy asks for has returned.
 *  C2 A failed write or sync poisons the ring with its cause before anything else happens: waiting
 *     and later appends get it, no mark moves any more.
 */
import { poisonRing, type RingConsumer } from '@ringbolt/ring'
import type { Watermarks } from './watermarks.ts'

/** What the consumer needs of the log. */
export interface GroupSink {
  readonly endLsn: number
  readonly durableLsn: number
  readonly groupBodyBytesMax: number
  /** Set once a write or sync has failed. */
  readonly poisoned: unknown
  writeGroup(runs: readonly Uint8Array[], recordCount: number, abortedCount: number): unknown
  sync(): void
}

/** When a group is synced. */
export type FlushPolicy =
  /** Each group at once: the next one forms meanwhile. */
  | { readonly kind: 'each' }
  /** At the latest `maxWaitMs` after the first record that is not synced, or when somebody waits. */
  | { readonly kind: 'group'; readonly maxWaitMs: number }
  /** Only when somebody asks. */
  | { readonly kind: 'manual' }

/** About what a woken thread needs to append again. */
const SPIN_MS_MAX = 0.1
const GATHER_MS_MAX = 1
const PAUSE_MS = 0.05

export class LogConsumer {
  readonly #consumer: RingConsumer
  readonly #log: GroupSink
  readonly #watermarks: Watermarks
  readonly #flush: FlushPolicy
  readonly #nowMs: () => number
  #unsyncedSinceMs: number | undefined
  readonly #pause: ((durationMs: number) => void) | undefined
  /** Records of the last group, and of the one before it where that was another set of appenders. */
  #lastRecords = 0
  #otherRecords = 0
  /** What a sync takes as a rule. */
  #syncMs = 0
  /** Everything before it is to be synced as soon as it is written: somebody waits for it. */
  #syncTarget: number | undefined

  constructor(
    consumer: RingConsumer,
    log: GroupSink,
    watermarks: Watermarks,
    flush: FlushPolicy,
    nowMs: () => number,
    pause?: (durationMs: number) => void,
  ) {
    this.#consumer = consumer
    this.#log = log
    this.#watermarks = watermarks
    this.#flush = flush
    this.#nowMs = nowMs
    this.#pause = flush.kind === 'each' ? pause : undefined
  }

  /** One group at the most. Returns whether there was anything to do. */
  step(): boolean {
    try {
      // The asker's record was reserved before it asked, so it lies before the tail.
      if (this.#watermarks.takeSyncWanted()) this.#syncTarget = this.#consumer.ring.tailAddress
      const wrote = this.#writeGroup()
      const syncs = this.#syncIsDue()
      if (syncs) this.#sync()
      if (wrote || syncs) this.#watermarks.advance(this.#log.endLsn, this.#log.durableLsn)
      return wrote || syncs
    } catch (error) {
      this.fail(error)
      throw error
    }
  }

  /** Milliseconds until a sync is due by itself; Infinity when none is. */
  get syncDueInMs(): number {
    if (this.#flush.kind !== 'group' || this.#unsyncedSinceMs === undefined) {
      return Number.POSITIVE_INFINITY
    }
    return Math.max(0, this.#unsyncedSinceMs + this.#flush.maxWaitMs - this.#nowMs())
  }

  /** Syncs what was written and is not synced, and tells those who wait. */
  settle(): void {
    if (this.#unsyncedSinceMs === undefined) return
    this.change(() => this.#sync())
    this.#watermarks.advance(this.#log.endLsn, this.#log.durableLsn)
  }

  /** For a closed ring: drains all that is published and syncs it. */
  drainAndSync(): void {
    while (this.step());
    this.change(() => this.#sync())
    this.#watermarks.advance(this.#log.endLsn, this.#log.durableLsn)
  }

  /** Carries out another change of the log; a failure that poisons it poisons the ring too. */
  change(apply: () => unknown): void {
    try {
      apply()
    } catch (error) {
      if (this.#log.poisoned !== undefined) this.fail(error)
      throw error
    }
  }

  /** Poisons the ring; whoever waits gets the cause. */
  fail(cause: unknown): void {
    poisonRing(this.#consumer.ring, cause)
    this.#watermarks.wakeAll()
  }

  #writeGroup(): boolean {
    if (this.#consumer.fold(this.#log.groupBodyBytesMax) === 0) return false
    if (this.#pause !== undefined) this.#gather(this.#pause)
    const runs: Uint8Array[] = []
    this.#consumer.readCommitted((run) => runs.push(run))
    this.#log.writeGroup(runs, this.#consumer.drainableRecords, this.#consumer.drainableAborts)
    this.#consumer.free()
    this.#unsyncedSinceMs ??= this.#flush.kind === 'group' ? this.#nowMs() : 0
    return true
  }

  /**
   * Folds on until as many have appended as lately did in one round, or the moment is over. A short one
   * is spun away, since a sleep lasts longer; in a long one the appenders need the processor.
   */
  #gather(pause: (durationMs: number) => void): void {
    const consumer = this.#consumer
    const expected = this.#lastRecords + this.#otherRecords
    const atFirst = consumer.drainableRecords
    if (atFirst < expected) {
      const begunMs = this.#nowMs()
      const momentMs = momentFor(this.#syncMs)
      for (let passedMs = 0; passedMs < momentMs; passedMs = this.#nowMs() - begunMs) {
        if (passedMs > SPIN_MS_MAX) pause(PAUSE_MS)
        consumer.fold(this.#log.groupBodyBytesMax)
        if (consumer.drainableRecords >= expected) break
      }
    }
    const gathered = consumer.drainableRecords
    // Nobody came, or all did: whoever made up the round before last is gone, or is in this group.
    const waitedInVain = gathered === atFirst
    this.#otherRecords = waitedInVain || gathered >= expected ? 0 : this.#lastRecords
    this.#lastRecords = gathered
  }

  #syncIsDue(): boolean {
    if (this.#syncTarget !== undefined && this.#log.endLsn >= this.#syncTarget) return true
    if (this.#unsyncedSinceMs === undefined || this.#flush.kind === 'manual') return false
    return this.#flush.kind === 'each' || this.syncDueInMs === 0
  }

  #sync(): void {
    const begunMs = this.#nowMs()
    this.#log.sync()
    this.#syncMs = smoothed(this.#syncMs, this.#nowMs() - begunMs)
    this.#unsyncedSinceMs = undefined
    if (this.#syncTarget !== undefined && this.#log.durableLsn >= this.#syncTarget) {
      this.#syncTarget = undefined
    }
  }
}

/** A running mean in which one stall in a hundred syncs, of ten times their length, does not show. */
function smoothed(meanMs: number, tookMs: number): number {
  return meanMs + (Math.min(tookMs, Math.max(2 * meanMs, SPIN_MS_MAX)) - meanMs) / 8
}

/**
 * How long a group may gather, by what a sync takes: half of it while that is spun, all of it on a
 * slower device, where it is slept. Measured: longer spins cost those who are there more than they spare
 * the others.
 */
function momentFor(syncMs: number): number {
  return syncMs / 2 <= SPIN_MS_MAX ? syncMs / 2 : Math.min(syncMs, GATHER_MS_MAX)
}
