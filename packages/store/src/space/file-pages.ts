/**
 * Pages read one by one into a cache of bounded size: for those who look through the whole of a database. Memory
 * does not depend on its size.
 *
 * Threads: belongs to the one that made it. A frame is valid until `FRAMES_KEPT_MIN` other pages have been located.
 */
import { StoreCorruptError } from '../errors.ts'
import { FIRST_PAGE, NOT_WRITTEN, PAGE_BYTES, PAGE_WORDS } from '../page/page.ts'
import type { PageSource } from '../page/page-space.ts'
import type { Meta } from './meta.ts'
import type { PageFile } from './page-file.ts'

/** More than a tree's height, and a chain's pages beside it. */
const FRAMES_KEPT_MIN = 64

/** What is read of a main file by those who change nothing; `MainFile` is it. */
export interface ReadableMain {
  readonly pages: PageFile
  readonly meta: Meta
  /** Folder and file. */
  readonly place: string
}

export abstract class CachedPages implements PageSource {
  readonly bytes: Buffer
  readonly words: Uint32Array
  /** Frames in which no page stands. */
  readonly #free: number[]
  /** Page id to frame; what was located longest ago comes first. */
  readonly #cached = new Map<number, number>()

  constructor(cacheBytes: number) {
    const frames = Math.max(FRAMES_KEPT_MIN, Math.floor(cacheBytes / PAGE_BYTES))
    this.#free = Array.from({ length: frames }, (_, frame) => frame)
    const buffer = new ArrayBuffer(frames * PAGE_BYTES)
    this.bytes = Buffer.from(buffer)
    this.words = new Uint32Array(buffer)
  }

  /** @throws StoreCorruptError */
  protected abstract load(pageId: number, checksum: number, target: Buffer): void

  /** Whether a page in the cache is the one that the reference means; if not, it is read again. */
  protected abstract isMeant(cachedChecksum: number, checksum: number): boolean

  /** @throws StoreCorruptError */
  locate(pageId: number, checksum: number): number {
    const cached = this.#cached.get(pageId)
    if (cached !== undefined && this.isMeant(this.words[cached * PAGE_WORDS]!, checksum)) {
      this.#cached.delete(pageId)
      this.#cached.set(pageId, cached)
      return cached
    }
    if (cached !== undefined) this.#evict(pageId, cached)
    else if (this.#free.length === 0) this.#evictOldest()
    const frame = this.#free.at(-1)!
    const at = frame * PAGE_BYTES
    this.load(pageId, checksum, this.bytes.subarray(at, at + PAGE_BYTES))
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
}

/** Of the checkpoint that a meta tells of, out of its file. */
export class FilePages extends CachedPages {
  readonly #main: ReadableMain

  constructor(main: ReadableMain, cacheBytes: number) {
    super(cacheBytes)
    this.#main = main
  }

  /** @throws StoreCorruptError also for a reference that no checkpoint writes */
  protected override load(pageId: number, checksum: number, target: Buffer): void {
    const { pageCount } = this.#main.meta
    const place = { file: this.#main.place, offset: pageId * PAGE_BYTES }
    if (pageId < FIRST_PAGE || pageId >= pageCount) {
      const expected = `from ${FIRST_PAGE} to ${pageCount - 1}`
      throw new StoreCorruptError(place, 'reference to a page', expected, pageId)
    }
    if (checksum === NOT_WRITTEN) {
      throw new StoreCorruptError(place, 'checksum of a reference', "the page's", 'none')
    }
    this.#main.pages.readPage(pageId, checksum, target)
  }

  /** Another reference with another checksum: reading again says what is wrong. */
  protected override isMeant(cachedChecksum: number, checksum: number): boolean {
    return cachedChecksum === checksum
  }
}
