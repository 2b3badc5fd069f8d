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
} from './node.ts'
import { readOverflow } from './overflow.ts'

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
  #foundTree = 0
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
    const source = this.#source
    const bytes = this.#bytes
    const words = this.#words
    const corruption = this.#corruption
    let reference = locateEntry(source, directory, tree, corruption)
    if (reference < 0 || stateOf(words, reference) !== TreeState.live) return false
    let level = heightOf(words, reference, corruption) - 1
    let frame = source.locate(words[reference + ENTRY_ROOT]!, words[reference + ENTRY_CHECKSUM]!)
    checkNode(words, frame, level, tree, corruption)
    while (level > 0) {
      const child = searchBranch(bytes, words, frame, key, corruption)
      reference = referencesWord(frame, nodeCount(words, frame)) + 2 * child
      frame = source.locate(words[reference]!, words[reference + 1]!)
      level--
      checkNode(words, frame, level, tree, corruption)
    }
    const index = searchNode(bytes, words, frame, true, key, corruption)
    if (index < 0) return false
    this.#found(frame, index, tree)
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
