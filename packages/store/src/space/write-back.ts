/**
 * Writing pages to their places in the file, and telling those that refer to them.
 *
 * Threads: the sequencer's own. Frames of published pages are read by others meanwhile; all that changes in
 * them is the page's own checksum, which readers do not look at in memory, and checksums of references, by a
 * plain store of one word. A reader sees NOT_WRITTEN or the checksum; either leads it to the page, which is
 * verified by the reference's checksum or by its own.
 *
 * Invariants
 *  B1 A page is written only when all pages that it refers to are: so its references are complete, and a
 *     clean page never refers to one without a checksum.
 *  B2 After a sweep, every reference in memory to a page that was written before the sweep holds its
 *     checksum: only dirty pages can have lacked it (B1), and a sweep goes through all of them.
 *
 * An exception that costs a read: a page that nothing in memory referred to when it was swept (a chain of
 * overflow pages that was being built) gets a reference without a checksum later. It is looked up in the file.
 *
 * Crash: pages are written over only while no durable checkpoint refers to them; see `page-file.ts`.
 */
import { NO_PAGE, NOT_WRITTEN, PAGE_BYTES, PAGE_CHECKSUM_WORD, PAGE_WORDS } from '../page/page.ts'
import type { Frames } from './frames.ts'
import { sealPage } from './page-file.ts'
import type { PageStore } from './page-loader.ts'
import type { PageTable } from './page-table.ts'
import type { DirectoryReferences } from './published.ts'
import type { Region } from './region.ts'

export type ForEachReference = (
  bytes: Uint8Array,
  words: Uint32Array,
  frame: number,
  visit: (wordIndex: number) => void,
) => void

export class WriteBack {
  readonly #region: Region
  readonly #frames: Frames
  readonly #table: PageTable
  readonly #file: PageStore | undefined
  readonly #forEachReference: ForEachReference
  readonly #image: Buffer = Buffer.alloc(PAGE_BYTES)
  #unwritten = 0

  constructor(
    region: Region,
    frames: Frames,
    table: PageTable,
    file: PageStore | undefined,
    forEachReference: ForEachReference,
  ) {
    this.#region = region
    this.#frames = frames
    this.#table = table
    this.#file = file
    this.#forEachReference = forEachReference
  }

  get #store(): PageStore {
    if (this.#file === undefined) throw new Error('a database in memory has no file to write to')
    return this.#file
  }

  /** Completes the references that can be; true when the page may be written (B1). */
  #completeReferences(frame: number): boolean {
    this.#unwritten = 0
    const { bytes, words } = this.#region
    this.#forEachReference(bytes, words, frame, this.#complete)
    return this.#unwritten === 0
  }

  readonly #complete = (wordIndex: number): void => {
    const { words } = this.#region
    const pageId = words[wordIndex]!
    if (pageId === NO_PAGE || words[wordIndex + 1] !== NOT_WRITTEN) return
    const checksum = this.#checksumOf(pageId)
    if (checksum === NOT_WRITTEN) this.#unwritten++
    else words[wordIndex + 1] = checksum
  }

  /** NOT_WRITTEN as long as the page has not been. */
  #checksumOf(pageId: number): number {
    const frame = this.#table.find(pageId)
    if (frame >= 0) {
      return this.#frames.isDirty(frame) ? NOT_WRITTEN : this.#checksumIn(frame)
    }
    this.#store.readPage(pageId, NOT_WRITTEN, this.#image)
    return this.#image.readUInt32LE(PAGE_CHECKSUM_WORD * 4)
  }

  #checksumIn(frame: number): number {
    return this.#region.words[frame * PAGE_WORDS + PAGE_CHECKSUM_WORD]!
  }

  /**
   * Writes a dirty page to its place; nothing is synced. Returns its checksum.
   * @throws Error when it refers to pages that have not been written
   */
  write(frame: number): number {
    if (this.#frames.isDirty(frame) && !this.tryWrite(frame)) {
      const pageId = this.#frames.pageIds[frame]
      throw new Error(`page ${pageId} refers to pages that have not been written`)
    }
    return this.#checksumIn(frame)
  }

  /** False, and nothing done, when the dirty page refers to pages that have not been written. */
  tryWrite(frame: number): boolean {
    if (!this.#completeReferences(frame)) return false
    const { bytes, words } = this.#region
    const start = frame * PAGE_BYTES
    this.#image.set(bytes.subarray(start, start + PAGE_BYTES))
    words[frame * PAGE_WORDS + PAGE_CHECKSUM_WORD] = sealPage(this.#image)
    this.#store.writePage(this.#frames.pageIds[frame]!, this.#image)
    this.#frames.written(frame)
    return true
  }

  /** @param isFinal whether the page in that frame will not change any more */
  sweep(isFinal: (frame: number) => boolean): void {
    const frames = this.#frames
    for (let frame = 0; frame < frames.count; frame++) {
      if (!frames.mayLackReferences(frame)) continue
      if (this.#sweepOne(frame) && isFinal(frame)) frames.referencesAreWritten(frame)
    }
    frames.swept()
  }

  /** Like `#completeReferences`, without the file: true when none is left. */
  #sweepOne(frame: number): boolean {
    this.#unwritten = 0
    const { bytes, words } = this.#region
    this.#forEachReference(bytes, words, frame, this.#sweepReference)
    return this.#unwritten === 0
  }

  readonly #sweepReference = (wordIndex: number): void => {
    const { words } = this.#region
    const pageId = words[wordIndex]!
    if (pageId === NO_PAGE || words[wordIndex + 1] !== NOT_WRITTEN) return
    const frame = this.#table.find(pageId)
    if (frame >= 0 && !this.#frames.isDirty(frame)) words[wordIndex + 1] = this.#checksumIn(frame)
    else this.#unwritten++
  }

  /** The same for a directory, whose references stand in no page. */
  sweepDirectory({ pages, checksums }: DirectoryReferences): void {
    for (let index = 0; index < pages.length; index++) {
      const pageId = pages[index]!
      if (pageId === NO_PAGE || checksums[index] !== NOT_WRITTEN) continue
      const frame = this.#table.find(pageId)
      if (frame < 0) checksums[index] = this.#checksumOf(pageId)
      else if (!this.#frames.isDirty(frame)) checksums[index] = this.#checksumIn(frame)
    }
  }
}
