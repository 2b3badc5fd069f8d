/**
 * The space as programs for the model checker: shipped code over a memory in which two words stand for each
 * frame, the page's id and its content. Contents are read and written by plain accesses, so that a frame that
 * is filled while somebody may look at it is a race.
 */

import type { SharedMemory } from '@ringbolt/ring'
import type { Program, ThreadContext } from '@ringbolt/ring/model'
import { PAGE_ID_WORD, PAGE_WORDS } from '../../page/page.ts'
import { type RegionLayout, regionLayout } from '../layout.ts'
import { Limbo } from '../limbo.ts'
import { LiveVersions } from '../live-versions.ts'
import { PageTable } from '../page-table.ts'
import { Pins } from '../pins.ts'
import { emptyDirectory, Published } from '../published.ts'
import { ReaderSlots, takeReader } from '../reader-slots.ts'
import { formatRegion, type PlainWords } from '../region.ts'
import { RetiredPages } from '../retired-pages.ts'
import { VersionReader } from '../version-reader.ts'
import { NO_VERSION, versionAfter } from '../versions.ts'

export const FIRST_VERSION = 10
/** What the first version shows. */
export const OLD_PAGE = 5
export const NEW_PAGE = 6
export const OTHER_PAGE = 7

const FRAMES = 4
const FRAME_WORDS = 2

/** A page's content is told by its id. */
function contentOfPage(pageId: number): number {
  return pageId * 11
}

export class ModelSpace {
  readonly memory: SharedMemory
  readonly layout: RegionLayout
  readonly control: PlainWords
  readonly table: PageTable
  readonly #framesWord: number

  constructor(memory: SharedMemory, layout: RegionLayout) {
    this.memory = memory
    this.layout = layout
    this.#framesWord = layout.byteReferenced / 4
    this.control = plainWords((word) => memory.load(word))
    const pages = plainWords((index) => {
      if (index % PAGE_WORDS !== PAGE_ID_WORD) throw new Error(`word ${index} of the frames`)
      return memory.load(this.#idWord(Math.floor(index / PAGE_WORDS)))
    })
    this.table = new PageTable(memory, this.control, pages, layout)
  }

  /** Puts a page into a frame that is nobody's, and into the table. */
  hold(pageId: number, frame: number): void {
    this.memory.bytesIn(this.#contentByte(frame), Uint8Array.of(contentOfPage(pageId)))
    this.memory.store(this.#idWord(frame), pageId)
    this.table.insert(pageId, frame)
  }

  /** Throws when the frame does not hold that page. */
  assertHolds(frame: number, pageId: number): void {
    const [content] = this.memory.bytesOut(this.#contentByte(frame), 1)
    if (content !== contentOfPage(pageId)) {
      throw new Error(`page ${pageId} reads ${content}, expected ${contentOfPage(pageId)}`)
    }
  }

  #idWord(frame: number): number {
    return this.#framesWord + frame * FRAME_WORDS
  }

  #contentByte(frame: number): number {
    return (this.#idWord(frame) + 1) * 4
  }
}

function plainWords(at: (index: number) => number): PlainWords {
  return new Proxy<PlainWords>({}, { get: (_, key) => at(Number(key)) })
}

const LAYOUT = regionLayout(FRAMES, 2, 2, 2)

export function modelSpace(memory: SharedMemory): ModelSpace {
  return new ModelSpace(memory, LAYOUT)
}

type Values = Record<string, number | boolean>

/** A region with one page, OLD_PAGE in frame 0, which the first version shows; two slots are taken. */
export function spaceProgram(
  threads: Record<string, (context: ThreadContext) => number | boolean>,
): Program<Values> {
  return {
    memoryBytes: LAYOUT.byteReferenced + FRAMES * FRAME_WORDS * 4,
    threads,
    setup(memory) {
      formatRegion(memory, LAYOUT, FIRST_VERSION)
      const space = modelSpace(memory)
      space.hold(OLD_PAGE, 0)
      const directory = emptyDirectory()
      directory.pages[0] = OLD_PAGE
      new Published(memory, LAYOUT).publish(FIRST_VERSION, 1, directory)
      takeReader(memory, LAYOUT, 1)
      takeReader(memory, LAYOUT, 2)
    },
    executionsMax: 200_000,
  }
}

/** The sequencer's part, as `SharedSpace` puts it together. */
export class ModelSequencer {
  readonly space: ModelSpace
  readonly slots: ReaderSlots
  readonly pins: Pins
  readonly limbo: Limbo
  readonly retired: RetiredPages = new RetiredPages()
  readonly live: LiveVersions = new LiveVersions(4)
  readonly #published: Published
  version: number = FIRST_VERSION
  /** Pages that were freed. */
  readonly freed: number[] = []

  constructor(memory: SharedMemory) {
    this.space = modelSpace(memory)
    this.slots = new ReaderSlots(memory, LAYOUT)
    this.pins = new Pins(memory, this.space.control, LAYOUT)
    this.limbo = new Limbo(this.slots, FRAMES)
    this.#published = new Published(memory, LAYOUT)
  }

  publish(pageId: number): void {
    const directory = emptyDirectory()
    directory.pages[0] = pageId
    this.version = versionAfter(this.version)
    this.#published.publish(this.version, 2, directory)
  }

  /** OLD_PAGE gives way to NEW_PAGE, in frame 1. */
  replaceOldPage(): void {
    this.space.hold(NEW_PAGE, 1)
    this.retired.add(OLD_PAGE, NO_VERSION, versionAfter(this.version))
    this.publish(NEW_PAGE)
  }

  reclaim(): void {
    this.live.look(this.version, this.slots, this.pins, [])
    this.retired.reclaim(this.live, this.live.newest, 10, (pageId) => {
      this.freed.push(pageId)
      this.vacate(pageId)
    })
  }

  vacate(pageId: number): void {
    const frame = this.space.table.find(pageId)
    if (frame < 0) throw new Error(`page ${pageId} is not in the table`)
    this.space.table.remove(pageId, frame)
    this.limbo.add(frame)
  }

  /** Fills frames that are free by now with OTHER_PAGE. */
  reuse(): number {
    let reused = 0
    this.limbo.poll((frame) => {
      this.space.hold(OTHER_PAGE, frame)
      reused++
    })
    return reused
  }
}

export function versionReader(space: ModelSpace, slotIndex: number): VersionReader {
  return new VersionReader(space.memory, space.control, space.layout, slotIndex)
}

/** Reads the root of the state entered; a page must be in memory unless it may be in a file. */
export function readRoot(space: ModelSpace, pageId: number, mayBeAway: boolean): void {
  const frame = space.table.find(pageId)
  if (frame >= 0) space.assertHolds(frame, pageId)
  else if (!mayBeAway) throw new Error(`page ${pageId} is gone`)
}

/** Enters the newest version so many times, and reads its root. */
export function readNewest(
  memory: SharedMemory,
  slotIndex: number,
  times: number,
  mayBeAway: boolean,
): number {
  const space = modelSpace(memory)
  const reader = versionReader(space, slotIndex)
  for (let time = 0; time < times; time++) {
    reader.enter()
    readRoot(space, reader.directory.pages[0]!, mayBeAway)
    reader.leave()
  }
  return reader.version
}
