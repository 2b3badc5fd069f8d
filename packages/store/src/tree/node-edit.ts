/**
 * Changing nodes in place: entries in and out of heads, slots and references, room for cells. The page must be
 * writable and checked (`checkNode`). Words are moved by loops: moves by 4 bytes are not aligned alike mod 8, and
 * `copyWithin` on shared memory then goes byte by byte.
 *
 * No reference is left behind where nobody looks: whether it has its checksum hangs on when the page that it led to
 * was written, and pages are to be the same, byte by byte, in whatever process they are made.
 */
import { NO_PAGE, NOT_WRITTEN, PAGE_BYTES, PAGE_WORDS } from '../page/page.ts'
import {
  LEAF_OVERFLOWS_WORD,
  NO_FENCE,
  NODE_COUNT_WORD,
  NODE_FENCES_WORD,
  NODE_GARBAGE_WORD,
  NODE_HEADS_WORD,
  NODE_HINT_WORD,
} from './layout.ts'
import { arraysEnd, headsRoom, heapStart, highBytes, lowBytes, nodeCount } from './node.ts'

const HALF = 0xffff

export function writeCountAndHeap(
  words: Uint32Array,
  frame: number,
  count: number,
  heap: number,
): void {
  words[frame * PAGE_WORDS + NODE_COUNT_WORD] = count | (heap << 16)
}

export function writeGarbageAndPrefix(
  words: Uint32Array,
  frame: number,
  garbage: number,
  prefix: number,
): void {
  words[frame * PAGE_WORDS + NODE_GARBAGE_WORD] = garbage | (prefix << 16)
}

export function garbageBytes(words: Uint32Array, frame: number): number {
  return words[frame * PAGE_WORDS + NODE_GARBAGE_WORD]! & HALF
}

function addGarbage(words: Uint32Array, frame: number, count: number): void {
  words[frame * PAGE_WORDS + NODE_GARBAGE_WORD]! += count
}

export function writeFences(words: Uint32Array, frame: number, low: number, high: number): void {
  words[frame * PAGE_WORDS + NODE_FENCES_WORD] = low | (high << 16)
}

/** Bytes for one more cell, its entry's words already deducted; garbage not counted. May be negative. */
export function roomForCell(words: Uint32Array, frame: number, isLeaf: boolean): number {
  return heapStart(words, frame) - arraysEnd(isLeaf, nodeCount(words, frame) + 1)
}

/** Bytes of the page that are not free: header, entries, fences. */
export function usedBytes(words: Uint32Array, frame: number, isLeaf: boolean): number {
  const heap = PAGE_BYTES - heapStart(words, frame) - garbageBytes(words, frame)
  return arraysEnd(isLeaf, nodeCount(words, frame)) + heap
}

/** Of these, what the fences take. */
export function fencesBytes(words: Uint32Array, frame: number): number {
  const high = highBytes(words, frame)
  return lowBytes(words, frame) + (high === NO_FENCE ? 0 : high)
}

export function countOverflows(words: Uint32Array, frame: number, change: number): void {
  words[frame * PAGE_WORDS + LEAF_OVERFLOWS_WORD]! += change
}

export function overflowCount(words: Uint32Array, frame: number): number {
  return words[frame * PAGE_WORDS + LEAF_OVERFLOWS_WORD]! & HALF
}

export function lastInsert(words: Uint32Array, frame: number): number {
  return words[frame * PAGE_WORDS + NODE_HINT_WORD]! & HALF
}

export function risingRun(words: Uint32Array, frame: number): number {
  return words[frame * PAGE_WORDS + NODE_HINT_WORD]! >>> 16
}

export function writeHint(words: Uint32Array, frame: number, last: number, run: number): void {
  words[frame * PAGE_WORDS + NODE_HINT_WORD] = last | (Math.min(run, HALF) << 16)
}

function moveUp(words: Uint32Array, from: number, to: number, by: number): void {
  for (let at = to - 1; at >= from; at--) words[at + by] = words[at]!
}

function moveDown(words: Uint32Array, from: number, to: number, by: number): void {
  for (let at = from; at < to; at++) words[at - by] = words[at]!
}

/** Takes `bytes` from the heap; the cell's place from the start of the page. The caller has looked for room. */
export function takeCell(words: Uint32Array, frame: number, bytes: number): number {
  const place = heapStart(words, frame) - bytes
  writeCountAndHeap(words, frame, nodeCount(words, frame), place)
  return place
}

/** Makes place for an entry's words and writes head and slot; a branch's reference is to be written then. */
export function insertEntry(
  words: Uint32Array,
  frame: number,
  isLeaf: boolean,
  index: number,
  head: number,
  slot: number,
): void {
  const heads = frame * PAGE_WORDS + NODE_HEADS_WORD
  const count = nodeCount(words, frame)
  const room = headsRoom(count)
  const grown = headsRoom(count + 1)
  if (!isLeaf) {
    const references = heads + 2 * room
    const by = 2 * (grown - room)
    moveUp(words, references + 2 * index, references + 2 * count, by + 2)
    if (by > 0) moveUp(words, references, references + 2 * index, by)
    // Room for slots: what is left of references would hold checksums, or lack them.
    words.fill(0, references, references + by)
  }
  const slots = heads + room
  moveUp(words, slots + index, slots + count, grown - room + 1)
  if (grown > room) moveUp(words, slots, slots + index, grown - room)
  moveUp(words, heads + index, heads + count, 1)
  words[heads + index] = head
  words[heads + grown + index] = slot
  writeCountAndHeap(words, frame, count + 1, heapStart(words, frame))
}

/** @param cellBytes of the entry's cell: becomes garbage */
export function removeEntry(
  words: Uint32Array,
  frame: number,
  isLeaf: boolean,
  index: number,
  cellBytes: number,
): void {
  const heads = frame * PAGE_WORDS + NODE_HEADS_WORD
  const count = nodeCount(words, frame)
  const room = headsRoom(count)
  const shrunk = headsRoom(count - 1)
  moveDown(words, heads + index + 1, heads + count, 1)
  const slots = heads + room
  if (room > shrunk) moveDown(words, slots, slots + index, room - shrunk)
  moveDown(words, slots + index + 1, slots + count, room - shrunk + 1)
  if (!isLeaf) {
    const references = heads + 2 * room
    const by = 2 * (room - shrunk)
    if (by > 0) moveDown(words, references, references + 2 * index, by)
    moveDown(words, references + 2 * (index + 1), references + 2 * count, by + 2)
    words.fill(0, references + 2 * (count - 1) - by, references + 2 * count)
  }
  writeCountAndHeap(words, frame, count - 1, heapStart(words, frame))
  addGarbage(words, frame, cellBytes)
}

/** Of a cell that is no more. */
export function clearReference(words: Uint32Array, referenceWord: number): void {
  words[referenceWord] = NO_PAGE
  words[referenceWord + 1] = NOT_WRITTEN
}

export function writeReference(
  words: Uint32Array,
  references: number,
  index: number,
  pageId: number,
): void {
  words[references + 2 * index] = pageId
  words[references + 2 * index + 1] = NOT_WRITTEN
}
