/**
 * Finding entries, in any thread, where they stand.
 *
 * Threads: belongs to the thread whose source it has. What is found is valid as long as the source's frames are.
 * `find` allocates nothing; all that it reads is checked first, since a file may be made on purpose: levels fall
 * by one from page to page, so that no tree is a loop.
 */
import type { PageSource } from '../page/page-space.ts'
import { Corruption, MAIN_FILE } from './corruption.ts'
import { type DirectoryView, heightOf, locateEntry, stateOf, TreeState } from './directory.ts'
import {
  ENTRY_CHECKSUM,
  ENTRY_COUNT_HIGH,
  ENTRY_COUNT_LOW,
  ENTRY_DEFINITION,
  ENTRY_ROOT,
  U32_RANGE,
} from './layout.ts'
import { LeafCell } from './leaf.ts'
import {
  checkNode,
  nodeCount,
  referencesWord,
  searchBranch,
  searchNode,
  slotsWord,
  touchArrays,
  touchCell,
} from './node.ts'
import { readOverflow } from './overflow.ts'

/** Keys that are looked for at once: their lines are to stay in the nearer caches until they are read. */
export const PREPARED_MAX = 64
const NO_TREE = -1

export class TreeReader {
  /** Commit sequence of the entry found. */
  foundSequence = 0
  /** Length of its value. */
  foundValueBytes = 0
  /** True: the value is bytes [foundStart, foundStart + foundValueBytes) of `source.bytes`. */
  foundInline = false
  foundStart = 0
  readonly #source: PageSource
  readonly #bytes: Uint8Array
  readonly #words: Uint32Array
  readonly #corruption: Corruption
  readonly #cell = new LeafCell()
  /** Nothing to anybody: keeps the loads of `touchArrays` from being optimized away. */
  touched = 0
  #foundTree = 0
  #rootPage = 0
  #rootChecksum = 0
  #leafPage = 0
  #leafChecksum = 0
  #preparedTree = NO_TREE
  /** Of each key prepared: its leaf, and its index there, negative when it is not there. */
  readonly #preparedPages = new Uint32Array(PREPARED_MAX)
  readonly #preparedChecksums = new Uint32Array(PREPARED_MAX)
  readonly #preparedIndexes = new Int32Array(PREPARED_MAX)
  #foundPage = 0
  #foundChecksum = 0

  /** @param file its name, for messages */
  constructor(source: PageSource, file: string = MAIN_FILE) {
    this.#source = source
    this.#bytes = source.bytes
    this.#words = source.words
    this.#corruption = new Corruption(file)
  }

  /**
   * Under the root of `tree` in that directory. On true the `found…` fields say where.
   * @throws StoreCorruptError
   */
  find(directory: DirectoryView, tree: number, key: Uint8Array): boolean {
    const entry = this.#liveEntry(directory, tree)
    if (entry < 0) return false
    const words = this.#words
    this.#descend(this.#rootOf(entry), tree, key)
    const frame = this.#source.locate(this.#leafPage, this.#leafChecksum)
    this.touched = touchArrays(words, frame)
    const index = this.#indexIn(frame, tree, key)
    if (index < 0) return false
    this.#found(frame, index, tree)
    return true
  }

  /**
   * Looks for several keys at once, so that the processor waits for their lines at the same time instead of for one
   * after another; `findPrepared` then finds them, within the same read.
   * @param count of `keys`, PREPARED_MAX at the most
   * @throws StoreCorruptError
   */
  prepare(
    directory: DirectoryView,
    tree: number,
    keys: readonly Uint8Array[],
    count: number,
  ): void {
    const words = this.#words
    const entry = this.#liveEntry(directory, tree)
    this.#preparedTree = entry < 0 ? NO_TREE : tree
    if (entry < 0) return
    const height = this.#rootOf(entry)
    for (let at = 0; at < count; at++) {
      this.#descend(height, tree, keys[at]!)
      this.#preparedPages[at] = this.#leafPage
      this.#preparedChecksums[at] = this.#leafChecksum
      this.touched = touchArrays(words, this.#preparedFrame(at))
    }
    for (let at = 0; at < count; at++) {
      const frame = this.#preparedFrame(at)
      const index = this.#indexIn(frame, tree, keys[at]!)
      this.#preparedIndexes[at] = index
      if (index < 0) continue
      const slot = words[slotsWord(frame, nodeCount(words, frame)) + index]!
      this.touched = touchCell(words, frame, slot)
    }
  }

  /** @param at of the keys that were prepared last */
  findPrepared(at: number): boolean {
    const index = this.#preparedIndexes[at]!
    if (this.#preparedTree === NO_TREE || index < 0) return false
    this.#found(this.#preparedFrame(at), index, this.#preparedTree)
    return true
  }

  /** A copy of the value found, overflow pages included. Within the same read as `find`. */
  value(): Buffer {
    if (!this.foundInline) {
      return readOverflow(
        this.#source,
        this.#foundPage,
        this.#foundChecksum,
        this.#foundTree,
        this.foundValueBytes,
        this.#corruption,
      )
    }
    const value = Buffer.allocUnsafe(this.foundValueBytes)
    value.set(this.#bytes.subarray(this.foundStart, this.foundStart + this.foundValueBytes))
    return value
  }

  /** Entries of the tree; 0 without such a tree. */
  count(directory: DirectoryView, tree: number): number {
    const entry = this.#liveEntry(directory, tree)
    if (entry < 0) return 0
    return (
      this.#words[entry + ENTRY_COUNT_HIGH]! * U32_RANGE + this.#words[entry + ENTRY_COUNT_LOW]!
    )
  }

  /** 0 without such a tree. */
  definition(directory: DirectoryView, tree: number): number {
    const entry = this.#liveEntry(directory, tree)
    return entry < 0 ? 0 : this.#words[entry + ENTRY_DEFINITION]!
  }

  exists(directory: DirectoryView, tree: number): boolean {
    return this.#liveEntry(directory, tree) >= 0
  }

  /** Notes where a way down begins: the entry's page may be gone on the way. Returns the tree's height. */
  #rootOf(entry: number): number {
    const words = this.#words
    this.#rootPage = words[entry + ENTRY_ROOT]!
    this.#rootChecksum = words[entry + ENTRY_CHECKSUM]!
    return heightOf(words, entry, this.#corruption)
  }

  /** From the root noted to the leaf in which the key stands if it does. */
  #descend(height: number, tree: number, key: Uint8Array): void {
    const source = this.#source
    const words = this.#words
    const corruption = this.#corruption
    let page = this.#rootPage
    let checksum = this.#rootChecksum
    for (let level = height - 1; level > 0; level--) {
      const frame = source.locate(page, checksum)
      checkNode(words, frame, level, tree, corruption)
      const child = searchBranch(this.#bytes, words, frame, key, corruption)
      const reference = referencesWord(frame, nodeCount(words, frame)) + 2 * child
      page = words[reference]!
      checksum = words[reference + 1]!
    }
    this.#leafPage = page
    this.#leafChecksum = checksum
  }

  #indexIn(leaf: number, tree: number, key: Uint8Array): number {
    const words = this.#words
    checkNode(words, leaf, 0, tree, this.#corruption)
    return searchNode(this.#bytes, words, leaf, true, key, this.#corruption)
  }

  /** Located again: of pages that a reader reads from the file, it keeps a few only. */
  #preparedFrame(at: number): number {
    return this.#source.locate(this.#preparedPages[at]!, this.#preparedChecksums[at]!)
  }

  #liveEntry(directory: DirectoryView, tree: number): number {
    const entry = locateEntry(this.#source, directory, tree, this.#corruption)
    return entry >= 0 && stateOf(this.#words, entry) === TreeState.live ? entry : -1
  }

  #found(frame: number, index: number, tree: number): void {
    const words = this.#words
    const cell = this.#cell
    const slot = words[slotsWord(frame, nodeCount(words, frame)) + index]!
    cell.read(this.#bytes, words, frame, slot, this.#corruption)
    this.foundSequence = cell.sequence
    this.foundValueBytes = cell.valueBytes
    this.foundInline = !cell.isOverflow
    this.foundStart = cell.valueStart
    if (!cell.isOverflow) return
    this.#foundTree = tree
    this.#foundPage = words[cell.referenceWord]!
    this.#foundChecksum = words[cell.referenceWord + 1]!
  }
}
