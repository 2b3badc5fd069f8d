/**
 * Changing one tree at a time: the way from its root to a leaf made writable, an entry put or taken there, and
 * the splits and merges that follow, upwards.
 *
 * Threads: the sequencer's own.
 *
 * Invariants
 *  T1 Pages of published versions are never changed: `space.writable` stands before every change.
 *  T2 A page's header has the highest commit sequence of its subtree, deletions included: a change writes its own
 *     in every page on its way, and pages that are merged keep the highest of both.
 *  T3 A branch's entry has its child's low fence as key, a child's high fence is the next entry's key.
 *  T4 Within one operation no frame is evicted, since the caller has made room; so frames stand in the path.
 *
 * An operation makes no more than three pages a level: a copy, a sibling, and for the root a new one above.
 */

import { NO_PAGE, NOT_WRITTEN, PAGE_BYTES, PAGE_ID_WORD, PAGE_WORDS } from '../page/page.ts'
import type { PageSpace } from '../page/page-space.ts'
import type { Corruption } from './corruption.ts'
import { heightOf } from './directory.ts'
import {
  ENTRY_CHECKSUM,
  ENTRY_ROOT,
  ENTRY_STATE,
  HEIGHT_MAX,
  NO_FENCE,
  NODE_HEADER_BYTES,
  OVERFLOW_AREA_BYTES,
} from './layout.ts'
import { cellBytesWithoutKey, LeafCell, writeCellHeader, writeOverflowArea } from './leaf.ts'
import {
  checkNode,
  headOf,
  highBytes,
  nodeCount,
  prefixBytes,
  referencesWord,
  restBytes,
  searchBranch,
  searchNode,
  slotsWord,
} from './node.ts'
import {
  clearReference,
  countOverflows,
  fencesBytes,
  garbageBytes,
  insertEntry,
  lastInsert,
  removeEntry,
  risingRun,
  roomForCell,
  takeCell,
  usedBytes,
  writeHint,
  writeReference,
} from './node-edit.ts'
import { type Fence, type NewEntry, NodeRebuild } from './node-rebuild.ts'
import { readDeleted, readSequence, writeDeleted, writeSequence } from './sequence.ts'

/** So many inserts in a row, each after the one before: more will follow there. */
const RISING_RUN = 4
/** A page whose entries take less than this looks for a sibling. */
const UNDERFULL_BYTES: number = PAGE_BYTES / 4
/** Merged pages keep so much free, so that the next insert does not split them again. */
const MERGED_FREE_BYTES: number = PAGE_BYTES / 8
const EMPTY = new Uint8Array(0)

/** A chain of overflow pages that nothing refers to any more. `pageId` 0: none. */
class LooseChain {
  pageId = NO_PAGE
  checksum = NOT_WRITTEN
  valueBytes = 0
}

export class TreeWriter {
  /** What the last operation cut off; for the caller to retire. */
  readonly loose = new LooseChain()
  readonly #space: PageSpace
  readonly #bytes: Uint8Array
  readonly #words: Uint32Array
  readonly #corruption: Corruption
  readonly #rebuild: NodeRebuild
  readonly #cell = new LeafCell()
  /** By level: frame of the page on the way, and which of its entries the way takes. */
  readonly #frames = new Int32Array(HEIGHT_MAX + 1)
  readonly #indexes = new Int32Array(HEIGHT_MAX + 1)
  readonly #newEntry: NewEntry = {
    key: EMPTY,
    sequence: 0,
    value: EMPTY,
    pageId: NO_PAGE,
    checksum: NOT_WRITTEN,
    overflowBytes: 0,
  }
  #tree = 0
  #entry = 0
  #height = 0
  #sequence = 0

  constructor(space: PageSpace, corruption: Corruption) {
    this.#space = space
    this.#bytes = space.bytes
    this.#words = space.words
    this.#corruption = corruption
    this.#rebuild = new NodeRebuild(space, corruption)
  }

  /** A leaf without entries or fences; returns its id. */
  makeEmptyLeaf(tree: number): number {
    const frame = this.#space.allocate()
    this.#rebuild.begin(0, tree)
    this.#rebuild.write(frame, 0, 0, EMPTY, undefined)
    return this.#idOf(frame)
  }

  /**
   * @param entry word of the tree's entry in a writable directory page
   * @param overflowPage first page of the value's chain; 0: the value belongs in the leaf
   * @returns true when there was no such key
   */
  put(
    tree: number,
    entry: number,
    key: Uint8Array,
    value: Uint8Array,
    overflowPage: number,
    sequence: number,
  ): boolean {
    this.#begin(tree, entry, sequence)
    this.#descend(key)
    const frame = this.#frames[0]!
    const made = this.#newEntry
    made.key = key
    made.sequence = sequence
    made.value = overflowPage === NO_PAGE ? value : EMPTY
    made.pageId = overflowPage
    made.overflowBytes = value.length
    const found = searchNode(this.#bytes, this.#words, frame, true, key, this.#corruption)
    if (found < 0) this.#insertInLeaf(~found)
    else this.#replaceInLeaf(frame, found)
    made.key = EMPTY
    made.value = EMPTY
    return found < 0
  }

  /** The key must be there. See `put`. */
  delete(tree: number, entry: number, key: Uint8Array, sequence: number): void {
    this.#begin(tree, entry, sequence)
    this.#descend(key)
    const frame = this.#frames[0]!
    const found = searchNode(this.#bytes, this.#words, frame, true, key, this.#corruption)
    if (found < 0) this.#corruption.fail(this.#idOf(frame), 'entry', 'the one found before', 'none')
    this.#removeFromLeaf(frame, found)
    writeDeleted(this.#words, frame, sequence)
    this.#rebalance(0)
  }

  #begin(tree: number, entry: number, sequence: number): void {
    this.#tree = tree
    this.#entry = entry
    this.#sequence = sequence
    this.#height = heightOf(this.#words, entry, this.#corruption)
    this.loose.pageId = NO_PAGE
  }

  // ---- the way down -----------------------------------------------------------------------------

  #descend(key: Uint8Array): void {
    const bytes = this.#bytes
    const words = this.#words
    let reference = this.#entry + ENTRY_ROOT
    for (let level = this.#height - 1; ; level--) {
      const frame = this.#makeWritable(reference)
      checkNode(words, frame, level, this.#tree, this.#corruption)
      writeSequence(words, frame, this.#sequence)
      this.#frames[level] = frame
      if (level === 0) return
      const child = searchBranch(bytes, words, frame, key, this.#corruption)
      this.#indexes[level] = child
      reference = referencesWord(frame, nodeCount(words, frame)) + 2 * child
    }
  }

  /** The frame of the page that the word names, which may be changed then; the word names the copy. */
  #makeWritable(reference: number): number {
    const words = this.#words
    const space = this.#space
    const pageId = words[reference]!
    const checksum = words[reference + 1]!
    const located = space.locate(pageId, checksum)
    if (space.isWritable(located)) return located
    const copyId = space.writable(pageId, checksum)
    words[reference] = copyId
    words[reference + 1] = NOT_WRITTEN
    return space.locate(copyId, NOT_WRITTEN)
  }

  #idOf(frame: number): number {
    return this.#words[frame * PAGE_WORDS + PAGE_ID_WORD]!
  }

  #slotOf(frame: number, index: number): number {
    return this.#words[slotsWord(frame, nodeCount(this.#words, frame)) + index]!
  }

  // ---- leaves -----------------------------------------------------------------------------------

  #replaceInLeaf(frame: number, index: number): void {
    const { sequence, value, pageId } = this.#newEntry
    const cell = this.#cell
    const slot = this.#slotOf(frame, index)
    cell.read(this.#bytes, this.#words, frame, slot, this.#corruption)
    const area = pageId === NO_PAGE ? value.length : OVERFLOW_AREA_BYTES
    const bytes = cellBytesWithoutKey(sequence, area) + restBytes(slot >>> 16)
    if (bytes === cell.cellBytes && pageId === NO_PAGE && !cell.isOverflow) {
      const at = frame * PAGE_BYTES + (slot & 0xffff)
      writeCellHeader(this.#bytes, at, sequence, value.length, false)
      this.#bytes.set(value, cell.valueStart)
      return
    }
    this.#removeFromLeaf(frame, index)
    this.#insertInLeaf(index)
  }

  #removeFromLeaf(frame: number, index: number): void {
    const words = this.#words
    const cell = this.#cell
    cell.read(this.#bytes, words, frame, this.#slotOf(frame, index), this.#corruption)
    if (cell.isOverflow) {
      this.loose.pageId = words[cell.referenceWord]!
      this.loose.checksum = words[cell.referenceWord + 1]!
      this.loose.valueBytes = cell.valueBytes
      clearReference(words, cell.referenceWord)
      countOverflows(words, frame, -1)
    }
    removeEntry(words, frame, true, index, cell.cellBytes)
  }

  /** Inserts the new entry into the leaf at the end of the way. */
  #insertInLeaf(index: number): void {
    const words = this.#words
    const frame = this.#frames[0]!
    const { key, value, sequence, pageId } = this.#newEntry
    const area = pageId === NO_PAGE ? value.length : OVERFLOW_AREA_BYTES
    const suffix = key.length - prefixBytes(words, frame)
    const bytes = cellBytesWithoutKey(sequence, area) + restBytes(suffix)
    const run = index === lastInsert(words, frame) + 1 ? risingRun(words, frame) + 1 : 0
    const room = roomForCell(words, frame, true)
    if (bytes > room) {
      if (bytes > room + garbageBytes(words, frame)) {
        this.#split(0, index, run)
        return
      }
      this.#compact(frame, 0)
    }
    writeHint(words, frame, index, run)
    this.#writeLeafEntry(frame, index, bytes, suffix)
  }

  #writeLeafEntry(frame: number, index: number, cellBytes: number, suffix: number): void {
    const bytes = this.#bytes
    const words = this.#words
    const { key, value, sequence, pageId, overflowBytes } = this.#newEntry
    const place = takeCell(words, frame, cellBytes)
    const head = headOf(key, key.length - suffix, key.length)
    insertEntry(words, frame, true, index, head, place | (suffix << 16))
    const isOverflow = pageId !== NO_PAGE
    const at = frame * PAGE_BYTES + place
    let next = writeCellHeader(bytes, at, sequence, value.length, isOverflow)
    next = this.#writeRest(next, key, suffix)
    if (isOverflow) {
      writeOverflowArea(words, next, pageId, NOT_WRITTEN, overflowBytes)
      countOverflows(words, frame, 1)
    } else bytes.set(value, next)
  }

  /** Writes the key's bytes that a cell has; returns where they end. */
  #writeRest(at: number, key: Uint8Array, suffix: number): number {
    const rest = restBytes(suffix)
    const from = key.length - rest
    for (let index = 0; index < rest; index++) this.#bytes[at + index] = key[from + index]!
    return at + rest
  }

  #compact(frame: number, level: number): void {
    const rebuild = this.#rebuild
    rebuild.begin(level, this.#tree)
    rebuild.take(frame)
    rebuild.write(frame, 0, rebuild.count, rebuild.lowFence(0), rebuild.highFence(0))
  }

  // ---- splits -----------------------------------------------------------------------------------

  /** Splits the page of that level, the new entry at `index` included. */
  #split(level: number, index: number, run: number): void {
    const words = this.#words
    const rebuild = this.#rebuild
    const left = this.#frames[level]!
    const isLast = highBytes(words, left) === NO_FENCE
    rebuild.begin(level, this.#tree)
    rebuild.take(left, index, this.#newEntry)
    const low = rebuild.lowFence(0)
    const high = rebuild.highFence(0)
    const isAtEnd = index === rebuild.count - 1
    const isRising = run >= RISING_RUN || (isAtEnd && isLast)
    const at = this.#splitPoint(low, high, isRising ? (isAtEnd ? index : index + 1) : -1)
    const separator = rebuild.separator(at)
    const right = this.#space.allocate()
    rebuild.write(left, 0, at, low, separator)
    rebuild.write(right, at, rebuild.count, separator, high)
    writeSequence(words, right, this.#sequence)
    if (level === 0) writeDeleted(words, right, readDeleted(words, left))
    if (index < at) writeHint(words, left, index, run)
    else writeHint(words, right, index - at, run)
    this.#insertInParent(level + 1, separator, this.#idOf(right))
  }

  /** @param wanted the best place; negative when both halves shall be equal */
  #splitPoint(low: Uint8Array, high: Fence, wanted: number): number {
    const rebuild = this.#rebuild
    const middle = rebuild.balance()
    let at = wanted < 1 || wanted >= rebuild.count ? middle : wanted
    while (at !== middle && !this.#bothFit(at, low, high)) at += at < middle ? 1 : -1
    return at
  }

  #bothFit(at: number, low: Uint8Array, high: Fence): boolean {
    const rebuild = this.#rebuild
    const separator = rebuild.separator(at)
    return rebuild.fits(0, at, low, separator) && rebuild.fits(at, rebuild.count, separator, high)
  }

  /** A child of the page at `level` was split: names its right half behind it. */
  #insertInParent(level: number, key: Uint8Array, pageId: number): void {
    const made = this.#newEntry
    made.key = key
    made.pageId = pageId
    made.checksum = NOT_WRITTEN
    if (level === this.#height) this.#growRoot()
    const words = this.#words
    const frame = this.#frames[level]!
    const index = this.#indexes[level]! + 1
    const suffix = key.length - prefixBytes(words, frame)
    const bytes = restBytes(suffix)
    const run = index === lastInsert(words, frame) + 1 ? risingRun(words, frame) + 1 : 0
    const room = roomForCell(words, frame, false)
    if (bytes > room) {
      if (bytes > room + garbageBytes(words, frame)) {
        this.#split(level, index, run)
        return
      }
      this.#compact(frame, level)
    }
    writeHint(words, frame, index, run)
    this.#writeBranchEntry(frame, index, key, pageId)
  }

  #writeBranchEntry(frame: number, index: number, key: Uint8Array, pageId: number): void {
    const words = this.#words
    const suffix = key.length - prefixBytes(words, frame)
    const place = takeCell(words, frame, restBytes(suffix))
    const head = headOf(key, key.length - suffix, key.length)
    insertEntry(words, frame, false, index, head, place | (suffix << 16))
    this.#writeRest(frame * PAGE_BYTES + place, key, suffix)
    writeReference(words, referencesWord(frame, nodeCount(words, frame)), index, pageId)
  }

  /** A branch above the root, with the root as its only child. */
  #growRoot(): void {
    const words = this.#words
    if (this.#height === HEIGHT_MAX) {
      this.#corruption.fail(words[this.#entry]!, 'height of the tree', HEIGHT_MAX, HEIGHT_MAX + 1)
    }
    const frame = this.#space.allocate()
    const level = this.#height
    this.#rebuild.begin(level, this.#tree)
    this.#rebuild.write(frame, 0, 0, EMPTY, undefined)
    writeSequence(words, frame, this.#sequence)
    this.#writeBranchEntry(frame, 0, EMPTY, words[this.#entry + ENTRY_ROOT]!)
    this.#frames[level] = frame
    this.#indexes[level] = 0
    this.#setRoot(this.#idOf(frame), NOT_WRITTEN, level + 1)
  }

  #setRoot(pageId: number, checksum: number, height: number): void {
    const words = this.#words
    words[this.#entry + ENTRY_ROOT] = pageId
    words[this.#entry + ENTRY_CHECKSUM] = checksum
    words[this.#entry + ENTRY_STATE] = (words[this.#entry + ENTRY_STATE]! & 0xff) | (height << 8)
    this.#height = height
  }

  // ---- merges -----------------------------------------------------------------------------------

  /** The page at `level` of the way has less in it than before. */
  #rebalance(level: number): void {
    const words = this.#words
    if (level === this.#height - 1) {
      this.#shrinkRoot()
      return
    }
    const frame = this.#frames[level]!
    const entriesBytes = usedBytes(words, frame, level === 0) - fencesBytes(words, frame)
    if (entriesBytes >= UNDERFULL_BYTES) return
    const parent = this.#frames[level + 1]!
    const count = nodeCount(words, parent)
    if (count > 1) {
      const index = this.#indexes[level + 1]!
      if (index + 1 < count) this.#joinWithNext(level, index)
      else this.#joinWithNext(level, index - 1)
    }
    this.#rebalance(level + 1)
  }

  /** A branch with one child gives way to it. */
  #shrinkRoot(): void {
    const words = this.#words
    for (let level = this.#height - 1; level > 0; level--) {
      const frame = this.#frames[level]!
      if (nodeCount(words, frame) > 1) return
      const reference = referencesWord(frame, 1)
      const oldRoot = this.#idOf(frame)
      this.#setRoot(words[reference]!, words[reference + 1]!, level)
      this.#space.retire(oldRoot)
      // Only a page of the way is known; any other is looked at when it is next on the way.
      if (words[this.#entry + ENTRY_ROOT] !== this.#idOf(this.#frames[level - 1]!)) return
    }
  }

  /** Merges the children `index` and `index + 1` of the page above, or, when there is too much, evens them out. */
  #joinWithNext(level: number, index: number): void {
    const words = this.#words
    const rebuild = this.#rebuild
    const parent = this.#frames[level + 1]!
    const references = referencesWord(parent, nodeCount(words, parent))
    const left = this.#locateChild(references + 2 * index, level)
    const right = this.#locateChild(references + 2 * (index + 1), level)
    rebuild.begin(level, this.#tree)
    rebuild.take(left)
    rebuild.take(right)
    const low = rebuild.lowFence(0)
    const high = rebuild.highFence(1)
    if (this.#fitsMerged(low, high)) this.#merge(level, index, references, low, high)
    else this.#evenOut(level, index, references, low, high)
  }

  #locateChild(reference: number, level: number): number {
    const frame = this.#space.locate(this.#words[reference]!, this.#words[reference + 1]!)
    checkNode(this.#words, frame, level, this.#tree, this.#corruption)
    return frame
  }

  #fitsMerged(low: Uint8Array, high: Fence): boolean {
    const rebuild = this.#rebuild
    if (!rebuild.fits(0, rebuild.count, low, high)) return false
    const fences = low.length + (high === undefined ? 0 : high.length)
    // Of what is left beside long fences, too.
    const room = PAGE_BYTES - NODE_HEADER_BYTES - fences - MERGED_FREE_BYTES
    return rebuild.bytesOf(0, rebuild.count, 0) <= room || rebuild.count <= 1
  }

  #merge(level: number, index: number, references: number, low: Uint8Array, high: Fence): void {
    const words = this.#words
    const rebuild = this.#rebuild
    const rightReference = references + 2 * (index + 1)
    const right = this.#locateChild(rightReference, level)
    const rightId = words[rightReference]!
    const left = this.#makeWritable(references + 2 * index)
    this.#raiseSequences(left, right, level)
    rebuild.write(left, 0, rebuild.count, low, high)
    this.#frames[level] = left
    const parent = this.#frames[level + 1]!
    const slot = this.#slotOf(parent, index + 1)
    removeEntry(words, parent, false, index + 1, restBytes(slot >>> 16))
    this.#indexes[level + 1] = index
    this.#space.retire(rightId)
  }

  /** Gives both pages about the same. Not when the new separator finds no place above: they stay as they are. */
  #evenOut(level: number, index: number, references: number, low: Uint8Array, high: Fence): void {
    const words = this.#words
    const rebuild = this.#rebuild
    if (rebuild.count < 2) return
    const at = rebuild.balance()
    if (!this.#bothFit(at, low, high)) return
    const separator = rebuild.separator(at)
    const parent = this.#frames[level + 1]!
    const oldRest = restBytes(this.#slotOf(parent, index + 1) >>> 16)
    const newRest = restBytes(separator.length - prefixBytes(words, parent))
    const room = PAGE_BYTES - usedBytes(words, parent, false)
    if (newRest - oldRest > room) return
    const left = this.#makeWritable(references + 2 * index)
    const right = this.#makeWritable(references + 2 * (index + 1))
    this.#raiseSequences(left, right, level)
    this.#raiseSequences(right, left, level)
    rebuild.write(left, 0, at, low, separator)
    rebuild.write(right, at, rebuild.count, separator, high)
    const rightId = this.#idOf(right)
    removeEntry(words, parent, false, index + 1, oldRest)
    if (newRest > roomForCell(words, parent, false)) this.#compact(parent, level + 1)
    this.#writeBranchEntry(parent, index + 1, separator, rightId)
  }

  /** The first page takes entries, or the lack of them, from the second. */
  #raiseSequences(to: number, from: number, level: number): void {
    const words = this.#words
    writeSequence(words, to, Math.max(readSequence(words, to), readSequence(words, from)))
    if (level > 0) return
    writeDeleted(words, to, Math.max(readDeleted(words, to), readDeleted(words, from)))
  }
}
