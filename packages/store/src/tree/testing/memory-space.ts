/**
 * Pages in plain memory, for tests of trees: versions that stay as they were published, and an account of what
 * was made and retired. Frames are never used again, so that a page changed behind a version's back shows.
 */

import { StoreCorruptError } from '../../errors.ts'
import { PAGE_BYTES, PAGE_ID_WORD, PAGE_WORDS } from '../../page/page.ts'
import type { PageSpace } from '../../page/page-space.ts'
import { DirectoryReferences } from '../directory.ts'
import { reachablePages } from './reachable.ts'

/** A published state; its directory is its own. */
export interface Version {
  readonly number: number
  readonly directory: DirectoryReferences
}

export class MemorySpace implements PageSpace {
  readonly bytes: Buffer
  readonly words: Uint32Array
  readonly retired = new Set<number>()
  readonly #births: number[] = []
  readonly #framesMax: number
  #working = 1
  #roomPages = 0

  constructor(framesMax: number) {
    const shared = new SharedArrayBuffer(framesMax * PAGE_BYTES)
    this.bytes = Buffer.from(shared)
    this.words = new Uint32Array(shared)
    this.#framesMax = framesMax
    // Pages 0 and 1 are the metas.
    this.#births.push(0, 0)
  }

  get allocatedPages(): number {
    return this.#births.length - 2
  }

  locate(pageId: number): number {
    if (pageId >= 2 && pageId < this.#births.length) return pageId
    const place = { file: ':memory:', offset: pageId * PAGE_BYTES }
    throw new StoreCorruptError(place, 'page', `from 2 to ${this.#births.length - 1}`, pageId)
  }

  makeRoom(pages: number): void {
    this.#roomPages = Math.max(this.#roomPages, pages)
  }

  allocate(): number {
    const frame = this.#births.length
    if (frame === this.#framesMax) throw new Error(`more than ${frame} pages`)
    if (--this.#roomPages < 0) throw new Error('no room was made for this page')
    this.#births.push(this.#working)
    this.words[frame * PAGE_WORDS + PAGE_ID_WORD] = frame
    return frame
  }

  isWritable(frame: number): boolean {
    return this.#births[frame] === this.#working
  }

  writable(pageId: number): number {
    if (this.isWritable(pageId)) return pageId
    const copyId = this.allocate()
    const start = pageId * PAGE_BYTES
    this.bytes.copyWithin(copyId * PAGE_BYTES, start, start + PAGE_BYTES)
    this.words[copyId * PAGE_WORDS] = 0
    this.words[copyId * PAGE_WORDS + PAGE_ID_WORD] = copyId
    this.retire(pageId)
    return copyId
  }

  retire(pageId: number): void {
    if (this.retired.has(pageId)) {
      const place = { file: ':memory:', offset: pageId * PAGE_BYTES }
      throw new StoreCorruptError(place, 'page', 'retired once', pageId)
    }
    this.retired.add(pageId)
  }

  /** Takes all pages of another one, as its own working version's. */
  copyFrom(other: MemorySpace): void {
    const count = other.#births.length
    this.bytes.set(other.bytes.subarray(0, count * PAGE_BYTES))
    for (let frame = this.#births.length; frame < count; frame++) this.#births.push(this.#working)
  }

  /** What is in the directory now stays as it is. */
  publish(directory: DirectoryReferences): Version {
    const kept = new DirectoryReferences()
    kept.pages.set(directory.pages)
    kept.checksums.set(directory.checksums)
    return { number: this.#working++, directory: kept }
  }

  /** What is wrong with the account: pages neither reachable nor retired, and pages that are both. */
  leaks(directory: DirectoryReferences): string[] {
    const reachable = reachablePages(this, directory)
    const wrong: string[] = []
    for (let pageId = 2; pageId < this.#births.length; pageId++) {
      const isRetired = this.retired.has(pageId)
      if (reachable.has(pageId) === isRetired) {
        wrong.push(`page ${pageId} is ${isRetired ? 'retired and reachable' : 'neither'}`)
      }
    }
    return wrong
  }
}
