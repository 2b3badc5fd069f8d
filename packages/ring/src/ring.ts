/**
 * A ring of bytes in shared memory: many producers, one consumer, no lock on the producers' path.
 *
 * Threads: any number of threads attach with `attachRing` and append through a `RingProducer` of
 * their own; exactly one holds the `RingConsumer`. Any thread may report a proven death.
 *
 * Invariants
 *  I1 Reservations tile the addresses: each starts where the one before ended. The address is the
 *     one and only order of records.
 *  I2 flush ≤ committed ≤ tail ≤ flush + capacity, on the 32-bit circle.
 *  I3 Every byte of the data region outside [flush, tail) is zero. So the first word of a
 *     reservation is zero until its producer publishes it.
 *  I4 A live producer whose reservation [start, end) is not published has `start` and its length in
 *     its claim slot, since before the reservation took effect.
 *  I5 The payload of [start, end) is written only after the slot says that the claim was won, and
 *     never after the header is.
 *  I6 Only the consumer moves flush and committed, and closes a dead producer's range.
 *
 * A thread may end between any two instructions. It leaves at most one unpublished range, which its
 * claim slot describes; see `dead-claims.ts` for how the range is found and closed. A thread that
 * ends while it waits leaves at most a set `wanted` flag, which costs the consumer one wake-up.
 */
import {
  CAPACITY_BYTES_MAX,
  CAPACITY_BYTES_MIN,
  dataByteOffset,
  FRAME_HEADER_BYTES,
  OWNER_DEAD,
  OWNER_NONE,
  RING_LAYOUT_VERSION,
  RING_MAGIC,
  SLOT_COUNT_MAX,
  SLOT_OWNER,
  SLOT_SPACE_WAITS,
  slotWord,
  UNIT_BYTES,
  UNIT_WORDS,
  WORD_BYTES,
  WORD_CAPACITY_UNITS,
  WORD_COMMITTED,
  WORD_DEATHS,
  WORD_DOORBELL,
  WORD_FLUSH,
  WORD_FLUSH_HALF_LAPS,
  WORD_MAGIC,
  WORD_SLOT_COUNT,
  WORD_TAIL,
  WORD_VERSION,
} from './layout.ts'
import { RingCorruptError } from './ring-errors.ts'
import type { SharedMemory } from './shared-memory.ts'

declare const ringAddress: unique symbol
/** A byte position in the stream of all frames: monotone, a multiple of 8, a safe integer. */
export type RingAddress = number & { readonly [ringAddress]: true }

export interface RingSizes {
  /** Size of the data region: a power of two from 64 to 2^30. */
  readonly capacityBytes: number
  /** How many producers may be attached at once: 1 to 4,096. */
  readonly slotCount: number
}

const HALF_CIRCLE_UNITS = 2 ** 31

/** @throws RangeError for sizes out of bounds */
export function assertRingSizes({ capacityBytes, slotCount }: RingSizes): void {
  const powerOfTwo = Number.isInteger(capacityBytes) && Math.log2(capacityBytes) % 1 === 0
  if (!powerOfTwo || capacityBytes < CAPACITY_BYTES_MIN || capacityBytes > CAPACITY_BYTES_MAX) {
    throw new RangeError(
      `capacityBytes must be a power of two from ${CAPACITY_BYTES_MIN} to ${CAPACITY_BYTES_MAX}, not ${capacityBytes}`,
    )
  }
  if (!Number.isInteger(slotCount) || slotCount < 1 || slotCount > SLOT_COUNT_MAX) {
    throw new RangeError(`slotCount must be from 1 to ${SLOT_COUNT_MAX}, not ${slotCount}`)
  }
}

/** Bytes of shared memory that a ring of these sizes takes. */
export function ringMemoryBytes(sizes: RingSizes): number {
  assertRingSizes(sizes)
  return dataByteOffset(sizes.slotCount) + sizes.capacityBytes
}

/** Makes a ring of zeroed memory. `firstAddress` is what the first record gets: a multiple of 8. */
export function formatRing(memory: SharedMemory, sizes: RingSizes, firstAddress = 0): void {
  if (memory.byteLength !== ringMemoryBytes(sizes)) {
    throw new RangeError(
      `a ring of ${sizes.capacityBytes} bytes and ${sizes.slotCount} slots takes ${ringMemoryBytes(sizes)} bytes of memory, not ${memory.byteLength}`,
    )
  }
  if (!Number.isSafeInteger(firstAddress) || firstAddress < 0 || firstAddress % UNIT_BYTES !== 0) {
    throw new RangeError(`firstAddress must be a multiple of ${UNIT_BYTES}, not ${firstAddress}`)
  }
  const firstUnit = firstAddress / UNIT_BYTES
  memory.store(WORD_VERSION, RING_LAYOUT_VERSION)
  memory.store(WORD_CAPACITY_UNITS, sizes.capacityBytes / UNIT_BYTES)
  memory.store(WORD_SLOT_COUNT, sizes.slotCount)
  memory.store(WORD_TAIL, firstUnit | 0)
  memory.store(WORD_COMMITTED, firstUnit | 0)
  memory.store(WORD_FLUSH, firstUnit | 0)
  memory.store(WORD_FLUSH_HALF_LAPS, Math.floor(firstUnit / HALF_CIRCLE_UNITS))
  // Last: a ring that has its magic is complete.
  memory.store(WORD_MAGIC, RING_MAGIC)
}

/** What producers, the consumer and observers share: the geometry, and words anyone may read. */
export class Ring {
  readonly memory: SharedMemory
  readonly capacityUnits: number
  readonly capacityBytes: number
  readonly slotCount: number
  /** The longest record: what the data region holds beside one header. */
  readonly recordLengthMaxBytes: number
  readonly dataByteOffset: number
  readonly dataWord: number

  constructor(memory: SharedMemory) {
    const magic = memory.byteLength >= dataByteOffset(1) ? memory.load(WORD_MAGIC) : 0
    if (magic !== RING_MAGIC) throw new RingCorruptError('magic of the ring', RING_MAGIC, magic)
    const version = memory.load(WORD_VERSION)
    if (version !== RING_LAYOUT_VERSION) {
      throw new RingCorruptError('version of the ring', RING_LAYOUT_VERSION, version)
    }
    this.memory = memory
    this.slotCount = memory.load(WORD_SLOT_COUNT)
    this.capacityUnits = memory.load(WORD_CAPACITY_UNITS)
    this.capacityBytes = this.capacityUnits * UNIT_BYTES
    const expectedBytes = ringMemoryBytes(this)
    if (memory.byteLength !== expectedBytes) {
      throw new RingCorruptError('size of the ring', expectedBytes, memory.byteLength)
    }
    this.recordLengthMaxBytes = this.capacityBytes - FRAME_HEADER_BYTES
    this.dataByteOffset = dataByteOffset(this.slotCount)
    this.dataWord = this.dataByteOffset / WORD_BYTES
  }

  /** The index of the word that holds the header of a frame at this address. */
  headerWord(unit: number): number {
    return this.dataWord + (unit & (this.capacityUnits - 1)) * UNIT_WORDS
  }

  /** Where in the data region this address is, in bytes from its start. */
  dataPosition(unit: number): number {
    return (unit & (this.capacityUnits - 1)) * UNIT_BYTES
  }

  /**
   * The 53-bit address of a unit that is not yet freed, at most 2^31 units past `flush`. The lap
   * word belongs to an address between flush and that unit, so it is the unit's own or one behind.
   */
  addressOf(unit: number): RingAddress {
    const halfLaps = this.memory.load(WORD_FLUSH_HALF_LAPS)
    const own = (halfLaps & 1) === unit >>> 31 ? halfLaps : halfLaps + 1
    // The brand is given here and nowhere else.
    return asAddress((own * HALF_CIRCLE_UNITS + (unit & 0x7fff_ffff)) * UNIT_BYTES)
  }

  /** Just past the last reservation. For the consumer, which alone moves what addresses are told by. */
  get tailAddress(): RingAddress {
    return this.addressOf(this.memory.load(WORD_TAIL))
  }

  /** Bytes reserved and not yet freed: a moment's figure. */
  get occupiedBytes(): number {
    const flush = this.memory.load(WORD_FLUSH)
    return Math.max(0, (this.memory.load(WORD_TAIL) - flush) | 0) * UNIT_BYTES
  }

  /** How often producers attached now have had to wait for room. */
  get spaceWaits(): number {
    let waits = 0
    for (let slot = 0; slot < this.slotCount; slot++) {
      waits += this.memory.load(slotWord(slot) + SLOT_SPACE_WAITS)
    }
    return waits
  }

  /** Wakes the consumer if it sleeps. */
  ringDoorbell(): void {
    if (this.memory.load(WORD_DOORBELL) === 0) return
    // Tells the consumer, and other producers, that the wake-up is on its way.
    if (this.memory.exchange(WORD_DOORBELL, 0) === 1) this.memory.notify(WORD_DOORBELL, 1)
  }

  /**
   * To be called by whoever has proof that the thread has ended and will run no more (its `exit`
   * event). Returns how many producers it had. What they held is closed by the consumer.
   */
  reportThreadDeath(threadId: number): number {
    let producers = 0
    for (let slot = 0; slot < this.slotCount; slot++) {
      const word = slotWord(slot) + SLOT_OWNER
      if (this.memory.compareExchange(word, threadId + 1, OWNER_DEAD) === threadId + 1) producers++
    }
    if (producers > 0) {
      // Publishes the dead marks to the consumer, which compares this count with the one it saw last.
      this.memory.add(WORD_DEATHS, 1)
      // Whatever the word says: the dead one may have cleared it and not lived to notify.
      this.memory.store(WORD_DOORBELL, 0)
      this.memory.notify(WORD_DOORBELL, 1)
    }
    return producers
  }

  /** How many producers are attached now, dead ones whose range is not closed included. */
  get producersAttached(): number {
    let attached = 0
    for (let slot = 0; slot < this.slotCount; slot++) {
      if (this.memory.load(slotWord(slot) + SLOT_OWNER) !== OWNER_NONE) attached++
    }
    return attached
  }
}

function asAddress(bytes: number): RingAddress {
  // oxlint-disable-next-line no-unsafe-type-assertion
  return bytes as RingAddress
}
