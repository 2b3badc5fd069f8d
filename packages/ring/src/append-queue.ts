/**
 * The records of one producer that wait for room without blocking their thread, in order of the
 * calls. One wait in shared memory serves them all. A record whose deadline passes or whose signal
 * fires leaves the queue; nothing was reserved for it.
 */
import type { RingEnvironment } from './environment.ts'
import { WORD_SPACE_SIGNAL } from './layout.ts'
import type { Ring, RingAddress } from './ring.ts'
import { RingFullError } from './ring-errors.ts'

export interface WaitOptions {
  /** How long to wait for room, in milliseconds. Default: without end. */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
}

/** What the queue needs of its producer. */
interface Appender {
  tryAppend(record: Uint8Array): RingAddress | undefined
  wantSpace(): number
}

interface Waiting {
  readonly record: Uint8Array
  readonly timeoutMs: number
  readonly deadlineMs: number
  readonly resolve: (address: RingAddress) => void
  readonly reject: (reason: unknown) => void
}

export class AppendQueue {
  readonly #appender: Appender
  readonly #ring: Ring
  readonly #environment: RingEnvironment
  #waiting: Waiting[] = []
  #pumping = false

  constructor(appender: Appender, ring: Ring, environment: RingEnvironment) {
    this.#appender = appender
    this.#ring = ring
    this.#environment = environment
  }

  /** How many records wait for room. */
  get length(): number {
    return this.#waiting.length
  }

  async append(record: Uint8Array, options: WaitOptions): Promise<RingAddress> {
    options.signal?.throwIfAborted()
    if (this.#waiting.length === 0) {
      const address = this.#appender.tryAppend(record)
      if (address !== undefined) return address
    }
    return await this.#enqueue(record, options)
  }

  #enqueue(record: Uint8Array, options: WaitOptions): Promise<RingAddress> {
    const { timeoutMs = Number.POSITIVE_INFINITY, signal } = options
    return new Promise((resolve, reject) => {
      const deadlineMs = this.#environment.nowMs() + timeoutMs
      const onAbort = (): void => this.#leave(entry, signal?.reason)
      const done = (): void => signal?.removeEventListener('abort', onAbort)
      const entry: Waiting = {
        record,
        timeoutMs,
        deadlineMs,
        resolve(address) {
          done()
          resolve(address)
        },
        reject(reason) {
          done()
          reject(reason)
        },
      }
      signal?.addEventListener('abort', onAbort)
      this.#waiting.push(entry)
      if (!this.#pumping) void this.#pump()
    })
  }

  #leave(entry: Waiting, reason: unknown): void {
    const index = this.#waiting.indexOf(entry)
    if (index >= 0) this.#waiting.splice(index, 1)
    entry.reject(reason)
  }

  /** Appends from the head as room comes. Never rejects: each failure goes to its record. */
  async #pump(): Promise<void> {
    this.#pumping = true
    while (this.#waiting.length > 0) {
      const signal = this.#appender.wantSpace()
      this.#appendWhatFits()
      this.#expire()
      if (this.#waiting.length === 0) break
      const nextDeadlineMs = this.#waiting.reduce(
        (earliest, { deadlineMs }) => Math.min(earliest, deadlineMs),
        Number.POSITIVE_INFINITY,
      )
      const wait = this.#ring.memory.waitAsync(
        WORD_SPACE_SIGNAL,
        signal,
        Math.max(0, nextDeadlineMs - this.#environment.nowMs()),
      )
      if (wait.async) await this.#environment.alive(wait.value)
    }
    this.#pumping = false
  }

  #appendWhatFits(): void {
    let settled = 0
    for (const { record, resolve, reject } of this.#waiting) {
      try {
        const address = this.#appender.tryAppend(record)
        if (address === undefined) break
        resolve(address)
      } catch (error) {
        reject(error)
      }
      settled++
    }
    // At once: taking them off one by one moves all that wait behind, each time.
    this.#waiting.splice(0, settled)
  }

  #expire(): void {
    const now = this.#environment.nowMs()
    for (const entry of this.#waiting.filter(({ deadlineMs }) => deadlineMs <= now)) {
      const { capacityBytes } = this.#ring
      this.#leave(entry, new RingFullError(entry.record.length, entry.timeoutMs, capacityBytes))
    }
  }
}
