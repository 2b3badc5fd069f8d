/**
 * The one consumer: folds the published prefix, hands it out as bytes, frees it. One thread only.
 *
 *   flush ──────── committed ──────── tail
 *     │  to be drained  │  reserved, some │
 *     │                 │  published      │
 *
 * A consumer that fails calls `poison`; whoever waits or comes later gets the cause.
 */
import { deadRangeUnits, freeDeadSlots } from './dead-claims.ts'
import type { RingEnvironment } from './environment.ts'
import { errorToPlain } from './errors.ts'
import {
  CAUSE_BYTE_OFFSET,
  CAUSE_BYTES_MAX,
  CLAIM_IDLE,
  distance,
  FRAME_ABORTED,
  FRAME_HEADER_BYTES,
  FRAME_LENGTH_MASK,
  frameBytes,
  SLOT_CLAIM,
  STATE_CLOSED,
  STATE_OPEN,
  STATE_POISONED,
  STATE_RESETTING,
  slotWord,
  UNIT_BYTES,
  WORD_CAUSE_LENGTH,
  WORD_COMMITTED,
  WORD_COMMITTED_ABORTS,
  WORD_COMMITTED_RECORDS_HIGH,
  WORD_COMMITTED_RECORDS_LOW,
  WORD_CONSUMER_ATTACHED,
  WORD_DEATHS,
  WORD_DOORBELL,
  WORD_FLUSH,
  WORD_FLUSH_HALF_LAPS,
  WORD_SPACE_SIGNAL,
  WORD_SPACE_WANTED,
  WORD_STATE,
  WORD_TAIL,
} from './layout.ts'
import type { Ring, RingAddress } from './ring.ts'
import {
  NoSlotError,
  RingClosedError,
  RingCorruptError,
  RingNotDrainedError,
} from './ring-errors.ts'
import type { SharedMemory } from './shared-memory.ts'

const WORD_RANGE = 2 ** 32

export class RingConsumer {
  readonly ring: Ring
  readonly #memory: SharedMemory
  readonly #environment: RingEnvironment
  #flush: number
  #committed: number
  #records: number
  #aborts: number
  #recordsFreed: number
  #abortsFreed: number
  #deathsSeen = 0
  #deadHolding = 0

  constructor(ring: Ring, environment: RingEnvironment) {
    this.ring = ring
    this.#memory = ring.memory
    this.#environment = environment
    // Keeps a second consumer out.
    if (ring.memory.compareExchange(WORD_CONSUMER_ATTACHED, 0, 1) !== 0) {
      throw new NoSlotError("consumer's place", 1)
    }
    this.#flush = ring.memory.load(WORD_FLUSH)
    this.#committed = ring.memory.load(WORD_COMMITTED)
    const low = ring.memory.load(WORD_COMMITTED_RECORDS_LOW) >>> 0
    this.#records = ring.memory.load(WORD_COMMITTED_RECORDS_HIGH) * WORD_RANGE + low
    this.#aborts = ring.memory.load(WORD_COMMITTED_ABORTS)
    this.#recordsFreed = this.#records
    this.#abortsFreed = this.#aborts
  }

  /** Just past the last record of the folded prefix. */
  get committedAddress(): RingAddress {
    return this.ring.addressOf(this.#committed)
  }

  /** Records ever folded; aborted ranges do not count. */
  get committedRecords(): number {
    return this.#records
  }

  /** Ranges of dead producers ever closed. */
  get committedAborts(): number {
    return this.#aborts
  }

  /** Records folded and not yet freed. */
  get drainableRecords(): number {
    return this.#records - this.#recordsFreed
  }

  get drainableAborts(): number {
    return this.#aborts - this.#abortsFreed
  }

  /**
   * Folds what is published without a gap, up to `bytesMax` of frames not yet freed (a single longer
   * one is taken alone). Returns how many bytes can be drained.
   */
  fold(bytesMax = this.ring.capacityBytes): number {
    const { capacityUnits } = this.ring
    const unitsMax = Math.min(capacityUnits, Math.floor(bytesMax / UNIT_BYTES))
    let at = this.#committed
    while (distance(at, this.#flush) < capacityUnits) {
      const header = this.#memory.load(this.ring.headerWord(at))
      if (header === 0) {
        if (!this.#closeDeadRange(at)) break
        continue
      }
      const units = this.#checkedUnits(header, at)
      const drainableUnits = distance(at, this.#flush) + units
      if (drainableUnits > unitsMax && drainableUnits > units) break
      if (header < 0) this.#aborts++
      else this.#records++
      at = (at + units) | 0
    }
    if (at !== this.#committed) this.#publishFold(at)
    return distance(this.#committed, this.#flush) * UNIT_BYTES
  }

  /**
   * Hands the folded frames to the sink as at most two contiguous ranges of shared memory, in order.
   * They are valid until `free`. Returns their bytes.
   */
  readCommitted(sink: (run: Uint8Array) => void): number {
    const byteLength = distance(this.#committed, this.#flush) * UNIT_BYTES
    if (byteLength === 0) return 0
    const { capacityBytes, dataByteOffset } = this.ring
    const position = this.ring.dataPosition(this.#flush)
    const first = Math.min(byteLength, capacityBytes - position)
    sink(this.#memory.bytesOut(dataByteOffset + position, first))
    if (byteLength > first) sink(this.#memory.bytesOut(dataByteOffset, byteLength - first))
    return byteLength
  }

  /** Gives the folded range back to the producers. */
  free(): void {
    const byteLength = distance(this.#committed, this.#flush) * UNIT_BYTES
    if (byteLength === 0) return
    const { capacityBytes, dataByteOffset } = this.ring
    const position = this.ring.dataPosition(this.#flush)
    const first = Math.min(byteLength, capacityBytes - position)
    this.#memory.zero(dataByteOffset + position, first)
    if (byteLength > first) this.#memory.zero(dataByteOffset, byteLength - first)
    if (this.#flush >>> 31 !== this.#committed >>> 31) {
      // Before flush: a producer combines it with an address at or past the new flush.
      this.#memory.add(WORD_FLUSH_HALF_LAPS, 1)
    }
    this.#flush = this.#committed
    this.#recordsFreed = this.#records
    this.#abortsFreed = this.#aborts
    // Publishes the zeroed range to the producers, which reserve up to flush + capacity.
    this.#memory.store(WORD_FLUSH, this.#flush)
    signalSpace(this.#memory, false)
  }

  /**
   * Sleeps until a record is published, a death is reported or the doorbell is rung, at the longest
   * for `timeoutMs`. `hasWork` is asked once more after the doorbell is armed.
   */
  waitForRecords(timeoutMs: number, hasWork: () => boolean = () => false): void {
    // Asks producers to ring; each looks at it after it has published.
    this.#memory.store(WORD_DOORBELL, 1)
    if (!this.#canProceed() && !hasWork()) this.#memory.wait(WORD_DOORBELL, 1, timeoutMs)
    // Spares the producers the wake-up.
    this.#memory.store(WORD_DOORBELL, 0)
  }

  /** The same without blocking the thread. */
  async waitForRecordsAsync(timeoutMs = Number.POSITIVE_INFINITY): Promise<void> {
    this.#memory.store(WORD_DOORBELL, 1)
    if (!this.#canProceed()) {
      const wait = this.#memory.waitAsync(WORD_DOORBELL, 1, timeoutMs)
      if (wait.async) await this.#environment.alive(wait.value)
    }
    this.#memory.store(WORD_DOORBELL, 0)
  }

  /**
   * Back to address 0; the record count goes on.
   * @throws RingNotDrainedError while anything is reserved, unpublished or not freed
   */
  resetAfterDrain(): void {
    const memory = this.#memory
    if (memory.load(WORD_STATE) !== STATE_OPEN) throw new RingClosedError()
    // Holds producers off: each claims before it looks at the state, so one of us sees the other.
    memory.store(WORD_STATE, STATE_RESETTING)
    const tail = memory.load(WORD_TAIL)
    const claimsOpen = this.#claimsOpen()
    const drained = tail === this.#committed && this.#committed === this.#flush
    if (drained && claimsOpen === 0) {
      memory.store(WORD_TAIL, 0)
      memory.store(WORD_COMMITTED, 0)
      memory.store(WORD_FLUSH, 0)
      memory.store(WORD_FLUSH_HALF_LAPS, 0)
      this.#committed = 0
      this.#flush = 0
    }
    // Publishes the zeroed addresses to the producers that were held off.
    memory.store(WORD_STATE, STATE_OPEN)
    signalSpace(this.#memory, true)
    if (!drained || claimsOpen > 0) {
      throw new RingNotDrainedError(tail, this.#committed, this.#flush, claimsOpen)
    }
  }

  /** No more records are taken; what is published can still be drained. */
  close(): void {
    // Tells every producer, waiting ones by the signal.
    if (this.#memory.load(WORD_STATE) === STATE_OPEN) this.#memory.store(WORD_STATE, STATE_CLOSED)
    signalSpace(this.#memory, true)
  }

  /** Tells every producer, waiting ones included, that the consumer has failed and why. */
  poison(cause: unknown): void {
    poisonRing(this.ring, cause)
  }

  /** Lets another consumer take over where this one stands. */
  detach(): void {
    this.#memory.store(WORD_CONSUMER_ATTACHED, 0)
  }

  #canProceed(): boolean {
    if (this.#committed !== this.#flush) return true
    if (this.#memory.load(WORD_DEATHS) !== this.#deathsSeen) return true
    if (this.#memory.load(this.ring.headerWord(this.#committed)) !== 0) return true
    // A living producer whose claim stood in the way may have moved on before the doorbell was armed.
    return this.#deadHolding > 0 && this.#deadUnitsAt(this.#committed) > 0
  }

  #publishFold(committed: number): void {
    this.#committed = committed
    this.#memory.store(WORD_COMMITTED_RECORDS_HIGH, Math.floor(this.#records / WORD_RANGE))
    this.#memory.store(WORD_COMMITTED_RECORDS_LOW, this.#records | 0)
    this.#memory.store(WORD_COMMITTED_ABORTS, this.#aborts)
    // For observers, and for a consumer that takes over.
    this.#memory.store(WORD_COMMITTED, committed)
  }

  /** Length of the frame in units; a header that cannot be is corruption of shared memory. */
  #checkedUnits(header: number, at: number): number {
    const lengthBytes = header & FRAME_LENGTH_MASK
    const roomUnits = this.ring.capacityUnits - distance(at, this.#flush)
    if (lengthBytes < 1 || lengthBytes > roomUnits * UNIT_BYTES - FRAME_HEADER_BYTES) {
      throw new RingCorruptError(
        `length of the record at unit ${at}`,
        `1 to ${roomUnits * UNIT_BYTES - FRAME_HEADER_BYTES} bytes`,
        lengthBytes,
      )
    }
    return frameBytes(lengthBytes) / UNIT_BYTES
  }

  /** True when the gap at `at` was a dead producer's and now holds an abort record. */
  #closeDeadRange(at: number): boolean {
    const deaths = this.#memory.load(WORD_DEATHS)
    if (deaths === this.#deathsSeen && this.#deadHolding === 0) return false
    this.#deathsSeen = deaths
    this.#deadHolding = freeDeadSlots(this.ring, at)
    const units = this.#deadHolding === 0 ? 0 : this.#deadUnitsAt(at)
    // It may have published just before it died, after the header was looked at.
    if (units === 0 || this.#memory.load(this.ring.headerWord(at)) !== 0) return units !== 0
    this.#zeroUnits(at, units)
    // The abort record: of known length, so that the prefix goes on behind it.
    const lengthBytes = units * UNIT_BYTES - FRAME_HEADER_BYTES
    this.#memory.store(this.ring.headerWord(at), FRAME_ABORTED | lengthBytes)
    return true
  }

  /** Length of a dead producer's range at the end of the prefix; 0 when there is none to close. */
  #deadUnitsAt(at: number): number {
    return this.#memory.load(WORD_TAIL) === at ? 0 : deadRangeUnits(this.ring, at)
  }

  #zeroUnits(at: number, units: number): void {
    const { capacityBytes, dataByteOffset } = this.ring
    const position = this.ring.dataPosition(at)
    const first = Math.min(units * UNIT_BYTES, capacityBytes - position)
    this.#memory.zero(dataByteOffset + position, first)
    const rest = units * UNIT_BYTES - first
    if (rest > 0) this.#memory.zero(dataByteOffset, rest)
  }

  #claimsOpen(): number {
    let open = 0
    for (let slot = 0; slot < this.ring.slotCount; slot++) {
      if (this.#memory.load(slotWord(slot) + SLOT_CLAIM) !== CLAIM_IDLE) open++
    }
    return open
  }
}

/**
 * Fails a ring for good: every producer, waiting ones included, gets the cause. For the consumer, or
 * for whoever has proof that the consumer's thread has ended.
 */
export function poisonRing({ memory }: Ring, cause: unknown): void {
  const bytes = encodeCause(cause)
  memory.bytesIn(CAUSE_BYTE_OFFSET, bytes)
  memory.store(WORD_CAUSE_LENGTH, bytes.length)
  // Publishes the cause.
  memory.store(WORD_STATE, STATE_POISONED)
  signalSpace(memory, true)
}

/** Wakes producers that wait for room: those that asked, or all when the state has changed. */
function signalSpace(memory: SharedMemory, always: boolean): void {
  if (!always && memory.load(WORD_SPACE_WANTED) === 0) return
  // Cleared before the signal: who asks again after it asks for the next one.
  memory.store(WORD_SPACE_WANTED, 0)
  // Changes the word that waiters compare, so that none falls asleep on what it saw before.
  memory.add(WORD_SPACE_SIGNAL, 1)
  memory.notify(WORD_SPACE_SIGNAL, Number.POSITIVE_INFINITY)
}

/** The cause as JSON that fits; a longer message is cut. */
function encodeCause(cause: unknown): Uint8Array {
  const plain = errorToPlain(cause)
  const encoder = new TextEncoder()
  const whole = encoder.encode(JSON.stringify(plain))
  if (whole.length <= CAUSE_BYTES_MAX) return whole
  const short = { ...plain, message: plain.message.slice(0, 200), facts: {}, cause: null }
  return encoder.encode(JSON.stringify(short)).subarray(0, CAUSE_BYTES_MAX)
}
