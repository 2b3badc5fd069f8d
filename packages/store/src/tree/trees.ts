/**
 * The trees as the sequencer has them: reads and changes the working version.
 *
 * Threads: the sequencer's own.
 *
 * Invariants: those of `tree-writer.ts`. Before `put`, `delete`, `create`, `drop` and `setDefinition` the caller has called
 * `space.makeRoom(64)`. `find` and `changedSince` see to room by themselves, and so end what was located before.
 *
 * Crash: nothing here outlives the process; what is written is the space's and the checkpoint's business.
 */

import { StoreTooLargeError } from '../errors.ts'
import { NO_PAGE, NOT_WRITTEN, PAGE_ID_WORD, PAGE_WORDS, PageKind } from '../page/page.ts'
import type { PageSpace } from '../page/page-space.ts'
import { KEY_BYTES_MAX, TREES_MAX, VALUE_BYTES_MAX } from '../sequencer/command.ts'
import { Corruption, MAIN_FILE } from './corruption.ts'
import {
  type DirectoryReferences,
  directoryPageOf,
  entryWord,
  locateEntry,
  stateOf,
  TreeState,
} from './directory.ts'
import { DroppedTrees } from './dropped-trees.ts'
import {
  DIRECTORY_ENTRIES,
  ENTRY_CHECKSUM,
  ENTRY_COUNT_HIGH,
  ENTRY_COUNT_LOW,
  ENTRY_DEFINITION,
  ENTRY_ROOT,
  ENTRY_STATE,
  PAGE_WHAT_WORD,
  U32_RANGE,
} from './layout.ts'
import { isInline } from './leaf.ts'
import { buildOverflow, retireOverflow } from './overflow.ts'
import { RangeChanges } from './range-changes.ts'
import { TreeReader } from './tree-reader.ts'
import { TreeWriter } from './tree-writer.ts'

/** Pages that one way down may read. */
const PAGES_PER_READ = 32
const PAGES_PER_OPERATION = 64

export class Trees {
  /** Of the working version; changed in place. */
  readonly directory: DirectoryReferences
  readonly #space: PageSpace
  readonly #corruption: Corruption
  readonly #reader: TreeReader
  readonly #writer: TreeWriter
  readonly #changes: RangeChanges
  readonly #dropped: DroppedTrees

  /** @param file its name, for messages */
  constructor(space: PageSpace, directory: DirectoryReferences, file: string = MAIN_FILE) {
    this.directory = directory
    this.#space = space
    this.#corruption = new Corruption(file)
    this.#reader = new TreeReader(space, file)
    this.#writer = new TreeWriter(space, this.#corruption)
    this.#changes = new RangeChanges(space, this.#corruption)
    this.#dropped = new DroppedTrees(space, this.#corruption)
  }

  // ---- reading ----------------------------------------------------------------------------------

  find(tree: number, key: Uint8Array): boolean {
    this.#space.makeRoom(PAGES_PER_READ)
    return this.#reader.find(this.directory, tree, key)
  }

  get foundSequence(): number {
    return this.#reader.foundSequence
  }

  get foundValueBytes(): number {
    return this.#reader.foundValueBytes
  }

  get foundInline(): boolean {
    return this.#reader.foundInline
  }

  get foundStart(): number {
    return this.#reader.foundStart
  }

  /** Of the entry that `find` found last, with nothing between. */
  value(): Buffer {
    return this.#reader.value()
  }

  exists(tree: number): boolean {
    return this.#reader.exists(this.directory, tree)
  }

  definition(tree: number): number {
    return this.#reader.definition(this.directory, tree)
  }

  count(tree: number): number {
    return this.#reader.count(this.directory, tree)
  }

  /**
   * Whether an entry of [from, to) was put or deleted after that commit sequence. May say so when only one near
   * by was deleted; never misses one.
   */
  changedSince(
    tree: number,
    from: Uint8Array | undefined,
    to: Uint8Array | undefined,
    sequence: number,
  ): boolean {
    this.#space.makeRoom(PAGES_PER_READ)
    const entry = locateEntry(this.#space, this.directory, tree, this.#corruption)
    if (entry < 0 || stateOf(this.#space.words, entry) !== TreeState.live) return false
    return this.#changes.changedSince(entry, tree, from, to, sequence)
  }

  // ---- entries ----------------------------------------------------------------------------------

  /** Key and value are copied. */
  put(tree: number, key: Uint8Array, value: Uint8Array, sequence: number): void {
    if (key.length > KEY_BYTES_MAX) throw new StoreTooLargeError('a key', key.length, KEY_BYTES_MAX)
    if (value.length > VALUE_BYTES_MAX) {
      throw new StoreTooLargeError('a value', value.length, VALUE_BYTES_MAX)
    }
    let chain = NO_PAGE
    if (!isInline(key.length, value.length)) {
      chain = buildOverflow(this.#space, tree, value, sequence)
      this.#space.makeRoom(PAGES_PER_OPERATION)
    }
    const entry = this.#writableEntry(tree)
    const isNew = this.#writer.put(tree, entry, key, value, chain, sequence)
    if (isNew) this.#addToCount(entry, 1)
    this.#retireLoose(tree)
  }

  /** False when there is no such key. */
  delete(tree: number, key: Uint8Array, sequence: number): boolean {
    if (!this.#reader.find(this.directory, tree, key)) return false
    const entry = this.#writableEntry(tree)
    this.#writer.delete(tree, entry, key, sequence)
    this.#addToCount(entry, -1)
    this.#retireLoose(tree)
    return true
  }

  #retireLoose(tree: number): void {
    const { pageId, checksum, valueBytes } = this.#writer.loose
    if (pageId === NO_PAGE) return
    retireOverflow(this.#space, pageId, checksum, tree, valueBytes, this.#corruption)
  }

  #addToCount(entry: number, change: number): void {
    const { words } = this.#space
    const count = words[entry + ENTRY_COUNT_HIGH]! * U32_RANGE + words[entry + ENTRY_COUNT_LOW]!
    words[entry + ENTRY_COUNT_LOW] = count + change
    words[entry + ENTRY_COUNT_HIGH] = (count + change) / U32_RANGE
  }

  // ---- trees ------------------------------------------------------------------------------------

  /** An empty tree. One that is being dropped in its place is given up at once. */
  create(tree: number, definition: number): void {
    const { words } = this.#space
    this.#assertInTable(tree)
    let entry = this.#writableEntryOf(tree)
    if (stateOf(words, entry) === TreeState.live) throw new Error(`tree ${tree} is there already`)
    if (stateOf(words, entry) === TreeState.dropping) {
      this.#reclaim(tree, Infinity)
      this.#space.makeRoom(PAGES_PER_OPERATION)
      entry = this.#writableEntryOf(tree)
    }
    words[entry + ENTRY_ROOT] = this.#writer.makeEmptyLeaf(tree)
    words[entry + ENTRY_CHECKSUM] = NOT_WRITTEN
    words[entry + ENTRY_COUNT_LOW] = 0
    words[entry + ENTRY_COUNT_HIGH] = 0
    words[entry + ENTRY_DEFINITION] = definition
    words[entry + ENTRY_STATE] = TreeState.live | (1 << 8)
  }

  /** Its pages are freed by `reclaimDropped`. */
  drop(tree: number): void {
    const { words } = this.#space
    const state = this.#writableEntry(tree) + ENTRY_STATE
    words[state] = (words[state]! & ~0xff) | TreeState.dropping
    this.#dropped.mayBeSome = true
  }

  setDefinition(tree: number, definition: number): void {
    this.#space.words[this.#writableEntry(tree) + ENTRY_DEFINITION] = definition
  }

  /** Frees about so many pages of dropped trees; false when nothing is left to be done. Makes room by itself. */
  reclaimDropped(pagesMax: number): boolean {
    if (!this.#dropped.mayBeSome) return false
    const { words } = this.#space
    for (let tree = 0; tree < TREES_MAX; tree++) {
      if (tree % DIRECTORY_ENTRIES === 0) this.#space.makeRoom(PAGES_PER_READ)
      const entry = locateEntry(this.#space, this.directory, tree, this.#corruption)
      if (entry < 0 || stateOf(words, entry) !== TreeState.dropping) continue
      this.#reclaim(tree, pagesMax)
      return true
    }
    this.#dropped.mayBeSome = false
    return false
  }

  #reclaim(tree: number, pagesMax: number): void {
    for (let pages = 0; pages < pagesMax; ) {
      this.#space.makeRoom(PAGES_PER_OPERATION)
      const entry = this.#writableEntryOf(tree)
      if (stateOf(this.#space.words, entry) !== TreeState.dropping) return
      pages += this.#dropped.step(entry, tree)
    }
  }

  /** Word of a live tree's entry in a page that may be changed. */
  #writableEntry(tree: number): number {
    const entry = this.#writableEntryOf(tree)
    if (stateOf(this.#space.words, entry) !== TreeState.live) {
      throw new Error(`there is no tree ${tree}`)
    }
    return entry
  }

  #writableEntryOf(tree: number): number {
    const space = this.#space
    const { pages, checksums } = this.directory
    const index = directoryPageOf(tree)
    const pageId = pages[index]!
    if (pageId === NO_PAGE) return entryWord(this.#makeDirectoryPage(index), tree)
    const entry = locateEntry(space, this.directory, tree, this.#corruption)
    if (space.isWritable(Math.floor(entry / PAGE_WORDS))) return entry
    const copyId = space.writable(pageId, checksums[index]!)
    pages[index] = copyId
    checksums[index] = NOT_WRITTEN
    return entryWord(space.locate(copyId, NOT_WRITTEN), tree)
  }

  #makeDirectoryPage(index: number): number {
    const { words } = this.#space
    const frame = this.#space.allocate()
    words[frame * PAGE_WORDS + PAGE_WHAT_WORD] = PageKind.directory
    this.directory.pages[index] = words[frame * PAGE_WORDS + PAGE_ID_WORD]!
    this.directory.checksums[index] = NOT_WRITTEN
    return frame
  }

  #assertInTable(tree: number): void {
    if (!(tree >= 0 && tree < TREES_MAX)) throw new RangeError(`tree ${tree} of ${TREES_MAX}`)
  }
}
