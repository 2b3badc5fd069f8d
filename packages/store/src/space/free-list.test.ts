import { MemoryStore } from '@ringbolt/wal'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { FIRST_PAGE, PAGE_BYTES } from '../page/page.ts'
import {
  extentCountOf,
  extentsBelow,
  FreeListWriter,
  freeListPages,
  readFreeList,
} from './free-list.ts'
import * as layout from './main-layout.ts'
import { type Meta, NO_REFERENCE } from './meta.ts'
import { PageFile, sealPage } from './page-file.ts'
import { PageIdSet } from './page-ids-set.ts'

function newFile(): PageFile {
  return new PageFile(new MemoryStore().create('app.db'))
}

function metaOf(facts: Partial<Meta>): Meta {
  const id = new Uint8Array(16)
  const numbers = {
    checkpoint: 0,
    sequence: 0,
    logLsn: 0,
    baseSequence: 0,
    pageCount: 2,
    freeCount: 0,
  }
  const ids = { databaseId: id, logId: id, clean: true }
  return { ...numbers, ...ids, freeList: NO_REFERENCE, directory: [], ...facts }
}

/** The set written behind its last member, and the meta that says so. */
function written(file: PageFile, free: PageIdSet, end: number, pagesMax = 3): Meta {
  const { pairs, freeCount, pageCount } = extentsBelow(free, end)
  const needed = freeListPages(pairs.length / 2)
  const places = Array.from({ length: needed }, (_, index) => pageCount + index)
  const writer = new FreeListWriter(file, pairs, places)
  while (!writer.isDone) expect(writer.write(pagesMax)).toBeGreaterThan(0)
  return metaOf({ pageCount: pageCount + needed, freeCount, freeList: writer.reference })
}

describe('S8: the free list', () => {
  test('survives, in as many pages as it needs', () => {
    const id = fc.integer({ min: FIRST_PAGE, max: 40_000 })
    fc.assert(
      fc.property(fc.uniqueArray(id, { maxLength: 3000, size: 'max' }), (ids) => {
        const file = newFile()
        const free = new PageIdSet()
        for (const pageId of ids) free.add(pageId)
        const meta = written(file, free, 40_002)
        const read = readFreeList(file, meta)
        expect(extentsBelow(read.free, 40_003)).toEqual(extentsBelow(free, 40_003))
        expect(read.pageIds).toHaveLength(freeListPages(extentCountOf(free)))
      }),
      { numRuns: 40 },
    )
  })

  test('what is free at the end is no longer part of the file', () => {
    const free = new PageIdSet()
    for (const pageId of [5, 8, 9]) free.add(pageId)
    const extents = extentsBelow(free, 10)
    expect(extents).toEqual({ pairs: Uint32Array.of(5, 1), freeCount: 1, pageCount: 8 })
    expect(extentsBelow(new PageIdSet(), 10).pageCount).toBe(10)
  })

  test('every flipped byte of its pages is found', () => {
    const store = new MemoryStore()
    const raw = store.create('app.db')
    const file = new PageFile(raw)
    const free = new PageIdSet()
    for (let pageId = 2; pageId < 2 * layout.FREE_EXTENTS_MAX + 9; pageId += 2) free.add(pageId)
    const meta = written(file, free, 3000)
    const { pageIds } = readFreeList(file, meta)
    expect(pageIds).toHaveLength(2)
    const byte = Buffer.alloc(1)
    for (const pageId of pageIds) {
      for (let at = 0; at < PAGE_BYTES; at += at < 64 ? 1 : 37) {
        const position = pageId * PAGE_BYTES + at
        raw.readAt(position, byte)
        raw.writeAt(position, [Buffer.from([(byte[0] ?? 0) ^ 4])])
        expect(() => readFreeList(file, meta)).toThrow(
          expect.objectContaining({ code: 'RINGBOLT_CORRUPT' }),
        )
        raw.writeAt(position, [byte])
      }
    }
  })

  interface Forged {
    readonly next?: readonly [pageId: number, checksum: number]
    readonly count?: number
    readonly extents?: readonly (readonly [number, number])[]
    readonly kind?: number
  }

  /** A page on purpose wrong, with a checksum that fits. */
  function forge(
    file: PageFile,
    pageId: number,
    forged: Forged,
  ): { pageId: number; checksum: number } {
    const page = Buffer.alloc(PAGE_BYTES)
    page.writeUInt32LE(pageId, 4)
    page[8] = forged.kind ?? 5
    const [nextId, nextChecksum] = forged.next ?? [0, 0]
    page.writeUInt32LE(nextId, layout.FREE_NEXT_OFFSET)
    page.writeUInt32LE(nextChecksum, layout.FREE_NEXT_OFFSET + 4)
    const extents = forged.extents ?? []
    page.writeUInt32LE(forged.count ?? extents.length, layout.FREE_EXTENT_COUNT_OFFSET)
    for (const [index, [first, count]] of extents.entries()) {
      page.writeUInt32LE(first, layout.FREE_EXTENTS_OFFSET + index * 8)
      page.writeUInt32LE(count, layout.FREE_EXTENTS_OFFSET + index * 8 + 4)
    }
    const checksum = sealPage(page)
    file.writePage(pageId, page)
    return { pageId, checksum }
  }

  test('one that was made to loop, to overlap, or to claim what is not there is refused', () => {
    const wrong: Record<string, Forged & { readonly freeCount?: number }> = {
      'page id in the free list': { next: [9, 1] },
      'number of extents': { count: 2 ** 32 - 1 },
      'first id of an extent': {
        extents: [
          [5, 2],
          [6, 1],
        ],
      },
      'length of an extent': { extents: [[5, 2 ** 32 - 1]] },
      'free pages in the list': { extents: [[5, 1]], freeCount: 2 },
      'page kind': { kind: 1 },
      'checksum in the free list': { next: [8, 0] },
      page: { extents: [[9, 1]] },
    }
    for (const [what, { freeCount = 3, ...forged }] of Object.entries(wrong)) {
      const file = newFile()
      const freeList = forge(file, 9, forged)
      const exact = what === 'page' ? 1 : freeCount
      const meta = metaOf({ pageCount: 10, freeCount: exact, freeList })
      expect(() => readFreeList(file, meta)).toThrow(
        expect.objectContaining({
          name: 'StoreCorruptError',
          facts: expect.objectContaining({ what, file: 'app.db' }),
        }),
      )
    }
    for (const extents of [[[1, 1]], [[10, 1]], [[9, 2]]] as const) {
      const file = newFile()
      const freeList = forge(file, 8, { extents })
      const meta = metaOf({ pageCount: 10, freeCount: 2, freeList })
      expect(() => readFreeList(file, meta)).toThrow('extent')
    }
  })

  test('a directory page that is called free is refused', () => {
    const file = newFile()
    const freeList = forge(file, 9, { extents: [[4, 2]] })
    const directory = [{ pageId: 5, checksum: 1 }]
    const meta = metaOf({ pageCount: 10, freeCount: 2, freeList, directory })
    expect(() => readFreeList(file, meta)).toThrow('in the free list')
  })
})
