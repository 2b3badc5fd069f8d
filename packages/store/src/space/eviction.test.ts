import { describe, expect, test } from 'vitest'
import { StoreCorruptError, StoreFullError } from '../errors.ts'
import { NOT_WRITTEN, PAGE_CHECKSUM_WORD, PAGE_WORDS } from '../page/page.ts'
import { freeThread } from './page-reader.ts'
import { Region } from './region.ts'
import { readNewest, SpaceBench } from './testing/space-bench.ts'
import {
  branchOf,
  childWord,
  contentOf,
  fillLeaf,
  leafOf,
  setChild,
} from './testing/space-doubles.ts'
import { want } from './wanted.ts'

/** A published branch over leaves with contents 0, 1, 2 …; more than the cache holds, if need be. */
function grow(bench: SpaceBench, leaves: number): number {
  const { space } = bench
  const children: number[] = []
  for (let content = 0; content < leaves; content++) {
    space.makeRoom(2)
    children.push(leafOf(space, content))
  }
  space.makeRoom(2)
  const root = branchOf(space, children)
  for (const child of children) {
    const frame = space.residentFrame(child)
    if (frame >= 0) space.writeBack(frame)
  }
  space.writeBack(space.locate(root, 0))
  bench.publish(root)
  return root
}

function childOf(bench: SpaceBench, root: number, index: number): [number, number] {
  const word = childWord(bench.space.locate(root, 0), index)
  return [bench.space.words[word]!, bench.space.words[word + 1]!]
}

describe('a cache smaller than the database', () => {
  test('S10: pages are spilled, evicted and read back, by the sequencer and by readers', () => {
    const bench = new SpaceBench(16)
    const { space } = bench
    const root = grow(bench, 100)
    expect(space.stats.spills).toBeGreaterThan(80)
    const reader = bench.reader()
    for (let index = 0; index < 100; index++) {
      space.makeRoom(2)
      const [child, checksum] = childOf(bench, root, index)
      expect(contentOf(space.words, space.locate(child, checksum))).toBe(index)
    }
    for (let index = 99; index >= 0; index--) {
      reader.enter()
      const word = childWord(reader.locate(reader.directory.pages[0]!, 0), index)
      const frame = reader.locate(reader.words[word]!, reader.words[word + 1]!)
      expect(contentOf(reader.words, frame)).toBe(index)
      reader.leave()
    }
  })

  test('S10: pages that readers missed are taken into memory', () => {
    const bench = new SpaceBench(16)
    const { space, file } = bench
    const root = grow(bench, 30)
    const reader = bench.reader()
    const children = Array.from({ length: 30 }, (_, index) => childOf(bench, root, index))
    const [child, checksum] = children.find(([id]) => space.residentFrame(id) < 0)!
    const before = file.reads
    reader.enter()
    const own = reader.locate(child, checksum)
    expect(own).toBeGreaterThanOrEqual(16)
    expect(reader.locate(child, checksum)).toBe(own)
    reader.leave()
    reader.enter()
    expect(reader.locate(child, checksum)).toBe(own)
    reader.leave()
    expect(file.reads).toBe(before + 1)
    space.makeRoom(4)
    for (let round = 0; round < 4 && space.stats.admissions === 0; round++) {
      space.admitWanted()
      // Used pages are passed once: the request was dropped, and is made again.
      reader.enter()
      reader.locate(child, 0)
      reader.leave()
    }
    expect(space.stats.admissions).toBe(1)
    reader.enter()
    expect(reader.locate(child, checksum)).toBeLessThan(16)
    reader.leave()
  })

  test('S10: the last 31 pages that a reader read itself stay where they are', () => {
    const bench = new SpaceBench(16)
    const root = grow(bench, 60)
    const reader = bench.reader()
    const children = Array.from({ length: 60 }, (_, index) => childOf(bench, root, index))
    const frames = new Map<number, number>()
    reader.enter()
    let index = 0
    for (const [child, checksum] of children) {
      if (bench.space.residentFrame(child) < 0 && frames.size < 31) {
        frames.set(index, reader.locate(child, checksum))
      }
      index++
    }
    expect(frames.size).toBe(31)
    expect(new Set(frames.values()).size).toBe(31)
    for (const [content, frame] of frames) expect(contentOf(reader.words, frame)).toBe(content)
    reader.leave()
  })

  test('S10: garbage among the requests is passed over', () => {
    const bench = new SpaceBench(16)
    const { space } = bench
    grow(bench, 30)
    const { memory } = new Region(bench.region)
    for (let round = 0; round < 400; round++) want(memory, (round * 0x9e37_79b1) >>> 0, round)
    for (let round = 0; round < 20; round++) space.admitWanted()
    expect(space.stats).toMatchObject({ readerMisses: 400, admissions: 0 })
    expect(space.stats.freeFrames).toBeGreaterThan(0)
  })

  test('S10: a page id that was used again is not taken for the page that stood there', () => {
    const bench = new SpaceBench(16)
    const { space } = bench
    const reader = bench.reader()
    const first = leafOf(space, 1)
    bench.publish(first)
    space.writeBack(space.locate(first, 0))
    evictAll(bench)
    expect(readNewest(reader)).toBe(1)
    space.makeRoom(4)
    bench.publish(leafOf(space, 2))
    space.retire(first)
    bench.publish(bench.directory.pages[0]!)
    space.reclaim()
    const again = leafOf(space, 3)
    expect(again).toBe(first)
    bench.publish(again)
    space.writeBack(space.locate(again, 0))
    evictAll(bench)
    expect(readNewest(reader)).toBe(3)
    // What was asked for by the first reader is gone: nothing is admitted for it but what is right.
    space.admitWanted()
    expect(readNewest(reader)).toBe(3)
  })

  test('S10: a page is evicted only when all references in memory hold its checksum', () => {
    const bench = new SpaceBench(16)
    const { space } = bench
    const leaf = leafOf(space, 1)
    const root = branchOf(space, [leaf])
    bench.publish(root)
    const newer = space.writable(root, 0)
    expect(() => space.writeBack(space.locate(root, 0))).toThrow(/have not been written/)
    const checksum = space.writeBack(space.locate(leaf, 0))
    expect(childOf(bench, newer, 0)).toEqual([leaf, 0])
    space.sweepReferences()
    expect(childOf(bench, newer, 0)).toEqual([leaf, checksum])
    expect(childOf(bench, root, 0)).toEqual([leaf, checksum])
    expect(space.writeBack(space.locate(root, 0))).toBeGreaterThan(0)
    expect(space.isDirty(space.locate(root, 0))).toBe(false)
  })

  test('S10: a reference made after its page was evicted is completed from the file', () => {
    const bench = new SpaceBench(16)
    const { space, file } = bench
    const leaf = leafOf(space, 7)
    space.writeBack(space.locate(leaf, 0))
    evictAll(bench)
    expect(space.residentFrame(leaf)).toBe(-1)
    space.makeRoom(2)
    const root = branchOf(space, [])
    space.words[space.locate(root, 0) * PAGE_WORDS + 5] = 1
    setChild(space, root, 0, leaf, 0)
    bench.publish(root)
    space.writeBack(space.locate(root, 0))
    expect(childOf(bench, root, 0)).toEqual([leaf, file.images.get(leaf)!.readUInt32LE(0)])
  })

  test('S10: a page of the working version that was written out is changed in place, and written again', () => {
    const bench = new SpaceBench(16)
    const { space, pageIds, file } = bench
    const leaf = leafOf(space, 1)
    const first = space.writeBack(space.locate(leaf, 0))
    expect(space.isWritable(space.locate(leaf, 0))).toBe(false)
    expect(space.writable(leaf, first)).toBe(leaf)
    const frame = space.locate(leaf, NOT_WRITTEN)
    expect(space.isWritable(frame)).toBe(true)
    expect(space.words[frame * PAGE_WORDS + PAGE_CHECKSUM_WORD]).toBe(NOT_WRITTEN)
    expect(contentOf(space.words, frame)).toBe(1)
    space.words[frame * PAGE_WORDS + 100]! ^= 1
    expect(space.writeBack(frame)).not.toBe(first)
    expect(file.images.get(leaf)!.readUInt32LE(0)).toBe(space.words[frame * PAGE_WORDS])
    expect(pageIds.taken).toEqual(new Set([leaf]))
  })

  test('S10: births are remembered while a page is away', () => {
    const bench = new SpaceBench(16)
    const { space, pageIds } = bench
    const leaf = leafOf(space, 1)
    const born = bench.publish(leaf)
    space.writeBack(space.locate(leaf, 0))
    evictAll(bench)
    space.retire(leaf)
    bench.publish(leafOf(space, 2))
    space.reclaim()
    expect(pageIds.released).toContainEqual({ pageId: leaf, birth: born, retired: born + 1 })
  })

  test('S8: a directory learns the checksum of a page that is written and evicted', () => {
    const bench = new SpaceBench(16)
    const { space, file } = bench
    const root = leafOf(space, 1)
    bench.publish(root)
    const pin = space.pinPublished()
    space.writeBack(space.locate(root, 0))
    evictAll(bench)
    const checksum = file.images.get(root)!.readUInt32LE(0)
    expect(pin.directory.checksums[0]).toBe(checksum)
    bench.publish(root)
    expect(space.pinPublished().directory.checksums[0]).toBe(checksum)
  })
})

/** Fills the cache with pages that go away again: what was clean before is evicted. */
function evictAll(bench: SpaceBench): void {
  const { space } = bench
  const filling: number[] = []
  for (let round = 0; round < 3; round++) {
    for (let page = 0; page < space.stats.frames; page++) {
      space.makeRoom(2)
      filling.push(leafOf(space, 0))
    }
  }
  for (const page of filling) space.retire(page)
  space.reclaim()
}

describe('making room', () => {
  test('S10: in memory nothing is evicted; when it is full that is said, and it goes on after a deletion', () => {
    const bench = new SpaceBench(16, { inMemory: true })
    const { space } = bench
    const pages = Array.from({ length: 13 }, (_, content) => leafOf(space, content))
    bench.publish(pages[0]!)
    space.makeRoom(3)
    expect(() => space.makeRoom(4)).toThrow(StoreFullError)
    space.retire(pages[12]!)
    bench.publish(pages[0]!)
    space.makeRoom(4)
    expect(space.stats.spills).toBe(0)
    expect(readNewest(bench.reader())).toBe(0)
    expect(() => space.locate(999, 0)).toThrow(StoreCorruptError)
  })

  test('S10: in memory a reader that holds retired pages is waited for, a snapshot only for a moment', () => {
    const bench = new SpaceBench(16, { inMemory: true })
    const { space } = bench
    const pages = Array.from({ length: 15 }, (_, content) => leafOf(space, content))
    bench.publish(pages[0]!)
    const reader = bench.reader()
    reader.enter()
    for (const page of pages.slice(2)) space.retire(page)
    bench.publish(pages[0]!)
    bench.onPause = () => {
      if (bench.pauses === 3) reader.leave()
    }
    space.makeRoom(12)
    expect(bench.pauses).toBe(3)
    const pin = reader.pin()
    space.retire(pages[1]!)
    bench.publish(pages[0]!)
    expect(() => space.makeRoom(15)).toThrow(StoreFullError)
    expect(bench.pauses).toBeLessThan(30)
    reader.unpin(pin)
    space.makeRoom(15)
  })

  test('S10: a reader that holds frames is waited for', () => {
    const bench = new SpaceBench(16)
    const { space } = bench
    grow(bench, 20)
    const reader = bench.reader()
    reader.enter()
    bench.onPause = () => {
      if (bench.pauses === 3) reader.leave()
    }
    space.makeRoom(12)
    expect(space.stats.freeFrames).toBeGreaterThanOrEqual(12)
    expect(bench.pauses).toBe(3)
  })

  test('S11: one that died is waited for until it is freed, or for a bounded time', () => {
    const bench = new SpaceBench(16)
    const { space } = bench
    grow(bench, 20)
    bench.reader(7).enter()
    expect(() => space.makeRoom(12)).toThrow(StoreFullError)
    expect(bench.pauses).toBe(30_000)
    freeThread(bench.region, 7)
    space.makeRoom(12)
    expect(space.stats.freeFrames).toBeGreaterThanOrEqual(12)
  })

  test('S10: an operation that takes more than it said is stopped', () => {
    const { space } = new SpaceBench(4)
    for (let page = 0; page < 4; page++) leafOf(space, page)
    expect(() => space.allocate()).toThrow(/more pages than room was made for/)
    space.makeRoom(4)
    expect(space.stats.freeFrames).toBe(4)
  })

  test('S10: changing every page of a large database again and again, checked against a model', () => {
    const bench = new SpaceBench(24)
    const { space } = bench
    let root = grow(bench, 80)
    const model = Array.from({ length: 80 }, (_, index) => index)
    const reader = bench.reader()
    for (let step = 0; step < 2000; step++) {
      const index = (step * 37) % 80
      space.makeRoom(8)
      root = space.writable(root, 0)
      const [child, checksum] = childOf(bench, root, index)
      const copy = space.writable(child, checksum)
      fillLeaf(space, copy, step + 1000)
      model[index] = step + 1000
      if (copy !== child) setChild(space, root, index, copy, 0)
      if (step % 3 === 0) {
        bench.publish(root)
        space.reclaim()
        space.admitWanted()
        reader.enter()
        const at = (step * 11) % 80
        const word = childWord(reader.locate(root, reader.directory.checksums[0]!), at)
        const frame = reader.locate(reader.words[word]!, reader.words[word + 1]!)
        expect(contentOf(reader.words, frame)).toBe(model[at])
        reader.leave()
      }
    }
    expect(bench.pageIds.taken.size).toBeLessThan(90)
    expect(space.stats.evictions).toBeGreaterThan(1000)
  })
})
