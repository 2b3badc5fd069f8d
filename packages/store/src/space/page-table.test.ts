import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { PAGE_BYTES, PAGE_ID_WORD, PAGE_WORDS } from '../page/page.ts'
import { NOT_RESIDENT, PageTable } from './page-table.ts'
import { createRegion, Region } from './region.ts'

function tableOf(frames: number): { table: PageTable; region: Region } {
  const cacheBytes = frames * PAGE_BYTES
  const region = new Region(createRegion({ cacheBytes, readersMax: 1, pinsMax: 1 }))
  const { memory, control, words, layout } = region
  return { region, table: new PageTable(memory, control, words, layout) }
}

describe('page table', () => {
  test('S10: finds exactly what is in it, however full its buckets are (against a Map)', () => {
    // Multiples of 2^29 share a home with many others.
    const pageId = fc.oneof(
      fc.integer({ min: 2, max: 40 }),
      fc.integer({ min: 1, max: 7 }).map((high) => (high * 2 ** 29) >>> 0),
      fc.integer({ min: 2, max: 0xffff_ffff }),
    )
    fc.assert(
      fc.property(fc.array(pageId, { maxLength: 200 }), (pageIds) => {
        const { table, region } = tableOf(64)
        const model = new Map<number, number>()
        const free = Array.from({ length: 64 }, (_, frame) => frame)
        for (const id of pageIds) {
          const held = model.get(id)
          expect(table.find(id)).toBe(held ?? NOT_RESIDENT)
          if (held !== undefined) {
            table.remove(id, held)
            model.delete(id)
            free.push(held)
          } else if (free.length > 0) {
            const frame = free.pop()!
            region.words[frame * PAGE_WORDS + PAGE_ID_WORD] = id
            table.insert(id, frame)
            model.set(id, frame)
          }
        }
        for (const id of pageIds) expect(table.find(id)).toBe(model.get(id) ?? NOT_RESIDENT)
      }),
    )
  })

  test('S10: pages with one home overflow into the next buckets and are found there', () => {
    const { table, region } = tableOf(64)
    const sameHome: number[] = []
    const multiplier = 0x9e37_79b1
    for (let id = 2; sameHome.length < 40; id++) {
      if (Math.imul(id, multiplier) >>> 28 === 15) sameHome.push(id)
    }
    for (const [frame, id] of sameHome.entries()) {
      region.words[frame * PAGE_WORDS + PAGE_ID_WORD] = id
      table.insert(id, frame)
    }
    for (const [frame, id] of sameHome.entries()) expect(table.find(id)).toBe(frame)
    for (const [frame, id] of sameHome.slice(0, 20).entries()) table.remove(id, frame)
    for (const [frame, id] of sameHome.entries()) {
      expect(table.find(id)).toBe(frame < 20 ? NOT_RESIDENT : frame)
    }
    for (const [frame, id] of sameHome.entries()) if (frame >= 20) table.remove(id, frame)
    expect(() => table.remove(2, 0)).toThrow(/not in the table/)
    const { wordTable, buckets } = region.layout
    expect(region.control.subarray(wordTable, wordTable + buckets * 16).every((w) => w === 0)).toBe(
      true,
    )
  })

  test('sizes out of bounds are refused', () => {
    const sizes = { cacheBytes: 64 * PAGE_BYTES, readersMax: 1, pinsMax: 1 }
    expect(() => createRegion({ ...sizes, cacheBytes: PAGE_BYTES })).toThrow(RangeError)
    expect(() => createRegion({ ...sizes, readersMax: 0 })).toThrow(/readersMax .* not 0/)
    expect(() => createRegion({ ...sizes, pinsMax: 1.5 })).toThrow(RangeError)
    expect(() => createRegion({ ...sizes, cacheBytes: 2 ** 32 })).toThrow(/is the most/)
    expect(() => new Region(new SharedArrayBuffer(8192))).toThrow(/not a region/)
  })
})
