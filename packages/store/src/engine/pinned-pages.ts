/**
 * Pages of a pinned version, out of memory or the file, copied: so no read lasts longer than a copy, and nothing is
 * asked of the cache. What has been written stands in the file as its reference says; that is looked at for pages that
 * are in memory, too.
 *
 * A page is called written a moment before its bytes are in the file (`gather` of page-file.ts), so what looks wrong
 * is kept, to be looked at again.
 */
import { isRingboltError } from '@ringbolt/ring'
import { StoreCorruptError } from '../errors.ts'
import { NOT_WRITTEN, PAGE_BYTES } from '../page/page.ts'
import { CachedPages } from '../space/file-pages.ts'
import type { PageFile } from '../space/page-file.ts'
import type { PageReader, Pin } from '../space/page-reader.ts'

/** More of them are a finding each time. */
const DOUBTFUL_MAX = 1000

interface Doubtful {
  readonly pageId: number
  readonly checksum: number
}

export interface StoredDamage extends Doubtful {
  readonly error: Error
}

export class PinnedPages extends CachedPages {
  readonly #reader: PageReader
  readonly #pin: Pin
  readonly #file: PageFile | undefined
  readonly #scratch: Buffer = Buffer.alloc(PAGE_BYTES)
  #doubtful: Doubtful[] = []

  /** @param file undefined: in memory */
  constructor(reader: PageReader, pin: Pin, file: PageFile | undefined, cacheBytes: number) {
    super(cacheBytes)
    this.#reader = reader
    this.#pin = pin
    this.#file = file
  }

  get hasDoubtful(): boolean {
    return this.#doubtful.length > 0
  }

  /** Looks again; what is sound now is forgotten. */
  damage(): StoredDamage[] {
    const damages = this.#doubtful.flatMap(({ pageId, checksum }) => {
      const error = this.#damageOf(pageId, checksum)
      return error === undefined ? [] : [{ pageId, checksum, error }]
    })
    this.#doubtful = damages
    return damages
  }

  /** @throws SnapshotExpiredError, StoreClosedError */
  protected override load(pageId: number, checksum: number, target: Buffer): void {
    const reader = this.#reader
    reader.enterPinned(this.#pin)
    let isResident: boolean
    try {
      isResident = reader.copyResident(pageId, target)
    } finally {
      reader.leave()
    }
    if (!isResident) this.#read(pageId, checksum, target)
    else if (checksum !== NOT_WRITTEN && this.#damageOf(pageId, checksum) !== undefined) {
      if (this.#doubtful.length < DOUBTFUL_MAX) this.#doubtful.push({ pageId, checksum })
    }
  }

  /** References get their checksum when the page is written, copies of pages keep none. */
  protected override isMeant(cachedChecksum: number, checksum: number): boolean {
    return checksum === NOT_WRITTEN || cachedChecksum === NOT_WRITTEN || cachedChecksum === checksum
  }

  #read(pageId: number, checksum: number, target: Buffer): void {
    if (this.#file !== undefined) this.#file.readPage(pageId, checksum, target)
    else {
      const place = { file: ':memory:', offset: 0 }
      throw new StoreCorruptError(place, 'reference to a page', `${pageId} in memory`, 'missing')
    }
  }

  #damageOf(pageId: number, checksum: number): Error | undefined {
    try {
      this.#file?.readPage(pageId, checksum, this.#scratch)
      return undefined
    } catch (error) {
      if (isRingboltError(error) && error.code === 'RINGBOLT_CORRUPT') return error
      throw error
    }
  }
}
