/**
 * The ring's shared memory: every offset, chained from the one before. Nobody else writes a number.
 *
 *   byte 0      ┌────────────────────────────────────────────┐
 *               │ identity   magic, version, sizes           │  written once, before it is shared
 *               ├────────────────────────────────────────────┤
 *               │ state      open, resetting, closed, …      │  consumer
 *               ├────────────────────────────────────────────┤
 *               │ tail       next address to reserve         │  producers (compare-exchange)
 *               ├────────────────────────────────────────────┤
 *               │ flush      first address not freed, laps   │  consumer
 *               ├────────────────────────────────────────────┤
 *               │ committed  folded prefix, record counts    │  consumer
 *               ├────────────────────────────────────────────┤
 *               │ doorbell   1 while the consumer sleeps     │  consumer arms, producers clear
 *               ├────────────────────────────────────────────┤
 *               │ space      wanted flag, signal             │  producers want, consumer signals
 *               ├────────────────────────────────────────────┤
 *               │ deaths     number of deaths reported       │  whoever proved a death
 *               ├────────────────────────────────────────────┤
 *               │ cause      length, UTF-8 JSON of an error  │  consumer, before it poisons
 *               ├────────────────────────────────────────────┤
 *               │ claim slots, one line each                 │  the slot's producer
 *               ├────────────────────────────────────────────┤
 *               │ data       at 4 mod 8: payloads at 0 mod 8 │
 *               └────────────────────────────────────────────┘
 *
 * Each hot word has a line of 128 bytes to itself: x86 fetches cache lines in pairs of 64.
 *
 * Addresses are in units of 8 bytes, held in 32-bit words that wrap; `distance(a, b)` compares them.
 * That leaves 16 GiB between the oldest and the newest address, far more than a ring is large. (A
 * producer that is stopped between its look at the room and its compare-exchange, and goes on when
 * exactly 32 GiB have passed through the ring, would not notice: the price of 32 bits.) A
 * 64-bit word would need BigInt, whose atomics cost three times as much and allocate.
 *
 * A record's frame, always at a multiple of 8 and never split but where the data region ends:
 *
 *    31 30                            0
 *   ┌──┬───────────────────────────────┐
 *   │A │ payload length in bytes       │   4 bytes; 0: not published; A: aborted
 *   ├──┴───────────────────────────────┤
 *   │ payload …                        │   length bytes
 *   ├──────────────────────────────────┤
 *   │ zeros                            │   up to the next multiple of 8
 *   └──────────────────────────────────┘
 */
const LINE_WORDS = 32
export const WORD_BYTES = 4

export const RING_MAGIC = 0x52_42_52_31 // "RBR1"
export const RING_LAYOUT_VERSION = 1

export const WORD_MAGIC = 0
export const WORD_VERSION: number = WORD_MAGIC + 1
export const WORD_CAPACITY_UNITS: number = WORD_VERSION + 1
export const WORD_SLOT_COUNT: number = WORD_CAPACITY_UNITS + 1

export const WORD_STATE: number = WORD_MAGIC + LINE_WORDS

export const WORD_TAIL: number = WORD_STATE + LINE_WORDS

export const WORD_FLUSH: number = WORD_TAIL + LINE_WORDS
/** How often `flush` has gone through half of its 32 bits: makes 53-bit addresses of 32-bit ones. */
export const WORD_FLUSH_HALF_LAPS: number = WORD_FLUSH + 1

export const WORD_COMMITTED: number = WORD_FLUSH + LINE_WORDS
export const WORD_COMMITTED_RECORDS_LOW: number = WORD_COMMITTED + 1
export const WORD_COMMITTED_RECORDS_HIGH: number = WORD_COMMITTED + 2
export const WORD_COMMITTED_ABORTS: number = WORD_COMMITTED + 3
export const WORD_CONSUMER_ATTACHED: number = WORD_COMMITTED + 4

export const WORD_DOORBELL: number = WORD_COMMITTED + LINE_WORDS

export const WORD_SPACE_WANTED: number = WORD_DOORBELL + LINE_WORDS
export const WORD_SPACE_SIGNAL: number = WORD_SPACE_WANTED + 1

export const WORD_DEATHS: number = WORD_SPACE_WANTED + LINE_WORDS

export const WORD_CAUSE_LENGTH: number = WORD_DEATHS + LINE_WORDS
export const CAUSE_BYTES_MAX: number = 2048 - WORD_BYTES
export const CAUSE_BYTE_OFFSET: number = (WORD_CAUSE_LENGTH + 1) * WORD_BYTES

const WORD_SLOTS: number = WORD_CAUSE_LENGTH + 2048 / WORD_BYTES

/**
 * Words of a claim slot, from the slot's first. The claim is one word, so that one store tells all:
 *
 *    31                              2 1  0
 *   ┌─────────────────────────────────┬────┐
 *   │ start: low 30 bits of the unit  │ st │   st: 0 idle, 1 claimed, 2 won
 *   └─────────────────────────────────┴────┘
 *
 * The length stands beside it and is stored only when it differs from the claim before, while idle.
 */
export const SLOT_OWNER = 0
export const SLOT_CLAIM = 1
export const SLOT_UNITS = 2
export const SLOT_SPACE_WAITS = 3

export const CLAIM_IDLE = 0
const CLAIM_CLAIMED = 1
const CLAIM_WON = 2
const CLAIM_STATE_MASK = 3
const CLAIM_START_SHIFT = 2

export const STATE_OPEN = 0
export const STATE_RESETTING = 1
export const STATE_CLOSED = 2
export const STATE_POISONED = 3

/** An owner is a thread's id plus one; these two are not threads. */
export const OWNER_NONE = 0
export const OWNER_DEAD: number = -1

export const UNIT_WORDS = 2
/** What an address counts in; also what frames are aligned to. */
export const UNIT_BYTES: number = UNIT_WORDS * WORD_BYTES

export const FRAME_HEADER_BYTES = 4
export const FRAME_LENGTH_MASK = 0x7fff_ffff
/** As the sign of a 32-bit integer. */
export const FRAME_ABORTED: number = 0x8000_0000 | 0

export const CAPACITY_BYTES_MIN = 64
/** 2^30: addresses in a full ring stay within a quarter of the 32-bit circle of units. */
export const CAPACITY_BYTES_MAX: number = 1 << 30
export const SLOT_COUNT_MAX = 4096

/** The whole frame of a record of that many bytes: header, payload, padding. */
export function frameBytes(recordLengthBytes: number): number {
  return (recordLengthBytes + FRAME_HEADER_BYTES + UNIT_BYTES - 1) & -UNIT_BYTES
}

export function slotWord(slotIndex: number): number {
  return WORD_SLOTS + slotIndex * LINE_WORDS
}

/**
 * Frames start one word past a multiple of 8, so that payloads start at one: V8 copies into shared
 * memory by words where source and target are aligned alike, and byte by byte where they are not.
 */
export function dataByteOffset(slotCount: number): number {
  return slotWord(slotCount) * WORD_BYTES + UNIT_BYTES - FRAME_HEADER_BYTES
}

/** Signed distance from `b` to `a` on the 32-bit circle. */
export function distance(a: number, b: number): number {
  return (a - b) | 0
}

/** The claim of a producer that is about to reserve from this unit. */
export function claimedFrom(startUnit: number): number {
  return (startUnit << CLAIM_START_SHIFT) | CLAIM_CLAIMED
}

/** The claim of a producer whose reservation from this unit took effect. */
export function wonFrom(startUnit: number): number {
  return (startUnit << CLAIM_START_SHIFT) | CLAIM_WON
}

export function claimIsWon(claim: number): boolean {
  return (claim & CLAIM_STATE_MASK) === CLAIM_WON
}

/** Signed distance from `unit` to the claim's start, on the circle of the claim's 30 bits. */
export function claimDistance(claim: number, unit: number): number {
  return ((claim & ~CLAIM_STATE_MASK) - (unit << CLAIM_START_SHIFT)) >> CLAIM_START_SHIFT
}
