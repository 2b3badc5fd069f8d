/**
 * For those who append by themselves: when to sync, and waiting for it. One thread.
 *
 *  A1 Waiters on different records share a sync: all that are waiting when it returns.
 *  A2 After a failure every waiter gets its cause, and so does every later call; none is left waiting.
 *
 * The clock and the timer are handed in; without a timer somebody calls `tick`.
 */
import type { LogTimers } from './epoch-log.ts'
import type { Lsn } from './lsn.ts'
import type { SegmentedLog } from './segmented-log.ts'

export type AppendPolicy =
  /** Syncs only when asked. */
  | { readonly kind: 'manual' }
  /** `append` returns with the record acknowledged. */
  | { readonly kind: 'onEachWrite' }
  /** Acknowledged at the latest `maxWaitMs` after the first record that is not. */
  | { readonly kind: 'group'; readonly maxWaitMs: number }

interface Waiter {
  readonly lsn: Lsn
  readonly resolve: () => void
  readonly reject: (reason: unknown) => void
}

export class LogAppender {
  readonly log: SegmentedLog
  readonly #policy: AppendPolicy
  readonly #timers: LogTimers
  #dueAtMs = Number.POSITIVE_INFINITY
  #cancelTimer: (() => void) | undefined
  #waiters: Waiter[] = []
  #syncIsComing = false

  constructor(log: SegmentedLog, policy: AppendPolicy, timers: LogTimers) {
    if (policy.kind === 'group' && !(policy.maxWaitMs >= 0)) {
      throw new RangeError(`maxWaitMs is from 0, not ${policy.maxWaitMs}`)
    }
    this.log = log
    this.#policy = policy
    this.#timers = timers
  }

  append(record: Uint8Array): Lsn {
    const lsn = this.log.append(record)
    if (this.#policy.kind === 'onEachWrite') this.#settle(() => this.log.acknowledge())
    if (this.#policy.kind === 'group') this.#arm(this.#policy.maxWaitMs)
    return lsn
  }

  /**
   * Resolves once the record is on stable storage: at once when it is; otherwise with the group's sync,
   * or with one that is made for all who began to wait in this turn of the event loop.
   */
  async waitFor(lsn: Lsn): Promise<void> {
    this.log.assertReadable()
    if (this.log.isDurable(lsn)) return
    if (lsn >= this.log.endLsn) {
      throw new RangeError(`LSN ${lsn} was not given out: the log ends at ${this.log.endLsn}`)
    }
    await new Promise<void>((resolve, reject) => {
      this.#waiters.push({ lsn, resolve, reject })
      if (this.#dueAtMs === Number.POSITIVE_INFINITY) this.#syncSoon()
    })
  }

  /** Makes all that was appended durable, and tells those who wait. */
  sync(): void {
    this.#settle(() => this.log.sync())
  }

  /**
   * Syncs when that is due.
   * @returns milliseconds until it will be; Infinity when nothing waits
   */
  tick(nowMs: number = this.#timers.nowMs()): number {
    if (nowMs >= this.#dueAtMs) this.#settle(() => this.#flushDue())
    return Math.max(0, this.#dueAtMs - nowMs)
  }

  /** Syncs and closes the log. */
  close(): void {
    try {
      if (this.log.poisoned === undefined && !this.log.closed) this.sync()
    } finally {
      this.#disarm()
      this.log.close()
    }
  }

  /** Under `normal` and `off` the policy is content with a write, a waiter is not. */
  #flushDue(): void {
    if (this.#waiters.length > 0) this.log.sync()
    else this.log.acknowledge()
  }

  #arm(maxWaitMs: number): void {
    if (this.#dueAtMs !== Number.POSITIVE_INFINITY) return
    this.#dueAtMs = this.#timers.nowMs() + maxWaitMs
    this.#cancelTimer = this.#timers.after(maxWaitMs, () => this.#settleQuietly(() => this.tick()))
  }

  #disarm(): void {
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
    this.#dueAtMs = Number.POSITIVE_INFINITY
  }

  #syncSoon(): void {
    if (this.#syncIsComing) return
    this.#syncIsComing = true
    queueMicrotask(() => {
      this.#syncIsComing = false
      this.#settleQuietly(() => this.sync())
    })
  }

  /** Nobody called, so nobody can catch: the waiters have the error, and the log throws it from now on. */
  #settleQuietly(run: () => void): void {
    try {
      run()
    } catch (error) {
      this.#rejectAll(error)
    }
  }

  #settle(run: () => void): void {
    this.#disarm()
    try {
      run()
    } catch (error) {
      this.#rejectAll(error)
      throw error
    }
    const { durableLsn } = this.log
    const done = this.#waiters.filter(({ lsn }) => lsn < durableLsn)
    this.#waiters = this.#waiters.filter(({ lsn }) => lsn >= durableLsn)
    for (const { resolve } of done) resolve()
  }

  #rejectAll(error: unknown): void {
    const waiters = this.#waiters
    this.#waiters = []
    for (const { reject } of waiters) reject(error)
  }
}
