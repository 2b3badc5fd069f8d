import { FaultStore, MemoryStore } from '@ringbolt/wal'
import { describe, expect, test } from 'vitest'
import { PAGE_BYTES } from '../page/page.ts'
import { PageFile, sealPage } from './page-file.ts'

/** A leaf with an id and some content. */
function pageOf(pageId: number, fill = pageId): Buffer {
  const page = Buffer.alloc(PAGE_BYTES, fill)
  page.writeUInt32LE(pageId, 4)
  page[8] = 1
  return page
}

function newFile(): { store: MemoryStore; file: PageFile } {
  const store = new MemoryStore('somewhere')
  return { store, file: new PageFile(store.create('app.db'), 'somewhere/app.db') }
}

function corrupt(what: string, facts: Record<string, unknown> = {}): unknown {
  const expected = { what, file: 'somewhere/app.db', ...facts }
  return expect.objectContaining({
    name: 'StoreCorruptError',
    facts: expect.objectContaining(expected),
  })
}

describe('page file', () => {
  test('reads back what was written, into shared memory too', () => {
    const { file } = newFile()
    const page = pageOf(3)
    const checksum = sealPage(page)
    expect(checksum).not.toBe(0)
    file.writePage(3, page)
    const target = new Uint8Array(new SharedArrayBuffer(PAGE_BYTES))
    file.readPage(3, checksum, target)
    expect(Buffer.compare(target, page)).toBe(0)
    file.readPage(3, 0, target.fill(0))
    expect(Buffer.compare(target, page)).toBe(0)
  })

  test('S10: every flipped byte of a page is found, and nothing of it gets out', () => {
    const { store, file } = newFile()
    const page = pageOf(2)
    const checksum = sealPage(page)
    file.writePage(2, page)
    const raw = store.open('app.db')
    const target = Buffer.alloc(PAGE_BYTES)
    for (let at = 0; at < PAGE_BYTES; at++) {
      const flipped = Buffer.from([(page[at] ?? 0) ^ (1 << (at % 8))])
      raw.writeAt(2 * PAGE_BYTES + at, [flipped])
      const error = corrupt('page checksum', { offset: 2 * PAGE_BYTES })
      expect(() => file.readPage(2, checksum, target)).toThrow(error)
      expect(() => file.readPage(2, 0, target)).toThrow(error)
      raw.writeAt(2 * PAGE_BYTES + at, [page.subarray(at, at + 1)])
    }
    expect(target.every((byte) => byte === 0)).toBe(true)
  })

  test('S10: a lost write, a misdirected one and a wrong kind are told apart', () => {
    const { file } = newFile()
    const target = Buffer.alloc(PAGE_BYTES)
    const old = pageOf(2, 1)
    sealPage(old)
    file.writePage(2, old)
    const wanted = sealPage(pageOf(2, 9))
    expect(() => file.readPage(2, wanted, target)).toThrow(
      corrupt("page checksum against the reference's"),
    )
    file.writePage(3, old)
    expect(() => file.readPage(3, 0, target)).toThrow(
      corrupt('page id', { offset: 3 * PAGE_BYTES, expected: 3, actual: 2 }),
    )
    for (const kind of [0, 6, 255]) {
      const page = pageOf(4)
      page[8] = kind
      file.writePage(4, (sealPage(page), page))
      expect(() => file.readPage(4, 0, target)).toThrow(corrupt('page kind', { actual: kind }))
    }
    expect(() => file.readPage(5, 0, target)).toThrow(
      corrupt('page length', { expected: PAGE_BYTES, actual: 0 }),
    )
    expect(() => file.readPage(2 ** 32 - 1, 0, target)).toThrow(corrupt('page length'))
    for (const meta of [0, 1]) {
      expect(() => file.readPage(meta, 0, target)).toThrow(corrupt('page id'))
    }
  })

  test('gathered pages go out sorted, neighbours in one call, the last of two versions last', () => {
    const faults = new FaultStore(new MemoryStore())
    const file = new PageFile(faults.create('app.db'))
    const target = Buffer.alloc(PAGE_BYTES)
    const seal = (pageId: number, fill: number): Buffer => {
      const page = pageOf(pageId, fill)
      sealPage(page)
      return page
    }
    file.gather(() => {
      for (const pageId of [9, 4, 8, 3, 12, 2]) file.writePage(pageId, seal(pageId, 1))
      file.writePage(8, seal(8, 2))
      expect(faults.count('write')).toBe(0)
      // Nothing is read past what is held back.
      file.readPage(9, 0, target)
    })
    expect(faults.count('write')).toBe(4)
    for (const pageId of [2, 3, 4, 8, 9, 12]) file.readPage(pageId, 0, target)
    file.readPage(8, 0, target)
    expect(target[100]).toBe(2)
    file.gather(() => {
      for (let pageId = 20; pageId < 320; pageId++) file.writePage(pageId, seal(pageId, 3))
    })
    expect(faults.count('write')).toBe(7)
    for (let pageId = 20; pageId < 320; pageId++) file.readPage(pageId, 0, target)
  })

  test('a failed write of gathered pages throws, and nothing of them is written later', () => {
    const faults = new FaultStore(new MemoryStore(), { call: 'write', nth: 1 })
    const file = new PageFile(faults.create('app.db'))
    const write = (): void => file.writePage(2, (sealPage(pageOf(2)), pageOf(2)))
    expect(() => file.gather(write)).toThrow(expect.objectContaining({ code: 'RINGBOLT_IO' }))
    file.gather(() => undefined)
    expect(file.lengthBytes).toBe(0)
  })
})
