import { describe, expect, test } from 'vitest'
import { SnapshotExpiredError, StoreClosedError, StoreFullError } from '../errors.ts'
import { PAGE_WORDS } from '../page/page.ts'
import { freeThread, PageReader, takeReaderSlot } from './page-reader.ts'
import { readNewest, rootContent, SpaceBench } from './testing/space-bench.ts'
import { contentOf, fillLeaf, leafOf } from './testing/space-doubles.ts'
import { VERSIONS_SPAN } from './versions.ts'

/** Publishes a copy of the root with another content; returns the root's id. */
function rewrite(bench: SpaceBench, root: number, content: number): number {
  bench.space.makeRoom(2)
  const copy = bench.space.writable(root, 0)
  fillLeaf(bench.space, copy, content)
  bench.publish(copy)
  return copy
}

describe('versions', () => {
  test('S5: pages of the working version are changed in place, published ones are copied', () => {
    const bench = new SpaceBench(16)
    const { space } = bench
    const reader = bench.reader()
    const first = leafOf(space, 1)
    expect(space.writable(first, 0)).toBe(first)
    bench.publish(first)
    expect(readNewest(reader)).toBe(1)
    expect(space.isWritable(space.locate(first, 0))).toBe(false)
    const second = space.writable(first, 0)
    expect(second).not.toBe(first)
    expect(space.words[space.locate(second, 0) * PAGE_WORDS + 1]).toBe(second)
    fillLeaf(space, second, 2)
    expect(readNewest(reader)).toBe(1)
    bench.publish(second)
    expect(readNewest(reader)).toBe(2)
    expect(reader.sequence).toBe(2)
    expect(space.stats.retiredWaiting).toBe(1)
    space.reclaim()
    expect(bench.pageIds.released).toEqual([{ pageId: first, birth: 2, retired: 3 }])
    expect(space.stats).toMatchObject({ retiredWaiting: 0, freeFrames: 15, limboFrames: 0 })
  })

  test('S5: several versions may be sealed before the first of them is published', () => {
    const bench = new SpaceBench(16)
    const { space, directory } = bench
    const reader = bench.reader()
    let root = leafOf(space, 1)
    bench.publish(root)
    const sealed = [2, 3, 4].map((content) => {
      root = space.writable(root, 0)
      fillLeaf(space, root, content)
      return { version: space.seal(), root, content }
    })
    expect(readNewest(reader)).toBe(1)
    for (const { version, root: page, content } of sealed) {
      directory.pages[0] = page
      space.publish(version, content, directory)
      expect(readNewest(reader)).toBe(content)
      space.reclaim()
      // What the versions to come have retired stays.
      expect(space.stats.retiredWaiting).toBe(4 - content)
    }
  })

  test('S5: a page that was made and retired in one version is free at once', () => {
    const { space, pageIds } = new SpaceBench(16)
    const page = leafOf(space, 1)
    space.retire(page)
    expect(pageIds.released).toEqual([{ pageId: page, birth: 2, retired: 2 }])
    expect(space.residentFrame(page)).toBe(-1)
    expect(leafOf(space, 2)).toBe(page)
  })

  test.each([0x7fff_fffd, -3, VERSIONS_SPAN / 4 - 3])(
    'S5: versions go on past %i',
    (firstVersion) => {
      const bench = new SpaceBench(16, { firstVersion })
      const { space } = bench
      const reader = bench.reader()
      let root = leafOf(space, 0)
      bench.publish(root)
      const pin = reader.pin()
      for (let content = 1; content <= 10; content++) {
        root = rewrite(bench, root, content)
        space.reclaim()
        expect(readNewest(reader)).toBe(content)
        expect(space.stats).toMatchObject({ retiredWaiting: 1, oldestVersion: pin.version })
        reader.enterPinned(pin)
        expect(rootContent(reader)).toBe(0)
        reader.leave()
      }
      reader.unpin(pin)
      space.reclaim()
      expect(space.stats.retiredWaiting).toBe(0)
      expect(bench.pageIds.taken.size).toBe(1)
    },
  )

  test('S5: a reader that was lapped between version and block enters again', () => {
    const bench = new SpaceBench(16, { publishedBlocks: 2 })
    const reader = bench.reader()
    let root = leafOf(bench.space, 0)
    bench.publish(root)
    for (let content = 1; content < 5; content++) {
      root = rewrite(bench, root, content)
      expect(readNewest(reader)).toBe(content)
      bench.space.reclaim()
    }
  })
})

describe('readers', () => {
  test('S5: reads do not nest, and a closed reader is closed', () => {
    const bench = new SpaceBench(16)
    const reader = bench.reader()
    bench.publish(leafOf(bench.space, 1))
    const pin = reader.pin()
    reader.enter()
    expect(() => reader.enter()).toThrow(/do not nest/)
    expect(() => reader.enterPinned(pin)).toThrow(/do not nest/)
    expect(() => reader.pin()).toThrow(/do not nest/)
    reader.leave()
    reader.unpin(pin)
    expect(() => reader.enterPinned(pin)).toThrow(StoreClosedError)
    reader.unpin(pin)
    const left = reader.pin()
    reader.close()
    reader.close()
    expect(() => reader.enter()).toThrow(StoreClosedError)
    reader.unpin(left)
    expect(bench.space.stats.pins).toBe(0)
  })

  test('S5: a page stays as long as a reader is inside, and its frame as long as it may look at it', () => {
    const bench = new SpaceBench(16)
    const { space } = bench
    const reader = bench.reader()
    const root = leafOf(space, 1)
    bench.publish(root)
    reader.enter()
    const frame = reader.locate(root, 0)
    rewrite(bench, root, 2)
    space.reclaim()
    expect(space.stats.retiredWaiting).toBe(1)
    expect(contentOf(reader.words, frame)).toBe(1)
    reader.leave()
    space.reclaim()
    expect(space.stats).toMatchObject({ retiredWaiting: 0, limboFrames: 0 })
  })

  test('S5: a reader that is inside whenever it is looked at is asked, and answers', () => {
    const bench = new SpaceBench(16)
    const { space } = bench
    const reader = bench.reader()
    const root = leafOf(space, 1)
    bench.publish(root)
    reader.enter()
    space.retire(leafOf(space, 2))
    space.reclaim()
    expect(space.stats.limboFrames).toBe(1)
    reader.leave()
    reader.enter()
    space.reclaim()
    expect(space.stats.limboFrames).toBe(0)
    reader.leave()
  })

  test('S11: slots are taken, given back, and refused when there are none', () => {
    const bench = new SpaceBench(16, { readersMax: 2 })
    const first = bench.reader(7)
    bench.reader(8)
    expect(() => bench.reader(9)).toThrow(StoreFullError)
    first.close()
    bench.reader(9)
    expect(() => new PageReader(bench.region, 5, undefined)).toThrow(RangeError)
  })

  test('S11: a thread that died inside a read holds pages until it is freed, pins included', () => {
    const bench = new SpaceBench(16)
    const { space } = bench
    const reader = bench.reader(7)
    let root = leafOf(space, 1)
    bench.publish(root)
    reader.pin()
    root = rewrite(bench, root, 2)
    reader.enter()
    rewrite(bench, root, 3)
    space.reclaim()
    expect(space.stats).toMatchObject({ retiredWaiting: 2, pins: 1 })
    freeThread(bench.region, 8)
    space.reclaim()
    expect(space.stats.retiredWaiting).toBe(2)
    freeThread(bench.region, 7)
    space.reclaim()
    expect(space.stats).toMatchObject({ retiredWaiting: 0, pins: 0, limboFrames: 0 })
    expect(takeReaderSlot(bench.region, 9)).toBe(0)
  })
})

describe('pins', () => {
  test('S5: an old snapshot reads the same while newer states come and go, and keeps only its own', () => {
    const bench = new SpaceBench(16)
    const { space } = bench
    const reader = bench.reader()
    let root = leafOf(space, 0)
    bench.publish(root)
    const pin = reader.pin()
    for (let content = 1; content < 50; content++) {
      root = rewrite(bench, root, content)
      space.reclaim()
      reader.enterPinned(pin)
      expect(rootContent(reader)).toBe(0)
      expect(reader.sequence).toBe(1)
      reader.leave()
      expect(space.stats).toMatchObject({ retiredWaiting: 1, pins: 1 })
    }
    expect(bench.pageIds.taken.size).toBe(2)
    reader.unpin(pin)
    space.reclaim()
    expect(bench.pageIds.taken.size).toBe(1)
  })

  test('S5: as many as there are; more are refused and nothing is lost', () => {
    const bench = new SpaceBench(16, { pinsMax: 3 })
    const reader = bench.reader()
    bench.publish(leafOf(bench.space, 1))
    const pins = [reader.pin(), reader.pin(), reader.pin()]
    expect(() => reader.pin()).toThrow(StoreFullError)
    expect(readNewest(reader)).toBe(1)
    for (const pin of pins) reader.unpin(pin)
    for (let round = 0; round < 100; round++) reader.unpin(reader.pin())
    expect(bench.space.stats.pins).toBe(0)
    reader.close()
    const other = bench.reader()
    expect([other.pin(), other.pin(), other.pin()]).toHaveLength(3)
  })

  test('S5: one that is too old is revoked, with a named error, and frees what it held', () => {
    const bench = new SpaceBench(16)
    const { space } = bench
    const reader = bench.reader()
    let root = leafOf(space, 0)
    bench.publish(root)
    space.revokePinsOlderThan(1000, 0)
    const idle = reader.pin()
    // Nothing newer was published: it is as young as ever.
    expect(space.revokePinsOlderThan(1000, 1_000_000)).toBe(0)
    root = rewrite(bench, root, 1)
    expect(space.revokePinsOlderThan(1000, 1_000_500)).toBe(0)
    const young = reader.pin()
    rewrite(bench, root, 2)
    expect(space.revokePinsOlderThan(1000, 1_001_499)).toBe(0)
    expect(space.revokePinsOlderThan(1000, 1_001_500)).toBe(1)
    expect(() => reader.enterPinned(idle)).toThrow(SnapshotExpiredError)
    expect(() => reader.enterPinned(idle)).toThrow(/1000 ms/)
    reader.enterPinned(young)
    expect(rootContent(reader)).toBe(1)
    reader.leave()
    space.reclaim()
    expect(space.stats).toMatchObject({ retiredWaiting: 1, pinsRevoked: 1 })
    reader.unpin(idle)
    reader.unpin(young)
    space.reclaim()
    expect(space.stats.retiredWaiting).toBe(0)
  })

  test('S8: the sequencer’s own pin keeps a version for a checkpoint', () => {
    const bench = new SpaceBench(16)
    const { space } = bench
    const root = leafOf(space, 0)
    const version = bench.publish(root)
    const pin = space.pinPublished()
    expect(pin).toMatchObject({ version, sequence: 1 })
    rewrite(bench, root, 1)
    space.reclaim()
    expect(pin.directory.pages[0]).toBe(root)
    const waiting: number[] = []
    space.forEachRetired((pageId) => waiting.push(pageId))
    expect(waiting).toEqual([root])
    space.unpin(pin)
    space.reclaim()
    expect(space.stats.retiredWaiting).toBe(0)
  })
})
