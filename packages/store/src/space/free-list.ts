/**
 * The free list in the file: extents of free ids, rising, in a chain of pages. Each page is referred to by id
 * and checksum, the first by the meta; so the chain is written from its end.
 *
 * Reading is bounded: extents rise strictly from page to page, each page has one at least, so that no chain is
 * longer than what the meta says of it.
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

/** Writes a list's pages, the last one first, as many at a time as the caller likes. */
export class FreeListWriter {
  readonly #file: PageFile
  readonly #extents: readonly (readonly [first: number, count: number])[]
  /** Still to be written; the last is next. */
  readonly #pageIds: number[]
  #written: PageReference = NO_REFERENCE

  /**
   * @param extents rising
   * @param pageIds where to write: `freeListPages(extents.length)` of them
   */
  constructor(
    file: PageFile,
    extents: readonly (readonly [first: number, count: number])[],
    pageIds: readonly number[],
  ) {
    if (pageIds.length !== freeListPages(extents.length)) {
      throw new RangeError(`${pageIds.length} pages for a free list of ${extents.length} extents`)
    }
    this.#file = file
    this.#extents = extents
    this.#pageIds = [...pageIds]
  }

  /** Writes up to so many pages; returns how many. */
  write(pagesMax: number): number {
    let written = 0
    while (written < pagesMax) {
      const pageId = this.#pageIds.pop()
      if (pageId === undefined) break
      const from = this.#pageIds.length * FREE_EXTENTS_MAX
      const extents = this.#extents.slice(from, from + FREE_EXTENTS_MAX)
      const image = encodeFreePage(pageId, this.#written, extents)
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
function encodeFreePage(
  pageId: number,
  next: PageReference,
  extents: readonly (readonly [first: number, count: number])[],
): Buffer {
  const page = Buffer.alloc(PAGE_BYTES)
  page.writeUInt32LE(pageId, PAGE_ID_WORD * 4)
  page[PAGE_KIND_BYTE] = PageKind.freeList
  page.writeUInt32LE(next.pageId, FREE_NEXT_OFFSET)
  page.writeUInt32LE(next.checksum, FREE_NEXT_OFFSET + 4)
  page.writeUInt32LE(extents.length, FREE_EXTENT_COUNT_OFFSET)
  for (const [index, [first, count]] of extents.entries()) {
    const offset = FREE_EXTENTS_OFFSET + index * FREE_EXTENT_BYTES
    page.writeUInt32LE(first, offset)
    page.writeUInt32LE(count, offset + 4)
  }
  return page
}

/**
 * Reads and checks the list of a checkpoint.
 * @throws StoreCorruptError for a page that is not what its reference says, and for a list that contradicts
 * itself or the meta
 */
export function readFreeList(file: PageFile, meta: Meta): FreeList {
  const { pageCount, freeCount, directory } = meta
  const free = new PageIdSet()
  const pageIds: number[] = []
  const page = Buffer.alloc(PAGE_BYTES)
  let next = meta.freeList
  let end = FIRST_PAGE
  while (next.pageId !== NO_PAGE) {
    assertListPage(file, next, pageCount)
    file.readPage(next.pageId, next.checksum, page)
    const refuse = refuserAt(file, next.pageId)
    if (page[PAGE_KIND_BYTE] !== PageKind.freeList) {
      throw refuse(PAGE_KIND_BYTE, 'page kind', PageKind.freeList, page[PAGE_KIND_BYTE] ?? 0)
    }
    end = readExtents(page, free, end, meta, refuse)
    pageIds.push(next.pageId)
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
  return { free, pageIds }
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
): void {
  const place = { file: file.place, offset: pageId * PAGE_BYTES }
  if (pageId < FIRST_PAGE || pageId >= pageCount) {
    const expected = `from ${FIRST_PAGE} to ${pageCount - 1}`
    throw new StoreCorruptError(place, 'page id in the free list', expected, pageId)
  }
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
  if (count < 1 || count > FREE_EXTENTS_MAX) {
    const expected = `from 1 to ${FREE_EXTENTS_MAX}`
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
