/**
 * Pages of the trees, byte by byte. Nobody else writes a number.
 *
 * Leaves and branches are nodes: slotted pages. After the page's header (`../page/page.ts`):
 *
 *   byte 20  u16  number of entries
 *   byte 22  u16  heap start: where the lowest cell begins
 *   byte 24  u16  garbage: bytes in the heap that no cell uses
 *   byte 26  u16  prefix: how many leading bytes all keys between the fences share; they stand in the low fence only
 *   byte 28  u16  length of the low fence
 *   byte 30  u16  length of the high fence; NO_FENCE when nothing bounds the page above
 *   byte 32  u16  where the last entry was inserted: hint for splitting
 *   byte 34  u16  how many inserts before it were each the successor of the one before: hint
 *   byte 36  u16  leaves: number of cells whose value is in overflow pages
 *   byte 38  u16  0
 *   byte 40  u32  leaves: highest commit sequence of a deletion here, low 32 bits
 *   byte 44  u32  the same, above
 *   byte 48       heads: u32 for each entry, the first four bytes of its key after the prefix, zero-filled, in
 *                 such an order that numbers compare as the bytes do; room for a multiple of 16 of them
 *                 slots: u32 for each entry: low half the place of its cell, high half the length of its key after
 *                 the prefix
 *                 branches: room for slots is a multiple of 16, too; then references, two u32 for each entry
 *                 free
 *                 heap of cells, the last made lowest
 *                 high fence, low fence, end of page
 *
 * Keys k of a node: low fence <= k < high fence. A branch's entry has the low fence of its child as its key.
 *
 * A branch's cell: the key's bytes from the fifth after the prefix on. A leaf's cell:
 *
 *   u16  bits 0-11 length of the value, 12-13 how many bytes the sequence has above 32 bits, 14 value in overflow pages
 *   u32  commit sequence, low 32 bits; then 0 to 3 bytes of it above
 *        the key's bytes from the fifth after the prefix on
 *        the value; or, of one in overflow pages, OVERFLOW_AREA_BYTES in which stand, from the first multiple of 4
 *        on, a reference to the first page and the value's length, u32
 *
 * An overflow page: byte 20 u32 bytes of the value from this page on, byte 24 reference to the next page (0 in
 * the last), then bytes of the value.
 *
 * A directory page: from byte 32 on, 255 entries of 32 bytes:
 *
 *   u32 root page, u32 its checksum, u32 × 2 number of entries, u32 definition,
 *   u8 state, u8 height (levels), u16 0, u64 0
 */

import { PAGE_BYTES, PAGE_HEADER_BYTES } from '../page/page.ts'
import { KEY_BYTES_MAX } from '../sequencer/command.ts'

/** The word that holds a page's kind, level and tree. */
export const PAGE_WHAT_WORD = 2
export const LEVEL_SHIFT = 8
export const TREE_SHIFT = 16

// ---- nodes: words, each of two halves -----------------------------------------------------------

/** Low half: number of entries; high half: heap start. */
export const NODE_COUNT_WORD: number = PAGE_HEADER_BYTES / 4
/** Low half: garbage; high half: prefix. */
export const NODE_GARBAGE_WORD: number = NODE_COUNT_WORD + 1
/** Low half: length of the low fence; high half: of the high fence. */
export const NODE_FENCES_WORD: number = NODE_GARBAGE_WORD + 1
/** Low half: last insert; high half: rising run. */
export const NODE_HINT_WORD: number = NODE_FENCES_WORD + 1
/** Low half: cells with overflow pages. */
export const LEAF_OVERFLOWS_WORD: number = NODE_HINT_WORD + 1
export const LEAF_DELETED_LOW_WORD: number = LEAF_OVERFLOWS_WORD + 1
export const LEAF_DELETED_HIGH_WORD: number = LEAF_DELETED_LOW_WORD + 1
export const NODE_HEADS_WORD: number = LEAF_DELETED_HIGH_WORD + 1
export const NODE_HEADER_BYTES: number = NODE_HEADS_WORD * 4

export const NO_FENCE = 0xffff
export const HEAD_BYTES = 4
/** Heads come in groups of so many, so that slots seldom move. A power of two. */
export const HEADS_GROUP = 16

// ---- leaves -------------------------------------------------------------------------------------

export const VALUE_BYTES_MASK = 0xfff
export const SEQUENCE_ABOVE_SHIFT = 12
export const SEQUENCE_ABOVE_MASK = 3
export const OVERFLOW_FLAG = 0x4000
export const LEAF_CELL_HEADER_BYTES = 6
/** A reference and a length, and what may be needed to align them. */
export const OVERFLOW_AREA_BYTES: number = 12 + 3

/**
 * Key and value together in a leaf; what is longer goes to overflow pages. With a quarter page any two halves of
 * a leaf and one more entry fit two leaves, fences of full length included.
 */
export const INLINE_BYTES_MAX: number = PAGE_BYTES / 4

// ---- overflow pages -----------------------------------------------------------------------------

export const OVERFLOW_REMAINING_WORD: number = PAGE_HEADER_BYTES / 4
export const OVERFLOW_NEXT_WORD: number = OVERFLOW_REMAINING_WORD + 1
export const OVERFLOW_DATA_BYTE: number = (OVERFLOW_NEXT_WORD + 2) * 4
export const OVERFLOW_DATA_BYTES: number = PAGE_BYTES - OVERFLOW_DATA_BYTE

// ---- directory pages ----------------------------------------------------------------------------

export const DIRECTORY_FIRST_WORD = 8
export const DIRECTORY_ENTRY_WORDS = 8
export const DIRECTORY_ENTRIES: number =
  (PAGE_BYTES / 4 - DIRECTORY_FIRST_WORD) / DIRECTORY_ENTRY_WORDS
export const ENTRY_ROOT = 0
export const ENTRY_CHECKSUM = 1
export const ENTRY_COUNT_LOW = 2
export const ENTRY_COUNT_HIGH = 3
export const ENTRY_DEFINITION = 4
/** Byte 0: state; byte 1: height. */
export const ENTRY_STATE = 5

/** Levels of a tree: a fan-out of 6, that of longest keys, reaches beyond what page ids can name. */
export const HEIGHT_MAX = 16

export const U32_RANGE: number = 2 ** 32

if (NODE_HEADER_BYTES !== 48) throw new Error('the node header does not add up')
if (DIRECTORY_ENTRIES !== 255) throw new Error('the directory does not add up')
if (KEY_BYTES_MAX >= NO_FENCE || INLINE_BYTES_MAX > VALUE_BYTES_MASK) {
  throw new Error('lengths do not fit their fields')
}
