/**
 * The shared region of a database: every offset, chained from the one before. Nobody else writes a number.
 *
 *   byte 0      ┌──────────────────────────────────────────────┐
 *               │ identity    magic, version, sizes            │  written once, before it is shared
 *               ├──────────────────────────────────────────────┤
 *               │ version     the newest published version     │  sequencer
 *               ├──────────────────────────────────────────────┤
 *               │ used        slots and pins ever taken, bound │  threads raise, sequencer
 *               ├──────────────────────────────────────────────┤
 *               │ wanted      cursor, then pages missed        │  readers add, sequencer takes
 *               ├──────────────────────────────────────────────┤
 *               │ published   a block for each recent version  │  sequencer
 *               ├──────────────────────────────────────────────┤
 *               │ readers     a line for each reader slot      │  the slot's thread, sequencer asks
 *               ├──────────────────────────────────────────────┤
 *               │ pins        owners, then versions            │  the pin's thread, sequencer revokes
 *               ├──────────────────────────────────────────────┤
 *               │ page table  buckets of one cache line        │  sequencer
 *               ├──────────────────────────────────────────────┤
 *               │ referenced  a byte for each shared frame     │  readers set, sequencer clears
 *               ├──────────────────────────────────────────────┤
 *  8 KiB aligned│ frames      shared ones, then private ones   │  sequencer; the slot's thread
 *               └──────────────────────────────────────────────┘
 *
 * Each hot word has a line of 128 bytes to itself: x86 fetches cache lines in pairs of 64.
 */
import { PAGE_BYTES } from '../page/page.ts'

const LINE_BYTES = 128
const LINE_WORDS: number = LINE_BYTES / 4

export const REGION_MAGIC = 0x52_42_50_31 // "RBP1"
export const REGION_LAYOUT_VERSION = 1

export const WORD_MAGIC = 0
export const WORD_LAYOUT_VERSION: number = WORD_MAGIC + 1
export const WORD_SHARED_FRAMES: number = WORD_LAYOUT_VERSION + 1
export const WORD_READERS_MAX: number = WORD_SHARED_FRAMES + 1
export const WORD_PINS_MAX: number = WORD_READERS_MAX + 1
export const WORD_PUBLISHED_BLOCKS: number = WORD_PINS_MAX + 1

export const WORD_VERSION: number = WORD_MAGIC + LINE_WORDS

export const WORD_READERS_USED: number = WORD_VERSION + LINE_WORDS
export const WORD_PINS_USED: number = WORD_READERS_USED + 1
/** What `SnapshotExpiredError` names: the sequencer's bound, in ms. */
export const WORD_PIN_AGE_MAX_MS: number = WORD_PINS_USED + 1

export const WORD_WANTED_CURSOR: number = WORD_READERS_USED + LINE_WORDS
export const WANTED_ENTRIES = 256
const WANTED_ENTRY_WORDS = 2
const WORD_WANTED_ENTRIES: number = WORD_WANTED_CURSOR + LINE_WORDS

/** Words of an entry of the wanted ring: a page id, and what its reference said. */
export function wantedWord(ordinal: number): number {
  return WORD_WANTED_ENTRIES + (ordinal & (WANTED_ENTRIES - 1)) * WANTED_ENTRY_WORDS
}

export const DIRECTORY_REFERENCES = 8
/** Words of a published block. Its version says whose it is: 0 while it is being written. */
export const BLOCK_VERSION = 0
export const BLOCK_SEQUENCE_LOW = 1
export const BLOCK_SEQUENCE_HIGH = 2
export const BLOCK_PAGES = 3
export const BLOCK_CHECKSUMS: number = BLOCK_PAGES + DIRECTORY_REFERENCES
const BLOCK_WORDS: number = LINE_WORDS
export const PUBLISHED_BLOCKS = 64

/** Words of a reader slot. */
export const READER_OWNER = 0
/** The version that the thread is looking at; NO_VERSION while it is not reading. */
export const READER_ENTERED = 1
/** Set by the sequencer when it waits for the thread to leave; cleared by the thread after it has left. */
export const READER_ASKED = 2
/** Pages that the slot's threads have looked for; a plain count that wraps, and that nothing depends on. */
export const READER_LOOKUPS = 3

export const OWNER_NONE = 0

export function ownerOf(threadId: number): number {
  return threadId + 1
}

/**
 * A bucket is one cache line: entries, then how many pages that belong here, or passed through, stand
 * further on. An entry is one word, 0 when it is free:
 *
 *    31 30          19 18                      0
 *   ┌──┬──────────────┬─────────────────────────┐
 *   │1 │ hash's tag   │ frame                   │
 *   └──┴──────────────┴─────────────────────────┘
 */
export const BUCKET_WORDS = 16
export const BUCKET_ENTRIES: number = BUCKET_WORDS - 1
export const ENTRY_FRAME_BITS = 19
export const ENTRY_FRAME_MASK: number = 2 ** ENTRY_FRAME_BITS - 1
export const ENTRY_TAKEN: number = 2 ** (31 - ENTRY_FRAME_BITS)
export const ENTRY_TAG_MASK: number = ENTRY_TAKEN - 1
const ENTRIES_PER_BUCKET = 4

/** For pages that a thread reads from the file itself. */
export const PRIVATE_FRAMES = 32

const REGION_BYTES_MAX: number = 2 ** 32
const SHARED_FRAMES_MIN = 4
const SHARED_FRAMES_MAX: number = 2 ** ENTRY_FRAME_BITS
const READERS_MAX = 4096
const PINS_MAX = 65_536

export interface RegionSizes {
  /** Memory for shared frames, in bytes: what a database in memory can hold, or the cache of one in a file. */
  readonly cacheBytes: number
  /** How many threads can read at once. */
  readonly readersMax: number
  /** How many snapshots can be open at once. */
  readonly pinsMax: number
  /** The version that the region starts with. Default 1. */
  readonly firstVersion?: number
  /** How many recent versions' roots are kept, for readers that are slow to enter. A power of two; default 64. */
  readonly publishedBlocks?: number
}

export interface RegionLayout {
  readonly sharedFrames: number
  readonly readersMax: number
  readonly pinsMax: number
  readonly publishedBlocks: number
  readonly wordPublished: number
  readonly wordReaders: number
  readonly wordPinOwners: number
  readonly wordPinVersions: number
  readonly wordTable: number
  /** A power of two, 2 at the least. */
  readonly buckets: number
  readonly byteReferenced: number
  readonly byteFrames: number
  readonly framesTotal: number
  readonly byteLength: number
}

/** @throws RangeError when that does not fit in one typed array */
export function regionLayout(
  sharedFrames: number,
  readersMax: number,
  pinsMax: number,
  publishedBlocks: number,
): RegionLayout {
  within('frames', sharedFrames, SHARED_FRAMES_MIN, SHARED_FRAMES_MAX)
  within('readersMax', readersMax, 1, READERS_MAX)
  within('pinsMax', pinsMax, 1, PINS_MAX)
  within('publishedBlocks', publishedBlocks, 2, 2 ** 16)
  const buckets = 2 ** Math.max(1, Math.ceil(Math.log2(sharedFrames / ENTRIES_PER_BUCKET)))
  const wordPublished = aligned(WORD_WANTED_ENTRIES + WANTED_ENTRIES * WANTED_ENTRY_WORDS)
  const wordReaders = wordPublished + publishedBlocks * BLOCK_WORDS
  const wordPinOwners = wordReaders + readersMax * LINE_WORDS
  const wordPinVersions = aligned(wordPinOwners + pinsMax)
  const wordTable = aligned(wordPinVersions + pinsMax)
  const byteReferenced = (wordTable + buckets * BUCKET_WORDS) * 4
  const byteFrames = Math.ceil((byteReferenced + sharedFrames) / PAGE_BYTES) * PAGE_BYTES
  const framesTotal = sharedFrames + readersMax * PRIVATE_FRAMES
  const byteLength = byteFrames + framesTotal * PAGE_BYTES
  if (byteLength > REGION_BYTES_MAX) {
    throw new RangeError(
      `${sharedFrames} frames and ${readersMax} readers take ${byteLength} bytes of shared memory, ${REGION_BYTES_MAX} is the most`,
    )
  }
  return {
    sharedFrames,
    readersMax,
    pinsMax,
    publishedBlocks,
    wordPublished,
    wordReaders,
    wordPinOwners,
    wordPinVersions,
    wordTable,
    buckets,
    byteReferenced,
    byteFrames,
    framesTotal,
    byteLength,
  }
}

export function readerWord(layout: RegionLayout, slotIndex: number): number {
  return layout.wordReaders + slotIndex * LINE_WORDS
}

export function blockWord(layout: RegionLayout, version: number): number {
  return layout.wordPublished + (version & (layout.publishedBlocks - 1)) * BLOCK_WORDS
}

/** The first of the private frames of that slot. */
export function privateFrame(layout: RegionLayout, slotIndex: number): number {
  return layout.sharedFrames + slotIndex * PRIVATE_FRAMES
}

function aligned(word: number): number {
  return Math.ceil(word / LINE_WORDS) * LINE_WORDS
}

function within(name: string, value: number, min: number, max: number): void {
  if (Number.isInteger(value) && value >= min && value <= max) return
  throw new RangeError(`${name} must be an integer from ${min} to ${max}, not ${value}`)
}
