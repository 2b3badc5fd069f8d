/**
 * Appending to a shared log from one thread. Everything here is this thread's own but the ring and
 * the watermarks. Use it from the thread that made it only.
 *
 * An append is acknowledged when the acknowledged mark has passed the end of its frame: with sync
 * `full` that is the durable mark, otherwise the written one. Pending appends stand in order of
 * their addresses, so one look at the mark settles all that it has passed.
 */
import {
  frameBytes,
  type Ring,
  type RingEnvironment,
  type RingProducer,
  type WaitOptions,
} from '@ringbolt/ring'
import { LogTimeoutError } from './errors.ts'
import { type Lsn, lsnOf } from './lsn.ts'
import type { Watermarks } from './watermarks.ts'

/** Which mark acknowledges an append. */
export type AcknowledgedBy = 'durable' | 'written'

interface Pending {
  readonly lsn: Lsn
  readonly endLsn: number
  readonly resolve: (lsn: Lsn) => void
  readonly reject: (reason: unknown) => void
  /** Ends the timer and the listener of a limited wait. */
  release: (() => void) | undefined
}

/** Settled places that a queue lets stand before it closes up. */
const SETTLED_PLACES_MAX = 256

/** Pending waits for one mark, in order of what they wait for. */
class PendingQueue {
  /** A settled place is emptied at once: a promise that is held on to outlives its generation. */
  #items: (Pending | undefined)[] = []
  #head = 0

  get length(): number {
    return this.#items.length - this.#head
  }

  /** Mostly at the end; an older address (a wait for an earlier record) is put in its place. */
  add(item: Pending): void {
    let at = this.#items.length
    if (at === this.#head || this.#items[at - 1]!.endLsn <= item.endLsn) {
      this.#items.push(item)
      return
    }
    while (at > this.#head && this.#items[at - 1]!.endLsn > item.endLsn) at--
    this.#items.splice(at, 0, item)
  }

  settle(markLsn: number): void {
    while (this.#head < this.#items.length) {
      const item = this.#items[this.#head]!
      if (item.endLsn > markLsn) break
      this.#items[this.#head] = undefined
      this.#head++
      item.release?.()
      item.resolve(item.lsn)
    }
    if (this.#head === this.#items.length) {
      this.#items.length = 0
      this.#head = 0
    } else if (this.#head > SETTLED_PLACES_MAX && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head)
      this.#head = 0
    }
  }

  fail(reason: unknown): void {
    const items = this.#items.slice(this.#head)
    this.#items = []
    this.#head = 0
    for (const item of items) {
      item?.release?.()
      item?.reject(reason)
    }
  }

  remove(item: Pending): void {
    const at = this.#items.indexOf(item, this.#head)
    if (at >= 0) this.#items.splice(at, 1)
  }
}

export class LogClient {
  readonly #ring: Ring
  readonly #producer: RingProducer
  readonly #watermarks: Watermarks
  readonly #acknowledgedBy: AcknowledgedBy
  readonly #environment: RingEnvironment
  readonly #pending = { durable: new PendingQueue(), written: new PendingQueue() }
  #pumping = false

  constructor(
    producer: RingProducer,
    watermarks: Watermarks,
    acknowledgedBy: AcknowledgedBy,
    environment: RingEnvironment,
  ) {
    this.#ring = producer.ring
    this.#producer = producer
    this.#watermarks = watermarks
    this.#acknowledgedBy = acknowledgedBy
    this.#environment = environment
  }

  /** The longest record this log takes, in bytes. */
  get recordLengthMaxBytes(): number {
    return this.#ring.recordLengthMaxBytes
  }

  /** Everything before it is on stable storage. */
  get durableLsn(): Lsn {
    return lsnOf(this.#watermarks.durableLsn)
  }

  /** How many appends and waits of this thread are not settled. */
  get pendingCount(): number {
    return this.#pending.durable.length + this.#pending.written.length
  }

  /**
   * Appends a record; resolves with its LSN once it is acknowledged. Waits for room in the ring as
   * the options say; once the record is in the ring it can no longer be taken back.
   * @throws RecordTooLargeError, RingFullError; RingPoisonedError with the cause when the log failed
   */
  append(record: Uint8Array, options?: WaitOptions): Promise<Lsn> {
    try {
      const address = this.#producer.hasWaiting ? undefined : this.#producer.tryAppend(record)
      if (address === undefined) return this.#appendWhenRoom(record, options)
      return this.#settled(this.#acknowledgedBy, address, address + frameBytes(record.length))
    } catch (error) {
      return Promise.reject(error)
    }
  }

  async #appendWhenRoom(record: Uint8Array, options?: WaitOptions): Promise<Lsn> {
    const address = await this.#producer.appendAsync(record, options)
    const endLsn = address + frameBytes(record.length)
    return await this.#settled(this.#acknowledgedBy, address, endLsn)
  }

  /**
   * Appends and blocks this thread until the record is acknowledged.
   * @throws RingFullError when there is no room in time: nothing was appended; LogTimeoutError when
   * the acknowledgement does not come in time: the record is in the ring and will be logged
   */
  appendSync(record: Uint8Array, timeoutMs: number = Number.POSITIVE_INFINITY): Lsn {
    const deadlineMs = this.#environment.nowMs() + timeoutMs
    const address = this.#producer.append(record, timeoutMs)
    const endLsn = address + frameBytes(record.length)
    this.#blockUntil(this.#acknowledgedBy, endLsn, deadlineMs, timeoutMs)
    return lsnOf(address)
  }

  /** Appends without waiting for the acknowledgement; blocks only for room in the ring. */
  submit(record: Uint8Array, timeoutMs?: number): Lsn {
    return lsnOf(this.#producer.append(record, timeoutMs))
  }

  /**
   * Resolves once the record at this LSN is on stable storage, asking for a sync where the policy
   * would not make one by itself.
   */
  async waitFor(lsn: Lsn, options?: WaitOptions): Promise<void> {
    // A record ends after it starts, and marks stand at ends of groups only.
    await this.durableUpTo(lsn + 1, options)
  }

  /** Resolves once everything before that position is on stable storage. */
  protected async durableUpTo(endLsn: number, options?: WaitOptions): Promise<void> {
    if (this.#watermarks.durableLsn >= endLsn) return
    this.#requestSync()
    await this.#settled('durable', 0, endLsn, options)
  }

  waitForSync(lsn: Lsn, timeoutMs: number = Number.POSITIVE_INFINITY): void {
    if (this.#watermarks.durableLsn > lsn) return
    this.#requestSync()
    this.#blockUntil('durable', lsn + 1, this.#environment.nowMs() + timeoutMs, timeoutMs)
  }

  /** Gives the thread's place in the ring back; pending appends are still acknowledged. */
  detach(): void {
    this.#producer.detach()
  }

  /** Fails what is pending when the ring no longer answers; wakes nobody else. */
  failPending(reason: unknown): void {
    this.#pending.durable.fail(reason)
    this.#pending.written.fail(reason)
  }

  #requestSync(): void {
    this.#watermarks.wantSync()
    this.#ring.ringDoorbell()
  }

  #markLsn(mark: AcknowledgedBy): number {
    return mark === 'durable' ? this.#watermarks.durableLsn : this.#watermarks.writtenLsn
  }

  #blockUntil(mark: AcknowledgedBy, endLsn: number, deadlineMs: number, timeoutMs: number): void {
    for (;;) {
      const signal = this.#watermarks.signal
      if (this.#markLsn(mark) >= endLsn) return
      this.#producer.assertNotPoisoned()
      const remainingMs = deadlineMs - this.#environment.nowMs()
      if (remainingMs <= 0) throw new LogTimeoutError(endLsn, this.#markLsn(mark), timeoutMs)
      this.#watermarks.wait(signal, remainingMs)
    }
  }

  #settled(
    mark: AcknowledgedBy,
    address: number,
    endLsn: number,
    limits?: WaitOptions,
  ): Promise<Lsn> {
    return new Promise((resolve, reject) => {
      const item: Pending = { lsn: lsnOf(address), endLsn, resolve, reject, release: undefined }
      this.#pending[mark].add(item)
      if (limits !== undefined) this.#limit(mark, item, limits)
      if (!this.#pumping) void this.#pump()
    })
  }

  /** Lets a wait end early; the record it waits for is not affected. */
  #limit(mark: AcknowledgedBy, item: Pending, { signal, timeoutMs }: WaitOptions): void {
    const leave = (reason: unknown): void => {
      this.#pending[mark].remove(item)
      item.release?.()
      item.reject(reason)
    }
    const onAbort = (): void => leave(signal?.reason)
    const cancelTimer =
      timeoutMs === undefined
        ? undefined
        : this.#environment.after(timeoutMs, () =>
            leave(new LogTimeoutError(item.endLsn, this.#markLsn(mark), timeoutMs)),
          )
    item.release = () => {
      cancelTimer?.()
      signal?.removeEventListener('abort', onAbort)
    }
    if (signal?.aborted === true) onAbort()
    else signal?.addEventListener('abort', onAbort)
  }

  /** One wait in shared memory for all that is pending. Never rejects: failures go to the pending. */
  async #pump(): Promise<void> {
    this.#pumping = true
    while (this.pendingCount > 0) {
      const signal = this.#watermarks.signal
      this.#pending.durable.settle(this.#watermarks.durableLsn)
      this.#pending.written.settle(this.#watermarks.writtenLsn)
      if (this.pendingCount === 0) break
      try {
        this.#producer.assertNotPoisoned()
      } catch (error) {
        this.failPending(error)
        break
      }
      const wait = this.#watermarks.waitAsync(signal, Number.POSITIVE_INFINITY)
      if (wait !== undefined) await this.#environment.alive(wait)
    }
    this.#pumping = false
  }
}
