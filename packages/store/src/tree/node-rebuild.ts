/**
 * Rebuilding nodes: splits, merges and compaction take the entries of one or two nodes, perhaps one new one
 * among them, and write runs of them into pages with other fences, and so with another prefix.
 *
 * The sources are copied to memory of the rebuild's own first, so that a target may be a source. Sources may come
 * from a file that was made on purpose: cells are checked as they are read, and a run that does not fit its page
 * (cells that overlap in the source can add up to more than a page) is an error before it is out of bounds.
 */

import { PAGE_BYTES, PAGE_ID_WORD, PAGE_WORDS } from '../page/page.ts'
import type { PageSpace } from '../page/page-space.ts'
import { KEY_BYTES_MAX } from '../sequencer/command.ts'
import type { Corruption } from './corruption.ts'
import {
  HEAD_BYTES,
  LEAF_OVERFLOWS_WORD,
  NO_FENCE,
  NODE_HEADER_BYTES,
  NODE_HEADS_WORD,
  OVERFLOW_AREA_BYTES,
  PAGE_WHAT_WORD,
} from './layout.ts'
import { cellBytesWithoutKey, LeafCell, writeCellHeader, writeOverflowArea } from './leaf.ts'
import {
  arraysEnd,
  copyKey,
  headOf,
  highBytes,
  highStart,
  lowBytes,
  lowStart,
  nodeCount,
  prefixBytes,
  referencesWord,
  restBytes,
  restStart,
  slotsWord,
  whatWord,
} from './node.ts'
import {
  countOverflows,
  writeCountAndHeap,
  writeFences,
  writeGarbageAndPrefix,
  writeHint,
} from './node-edit.ts'

/** An entry costs at least head and slot, so two pages and a new one have no more. */
const ENTRIES_MAX: number = 2 * (PAGE_BYTES / 8) + 1
const NEW = 0xffff
/** All that comes after a node's header: nothing of what stood there may stay. */
const NOTHING = new Uint8Array(PAGE_BYTES - NODE_HEADER_BYTES)
const EMPTY = new Uint8Array(0)

/** A key bound; `undefined`: nothing bounds the page above. */
export type Fence = Uint8Array | undefined

/** What the new entry of a leaf is; of a branch only `pageId` and `checksum` count. */
export interface NewEntry {
  key: Uint8Array
  sequence: number
  /** In the leaf; empty when it is in overflow pages. */
  value: Uint8Array
  /** 0: the value is in the leaf. */
  pageId: number
  checksum: number
  overflowBytes: number
}

export function sharedPrefix(low: Uint8Array, high: Fence): number {
  if (high === undefined) return 0
  const most = Math.min(low.length, high.length)
  let at = 0
  while (at < most && low[at] === high[at]) at++
  return at
}

export class NodeRebuild {
  readonly #space: PageSpace
  readonly #corruption: Corruption
  readonly #bytes: Buffer = Buffer.alloc(2 * PAGE_BYTES)
  readonly #words: Uint32Array
  readonly #cell = new LeafCell()
  readonly #key = new Uint8Array(KEY_BYTES_MAX)
  readonly #otherKey = new Uint8Array(KEY_BYTES_MAX)
  /** Of each entry: source page and index in one word; length of the key; bytes beside the key. */
  readonly #from = new Uint32Array(ENTRIES_MAX)
  readonly #keyBytes = new Uint16Array(ENTRIES_MAX)
  readonly #fixedBytes = new Uint16Array(ENTRIES_MAX)
  #new: NewEntry | undefined
  #sources = 0
  #level = 0
  #tree = 0
  /** Entries at hand. */
  count = 0

  constructor(space: PageSpace, corruption: Corruption) {
    this.#space = space
    this.#corruption = corruption
    this.#words = new Uint32Array(this.#bytes.buffer, this.#bytes.byteOffset, 2 * PAGE_WORDS)
  }

  /** Starts anew, for pages of that level and tree. */
  begin(level: number, tree: number): void {
    this.#level = level
    this.#tree = tree
    this.#new = undefined
    this.#sources = 0
    this.count = 0
  }

  get #isLeaf(): boolean {
    return this.#level === 0
  }

  /** Takes the entries of a checked node behind those taken before; `insertAt`: with a new one at that place. */
  take(frame: number, insertAt = -1, entry?: NewEntry): void {
    const source = this.#sources++
    const start = frame * PAGE_BYTES
    this.#bytes.set(this.#space.bytes.subarray(start, start + PAGE_BYTES), source * PAGE_BYTES)
    const count = nodeCount(this.#words, source)
    for (let index = 0; index <= count; index++) {
      if (index === insertAt && entry !== undefined) this.#takeNew(entry)
      if (index < count) this.#takeEntry(source, index, count)
    }
  }

  #takeEntry(source: number, index: number, count: number): void {
    const slot = this.#words[slotsWord(source, count) + index]!
    const suffix = slot >>> 16
    const keyBytes = prefixBytes(this.#words, source) + suffix
    if (keyBytes > KEY_BYTES_MAX) this.#fail(source, 'length of a key', keyBytes)
    const at = this.count++
    this.#from[at] = (source << 16) | index
    this.#keyBytes[at] = keyBytes
    if (this.#isLeaf) {
      const cell = this.#cell
      cell.read(this.#bytes, this.#words, source, slot, this.#corruption)
      this.#fixedBytes[at] = cell.cellBytes - restBytes(suffix)
    } else {
      restStart(this.#bytes, this.#words, source, false, slot, this.#corruption)
      this.#fixedBytes[at] = 0
    }
  }

  #takeNew(entry: NewEntry): void {
    const at = this.count++
    this.#new = entry
    this.#from[at] = NEW
    this.#keyBytes[at] = entry.key.length
    const area = entry.pageId === 0 ? entry.value.length : OVERFLOW_AREA_BYTES
    this.#fixedBytes[at] = this.#isLeaf ? cellBytesWithoutKey(entry.sequence, area) : 0
  }

  /** Bytes of a page's heap and arrays that entries [from, to) take when their keys lack `prefix` bytes. */
  bytesOf(from: number, to: number, prefix: number): number {
    let bytes = arraysEnd(this.#isLeaf, to - from) - NODE_HEADER_BYTES
    for (let at = from; at < to; at++) {
      bytes += this.#fixedBytes[at]! + restBytes(Math.max(0, this.#keyBytes[at]! - prefix))
    }
    return bytes
  }

  fits(from: number, to: number, low: Uint8Array, high: Fence): boolean {
    const fences = low.length + (high === undefined ? 0 : high.length)
    const room = PAGE_BYTES - NODE_HEADER_BYTES - fences
    return this.bytesOf(from, to, sharedPrefix(low, high)) <= room
  }

  /** Where two halves are as equal as can be, both with an entry at least. */
  balance(): number {
    const half = this.bytesOf(0, this.count, 0) / 2
    const perEntry = this.#isLeaf ? 8 : 16
    let bytes = 0
    for (let at = 0; at < this.count; at++) {
      const own = perEntry + this.#fixedBytes[at]! + restBytes(this.#keyBytes[at]!)
      if (bytes + own / 2 >= half) return Math.min(Math.max(at, 1), this.count - 1)
      bytes += own
    }
    return this.count - 1
  }

  /** The shortest key that is greater than entry `at - 1` and not greater than entry `at`; a branch's entry's own. */
  separator(at: number): Uint8Array {
    const length = this.#keyOf(at, this.#key)
    if (!this.#isLeaf) return this.#key.slice(0, length)
    const before = this.#keyOf(at - 1, this.#otherKey)
    let shared = 0
    while (shared < before && shared < length && this.#key[shared] === this.#otherKey[shared]) {
      shared++
    }
    return this.#key.slice(0, Math.min(length, shared + 1))
  }

  #keyOf(at: number, target: Uint8Array): number {
    const from = this.#from[at]!
    if (from === NEW) {
      target.set(this.#new!.key)
      return this.#new!.key.length
    }
    const index = from & 0xffff
    const source = from >>> 16
    return copyKey(this.#bytes, this.#words, source, this.#isLeaf, index, target, this.#corruption)
  }

  /** Copies of the fences of the first source, or of the second. */
  lowFence(source: number): Uint8Array {
    const start = lowStart(this.#words, source)
    return new Uint8Array(this.#bytes.subarray(start, start + lowBytes(this.#words, source)))
  }

  highFence(source: number): Fence {
    const length = highBytes(this.#words, source)
    if (length === NO_FENCE) return undefined
    const start = highStart(this.#words, source)
    return new Uint8Array(this.#bytes.subarray(start, start + length))
  }

  /** Writes entries [from, to) into a writable page; header fields but sequences and kind are new. */
  write(frame: number, from: number, to: number, low: Uint8Array, high: Fence): void {
    const { bytes, words } = this.#space
    const end = (frame + 1) * PAGE_BYTES
    bytes.set(NOTHING, end - NOTHING.length)
    const highLength = high === undefined ? 0 : high.length
    words[frame * PAGE_WORDS + PAGE_WHAT_WORD] = whatWord(this.#level, this.#tree)
    words[frame * PAGE_WORDS + LEAF_OVERFLOWS_WORD] = 0
    bytes.set(low, end - low.length)
    bytes.set(high ?? EMPTY, end - low.length - highLength)
    const prefix = sharedPrefix(low, high)
    writeFences(words, frame, low.length, high === undefined ? NO_FENCE : highLength)
    writeGarbageAndPrefix(words, frame, 0, prefix)
    writeHint(words, frame, 0, 0)
    const arrays = arraysEnd(this.#isLeaf, to - from)
    let heap = PAGE_BYTES - low.length - highLength
    for (let at = from; at < to; at++) {
      const suffix = this.#keyBytes[at]! - prefix
      const cellBytes = this.#fixedBytes[at]! + restBytes(suffix)
      heap -= cellBytes
      if (suffix < 0 || heap < arrays) this.#fail(0, 'size of the entries', heap - arrays)
      this.#writeEntry(frame, at, to - from, at - from, prefix, heap)
    }
    writeCountAndHeap(words, frame, to - from, heap)
  }

  #writeEntry(
    frame: number,
    at: number,
    count: number,
    index: number,
    prefix: number,
    place: number,
  ): void {
    const { words } = this.#space
    const from = this.#from[at]!
    const source = from >>> 16
    const suffix = this.#keyBytes[at]! - prefix
    const headWord = frame * PAGE_WORDS + NODE_HEADS_WORD + index
    words[slotsWord(frame, count) + index] = place | (suffix << 16)
    if (from !== NEW && prefix === prefixBytes(this.#words, source)) {
      words[headWord] = this.#words[source * PAGE_WORDS + NODE_HEADS_WORD + (from & 0xffff)]!
      this.#copyCell(frame, source, from & 0xffff, place)
    } else {
      const length = this.#keyOf(at, this.#key)
      words[headWord] = headOf(this.#key, prefix, length)
      if (this.#isLeaf) this.#writeLeafCell(frame, from, place, prefix + HEAD_BYTES, length)
      else this.#writeRest(frame * PAGE_BYTES + place, prefix + HEAD_BYTES, length)
    }
    if (!this.#isLeaf) this.#writeReference(referencesWord(frame, count) + 2 * index, from)
  }

  #writeReference(word: number, from: number): void {
    const { words } = this.#space
    if (from === NEW) {
      words[word] = this.#new!.pageId
      words[word + 1] = this.#new!.checksum
      return
    }
    const source = from >>> 16
    const own = referencesWord(source, nodeCount(this.#words, source)) + 2 * (from & 0xffff)
    words[word] = this.#words[own]!
    words[word + 1] = this.#words[own + 1]!
  }

  /** Of an entry whose key is cut as before: byte by byte the same but for a reference's alignment. */
  #copyCell(frame: number, source: number, index: number, place: number): void {
    const slot = this.#words[slotsWord(source, nodeCount(this.#words, source)) + index]!
    const start = source * PAGE_BYTES + (slot & 0xffff)
    const target = frame * PAGE_BYTES + place
    if (!this.#isLeaf) {
      this.#copyBytes(start, restBytes(slot >>> 16), target)
      return
    }
    const cell = this.#cell
    cell.read(this.#bytes, this.#words, source, slot, this.#corruption)
    this.#copyBytes(start, cell.cellBytes, target)
    if (cell.isOverflow) this.#copyOverflow(frame, target + cell.valueStart - start)
  }

  #copyBytes(start: number, length: number, target: number): void {
    const { bytes } = this.#space
    if (length > 16) bytes.set(this.#bytes.subarray(start, start + length), target)
    else for (let at = 0; at < length; at++) bytes[target + at] = this.#bytes[start + at]!
  }

  /** Of the cell read last. @param area absolute, in the target */
  #copyOverflow(frame: number, area: number): void {
    const word = this.#cell.referenceWord
    const checksum = this.#words[word + 1]!
    writeOverflowArea(this.#space.words, area, this.#words[word]!, checksum, this.#cell.valueBytes)
    countOverflows(this.#space.words, frame, 1)
  }

  /** The key is in `#key`. */
  #writeLeafCell(
    frame: number,
    from: number,
    place: number,
    restFrom: number,
    keyEnd: number,
  ): void {
    const { bytes, words } = this.#space
    const at = frame * PAGE_BYTES + place
    if (from === NEW) {
      const { sequence, value, pageId, checksum, overflowBytes } = this.#new!
      const rest = writeCellHeader(bytes, at, sequence, value.length, pageId !== 0)
      const area = this.#writeRest(rest, restFrom, keyEnd)
      if (pageId === 0) bytes.set(value, area)
      else {
        writeOverflowArea(words, area, pageId, checksum, overflowBytes)
        countOverflows(words, frame, 1)
      }
      return
    }
    const source = from >>> 16
    const cell = this.#cell
    const slot = this.#words[slotsWord(source, nodeCount(this.#words, source)) + (from & 0xffff)]!
    cell.read(this.#bytes, this.#words, source, slot, this.#corruption)
    const rest = writeCellHeader(bytes, at, cell.sequence, cell.valueBytes, cell.isOverflow)
    const area = this.#writeRest(rest, restFrom, keyEnd)
    if (cell.isOverflow) this.#copyOverflow(frame, area)
    else this.#copyBytes(cell.valueStart, cell.valueBytes, area)
  }

  /** Writes bytes [from, end) of `#key`; returns where they end. */
  #writeRest(at: number, from: number, end: number): number {
    const { bytes } = this.#space
    for (let index = from; index < end; index++) bytes[at + index - from] = this.#key[index]!
    return at + Math.max(0, end - from)
  }

  #fail(source: number, what: string, actual: number): never {
    const pageId = this.#words[source * PAGE_WORDS + PAGE_ID_WORD]!
    return this.#corruption.fail(pageId, what, 'one that fits', actual)
  }
}
