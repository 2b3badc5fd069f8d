/**
 * Walking the entries of one tree in order, both ways.
 *
 * Threads: belongs to the thread whose source it has. Between calls it keeps page ids and indexes, no frames: so it
 * survives eviction and the end of a read. The caller sees to it that the directory's pages stay as they are
 * (a pinned version), and that a read is under way during each call.
 *
 * The pages may come from a file that was made on purpose. Levels fall by one on the way down, and the low fence
 * of each leaf that is walked to lies strictly beyond the last one's: so no leaf comes twice, and no walk is endless.
 */

import { NO_PAGE } from '../page/page.ts'
import type { PageSource } from '../page/page-space.ts'
import { KEY_BYTES_MAX } from '../sequencer/command.ts'
import { Corruption, MAIN_FILE } from './corruption.ts'
import { type DirectoryView, heightOf, locateEntry, stateOf, TreeState } from './directory.ts'
import { ENTRY_CHECKSUM, ENTRY_ROOT, HEIGHT_MAX } from './layout.ts'
import { LeafCell } from './leaf.ts'
import {
  checkNode,
  compareBytes,
  copyKey,
  lowBytes,
  lowStart,
  nodeCount,
  referencesWord,
  searchBranch,
  searchNode,
  slotsWord,
} from './node.ts'
import { readOverflow } from './overflow.ts'

type Bound = Uint8Array | undefined

/** Entries of most indexes have no value. */
const EMPTY: Buffer = Buffer.alloc(0)

export class TreeCursor {
  /** Of the entry it stands on: commit sequence of the last change, and length of the value. */
  sequence = 0
  valueBytes = 0
  /** True: until the read ends the value is bytes [valueStart, valueStart + valueBytes) of `source.bytes`. */
  valueInline = false
  valueStart = 0
  readonly #source: PageSource
  readonly #bytes: Uint8Array
  readonly #words: Uint32Array
  readonly #directory: DirectoryView
  readonly #tree: number
  readonly #corruption: Corruption
  readonly #cell = new LeafCell()
  /** By level: the page on the way, and which of its entries the way takes. */
  readonly #pages = new Uint32Array(HEIGHT_MAX)
  readonly #checksums = new Uint32Array(HEIGHT_MAX)
  readonly #indexes = new Int32Array(HEIGHT_MAX)
  /** The leaf's low fence. */
  readonly #low = Buffer.alloc(KEY_BYTES_MAX)
  readonly #key = Buffer.alloc(KEY_BYTES_MAX)
  #lowBytes = 0
  #height = 0
  /** Frame of the leaf that it stands in, until the read ends. */
  #leaf = 0
  #overflowPage = NO_PAGE
  #overflowChecksum = 0

  /** @param file its name, for messages */
  constructor(
    source: PageSource,
    directory: DirectoryView,
    tree: number,
    file: string = MAIN_FILE,
  ) {
    this.#source = source
    this.#bytes = source.bytes
    this.#words = source.words
    this.#directory = directory
    this.#tree = tree
    this.#corruption = new Corruption(file)
  }

  /** Goes to the first entry >= key, or in reverse to the last entry < key; undefined: to the first, the last. */
  seek(key: Bound, reverse: boolean): boolean {
    const words = this.#words
    this.#height = 0
    const entry = locateEntry(this.#source, this.#directory, this.#tree, this.#corruption)
    if (entry < 0 || stateOf(words, entry) !== TreeState.live) return false
    const height = heightOf(words, entry, this.#corruption)
    this.#pages[height - 1] = words[entry + ENTRY_ROOT]!
    this.#checksums[height - 1] = words[entry + ENTRY_CHECKSUM]!
    const leaf = this.#descend(height - 1, key, reverse)
    this.#height = height
    const place = this.#placeIn(leaf, key, reverse)
    this.#indexes[0] = reverse ? place - 1 : place
    return this.#settle(leaf, reverse)
  }

  /** Goes to the next entry, or in reverse to the one before; false, for good, beyond the last. */
  step(reverse: boolean): boolean {
    if (this.#height === 0) return false
    this.#indexes[0]! += reverse ? -1 : 1
    return this.#settle(this.#locate(0), reverse)
  }

  /** A copy of the key of the entry it stands on. Within the same read as the call that led there, like all below. */
  key(): Buffer {
    const length = this.#copyKey()
    const key = Buffer.allocUnsafe(length)
    for (let at = 0; at < length; at++) key[at] = this.#key[at]!
    return key
  }

  /** The leaf that it stands in. */
  get pageId(): number {
    return this.#pages[0]!
  }

  /** The key of the entry it stands on against another: negative, 0 or positive. */
  compareKey(other: Uint8Array): number {
    return compareBytes(this.#key, 0, this.#copyKey(), other, 0, other.length)
  }

  /** A copy of the value of the entry it stands on, overflow pages included. */
  value(): Buffer {
    const length = this.valueBytes
    if (length === 0) return EMPTY
    if (!this.valueInline) {
      return readOverflow(
        this.#source,
        this.#overflowPage,
        this.#overflowChecksum,
        this.#tree,
        length,
        this.#corruption,
      )
    }
    const value = Buffer.allocUnsafe(length)
    value.set(this.#bytes.subarray(this.valueStart, this.valueStart + length))
    return value
  }

  #copyKey(): number {
    if (this.#height === 0) throw new Error('the cursor stands on no entry')
    const leaf = this.#leaf
    const index = this.#indexes[0]!
    if (index < 0 || index >= nodeCount(this.#words, leaf)) {
      throw new Error('the cursor stands on no entry')
    }
    return copyKey(this.#bytes, this.#words, leaf, true, index, this.#key, this.#corruption)
  }

  #locate(level: number): number {
    const frame = this.#source.locate(this.#pages[level]!, this.#checksums[level]!)
    checkNode(this.#words, frame, level, this.#tree, this.#corruption)
    return frame
  }

  /** From the page of that level down to a leaf, by the key or along an edge; returns the leaf's frame. */
  #descend(from: number, key: Bound, reverse: boolean): number {
    const words = this.#words
    for (let level = from; level > 0; level--) {
      const frame = this.#locate(level)
      const count = nodeCount(words, frame)
      const edge = reverse ? count - 1 : 0
      const child =
        key === undefined ? edge : searchBranch(this.#bytes, words, frame, key, this.#corruption)
      this.#take(frame, level, count, child)
    }
    const leaf = this.#locate(0)
    this.#lowBytes = lowBytes(words, leaf)
    const start = lowStart(words, leaf)
    for (let at = 0; at < this.#lowBytes; at++) this.#low[at] = this.#bytes[start + at]!
    return leaf
  }

  #take(frame: number, level: number, count: number, child: number): void {
    const reference = referencesWord(frame, count) + 2 * child
    this.#indexes[level] = child
    this.#pages[level - 1] = this.#words[reference]!
    this.#checksums[level - 1] = this.#words[reference + 1]!
  }

  #placeIn(leaf: number, key: Bound, reverse: boolean): number {
    if (key === undefined) return reverse ? nodeCount(this.#words, leaf) : 0
    const found = searchNode(this.#bytes, this.#words, leaf, true, key, this.#corruption)
    return found < 0 ? ~found : found
  }

  /** Onto the entry that the index says, or the nearest beyond it in other leaves. */
  #settle(leafNow: number, reverse: boolean): boolean {
    let leaf = leafNow
    for (;;) {
      const index = this.#indexes[0]!
      if (index >= 0 && index < nodeCount(this.#words, leaf)) {
        this.#read(leaf)
        return true
      }
      leaf = this.#nextLeaf(reverse)
      if (leaf < 0) {
        this.#height = 0
        return false
      }
    }
  }

  /** Frame of the neighbouring leaf, the index at its edge; -1 when there is none. */
  #nextLeaf(reverse: boolean): number {
    const words = this.#words
    for (let level = 1; level < this.#height; level++) {
      const frame = this.#locate(level)
      const count = nodeCount(words, frame)
      const child = this.#indexes[level]! + (reverse ? -1 : 1)
      if (child < 0 || child >= count) continue
      this.#take(frame, level, count, child)
      const leaf = this.#descendBeyond(level - 1, reverse)
      this.#indexes[0] = reverse ? nodeCount(words, leaf) - 1 : 0
      return leaf
    }
    return -1
  }

  #descendBeyond(level: number, reverse: boolean): number {
    const before = new Uint8Array(this.#low.subarray(0, this.#lowBytes))
    const leaf = this.#descend(level, undefined, reverse)
    const order = compareBytes(this.#low, 0, this.#lowBytes, before, 0, before.length)
    if (reverse ? order >= 0 : order <= 0) {
      const expected = `one ${reverse ? 'below' : 'above'} its neighbour's`
      this.#corruption.fail(this.#pages[0]!, 'low fence', expected, 'another')
    }
    return leaf
  }

  /** What the fields say of the entry it stands on. */
  #read(leaf: number): void {
    this.#leaf = leaf
    const words = this.#words
    const cell = this.#cell
    const slot = words[slotsWord(leaf, nodeCount(words, leaf)) + this.#indexes[0]!]!
    cell.read(this.#bytes, words, leaf, slot, this.#corruption)
    this.sequence = cell.sequence
    this.valueBytes = cell.valueBytes
    this.valueInline = !cell.isOverflow
    this.valueStart = cell.valueStart
    if (!cell.isOverflow) return
    this.#overflowPage = words[cell.referenceWord]!
    this.#overflowChecksum = words[cell.referenceWord + 1]!
  }
}
