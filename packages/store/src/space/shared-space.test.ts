import { describe, expect, test } from 'vitest'
import { SnapshotExpiredError, StoreClosedError, StoreFullError } from '../errors.ts'
import { PAGE_BYTES, PAGE_WORDS } from '../page/page.ts'
import type { RegionSizes } from './layout.ts'
import { freeThread, PageReader, takeReaderSlot } from './page-reader.ts'
import { type DirectoryReferences, emptyDirectory } from './published.ts'
import { createRegion } from './region.ts'
import { SharedSpace } from './shared-space.ts'
import {
  branchOf,
  childWord,
  contentOf,
  fillLeaf,
  forEachReference,
  leafOf,
  MemoryPages,
  PlainPageIds,
  setChild,
} from './testing/space-doubles.ts'

class Bench {
  readonly region: SharedArrayBuffer
  readonly pageIds: PlainPageIds = new PlainPageIds()
  readonly file: MemoryPages | undefined
  readonly space: SharedSpace
  readonly directory: DirectoryReferences = emptyDirectory()
  sequence = 0
  pauses = 0
  onPause: () => void = () => undefined
  #threads = 0

  constructor(frames: number, options: Partial<RegionSizes> & { inMemory?: boolean } = {}) {
    const sizes = { readersMax: 4, pinsMax: 8, ...options, cacheBytes: frames * PAGE_BYTES }
    this.region = createRegion(sizes)
    this.file = options.inMemory === true ? undefined : new MemoryPages()
    this.space = new SharedSpace(this.region, this.file, this.pageIds, forEachReference, {
      pause: () => {
        this.pauses++
        this.onPause()
      },
    })
  }

  reader(threadId = this.#threads++): PageReader {
    const slot = takeReaderSlot(this.region, threadId)
    return new PageReader(this.region, slot, this.file)
  }

  /** The root is directory reference 0. */
  publish(root: number): number {
    this.directory.pages[0] = root
    const version = this.space.seal()
    this.space.publish(version, ++this.sequence, this.directory)
    return version
  }
}

function rootContent(reader: PageReader): number {
  const frame = reader.locate(reader.directory.pages[0]!, reader.directory.checksums[0]!)
  return contentOf(reader.words, frame)
}

function read(reader: PageReader): number {
  reader.enter()
  try {
    return rootContent(reader)
  } finally {
    reader.leave()
  }
}

describe('versions', () => {
  test('S5: pages of the working version are changed in place, published ones are copied', () => {
    const bench = new Bench(16)
    const { space } = bench
    const reader = bench.reader()
    const first = leafOf(space, 1)
    expect(space.writable(first, 0)).toBe(first)
    bench.publish(first)
    expect(read(reader)).toBe(1)
    expect(space.isWritable(space.locate(first, 0))).toBe(false)
    const second = space.writable(first, 0)
    expect(second).not.toBe(first)
    expect(space.words[space.locate(second, 0) * PAGE_WORDS + 1]).toBe(second)
    fillLeaf(space, second, 2)
    expect(read(reader)).toBe(1)
    bench.publish(second)
    expect(read(reader)).toBe(2)
    expect(reader.sequence).toBe(2)
    expect(space.stats.retiredWaiting).toBe(1)
    space.reclaim()
    expect(bench.pageIds.released).toEqual([{ pageId: first, birth: 2, retired: 3 }])
  })
})
