/**
 * What the sequencer knows of each shared frame: whose it is, since when, whether it has been written.
 *
 * Threads: the sequencer's own, on its heap.
 *
 * A frame is free, holds a page, or is in limbo: out of the table, but perhaps still before a reader's eyes.
 */
import { StoreFullError } from '../errors.ts'
import { Limbo } from './limbo.ts'
import type { PageTable } from './page-table.ts'
import { ReaderSlots } from './reader-slots.ts'
import type { Region } from './region.ts'
import { NO_VERSION, versionDistance } from './versions.ts'

const FREE = 0
const RESIDENT = 1
/** Not in the file as it is here. */
const DIRTY = 2
/** May hold references without a checksum. */
const UNWRITTEN_REFERENCES = 4
/** Written since the last sweep: references to it may lack its checksum. */
const UNSWEPT = 8

/** Births kept of pages that are not in memory. Beyond that many, "since ever" is assumed of published ones. */
const ABSENT_BIRTHS_MAX = 65_536

export class Frames {
  readonly count: number
  readonly pageIds: Uint32Array
  readonly births: Int32Array
  readonly limbo: Limbo
  dirtyCount = 0
  unsweptCount = 0
  /** The one that is being built. */
  workingVersion: number = NO_VERSION
  readonly #states: Uint8Array
  readonly #free: Int32Array
  #freeCount: number
  readonly #table: PageTable
  readonly #referenced: Uint8Array
  readonly #absentBirths = new Map<number, number>()
  readonly #release = (frame: number): void => {
    this.#free[this.#freeCount++] = frame
  }

  constructor(region: Region, table: PageTable) {
    const { sharedFrames } = region.layout
    this.count = sharedFrames
    this.#table = table
    this.#referenced = region.referenced
    this.pageIds = new Uint32Array(sharedFrames)
    this.births = new Int32Array(sharedFrames)
    this.#states = new Uint8Array(sharedFrames)
    // The lowest first: memory is touched as it is needed.
    this.#free = Int32Array.from({ length: sharedFrames }, (_, index) => sharedFrames - 1 - index)
    this.#freeCount = sharedFrames
    this.limbo = new Limbo(new ReaderSlots(region.memory, region.layout), sharedFrames)
  }

  get freeCount(): number {
    return this.#freeCount
  }

  /** A free frame, to be filled and then either `hold` or `giveBack`. */
  take(): number {
    if (this.#freeCount === 0) {
      throw new StoreFullError('an operation needs more pages than room was made for', {
        frames: this.count,
      })
    }
    return this.#free[--this.#freeCount]!
  }

  giveBack(frame: number): void {
    this.#release(frame)
  }

  /** The frame, filled, is a new page's. */
  holdNew(frame: number, pageId: number, birth: number): void {
    this.#hold(frame, pageId, birth, RESIDENT | DIRTY | UNWRITTEN_REFERENCES)
    this.dirtyCount++
  }

  /** The frame was filled from the file. */
  holdRead(frame: number, pageId: number): void {
    this.#hold(frame, pageId, this.birthOf(pageId), RESIDENT)
    this.#absentBirths.delete(pageId)
  }

  /** Of a page in memory or not. NO_VERSION: since ever, or not known. */
  birthOf(pageId: number): number {
    const frame = this.#table.find(pageId)
    if (frame >= 0) return this.births[frame]!
    return this.#absentBirths.get(pageId) ?? NO_VERSION
  }

  isResident(frame: number): boolean {
    return (this.#states[frame]! & RESIDENT) !== 0
  }

  isDirty(frame: number): boolean {
    return (this.#states[frame]! & DIRTY) !== 0
  }

  isEvictable(frame: number): boolean {
    return (this.#states[frame]! & (RESIDENT | DIRTY | UNSWEPT)) === RESIDENT
  }

  mayLackReferences(frame: number): boolean {
    const mask = DIRTY | UNWRITTEN_REFERENCES
    return (this.#states[frame]! & mask) === mask
  }

  /** The page will not change any more, and holds no reference without a checksum. */
  referencesAreWritten(frame: number): void {
    this.#states[frame]! &= ~UNWRITTEN_REFERENCES
  }

  written(frame: number): void {
    if (!this.isDirty(frame)) return
    this.#states[frame] = RESIDENT | UNSWEPT
    this.dirtyCount--
    this.unsweptCount++
  }

  /** A page of the working version was written, and is going to change all the same. */
  changesAgain(frame: number): void {
    if ((this.#states[frame]! & UNSWEPT) !== 0) this.unsweptCount--
    this.#states[frame] = RESIDENT | DIRTY | UNWRITTEN_REFERENCES
    this.dirtyCount++
  }

  swept(): void {
    for (let frame = 0; frame < this.count; frame++) this.#states[frame]! &= ~UNSWEPT
    this.unsweptCount = 0
  }

  /** True once: the next time only if it was used in between. */
  takeReferenced(frame: number): boolean {
    if (this.#referenced[frame] === 0) return false
    this.#referenced[frame] = 0
    return true
  }

  reference(frame: number): void {
    this.#referenced[frame] = 1
  }

  /** The page stays in the file. */
  evict(frame: number): void {
    const birth = this.births[frame]!
    const isWorking = birth === this.workingVersion
    if (isWorking || (birth !== NO_VERSION && this.#absentBirths.size < ABSENT_BIRTHS_MAX)) {
      this.#absentBirths.set(this.pageIds[frame]!, birth)
    }
    this.#vacate(frame)
  }

  /** There is no such page any more, in memory or not. */
  forget(pageId: number): void {
    const frame = this.#table.find(pageId)
    if (frame >= 0) this.#vacate(frame)
    else this.#absentBirths.delete(pageId)
  }

  /** Frees frames that no reader can be looking at any more. */
  pollLimbo(): void {
    this.limbo.poll(this.#release)
  }

  /** Versions before `bound` are nobody's any more: pages made before it have been there since ever. */
  forgetBirthsBefore(bound: number): void {
    for (let frame = 0; frame < this.count; frame++) {
      const birth = this.births[frame]!
      if (birth !== NO_VERSION && versionDistance(birth, bound) < 0) this.births[frame] = NO_VERSION
    }
    this.forgetAbsentBirthsBefore(bound)
  }

  forgetAbsentBirthsBefore(bound: number): void {
    for (const [pageId, birth] of this.#absentBirths) {
      if (versionDistance(birth, bound) < 0) this.#absentBirths.delete(pageId)
    }
  }

  #hold(frame: number, pageId: number, birth: number, state: number): void {
    this.pageIds[frame] = pageId
    this.births[frame] = birth
    this.#states[frame] = state
    this.#referenced[frame] = 1
    this.#table.insert(pageId, frame)
  }

  #vacate(frame: number): void {
    if (this.isDirty(frame)) this.dirtyCount--
    if ((this.#states[frame]! & UNSWEPT) !== 0) this.unsweptCount--
    this.#states[frame] = FREE
    this.#table.remove(this.pageIds[frame]!, frame)
    this.limbo.add(frame)
  }
}
