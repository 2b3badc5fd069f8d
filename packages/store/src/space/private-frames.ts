/**
 * A thread's own frames, for pages that it had to read from the file itself.
 *
 * Threads: those of a slot are used by the slot's thread alone.
 *
 * A page stays valid from one read to the next: it is known by id and checksum, as a reference knows it, and
 * a page that came to stand under the same id later has another checksum, just as surely as a damaged one has.
 * A reference without a checksum names no page for sure, so what is read by one is read again each time.
 *
 * The frame that was not used for longest is taken, so the last PRIVATE_FRAMES - 1 pages that were located
 * here are still here.
 */
import { NOT_WRITTEN, PAGE_BYTES, PAGE_CHECKSUM_WORD, PAGE_WORDS } from '../page/page.ts'
import { PRIVATE_FRAMES, privateFrame } from './layout.ts'
import type { PageLoader } from './page-loader.ts'
import type { Region } from './region.ts'

const NOT_HERE = -1

export class PrivateFrames {
  readonly #region: Region
  readonly #firstFrame: number
  readonly #pageIds: Uint32Array = new Uint32Array(PRIVATE_FRAMES)
  readonly #checksums: Uint32Array = new Uint32Array(PRIVATE_FRAMES)
  readonly #usedAt: Float64Array = new Float64Array(PRIVATE_FRAMES)
  #uses = 0

  constructor(region: Region, slotIndex: number) {
    this.#region = region
    this.#firstFrame = privateFrame(region.layout, slotIndex)
  }

  /** The frame of the page if it is here, otherwise -1. */
  find(pageId: number, checksum: number): number {
    if (checksum === NOT_WRITTEN) return NOT_HERE
    const index = this.#pageIds.indexOf(pageId)
    if (index < 0 || this.#checksums[index] !== checksum) return NOT_HERE
    return this.#used(index)
  }

  /** Reads the page into the frame that was not used for longest. */
  read(loader: PageLoader, pageId: number, checksum: number): number {
    const index = this.#indexFor(pageId)
    const frame = this.#firstFrame + index
    // Until it is read: a reader that catches the error must not find half a page here.
    this.#pageIds[index] = 0
    const { bytes, words } = this.#region
    const start = frame * PAGE_BYTES
    loader.readPage(pageId, checksum, bytes.subarray(start, start + PAGE_BYTES))
    this.#pageIds[index] = pageId
    this.#checksums[index] = words[frame * PAGE_WORDS + PAGE_CHECKSUM_WORD]!
    return this.#used(index)
  }

  /** A page has one frame at the most, so that `find` need look at one only. */
  #indexFor(pageId: number): number {
    const same = this.#pageIds.indexOf(pageId)
    if (same >= 0) return same
    let oldest = 0
    for (let index = 1; index < PRIVATE_FRAMES; index++) {
      if (this.#usedAt[index]! < this.#usedAt[oldest]!) oldest = index
    }
    return oldest
  }

  #used(index: number): number {
    this.#usedAt[index] = ++this.#uses
    return this.#firstFrame + index
  }
}
