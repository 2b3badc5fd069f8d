/**
 * What leaves and branches have in common: fences, heads, slots, and the search among them. Reading only; see
 * `layout.ts` for the bytes.
 *
 * Whoever reads a node calls `checkNode` once after `locate`; then no function here reads outside the page,
 * whatever the page holds: lengths and places of cells are checked where they are used.
 */

import { PAGE_BYTES, PAGE_ID_WORD, PAGE_WORDS, PageKind } from '../page/page.ts'
import { KEY_BYTES_MAX } from '../sequencer/command.ts'
import type { Corruption } from './corruption.ts'
import {
  HEAD_BYTES,
  HEADS_GROUP,
  LEVEL_SHIFT,
  NO_FENCE,
  NODE_COUNT_WORD,
  NODE_FENCES_WORD,
  NODE_GARBAGE_WORD,
  NODE_HEADER_BYTES,
  NODE_HEADS_WORD,
  PAGE_WHAT_WORD,
  TREE_SHIFT,
} from './layout.ts'

const HALF = 0xffff
/** Words of a line of the processor's cache, on most machines. */
const LINE_WORDS = 16
/** In nodes of fewer entries halving is as quick. */
const INTERPOLATED_COUNT_MIN = 16
/** How far from its guessed place a key is looked for first, on either side. */
const INTERPOLATION_MARGIN = 2

export function nodeCount(words: Uint32Array, frame: number): number {
  return words[frame * PAGE_WORDS + NODE_COUNT_WORD]! & HALF
}

export function heapStart(words: Uint32Array, frame: number): number {
  return words[frame * PAGE_WORDS + NODE_COUNT_WORD]! >>> 16
}

export function prefixBytes(words: Uint32Array, frame: number): number {
  return words[frame * PAGE_WORDS + NODE_GARBAGE_WORD]! >>> 16
}

export function lowBytes(words: Uint32Array, frame: number): number {
  return words[frame * PAGE_WORDS + NODE_FENCES_WORD]! & HALF
}

/** NO_FENCE when there is none. */
export function highBytes(words: Uint32Array, frame: number): number {
  return words[frame * PAGE_WORDS + NODE_FENCES_WORD]! >>> 16
}

/** First byte of the low fence, absolute. */
export function lowStart(words: Uint32Array, frame: number): number {
  return (frame + 1) * PAGE_BYTES - lowBytes(words, frame)
}

export function highStart(words: Uint32Array, frame: number): number {
  return lowStart(words, frame) - highBytes(words, frame)
}

/** How many heads there is room for. */
export function headsRoom(count: number): number {
  return (count + HEADS_GROUP - 1) & -HEADS_GROUP
}

/** Absolute words of the first slot, and of the first reference. */
export function slotsWord(frame: number, count: number): number {
  return frame * PAGE_WORDS + NODE_HEADS_WORD + headsRoom(count)
}

export function referencesWord(frame: number, count: number): number {
  return frame * PAGE_WORDS + NODE_HEADS_WORD + 2 * headsRoom(count)
}

/** Where heads, slots and references end, from the start of the page. */
export function arraysEnd(isLeaf: boolean, count: number): number {
  const room = headsRoom(count)
  return NODE_HEADER_BYTES + (isLeaf ? 4 * room + 4 * count : 8 * room + 8 * count)
}

/** Place of the entry's cell from the start of the page. */
export function cellPlace(slot: number): number {
  return slot & HALF
}

/** Length of the entry's key after the prefix. */
export function suffixBytes(slot: number): number {
  return slot >>> 16
}

/** How many bytes of a key stand in its cell. */
export function restBytes(suffix: number): number {
  return suffix > HEAD_BYTES ? suffix - HEAD_BYTES : 0
}

/** Page kind, level and tree as one word. */
export function whatWord(level: number, tree: number): number {
  const kind = level === 0 ? PageKind.leaf : PageKind.branch
  return (kind | (level << LEVEL_SHIFT) | (tree << TREE_SHIFT)) >>> 0
}

/**
 * That the page is a node of that tree and level, and that its arrays and fences lie within it.
 * @throws StoreCorruptError
 */
export function checkNode(
  words: Uint32Array,
  frame: number,
  level: number,
  tree: number,
  corruption: Corruption,
): void {
  const base = frame * PAGE_WORDS
  const what = words[base + PAGE_WHAT_WORD]!
  if (what !== whatWord(level, tree)) {
    corruption.fail(
      words[base + PAGE_ID_WORD]!,
      'kind, level and tree',
      whatWord(level, tree),
      what,
    )
  }
  const countAndHeap = words[base + NODE_COUNT_WORD]!
  const count = countAndHeap & HALF
  const heap = countAndHeap >>> 16
  const fences = words[base + NODE_FENCES_WORD]!
  const low = fences & HALF
  const high = fences >>> 16 === NO_FENCE ? 0 : fences >>> 16
  const prefix = words[base + NODE_GARBAGE_WORD]! >>> 16
  if (
    arraysEnd(level === 0, count) > heap ||
    heap + low + high > PAGE_BYTES ||
    low > KEY_BYTES_MAX ||
    high > KEY_BYTES_MAX ||
    prefix > low ||
    (level > 0 && count === 0)
  ) {
    const parts = `${count} entries, heap at ${heap}, fences ${low} and ${high}, prefix ${prefix}`
    corruption.fail(words[base + PAGE_ID_WORD]!, 'layout', 'parts that fit the page', parts)
  }
}

/**
 * Loads from the lines in which heads and slots of a leaf mostly stand, all at once: they are seldom in the cache, and
 * the search would wait for one after another.
 */
export function touchArrays(words: Uint32Array, frame: number): number {
  const base = frame * PAGE_WORDS
  return (
    words[base + LINE_WORDS]! |
    words[base + 2 * LINE_WORDS]! |
    words[base + 3 * LINE_WORDS]! |
    words[base + 4 * LINE_WORDS]! |
    words[base + 5 * LINE_WORDS]! |
    words[base + 6 * LINE_WORDS]! |
    words[base + 7 * LINE_WORDS]! |
    words[base + 8 * LINE_WORDS]! |
    words[base + 9 * LINE_WORDS]!
  )
}

/** Loads from the first lines of a cell, as `touchArrays` does. */
export function touchCell(words: Uint32Array, frame: number, slot: number): number {
  const first = cellPlace(slot) >>> 2
  const third = first + 2 * LINE_WORDS
  const base = frame * PAGE_WORDS
  if (third >= PAGE_WORDS) return words[base + PAGE_WORDS - 1]!
  return words[base + first]! | words[base + first + LINE_WORDS]! | words[base + third]!
}

/** Four bytes of the key from `start` on, as a number that compares as they do. */
export function headOf(key: Uint8Array, start: number, end: number): number {
  const length = end - start
  if (length >= HEAD_BYTES) {
    return (
      ((key[start]! << 24) | (key[start + 1]! << 16) | (key[start + 2]! << 8) | key[start + 3]!) >>>
      0
    )
  }
  let head = 0
  if (length > 0) head = key[start]! << 24
  if (length > 1) head |= key[start + 1]! << 16
  if (length > 2) head |= key[start + 2]! << 8
  return head >>> 0
}

/** Negative, 0 or positive, as the first is smaller, equal or greater. */
export function compareBytes(
  a: Uint8Array,
  aStart: number,
  aEnd: number,
  b: Uint8Array,
  bStart: number,
  bEnd: number,
): number {
  const aBytes = aEnd - aStart
  const bBytes = bEnd - bStart
  const shared = aBytes < bBytes ? aBytes : bBytes
  for (let at = 0; at < shared; at++) {
    const difference = a[aStart + at]! - b[bStart + at]!
    if (difference !== 0) return difference
  }
  return aBytes - bBytes
}

/**
 * Where the key stands, or, when it does not, ~(where it would have to be inserted).
 * @param key one between the page's fences
 */
export function searchNode(
  bytes: Uint8Array,
  words: Uint32Array,
  frame: number,
  isLeaf: boolean,
  key: Uint8Array,
  corruption: Corruption,
): number {
  const base = frame * PAGE_WORDS
  const count = words[base + NODE_COUNT_WORD]! & HALF
  const prefix = words[base + NODE_GARBAGE_WORD]! >>> 16
  const head = headOf(key, prefix, key.length)
  const heads = base + NODE_HEADS_WORD
  let from = 0
  let to = count
  if (count >= INTERPOLATED_COUNT_MIN) {
    // Where the key stands if the heads are spread evenly, as those of consecutive ids are: looks at two or three
    // lines of the page, one after another in no case, where halving waits for four.
    const lowest = words[heads]!
    const highest = words[heads + count - 1]!
    if (lowest < head && head < highest) {
      const guess = Math.floor(((head - lowest) / (highest - lowest)) * (count - 1))
      const before = guess - INTERPOLATION_MARGIN
      const after = guess + INTERPOLATION_MARGIN
      if (before > 0) {
        const other = words[heads + before]!
        if (other < head) from = before + 1
        else if (other > head) to = before
      }
      if (after < to) {
        const other = words[heads + after]!
        if (other > head) to = after
        else if (other < head) from = after + 1
      }
    }
  }
  while (from < to) {
    const middle = (from + to) >>> 1
    const other = words[heads + middle]!
    if (other < head) from = middle + 1
    else if (other > head) to = middle
    else {
      const slot = words[heads + headsRoom(count) + middle]!
      const order = compareRest(bytes, words, frame, isLeaf, slot, key, prefix, corruption)
      if (order === 0) return middle
      if (order > 0) from = middle + 1
      else to = middle
    }
  }
  return ~from
}

/** The key against an entry whose head is the same. */
function compareRest(
  bytes: Uint8Array,
  words: Uint32Array,
  frame: number,
  isLeaf: boolean,
  slot: number,
  key: Uint8Array,
  prefix: number,
  corruption: Corruption,
): number {
  const suffix = slot >>> 16
  const keySuffix = key.length - prefix
  if (suffix <= HEAD_BYTES || keySuffix <= HEAD_BYTES) return keySuffix - suffix
  const start = restStart(bytes, words, frame, isLeaf, slot, corruption)
  const shared = suffix < keySuffix ? suffix : keySuffix
  const keyStart = prefix + HEAD_BYTES
  for (let at = 0; at < shared - HEAD_BYTES; at++) {
    const difference = key[keyStart + at]! - bytes[start + at]!
    if (difference !== 0) return difference
  }
  return keySuffix - suffix
}

/** First byte of that part of the key which stands in the cell, absolute, checked for its whole length. */
export function restStart(
  bytes: Uint8Array,
  words: Uint32Array,
  frame: number,
  isLeaf: boolean,
  slot: number,
  corruption: Corruption,
): number {
  const place = slot & HALF
  const header = isLeaf ? leafCellHeaderBytes(bytes, frame * PAGE_BYTES + place) : 0
  if (place + header + restBytes(slot >>> 16) > PAGE_BYTES) {
    corruption.fail(words[frame * PAGE_WORDS + PAGE_ID_WORD]!, 'cell', 'one within the page', place)
  }
  return frame * PAGE_BYTES + place + header
}

/** @param at the cell's first byte, absolute */
function leafCellHeaderBytes(bytes: Uint8Array, at: number): number {
  return 6 + ((bytes[at + 1]! >>> 4) & 3)
}

/** Child that holds the key. */
export function searchBranch(
  bytes: Uint8Array,
  words: Uint32Array,
  frame: number,
  key: Uint8Array,
  corruption: Corruption,
): number {
  const index = searchNode(bytes, words, frame, false, key, corruption)
  if (index >= 0) return index
  return index === -1 ? 0 : ~index - 1
}

/**
 * Copies the entry's key into `target`; returns its length.
 * @param target at least KEY_BYTES_MAX
 */
export function copyKey(
  bytes: Uint8Array,
  words: Uint32Array,
  frame: number,
  isLeaf: boolean,
  index: number,
  target: Uint8Array,
  corruption: Corruption,
): number {
  copyPrefix(bytes, words, frame, target)
  return copySuffix(bytes, words, frame, isLeaf, index, target, corruption)
}

/** What all keys of the page begin with. */
export function copyPrefix(
  bytes: Uint8Array,
  words: Uint32Array,
  frame: number,
  target: Uint8Array,
): void {
  const prefix = prefixBytes(words, frame)
  const low = lowStart(words, frame)
  for (let at = 0; at < prefix; at++) target[at] = bytes[low + at]!
}

/** `copyKey` for a target that has the prefix. */
export function copySuffix(
  bytes: Uint8Array,
  words: Uint32Array,
  frame: number,
  isLeaf: boolean,
  index: number,
  target: Uint8Array,
  corruption: Corruption,
): number {
  const count = nodeCount(words, frame)
  const prefix = prefixBytes(words, frame)
  const slot = words[slotsWord(frame, count) + index]!
  const suffix = slot >>> 16
  if (prefix + suffix > KEY_BYTES_MAX) {
    const pageId = words[frame * PAGE_WORDS + PAGE_ID_WORD]!
    corruption.fail(pageId, 'length of a key', `at most ${KEY_BYTES_MAX}`, prefix + suffix)
  }
  const head = words[frame * PAGE_WORDS + NODE_HEADS_WORD + index]!
  const inHead = suffix < HEAD_BYTES ? suffix : HEAD_BYTES
  for (let at = 0; at < inHead; at++) target[prefix + at] = head >>> (24 - 8 * at)
  const rest = restBytes(suffix)
  if (rest > 0) {
    const start = restStart(bytes, words, frame, isLeaf, slot, corruption)
    for (let at = 0; at < rest; at++) target[prefix + HEAD_BYTES + at] = bytes[start + at]!
  }
  return prefix + suffix
}
