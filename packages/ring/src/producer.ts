/**
 * One producer: a claim slot, and at most one reservation at a time. One thread only.
 *
 * The order of the shared accesses of an append is the protocol; `ring.model.test.ts` checks it:
 *  1 claim     start into the slot, length before it     (before the reservation can take effect: I4)
 *  2 state     still open? A reset looks at the claims after it closed the state, so one sees the other
 *  3 room      flush, read under the claim               (a reset in between would have seen the claim)
 *  4 reserve   compare-exchange of the tail
 *  5 won       into the slot                             (before the first payload byte: I5)
 *  6 fill      payload, plain
 *  7 publish   the header, in band                       (publishes the payload to the consumer)
 *  8 idle      into the slot                             (after 7: see dead-claims.ts)
 *  9 doorbell  if the consumer sleeps
 */
import { AppendQueue, type WaitOptions } from './append-queue.ts'
import type { RingEnvironment } from './environment.ts'
import { errorFromPlain, type PlainError } from './errors.ts'
import {
  CAUSE_BYTE_OFFSET,
  CAUSE_BYTES_MAX,
  CLAIM_IDLE,
  claimedFrom,
  FRAME_HEADER_BYTES,
  frameBytes,
  OWNER_NONE,
  SLOT_CLAIM,
  SLOT_OWNER,
  SLOT_SPACE_WAITS,
  SLOT_UNITS,
  STATE_CLOSED,
  STATE_OPEN,
  STATE_POISONED,
  slotWord,
  UNIT_BYTES,
  WORD_CAUSE_LENGTH,
  WORD_FLUSH,
  WORD_SPACE_SIGNAL,
  WORD_SPACE_WANTED,
  WORD_STATE,
  WORD_TAIL,
  wonFrom,
} from './layout.ts'
import type { Ring, RingAddress } from './ring.ts'
import {
  NoSlotError,
  RecordTooLargeError,
  RingClosedError,
  RingFullError,
  RingPoisonedError,
} from './ring-errors.ts'
import type { SharedMemory } from './shared-memory.ts'

/** A reserved range of the ring, to be filled and published by the producer that reserved it. */
export interface Ticket {
  /** The address of the record's frame. */
  readonly start: RingAddress
  /** The address just past the frame: what a watermark must reach for the record to be behind it. */
  readonly end: RingAddress
  readonly recordLengthBytes: number
}

const NOT_RESERVED = 0

export class RingProducer {
  readonly ring: Ring
  readonly slotIndex: number
  readonly #memory: SharedMemory
  readonly #environment: RingEnvironment
  readonly #slot: number
  /** Of the reservation that is open: its first unit, and its length in units (0: none is open). */
  #start = 0
  #units = NOT_RESERVED
  #recordLengthBytes = 0
  /** What the slot's length word holds. */
  #claimUnits = 0
  #detached = false
  readonly #queue: AppendQueue

  /** @param slotIndex a slot of one's own, from `takeSlot` */
  constructor(ring: Ring, slotIndex: number, environment: RingEnvironment) {
    this.ring = ring
    this.#memory = ring.memory
    this.#environment = environment
    this.slotIndex = slotIndex
    this.#slot = slotWord(slotIndex)
    this.#claimUnits = ring.memory.load(this.#slot + SLOT_UNITS)
    this.#queue = new AppendQueue(this, ring, environment)
  }

  /** Appends one record, waiting for room if need be; blocks this thread. */
  append(record: Uint8Array, timeoutMs = Number.POSITIVE_INFINITY): RingAddress {
    this.#reserveBlocking(record.length, timeoutMs)
    const start = this.ring.addressOf(this.#start)
    this.fill(record)
    this.publish()
    return start
  }

  /**
   * Appends without blocking the thread: resolves once the record is published. Records that wait
   * for room keep the order of the calls. The bytes must not change before it resolves. A blocking
   * `append` in between goes first.
   */
  appendAsync(record: Uint8Array, options: WaitOptions = {}): Promise<RingAddress> {
    return this.#queue.append(record, options)
  }

  /** Appends if there is room now; `undefined` when there is none. */
  tryAppend(record: Uint8Array): RingAddress | undefined {
    if (!this.tryReserve(record.length)) return undefined
    const start = this.ring.addressOf(this.#start)
    this.fill(record)
    this.publish()
    return start
  }

  /** Reserves a range for a record, waiting for room; blocks this thread. */
  reserve(recordLengthBytes: number, timeoutMs = Number.POSITIVE_INFINITY): Ticket {
    this.#reserveBlocking(recordLengthBytes, timeoutMs)
    return this.#ticket()
  }

  /** Writes part of the reserved record, from `at`. Split where the ring wraps. */
  fill(bytes: Uint8Array, at = 0): void {
    if (this.#units === NOT_RESERVED) throw new TypeError('fill: nothing is reserved')
    if (at < 0 || at + bytes.length > this.#recordLengthBytes) {
      throw new RangeError(
        `fill: bytes ${at} to ${at + bytes.length} of a record of ${this.#recordLengthBytes}`,
      )
    }
    const { capacityBytes, dataByteOffset } = this.ring
    const position = (this.ring.dataPosition(this.#start) + FRAME_HEADER_BYTES + at) % capacityBytes
    const untilWrap = capacityBytes - position
    if (bytes.length <= untilWrap) {
      this.#memory.bytesIn(dataByteOffset + position, bytes)
      return
    }
    this.#memory.bytesIn(dataByteOffset + position, bytes.subarray(0, untilWrap))
    this.#memory.bytesIn(dataByteOffset, bytes.subarray(untilWrap))
  }

  /**
   * The reserved record as one or two ranges of shared memory, for a writer that encodes in place.
   * They must not be touched after `publish`.
   */
  ranges(): Uint8Array[] {
    if (this.#units === NOT_RESERVED) throw new TypeError('ranges: nothing is reserved')
    const { capacityBytes, dataByteOffset } = this.ring
    const position = (this.ring.dataPosition(this.#start) + FRAME_HEADER_BYTES) % capacityBytes
    const first = Math.min(this.#recordLengthBytes, capacityBytes - position)
    const ranges = [this.#memory.bytesOut(dataByteOffset + position, first)]
    const rest = this.#recordLengthBytes - first
    if (rest > 0) ranges.push(this.#memory.bytesOut(dataByteOffset, rest))
    return ranges
  }

  /** Hands the reserved record to the consumer. */
  publish(): void {
    if (this.#units === NOT_RESERVED) throw new TypeError('publish: nothing is reserved')
    // Publishes the payload to the consumer, which reads this word when it folds.
    this.#memory.store(this.ring.headerWord(this.#start), this.#recordLengthBytes)
    // Tells the consumer that this slot holds nothing; only after the header, see dead-claims.ts.
    this.#memory.store(this.#slot + SLOT_CLAIM, CLAIM_IDLE)
    this.#units = NOT_RESERVED
    this.ring.ringDoorbell()
  }

  /** Gives the slot back. Idempotent. */
  detach(): void {
    if (this.#detached) return
    if (this.#units !== NOT_RESERVED) throw new TypeError('detach: a reservation is open')
    this.#detached = true
    // Hands the slot to whoever attaches next; it holds no claim.
    this.#memory.store(this.#slot + SLOT_OWNER, OWNER_NONE)
  }

  /** True while records of `appendAsync` wait for room: another append would overtake them. */
  get hasWaiting(): boolean {
    return this.#queue.length > 0
  }

  /** @throws RingPoisonedError with the consumer's cause once that has failed */
  assertNotPoisoned(): void {
    if (this.#memory.load(WORD_STATE) === STATE_POISONED) {
      throw new RingPoisonedError(readCause(this.#memory))
    }
  }

  /** @throws RingPoisonedError or RingClosedError when nothing can be appended any more */
  assertOpen(): void {
    this.assertNotPoisoned()
    const closed = this.#memory.load(WORD_STATE) === STATE_CLOSED
    if (closed || this.#detached) throw new RingClosedError()
  }

  /** True when the range is reserved; false when there is no room now. Leaves no claim on false. */
  tryReserve(recordLengthBytes: number): boolean {
    const { ring } = this
    const memory = this.#memory
    if (this.#units !== NOT_RESERVED) throw new TypeError('reserve: a reservation is open already')
    if (!(recordLengthBytes >= 1 && Number.isInteger(recordLengthBytes))) {
      throw new RangeError(`a record has 1 byte or more, not ${recordLengthBytes}`)
    }
    if (recordLengthBytes > ring.recordLengthMaxBytes) {
      throw new RecordTooLargeError(recordLengthBytes, ring.recordLengthMaxBytes)
    }
    if (this.#detached) throw new RingClosedError()
    const units = frameBytes(recordLengthBytes) / UNIT_BYTES
    if (units !== this.#claimUnits) {
      // Tells the consumer the length of the claims to come; this slot has none now.
      memory.store(this.#slot + SLOT_UNITS, units)
      this.#claimUnits = units
    }
    for (;;) {
      const tail = memory.load(WORD_TAIL)
      // Tells the consumer what this producer is about to hold, should it die (I4).
      memory.store(this.#slot + SLOT_CLAIM, claimedFrom(tail))
      const state = memory.load(WORD_STATE)
      const room = ring.capacityUnits - ((tail - memory.load(WORD_FLUSH)) | 0)
      if (state !== STATE_OPEN || room < units) {
        // A claim that stands while its producer waits would look like a slow owner of the range.
        memory.store(this.#slot + SLOT_CLAIM, CLAIM_IDLE)
        // The consumer may be waiting to see which way this claim goes, and nothing else rings.
        ring.ringDoorbell()
        this.assertOpen()
        return false
      }
      // Takes [tail, tail + units): publishes the reservation to all producers and the consumer.
      if (memory.compareExchange(WORD_TAIL, tail, (tail + units) | 0) === tail) {
        // Tells the consumer that the range is this slot's, before any byte of it is written (I5).
        memory.store(this.#slot + SLOT_CLAIM, wonFrom(tail))
        this.#start = tail
        this.#units = units
        this.#recordLengthBytes = recordLengthBytes
        return true
      }
    }
  }

  #ticket(): Ticket {
    const start = this.ring.addressOf(this.#start)
    const end = this.ring.addressOf((this.#start + this.#units) | 0)
    return { start, end, recordLengthBytes: this.#recordLengthBytes }
  }

  #reserveBlocking(recordLengthBytes: number, timeoutMs: number): void {
    if (this.tryReserve(recordLengthBytes)) return
    const deadline = this.#environment.nowMs() + timeoutMs
    for (;;) {
      const signal = this.wantSpace()
      if (this.tryReserve(recordLengthBytes)) return
      const remainingMs = deadline - this.#environment.nowMs()
      if (remainingMs <= 0) {
        throw new RingFullError(recordLengthBytes, timeoutMs, this.ring.capacityBytes)
      }
      this.#memory.wait(WORD_SPACE_SIGNAL, signal, remainingMs)
    }
  }

  /**
   * Asks to be signalled when room is made. The flag is set before the caller looks at the room once
   * more, and the consumer reads the flag after it has made room: one of the two sees the other.
   */
  wantSpace(): number {
    const signal = this.#memory.load(WORD_SPACE_SIGNAL)
    // Asks the consumer for a signal; it clears the flag when it gives one.
    this.#memory.store(WORD_SPACE_WANTED, 1)
    this.#memory.add(this.#slot + SLOT_SPACE_WAITS, 1)
    return signal
  }
}

/**
 * Takes a free slot in the name of a thread, so that the thread's death can be told.
 * @throws NoSlotError when all are taken
 */
export function takeSlot(ring: Ring, threadId: number): number {
  for (let slot = 0; slot < ring.slotCount; slot++) {
    const word = slotWord(slot) + SLOT_OWNER
    if (ring.memory.compareExchange(word, OWNER_NONE, threadId + 1) === OWNER_NONE) return slot
  }
  throw new NoSlotError('producer slot', ring.slotCount)
}

function readCause(memory: SharedMemory): Error {
  const length = memory.load(WORD_CAUSE_LENGTH)
  if (length <= 0 || length > CAUSE_BYTES_MAX) return new Error('unknown cause')
  const bytes = Uint8Array.from(memory.bytesOut(CAUSE_BYTE_OFFSET, length))
  const plain: PlainError = JSON.parse(new TextDecoder().decode(bytes))
  return errorFromPlain(plain)
}
