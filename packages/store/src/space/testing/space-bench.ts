/** A region with its space, and readers in the same thread. */
import { PAGE_BYTES } from '../../page/page.ts'
import type { RegionSizes } from '../layout.ts'
import { PageReader, takeReaderSlot } from '../page-reader.ts'
import { type DirectoryReferences, emptyDirectory } from '../published.ts'
import { createRegion } from '../region.ts'
import { SharedSpace } from '../shared-space.ts'
import { contentOf, forEachReference, MemoryPages, PlainPageIds } from './space-doubles.ts'

interface BenchOptions extends Partial<RegionSizes> {
  readonly inMemory?: boolean
}

export class SpaceBench {
  readonly region: SharedArrayBuffer
  readonly pageIds: PlainPageIds = new PlainPageIds()
  readonly file: MemoryPages = new MemoryPages()
  readonly space: SharedSpace
  readonly directory: DirectoryReferences = emptyDirectory()
  sequence = 0
  pauses = 0
  onPause: () => void = () => undefined
  readonly #inMemory: boolean
  #threads = 0

  constructor(frames: number, { inMemory = false, ...sizes }: BenchOptions = {}) {
    this.#inMemory = inMemory
    this.region = createRegion({
      readersMax: 4,
      pinsMax: 8,
      ...sizes,
      cacheBytes: frames * PAGE_BYTES,
    })
    const file = inMemory ? undefined : this.file
    this.space = new SharedSpace(this.region, file, this.pageIds, forEachReference, {
      pause: () => {
        this.pauses++
        this.onPause()
      },
    })
  }

  reader(threadId: number = this.#threads++): PageReader {
    const slot = takeReaderSlot(this.region, threadId)
    return new PageReader(this.region, slot, this.#inMemory ? undefined : this.file)
  }

  /** The root is reference 0 of the directory. */
  publish(root: number): number {
    this.directory.pages[0] = root
    this.directory.checksums[0] = 0
    const version = this.space.seal()
    this.space.publish(version, ++this.sequence, this.directory)
    return version
  }
}

/** The content of the leaf that is the root; to be called inside a read. */
export function rootContent(reader: PageReader): number {
  const { pages, checksums } = reader.directory
  return contentOf(reader.words, reader.locate(pages[0]!, checksums[0]!))
}

export function readNewest(reader: PageReader): number {
  reader.enter()
  try {
    return rootContent(reader)
  } finally {
    reader.leave()
  }
}
