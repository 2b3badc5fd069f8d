/**
 * Pages of a main file that nobody has open, read one by one into a cache of bounded size: for those who look
 * through the whole of it. Memory does not depend on the file's size.
 *
 * Threads: belongs to the one that made it. A frame is valid until `FRAMES_KEPT_MIN` other pages have been located.
 */
import { StoreCorruptError } from '../errors.ts'
import { FIRST_PAGE, NOT_WRITTEN, PAGE_BYTES, PAGE_WORDS } from '../page/page.ts'
import type { PageSource } from '../page/page-space.ts'
import type { MainFile } from './main-file.ts'

/** More than a tree's height, and a chain's pages beside it. */
const FRAMES_KEPT_MIN = 64

export class FilePages implements PageSource {
  readonly bytes: Buffer
  readonly words: Uint32Array
  readonly #main: MainFile
  /** Frames in which no page stands. */
  readonly #free: number[]
  /** Page id to frame; what was located longest ago comes first. */
  readonly #cached = new Map<number, number>()

  constructor(main: MainFile, cacheBytes: number) {
    this.#main = main
    const frames = Math.max(FRAMES_KEPT_MIN, Math.floor(cacheBytes / PAGE_BYTES))
    this.#free = Array.from({ length: frames }, (_, frame) => frame)
    const buffer = new ArrayBuffer(frames * PAGE_BYTES)
    this.bytes = Buffer.from(buffer)
    this.words = new Uint32Array(buffer)
  }

  /** @throws StoreCorruptError also for a reference that no checkpoint writes */
  locate(pageId: number, checksum: number): number {
    this.#assertReference(pageId, checksum)
    const cached = this.#cached.get(pageId)
    // Another reference with another checksum: reading again says what is wrong.
    if (cached !== undefined && this.words[cached * PAGE_WORDS] === checksum) {
      this.#cached.delete(pageId)
      this.#cached.set(pageId, cached)
      return cached
    }
    if (cached !== undefined) this.#evict(pageId, cached)
    else if (this.#free.length === 0) this.#evictOldest()
    const frame = this.#free.at(-1)!
    const at = frame * PAGE_BYTES
    this.#main.pages.readPage(pageId, checksum, this.bytes.subarray(at, at + PAGE_BYTES))
    this.#free.pop()
    this.#cached.set(pageId, frame)
    return frame
  }

  #evictOldest(): void {
    for (const [pageId, frame] of this.#cached) {
      this.#evict(pageId, frame)
      return
    }
  }

  #evict(pageId: number, frame: number): void {
    this.#cached.delete(pageId)
    this.#free.push(frame)
  }

  #assertReference(pageId: number, checksum: number): void {
    const { pageCount } = this.#main.meta
    const place = { file: this.#main.place, offset: pageId * PAGE_BYTES }
    if (pageId < FIRST_PAGE || pageId >= pageCount) {
      const expected = `from ${FIRST_PAGE} to ${pageCount - 1}`
      throw new StoreCorruptError(place, 'reference to a page', expected, pageId)
    }
    if (checksum === NOT_WRITTEN) {
      throw new StoreCorruptError(place, `reference to page ${pageId}`, 'its checksum', 'none')
    }
  }
}
