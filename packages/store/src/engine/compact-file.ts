/**
 * Compaction: the pages that are in use, one behind the other in the order of their keys, in a fresh file that takes the
 * main file's place. Pages keep their content; only ids and checksums in references are new, so each page is written
 * after all that it refers to.
 *
 * Threads: one, with the writer lock held; the database was closed cleanly, so there is no log.
 *
 * Crash: before the rename the old file is whole, beside one under the unfinished name, which the next that opens for
 * writing removes; after it the new one is, which was synced before. The folder is synced last.
 *
 * The new file has an id of its own: page ids mean other pages in it, so no increment of before may be
 * continued with it.
 */
import { isRingboltError } from '@ringbolt/ring'
import type { LogStore } from '@ringbolt/wal'
import { BackupUnsoundError } from '../backup/errors.ts'
import { pagesIn, usedExtents } from '../backup/extents.ts'
import { StoreCorruptError } from '../errors.ts'
import {
  FIRST_PAGE,
  NO_PAGE,
  NOT_WRITTEN,
  PAGE_BYTES,
  PAGE_ID_WORD,
  PAGE_KIND_BYTE,
  PageKind,
} from '../page/page.ts'
import { readFreeList } from '../space/free-list.ts'
import { MainFile, removeUnfinished, UNFINISHED_SUFFIX } from '../space/main-file.ts'
import type { PageReference } from '../space/meta.ts'
import { encodeMeta, type Meta, metaOffset, metaSlot, NO_REFERENCE } from '../space/meta.ts'
import { PageFile, sealPage } from '../space/page-file.ts'
import { HEIGHT_MAX, OVERFLOW_NEXT_WORD } from '../tree/layout.ts'
import { forEachReference } from '../tree/references.ts'
import { structureProblems } from './file-structure.ts'

export interface CompactionCounts {
  /** Length of the main file. */
  readonly bytesBefore: number
  readonly bytesAfter: number
  readonly pages: number
}

const CHECK_CACHE_BYTES = 32 * 1024 * 1024
const PAGES_PER_PROGRESS = 256

/**
 * @param databaseId 16 random bytes
 * @throws what is wrong with the file, and nothing is changed then
 */
export function compactFile(
  store: LogStore,
  name: string,
  databaseId: Uint8Array,
  onProgress: (bytesDone: number, bytesTotal: number) => void = () => undefined,
): CompactionCounts {
  const main = MainFile.open(store, name, { readOnly: true })
  try {
    if (!main.meta.clean) throw new Error(`${main.place} was not closed cleanly`)
    removeUnfinished(store, name)
    try {
      const pages = writeCompact(store, name, main, databaseId, onProgress)
      assertSound(store, name + UNFINISHED_SUFFIX, main.place)
      store.rename(name + UNFINISHED_SUFFIX, name)
      store.syncFolder()
      const bytesBefore = main.pages.lengthBytes
      return { bytesBefore, bytesAfter: pages * PAGE_BYTES, pages }
    } catch (error) {
      removeQuietly(store, name)
      throw error
    }
  } finally {
    main.close()
  }
}

function removeQuietly(store: LogStore, name: string): void {
  try {
    removeUnfinished(store, name)
  } catch (error) {
    // What came before says more; the next that opens the database removes it.
    if (!isRingboltError(error)) throw error
  }
}

/** @returns how many pages it has, the metas included */
function writeCompact(
  store: LogStore,
  name: string,
  main: MainFile,
  databaseId: Uint8Array,
  onProgress: (bytesDone: number, bytesTotal: number) => void,
): number {
  const file = store.create(name + UNFINISHED_SUFFIX)
  try {
    const target = new PageFile(file, `${store.location}/${name}${UNFINISHED_SUFFIX}`)
    const relocation = new Relocation(main, target, onProgress)
    const directory: PageReference[] = []
    target.gather(() => {
      for (const reference of main.meta.directory) {
        const isThere = reference.pageId !== NO_PAGE
        directory.push(isThere ? relocation.copy(reference) : NO_REFERENCE)
      }
    })
    const meta: Meta = {
      ...main.meta,
      databaseId,
      pageCount: relocation.end,
      freeCount: 0,
      freeList: NO_REFERENCE,
      directory,
    }
    for (const image of [{ ...meta, checkpoint: meta.checkpoint + 1 }, meta]) {
      file.writeAt(metaOffset(metaSlot(image.checkpoint)), [encodeMeta(image)])
    }
    file.sync()
    return relocation.end
  } finally {
    file.close()
  }
}

/** Read back as a stranger would. */
function assertSound(store: LogStore, name: string, place: string): void {
  const main = MainFile.open(store, name, { readOnly: true })
  try {
    const [first] = structureProblems(main, CHECK_CACHE_BYTES)
    if (first !== undefined) throw new BackupUnsoundError(place, [first])
  } finally {
    main.close()
  }
}

/** A page on its way, at each depth. */
interface Slot {
  readonly bytes: Buffer
  readonly words: Uint32Array
}

function newSlot(): Slot {
  const buffer = new ArrayBuffer(PAGE_BYTES)
  return { bytes: Buffer.from(buffer), words: new Uint32Array(buffer) }
}

/** Directory, the tree's levels. */
const DEPTH_MAX: number = HEIGHT_MAX + 1

class Relocation {
  readonly #main: MainFile
  readonly #target: PageFile
  readonly #onProgress: (bytesDone: number, bytesTotal: number) => void
  readonly #slots: Slot[] = []
  readonly #chain: Slot = newSlot()
  readonly #pagesMax: number
  #next = FIRST_PAGE

  constructor(
    main: MainFile,
    target: PageFile,
    onProgress: (bytesDone: number, bytesTotal: number) => void,
  ) {
    this.#main = main
    this.#target = target
    this.#onProgress = onProgress
    const { free } = readFreeList(main.pages, main.meta)
    this.#pagesMax = pagesIn(usedExtents(free, main.meta.pageCount))
  }

  /** One past the last page. */
  get end(): number {
    return this.#next
  }

  /** The page and all that it leads to. @returns what refers to it there */
  copy(reference: PageReference, depth = 0): PageReference {
    if (depth > DEPTH_MAX)
      throw this.#tooMany(reference.pageId, 'levels below the directory', DEPTH_MAX)
    const slot = (this.#slots[depth] ??= newSlot())
    this.#read(reference, slot)
    if (slot.bytes[PAGE_KIND_BYTE] === PageKind.overflow) return this.#copyChain(reference)
    const { words } = slot
    forEachReference(slot.bytes, words, 0, (word) => {
      const child = this.copy(referenceAt(words, word), depth + 1)
      words[word] = child.pageId
      words[word + 1] = child.checksum
    })
    return this.#write(slot, this.#take(reference.pageId))
  }

  /** Places from the first page to the last, written from the last to the first. */
  #copyChain(first: PageReference): PageReference {
    const chain: PageReference[] = []
    const slot = this.#chain
    for (
      let next = first;
      next.pageId !== NO_PAGE;
      next = referenceAt(slot.words, OVERFLOW_NEXT_WORD)
    ) {
      if (chain.length > this.#pagesMax) {
        throw this.#tooMany(next.pageId, 'pages in a chain', this.#pagesMax)
      }
      this.#read(next, slot)
      chain.push(next)
    }
    const places = chain.map(({ pageId }) => this.#take(pageId))
    let behind: PageReference = NO_REFERENCE
    for (const [at, reference] of [...chain.entries()].toReversed()) {
      this.#read(reference, slot)
      slot.words[OVERFLOW_NEXT_WORD] = behind.pageId
      slot.words[OVERFLOW_NEXT_WORD + 1] = behind.checksum
      behind = this.#write(slot, places[at] ?? NO_PAGE)
    }
    return behind
  }

  #read({ pageId, checksum }: PageReference, { bytes }: Slot): void {
    const { pages, meta, place } = this.#main
    const offset = pageId * PAGE_BYTES
    if (pageId < FIRST_PAGE || pageId >= meta.pageCount || checksum === NOT_WRITTEN) {
      const expected = `a page from ${FIRST_PAGE} to ${meta.pageCount - 1} and its checksum`
      throw new StoreCorruptError({ file: place, offset }, 'reference', expected, pageId)
    }
    pages.readPage(pageId, checksum, bytes)
  }

  /** A place in the new file. @param from for messages */
  #take(from: number): number {
    if (this.#next - FIRST_PAGE >= this.#pagesMax) {
      throw this.#tooMany(from, 'pages in use', this.#pagesMax)
    }
    return this.#next++
  }

  #write({ bytes, words }: Slot, pageId: number): PageReference {
    words[PAGE_ID_WORD] = pageId
    const checksum = sealPage(bytes)
    this.#target.writePage(pageId, bytes)
    if (pageId % PAGES_PER_PROGRESS === 0) {
      this.#onProgress(pageId * PAGE_BYTES, this.#pagesMax * PAGE_BYTES)
    }
    return { pageId, checksum }
  }

  #tooMany(pageId: number, what: string, max: number): StoreCorruptError {
    const place = { file: this.#main.place, offset: pageId * PAGE_BYTES }
    return new StoreCorruptError(place, what, `at most ${max}`, 'more')
  }
}

function referenceAt(words: Uint32Array, word: number): PageReference {
  return { pageId: words[word] ?? NO_PAGE, checksum: words[word + 1] ?? NOT_WRITTEN }
}
