/**
 * The free list in the file: extents of free ids, rising, in a chain of pages. Each page is referred to by id
 * and checksum, the first by the meta; so the chain is written from its end.
 *
 * Reading is bounded: no page is read twice, extents rise strictly from page to page, and there are no more
 * free ids than the meta says.
 */
import { StoreCorruptError } from '../errors.ts'
import {
  FIRST_PAGE,
  NO_PAGE,
  PAGE_BYTES,
  PAGE_HEADER_BYTES,
  PAGE_ID_WORD,
  PAGE_KIND_BYTE,
  PageKind,
} from '../page/page.ts'
import {
  FREE_EXTENT_BYTES,
  FREE_EXTENT_COUNT_OFFSET,
  FREE_EXTENTS_MAX,
  FREE_EXTENTS_OFFSET,
  FREE_NEXT_OFFSET,
} from './main-layout.ts'
import { type Meta, NO_REFERENCE, type PageReference } from './meta.ts'
import { type PageFile, sealPage } from './page-file.ts'
import { PageIdSet } from './page-ids-set.ts'

export interface FreeList {
  readonly free: PageIdSet
  /** The pages in which it stands. */
  readonly pageIds: readonly number[]
}

/** What a free list says. */
export interface FreeExtents {
  /** First id and count, by turns. */
  readonly pairs: Uint32Array
  readonly freeCount: number
  readonly pageCount: number
}

/**
 * The set as extents; one that reaches up to `end` is left out, the file ends before it.
 * @param end above all members
 */
export function extentsBelow(free: PageIdSet, end: number): FreeExtents {
  const pairs = new Uint32Array(2 * extentCountOf(free))
  let words = 0
  let tail = 0
  free.forEachExtent((first, count) => {
    if (first + count === end) {
      tail = count
      return
    }
    pairs[words] = first
    pairs[words + 1] = count
    words += 2
  })
  return {
    pairs: pairs.subarray(0, words),
    freeCount: free.size - tail,
    pageCount: end - tail,
  }
}

export function extentCountOf(free: PageIdSet): number {
  let count = 0
  free.forEachExtent(() => count++)
  return count
}

/** Writes a list's pages, the last one first, as many at a time as the caller likes. */
export class FreeListWriter {
  readonly #file: PageFile
  readonly #pairs: Uint32Array
  /** Still to be written; the last is next. */
  readonly #pageIds: number[]
  #written: PageReference = NO_REFERENCE

  /**
   * @param pairs first id and count of rising extents, by turns
   * @param pageIds where to write: `freeListPages` of them or more
   */
  constructor(file: PageFile, pairs: Uint32Array, pageIds: readonly number[]) {
    if (pageIds.length < freeListPages(pairs.length / 2)) {
      throw new RangeError(`${pageIds.length} pages for ${pairs.length / 2} extents`)
    }
    this.#file = file
    this.#pairs = pairs
    this.#pageIds = [...pageIds]
  }

  /** Writes up to so many pages; returns how many. */
  write(pagesMax: number): number {
    let written = 0
    while (written < pagesMax) {
      const pageId = this.#pageIds.pop()
      if (pageId === undefined) break
      const from = this.#pageIds.length * FREE_EXTENTS_MAX * 2
      const pairs = this.#pairs.subarray(from, from + FREE_EXTENTS_MAX * 2)
      const image = encodeFreePage(pageId, this.#written, pairs)
      this.#written = { pageId, checksum: sealPage(image) }
      this.#file.writePage(pageId, image)
      written++
    }
    return written
  }

  get isDone(): boolean {
    return this.#pageIds.length === 0
  }

  /** For the meta, once all is written. */
  get reference(): PageReference {
    return this.#written
  }
}

export function freeListPages(extentCount: number): number {
  return Math.ceil(extentCount / FREE_EXTENTS_MAX)
}

/** Without its checksum. */
function encodeFreePage(pageId: number, next: PageReference, pairs: Uint32Array): Buffer {
  const page = Buffer.alloc(PAGE_BYTES)
  page.writeUInt32LE(pageId, PAGE_ID_WORD * 4)
  page[PAGE_KIND_BYTE] = PageKind.freeList
  page.writeUInt32LE(next.pageId, FREE_NEXT_OFFSET)
  page.writeUInt32LE(next.checksum, FREE_NEXT_OFFSET + 4)
  page.writeUInt32LE(pairs.length / 2, FREE_EXTENT_COUNT_OFFSET)
  // In memory as in the file: both are little-endian.
  new Uint32Array(page.buffer, page.byteOffset + FREE_EXTENTS_OFFSET, pairs.length).set(pairs)
  return page
}

/**
 * Reads and checks the list of a checkpoint.
 * @param onPage gets each of its pages, whole; the image lasts until it returns
 * @throws StoreCorruptError for a page that is not what its reference says, and for a list that contradicts
 * itself or the meta
 */
export function readFreeList(
  file: PageFile,
  meta: Meta,
  onPage: (pageId: number, image: Buffer) => void = () => undefined,
): FreeList {
  const { pageCount, freeCount, directory } = meta
  const free = new PageIdSet()
  const pageIds = new Set<number>()
  const page = Buffer.alloc(PAGE_BYTES)
  let next = meta.freeList
  let end = FIRST_PAGE
  while (next.pageId !== NO_PAGE) {
    assertListPage(file, next, pageCount, pageIds)
    file.readPage(next.pageId, next.checksum, page)
    const refuse = refuserAt(file, next.pageId)
    if (page[PAGE_KIND_BYTE] !== PageKind.freeList) {
      throw refuse(PAGE_KIND_BYTE, 'page kind', PageKind.freeList, page[PAGE_KIND_BYTE] ?? 0)
    }
    end = readExtents(page, free, end, meta, refuse)
    pageIds.add(next.pageId)
    onPage(next.pageId, page)
    next = {
      pageId: page.readUInt32LE(FREE_NEXT_OFFSET),
      checksum: page.readUInt32LE(FREE_NEXT_OFFSET + 4),
    }
  }
  if (free.size !== freeCount) {
    const place = { file: file.place, offset: meta.freeList.pageId * PAGE_BYTES }
    throw new StoreCorruptError(place, 'free pages in the list', freeCount, free.size)
  }
  for (const pageId of [...pageIds, ...directory.map((reference) => reference.pageId)]) {
    if (!free.has(pageId)) continue
    const place = { file: file.place, offset: pageId * PAGE_BYTES }
    throw new StoreCorruptError(place, 'page', 'in use', 'in the free list')
  }
  return { free, pageIds: [...pageIds] }
}

type Refuse = (
  offset: number,
  what: string,
  expected: string | number,
  actual: string | number,
) => StoreCorruptError

function refuserAt(file: PageFile, pageId: number): Refuse {
  return (offset, what, expected, actual) =>
    new StoreCorruptError(
      { file: file.place, offset: pageId * PAGE_BYTES + offset },
      what,
      expected,
      actual,
    )
}

/** A page without a checksum would vouch for itself: no writer leaves one. */
function assertListPage(
  file: PageFile,
  { pageId, checksum }: PageReference,
  pageCount: number,
  read: ReadonlySet<number>,
): void {
  const place = { file: file.place, offset: pageId * PAGE_BYTES }
  const what = 'page id in the free list'
  if (pageId < FIRST_PAGE || pageId >= pageCount) {
    const expected = `from ${FIRST_PAGE} to ${pageCount - 1}`
    throw new StoreCorruptError(place, what, expected, pageId)
  }
  if (read.has(pageId)) throw new StoreCorruptError(place, what, 'another page', pageId)
  if (checksum === 0) {
    throw new StoreCorruptError(place, 'checksum in the free list', 'not 0', checksum)
  }
}

/** @returns one past the last extent */
function readExtents(
  page: Buffer,
  free: PageIdSet,
  afterEnd: number,
  { pageCount, freeCount }: Meta,
  refuse: Refuse,
): number {
  const count = page.readUInt32LE(FREE_EXTENT_COUNT_OFFSET)
  if (count > FREE_EXTENTS_MAX) {
    const expected = `at most ${FREE_EXTENTS_MAX}`
    throw refuse(FREE_EXTENT_COUNT_OFFSET, 'number of extents', expected, count)
  }
  let end = afterEnd
  for (let index = 0; index < count; index++) {
    const offset = FREE_EXTENTS_OFFSET + index * FREE_EXTENT_BYTES
    const first = page.readUInt32LE(offset)
    const length = page.readUInt32LE(offset + 4)
    if (first < end || first >= pageCount) {
      throw refuse(offset, 'first id of an extent', `from ${end} to ${pageCount - 1}`, first)
    }
    const lengthMax = Math.min(pageCount - first, freeCount - free.size)
    if (length < 1 || length > lengthMax) {
      throw refuse(offset + 4, 'length of an extent', `from 1 to ${lengthMax}`, length)
    }
    free.addExtent(first, length)
    end = first + length
  }
  return end
}

/** The header's other fields are zero in a free-list page. */
if (FREE_NEXT_OFFSET !== PAGE_HEADER_BYTES) {
  throw new Error(
    `a free list begins at ${FREE_NEXT_OFFSET}, a header ends at ${PAGE_HEADER_BYTES}`,
  )
}
