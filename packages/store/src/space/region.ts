/**
 * The shared region as an object: made once by the sequencer's owner, opened by every thread.
 *
 * `memory` is how its words are accessed atomically. The plain views are for what is hot: frames, the page
 * table as readers see it, the bytes by which they tell what they use; `page-table.ts` says why plain
 * reads of the table are sound, `reader-slots.ts` why those of frames are.
 */
import { AtomicsMemory, type SharedMemory } from '@ringbolt/ring'
import { PAGE_BYTES, PAGE_WORDS } from '../page/page.ts'
import {
  PUBLISHED_BLOCKS,
  REGION_LAYOUT_VERSION,
  REGION_MAGIC,
  type RegionLayout,
  type RegionSizes,
  regionLayout,
  WORD_LAYOUT_VERSION,
  WORD_MAGIC,
  WORD_PINS_MAX,
  WORD_PUBLISHED_BLOCKS,
  WORD_READERS_MAX,
  WORD_SHARED_FRAMES,
  WORD_VERSION,
} from './layout.ts'
import { formatPublished } from './published.ts'

/** Words that are read by plain loads. A typed array; the model checker hands in its own. */
export interface PlainWords {
  readonly [index: number]: number
}

export class Region {
  readonly buffer: SharedArrayBuffer
  readonly layout: RegionLayout
  readonly memory: SharedMemory
  /** All words before the frames, for plain loads. */
  readonly control: Int32Array
  readonly referenced: Uint8Array
  /** The frames, shared ones first. */
  readonly bytes: Buffer
  readonly words: Uint32Array

  /** @throws RangeError when that is not a region of this release */
  constructor(buffer: SharedArrayBuffer) {
    const memory = new AtomicsMemory(buffer)
    const layout = layoutOf(memory)
    this.buffer = buffer
    this.memory = memory
    this.layout = layout
    this.control = new Int32Array(buffer, 0, layout.byteReferenced / 4)
    this.referenced = new Uint8Array(buffer, layout.byteReferenced, layout.sharedFrames)
    const framesBytes = layout.framesTotal * PAGE_BYTES
    this.bytes = Buffer.from(buffer, layout.byteFrames, framesBytes)
    this.words = new Uint32Array(buffer, layout.byteFrames, layout.framesTotal * PAGE_WORDS)
  }
}

/** @throws RangeError for sizes out of bounds */
export function createRegion(sizes: RegionSizes): SharedArrayBuffer {
  const layout = layoutOfSizes(sizes)
  const buffer = new SharedArrayBuffer(layout.byteLength)
  formatRegion(new AtomicsMemory(buffer), layout, sizes.firstVersion ?? 1)
  return buffer
}

function layoutOfSizes(sizes: RegionSizes): RegionLayout {
  const sharedFrames = Math.floor(sizes.cacheBytes / PAGE_BYTES)
  const blocks = sizes.publishedBlocks ?? PUBLISHED_BLOCKS
  return regionLayout(sharedFrames, sizes.readersMax, sizes.pinsMax, blocks)
}

/** Makes a region of zeroed memory: nothing in it, no thread, the first version published. */
export function formatRegion(
  memory: SharedMemory,
  layout: RegionLayout,
  firstVersion: number,
): void {
  memory.store(WORD_LAYOUT_VERSION, REGION_LAYOUT_VERSION)
  memory.store(WORD_SHARED_FRAMES, layout.sharedFrames)
  memory.store(WORD_READERS_MAX, layout.readersMax)
  memory.store(WORD_PINS_MAX, layout.pinsMax)
  memory.store(WORD_PUBLISHED_BLOCKS, layout.publishedBlocks)
  formatPublished(memory, layout, firstVersion)
  memory.store(WORD_VERSION, firstVersion)
  // Last: a region that has its magic is complete.
  memory.store(WORD_MAGIC, REGION_MAGIC)
}

export function layoutOf(memory: SharedMemory): RegionLayout {
  if (memory.load(WORD_MAGIC) !== REGION_MAGIC) throw new RangeError('not a region of pages')
  const version = memory.load(WORD_LAYOUT_VERSION)
  if (version !== REGION_LAYOUT_VERSION) {
    throw new RangeError(`region of layout ${version}, expected ${REGION_LAYOUT_VERSION}`)
  }
  return regionLayout(
    memory.load(WORD_SHARED_FRAMES),
    memory.load(WORD_READERS_MAX),
    memory.load(WORD_PINS_MAX),
    memory.load(WORD_PUBLISHED_BLOCKS),
  )
}
