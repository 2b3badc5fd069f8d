/**
 * A checkpoint: makes one published state durable in the main file, in bounded steps beside commits.
 *
 * Threads: the sequencer's. Only the two syncs may be made by another thread: the caller makes them, or has
 * them made, between `step` and `synced`.
 *
 * The caller pins the version before and until the end, so that its pages stay as they are, and has the log
 * durable up to `logLsn` before the second `synced`: a meta never shows more than the log promises.
 *
 * Order, each part only after the one before:
 *  1 the version's dirty pages, each after its children, then the free list. They stand where the checkpoint
 *    before has free ids, so that one stays whole.
 *  2 a sync of the file
 *  3 the meta, in the page of the meta before the last
 *  4 a sync of the file. From now on this checkpoint counts: ids that only the one before held are free, and
 *    the caller may release the log up to `logLsn`.
 *
 * Crash: before 4 has ended the checkpoint before is found, or, if the meta was whole, this one: both whole.
 * A failed write or sync throws; nothing may be tried again, the caller poisons. Pages that were called
 * written may then be lost, so the memory's state must not be used for another checkpoint.
 */
import { NO_PAGE, NOT_WRITTEN, PAGE_CHECKSUM_WORD, PAGE_WORDS } from '../page/page.ts'
import {
  extentCountOf,
  extentsBelow,
  type FreeExtents,
  FreeListWriter,
  freeListPages,
} from './free-list.ts'
import type { MainFile } from './main-file.ts'
import { NO_REFERENCE, type PageReference } from './meta.ts'
import type { RetiredPages } from './page-ids.ts'
import type { ForEachReference } from './write-back.ts'

/**
 * What a checkpoint needs of the memory in which pages stand; `SharedSpace` is it. A page leaves memory only
 * when all that refers to it there knows its checksum, the directories of pins included.
 */
export interface CheckpointSpace extends RetiredPages {
  readonly bytes: Uint8Array
  readonly words: Uint32Array
  /** -1: not in memory, so written. */
  residentFrame(pageId: number): number
  isDirty(frame: number): boolean
  /**
   * Writes a dirty page whose children are all written: fills in their checksums, seals and writes it
   * through the main file's `pages`.
   */
  writeBack(frame: number): void
  /** A checkpoint of that version is durable. */
  checkpointed(version: number): void
}

/** The state that is made durable. */
export interface CheckpointTarget {
  readonly version: number
  readonly sequence: number
  /** The pin's own, not a copy of it: it learns checksums of pages that leave memory. */
  readonly directory: { readonly pages: Uint32Array; readonly checksums: Uint32Array }
  readonly logId: Uint8Array
  /** Where in the log the first record after this state will be. */
  readonly logLsn: number
  readonly baseSequence: number
  /** Nothing will be written any more. */
  readonly clean: boolean
}

/** `sync-…`: the caller syncs the main file and says `synced`. */
export type CheckpointState = 'writing' | 'sync-data' | 'sync-meta' | 'done'

export class Checkpoint {
  readonly #main: MainFile
  readonly #space: CheckpointSpace
  readonly #forEachReference: ForEachReference
  readonly #target: CheckpointTarget
  /**
   * The way down: pages to be written, the last first. An id stands below its dirty children; a negative one
   * has had them pushed.
   */
  readonly #stack: number[] = []
  #list: FreeListWriter | undefined
  #extents: FreeExtents | undefined
  #state: CheckpointState = 'writing'
  #pagesWritten = 0

  constructor(
    main: MainFile,
    space: CheckpointSpace,
    forEachReference: ForEachReference,
    target: CheckpointTarget,
  ) {
    this.#main = main
    this.#space = space
    this.#forEachReference = forEachReference
    this.#target = target
    main.pageIds.beginCheckpoint(target.version)
    for (const pageId of target.directory.pages) if (pageId !== NO_PAGE) this.#stack.push(pageId)
  }

  get state(): CheckpointState {
    return this.#state
  }

  /** From the free list on nobody else may write: its pages are taken, and nobody is told. */
  get isFinal(): boolean {
    return this.#list !== undefined
  }

  get pagesWritten(): number {
    return this.#pagesWritten
  }

  /**
   * Looks at and writes up to so many pages. Only gathering what is free, once, takes as long as the file
   * is large: some milliseconds a terabyte.
   * @returns `writing`: to be called again
   */
  step(pagesMax: number): CheckpointState {
    this.#assertState('writing')
    this.#main.pages.gather(() => {
      let left = pagesMax
      while (left > 0 && this.#stack.length > 0) {
        this.#advance()
        left--
      }
      if (this.#stack.length > 0) return
      this.#list ??= this.#beginList()
      this.#pagesWritten += this.#list.write(left)
      if (this.#list.isDone) this.#state = 'sync-data'
    })
    return this.#state
  }

  /** The file was synced after the last step, or after the last `synced`. */
  synced(): CheckpointState {
    if (this.#state === 'sync-data') {
      this.#beginMeta()
      this.#state = 'sync-meta'
      return this.#state
    }
    this.#assertState('sync-meta')
    this.#main.metaDurable()
    this.#main.pageIds.checkpointDurable()
    this.#space.checkpointed(this.#target.version)
    this.#state = 'done'
    return this.#state
  }

  /** All that is left, syncs included, at once. */
  finish(): void {
    while (this.#state === 'writing') this.step(Number.POSITIVE_INFINITY)
    while (this.#state !== 'done') {
      this.#main.pages.sync()
      this.synced()
    }
  }

  /** One page down, or one page written. */
  #advance(): void {
    const top = this.#stack.length - 1
    const entry = this.#stack[top] ?? NO_PAGE
    const pageId = Math.abs(entry)
    const frame = this.#dirtyFrame(pageId)
    // Clean, and so all below it; it may have been written between two steps.
    if (frame < 0) {
      this.#stack.pop()
      return
    }
    if (entry > 0) {
      this.#stack[top] = -entry
      const depth = this.#stack.length
      this.#pushDirtyChildren(frame)
      if (this.#stack.length > depth) return
    }
    this.#stack.pop()
    this.#space.writeBack(frame)
    this.#pagesWritten++
  }

  #pushDirtyChildren(frame: number): void {
    const { bytes, words } = this.#space
    this.#forEachReference(bytes, words, frame, (wordIndex) => {
      const pageId = words[wordIndex] ?? NO_PAGE
      if (pageId !== NO_PAGE && this.#dirtyFrame(pageId) >= 0) this.#stack.push(pageId)
    })
  }

  /** -1: not in memory, or clean. */
  #dirtyFrame(pageId: number): number {
    const frame = this.#space.residentFrame(pageId)
    return frame >= 0 && this.#space.isDirty(frame) ? frame : -1
  }

  /** What is free from this checkpoint on, the list's own pages taken out. */
  #beginList(): FreeListWriter {
    const { pageIds, pages } = this.#main
    const free = pageIds.freeWith(this.#space)
    // Taking a page out of the middle of an extent makes two of it.
    const extentCount = extentCountOf(free)
    let listPages = freeListPages(extentCount)
    while (listPages < freeListPages(extentCount + listPages)) listPages++
    const places: number[] = []
    while (places.length < listPages) {
      const pageId = pageIds.takeForList()
      free.delete(pageId)
      places.push(pageId)
    }
    this.#extents = extentsBelow(free, pageIds.end)
    return new FreeListWriter(pages, this.#extents.pairs, places)
  }

  #beginMeta(): void {
    const extents = this.#extents
    if (extents === undefined) throw new Error('a meta before its free list')
    const { sequence, directory, logId, logLsn, baseSequence, clean } = this.#target
    this.#main.beginMeta({
      clean,
      sequence,
      logId,
      logLsn,
      baseSequence,
      pageCount: extents.pageCount,
      freeCount: extents.freeCount,
      freeList: this.#list?.reference ?? NO_REFERENCE,
      directory: Array.from(directory.pages, (pageId, index) => this.#reference(pageId, index)),
    })
  }

  /** Of a directory page: it is in memory still, or the pin knows. */
  #reference(pageId: number, index: number): PageReference {
    if (pageId === NO_PAGE) return NO_REFERENCE
    const frame = this.#space.residentFrame(pageId)
    const checksum =
      frame < 0
        ? this.#target.directory.checksums[index]
        : this.#space.words[frame * PAGE_WORDS + PAGE_CHECKSUM_WORD]
    if (checksum === undefined || checksum === NOT_WRITTEN) {
      throw new Error(`the checksum of directory page ${pageId} is not known`)
    }
    return { pageId, checksum }
  }

  #assertState(expected: CheckpointState): void {
    if (this.#state === expected) return
    throw new Error(`the checkpoint is in state ${this.#state}, not ${expected}`)
  }
}
