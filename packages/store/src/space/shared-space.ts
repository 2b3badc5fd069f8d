/**
 * The sequencer's view of the pages: makes, changes, retires, publishes, reclaims, evicts.
 *
 * Threads: one, the sequencer's. Readers in other threads see the page table, the frames and the published
 * states; see `page-reader.ts`.
 *
 * Invariants, beside those of `reader-slots.ts`, `pins.ts`, `page-table.ts`, `published.ts` and `write-back.ts`
 *  X1 A page of a sealed version does not change any more, but for checksums of references.
 *  X2 A page's frame is given to another page only after it went through limbo.
 *  X3 A page's id is given back only when no slot, no pin and no published version to come leads to it.
 *  X4 Between two calls of `makeRoom` nothing is evicted and no frame comes out of limbo: frames located stay.
 *     (`admitWanted`, `reclaim` and the checkpoint's calls are made between operations, as `makeRoom` is.)
 *
 * A page of the working version that was written out, for want of room, is not changed again: a reference may
 * hold its checksum. `writable` copies it as if it were older.
 *
 * Crash: nothing here outlives the process; the file is written only where no durable checkpoint reads.
 */
import { isRingboltError } from '@ringbolt/ring'
import { StoreCorruptError, StoreFullError } from '../errors.ts'
import {
  NOT_WRITTEN,
  PAGE_BYTES,
  PAGE_CHECKSUM_WORD,
  PAGE_ID_WORD,
  PAGE_WORDS,
} from '../page/page.ts'
import type { PageSpace } from '../page/page-space.ts'
import { Eviction } from './eviction.ts'
import { Frames } from './frames.ts'
import { HeldBack } from './held-back.ts'
import { LiveVersions } from './live-versions.ts'
import { Lookups } from './lookups.ts'
import { PageIdScript } from './page-id-script.ts'
import type { PageIdSource, PageStore } from './page-loader.ts'
import { NOT_RESIDENT, PageTable } from './page-table.ts'
import { PinAges } from './pin-ages.ts'
import { Pins } from './pins.ts'
import { copyDirectory, type DirectoryReferences, emptyDirectory, Published } from './published.ts'
import { ReaderSlots } from './reader-slots.ts'
import { Region } from './region.ts'
import { RetiredPages, type VisitRetired } from './retired-pages.ts'
import type { SpaceStats } from './space-stats.ts'
import { VERSIONS_SPAN, versionAfter } from './versions.ts'
import { Wanted } from './wanted.ts'
import { type ForEachReference, WriteBack } from './write-back.ts'

export interface SpaceEnvironment {
  /** Blocks for a moment, a millisecond or so, so that readers can go on. */
  pause(): void
  /** Nothing may be written to the file: pages that were changed stay in memory. Default false. */
  readonly readOnly?: boolean
}

/** A version that the sequencer itself keeps, for a checkpoint. */
export interface SpacePin {
  readonly version: number
  readonly sequence: number
  readonly directory: DirectoryReferences
}

/** Looked at for each retired page of a call; keeps the call short after a snapshot that held many. */
const RECLAIM_LOOKS_MAX = 4096
/**
 * Half a minute, as pauses go: a thread that died inside a read keeps frames until its owner's event loop tells
 * of it, and giving up in the middle of a command is the end for everybody.
 */
const PAUSES_MAX = 30_000
const PAUSES_FOR_RETIRED = 20
const EVICTION_BATCH_MAX = 32
const EVICTION_BATCH_SHARE = 8
const ADMISSIONS_MAX = 16
/** Kept free for the next operation when pages are admitted. */
const RESERVE_MAX = 64
/** Every so many versions what is far too old is forgotten. A power of two. */
const FORGET_INTERVAL: number = VERSIONS_SPAN / 4
const EMPTY_PAGE = new Uint8Array(PAGE_BYTES)

export class SharedSpace implements PageSpace {
  readonly bytes: Buffer
  readonly words: Uint32Array
  readonly #file: HeldBack | undefined
  readonly #pageIds: PageIdSource
  readonly #environment: SpaceEnvironment
  readonly #table: PageTable
  readonly #frames: Frames
  readonly #writeBack: WriteBack
  readonly #eviction: Eviction
  readonly #published: Published
  readonly #slots: ReaderSlots
  readonly #pins: Pins
  readonly #pinAges = new PinAges()
  readonly #ownPins = new Set<SpacePin>()
  readonly #retired = new RetiredPages()
  readonly #live: LiveVersions
  readonly #wanted: Wanted
  readonly #lookups: Lookups
  readonly #evictionBatch: number
  #working: number
  #publishedVersion: number
  #publishedSequence = 0
  #publishedDirectory: DirectoryReferences = emptyDirectory()
  #keptFrom: number | undefined
  /** Ids since they were last asked for. */
  #taken: number[] = []
  #script: PageIdScript | undefined
  #misses = 0
  #admissions = 0
  #pinsRevoked = 0

  /** @param file undefined: in memory, where nothing is ever evicted */
  constructor(
    buffer: SharedArrayBuffer,
    file: PageStore | undefined,
    pageIds: PageIdSource,
    forEachReference: ForEachReference,
    environment: SpaceEnvironment,
  ) {
    const region = new Region(buffer)
    const { memory, layout, control } = region
    this.bytes = region.bytes
    this.words = region.words
    this.#pageIds = pageIds
    this.#environment = environment
    this.#table = new PageTable(memory, control, region.words, layout)
    this.#frames = new Frames(region, this.#table)
    this.#file =
      file && new HeldBack(file, (pageId) => this.#frames.birthOf(pageId) === this.#working)
    this.#writeBack = new WriteBack(region, this.#frames, this.#table, this.#file, forEachReference)
    this.#eviction = new Eviction(
      region,
      this.#frames,
      this.#writeBack,
      (write) => this.#file?.gather(write),
      () => this.sweepReferences(),
      environment.readOnly !== true,
    )
    this.#lookups = new Lookups(control, layout)
    const share = Math.ceil(layout.sharedFrames / EVICTION_BATCH_SHARE)
    this.#evictionBatch = Math.min(EVICTION_BATCH_MAX, share)
    this.#published = new Published(memory, layout)
    this.#slots = new ReaderSlots(memory, layout)
    this.#pins = new Pins(memory, control, layout)
    this.#live = new LiveVersions(layout.readersMax + layout.pinsMax)
    this.#wanted = new Wanted(memory)
    this.#publishedVersion = this.#published.version
    this.#working = versionAfter(this.#publishedVersion)
    this.#frames.workingVersion = this.#working
  }

  // ---- pages of the working version -------------------------------------------------------------

  locate(pageId: number, checksum: number): number {
    const frame = this.#table.find(pageId)
    if (frame === NOT_RESIDENT) return this.#read(pageId, checksum)
    this.#frames.reference(frame)
    return frame
  }

  allocate(): number {
    const frame = this.#frames.take()
    this.bytes.set(EMPTY_PAGE, frame * PAGE_BYTES)
    this.#makePage(frame)
    return frame
  }

  isWritable(frame: number): boolean {
    return this.#frames.births[frame] === this.#working && this.#frames.isDirty(frame)
  }

  writable(pageId: number, checksum: number): number {
    const source = this.locate(pageId, checksum)
    if (this.#frames.births[source] === this.#working) {
      if (!this.#frames.isDirty(source)) this.#changeAgain(source, pageId)
      return pageId
    }
    const frame = this.#frames.take()
    const start = source * PAGE_BYTES
    this.bytes.copyWithin(frame * PAGE_BYTES, start, start + PAGE_BYTES)
    const copyId = this.#makePage(frame)
    this.retire(pageId)
    return copyId
  }

  retire(pageId: number): void {
    const birth = this.#frames.birthOf(pageId)
    // Nobody has ever seen it.
    if (birth === this.#working) this.#freePage(pageId, birth, birth)
    else this.#retired.add(pageId, birth, this.#working)
  }

  makeRoom(pages: number): void {
    if (this.#frames.freeCount >= pages) return
    this.#frames.pollLimbo()
    let pausesLeft = PAUSES_MAX
    while (this.#frames.freeCount < pages) {
      const missing = pages - this.#frames.freeCount - this.#frames.limbo.size
      if (missing <= 0 || !this.#findRoom(missing)) {
        // Frames in limbo are only for readers to pass; pages that are retired may have to stay for long.
        pausesLeft -= missing <= 0 ? 1 : PAUSES_MAX / PAUSES_FOR_RETIRED
        if (pausesLeft < 0 || !this.#isWaitingForReaders) throw this.#full(pages)
        this.#environment.pause()
      }
      this.#frames.pollLimbo()
    }
  }

  get #isWaitingForReaders(): boolean {
    return this.#frames.limbo.size > 0 || (this.#file === undefined && this.#retired.count > 0)
  }

  /** Which pages are copied must not depend on what had to leave the cache: others do the same with another. */
  #changeAgain(frame: number, pageId: number): void {
    this.#frames.changesAgain(frame)
    this.#file?.forget(pageId)
    this.words[frame * PAGE_WORDS + PAGE_CHECKSUM_WORD] = NOT_WRITTEN
  }

  #makePage(frame: number): number {
    const pageId = this.#takePageId(frame)
    const word = frame * PAGE_WORDS
    this.words[word + PAGE_CHECKSUM_WORD] = NOT_WRITTEN
    this.words[word + PAGE_ID_WORD] = pageId
    this.#frames.holdNew(frame, pageId, this.#working)
    return pageId
  }

  #takePageId(frame: number): number {
    try {
      const pageId = this.#script?.next() ?? this.#pageIds.take(this.#working)
      this.#taken.push(pageId)
      // A reader may have asked for the page that stood here before.
      this.#forget(pageId)
      return pageId
    } catch (error) {
      this.#frames.giveBack(frame)
      throw error
    }
  }

  #read(pageId: number, checksum: number): number {
    if (this.#file === undefined) {
      const place = { file: ':memory:', offset: 0 }
      throw new StoreCorruptError(place, 'page', `${pageId} in memory`, 'missing')
    }
    this.#misses++
    return this.#fill(this.#file, pageId, checksum)
  }

  #fill(file: PageStore, pageId: number, checksum: number): number {
    const frame = this.#frames.take()
    const start = frame * PAGE_BYTES
    try {
      file.readPage(pageId, checksum, this.bytes.subarray(start, start + PAGE_BYTES))
    } catch (error) {
      this.#frames.giveBack(frame)
      throw error
    }
    this.#frames.holdRead(frame, pageId)
    return frame
  }

  /** Puts frames into limbo; false when there was nothing to be done. */
  #findRoom(missing: number): boolean {
    if (this.#file !== undefined) {
      return this.#eviction.evict(Math.max(missing, this.#evictionBatch)) > 0
    }
    const before = this.#retired.count
    const done = this.reclaim()
    return !done || this.#retired.count < before
  }

  #full(pages: number): StoreFullError {
    const { limboFrames, retiredWaiting, pins } = this.stats
    const frames = this.#frames.count
    return new StoreFullError(
      `no room for ${pages} more pages in a cache of ${frames} (cacheBytes)`,
      { pages, frames, limboFrames, retiredWaiting, pins },
    )
  }

  // ---- page ids as the log has them -------------------------------------------------------------

  takenPageIds(): readonly number[] {
    const taken = this.#taken
    this.#taken = []
    return taken
  }

  /**
   * Makes pages under these ids, in this order, whatever `make` does: what the log says that its writer took.
   * @throws ScriptError when more or fewer are made, or one is in use
   */
  withPageIds(pageIds: readonly number[], make: () => void): void {
    const script = new PageIdScript(pageIds, (pageId) => this.#takeThis(pageId))
    this.#script = script
    this.#file?.begin()
    let isWhole = false
    try {
      make()
      script.end()
      isWhole = true
    } finally {
      this.#script = undefined
      this.#taken = []
      this.#file?.end(isWhole)
    }
  }

  /**
   * Goes through states that others have left behind, to the newest; nothing of them is written to the file, where others may
   * have other pages by now. What leaves the cache meanwhile is on the heap.
   */
  catchUpBesideOthers(apply: () => void): void {
    this.#file?.holdAll()
    apply()
    // Only what is in the newest state is left.
    while (!this.reclaim());
    this.#file?.writeAll()
  }

  /** Whoever wrote it down had nobody left to need the page; the same is so here, perhaps a moment later. */
  #takeThis(pageId: number): boolean {
    if (this.#pageIds.takeThis(pageId, this.#working)) return true
    for (let pauses = 0; pauses < PAUSES_MAX; pauses++) {
      while (!this.reclaim());
      if (this.#pageIds.takeThis(pageId, this.#working)) return true
      if (this.#retired.count === 0) return false
      this.#environment.pause()
    }
    return false
  }

  // ---- versions ---------------------------------------------------------------------------------

  /** Ends the working version, whose pages do not change any more, and begins the next. */
  seal(): number {
    const sealed = this.#working
    this.#working = versionAfter(sealed)
    this.#frames.workingVersion = this.#working
    if ((sealed & (FORGET_INTERVAL - 1)) === 0) this.#forgetWhatIsTooOld()
    return sealed
  }

  /** Makes a sealed version the newest; earlier ones that were sealed are published with it. */
  publish(version: number, sequence: number, directory: DirectoryReferences): void {
    this.#publishedVersion = version
    this.#publishedSequence = sequence
    this.#publishedDirectory = copyDirectory(directory)
    // Pages may have been written, and evicted, since it was sealed.
    this.#writeBack.sweepDirectory(this.#publishedDirectory)
    this.#published.publish(version, sequence, this.#publishedDirectory)
  }

  /** Keeps the published version until `unpin`. */
  pinPublished(): SpacePin {
    const pin = {
      version: this.#publishedVersion,
      sequence: this.#publishedSequence,
      directory: copyDirectory(this.#publishedDirectory),
    }
    this.#ownPins.add(pin)
    return pin
  }

  unpin(pin: SpacePin): void {
    this.#ownPins.delete(pin)
  }

  /**
   * Revokes threads' pins of versions that were superseded `ageMaxMs` ago or earlier; to be called now and
   * then. Returns how many.
   */
  revokePinsOlderThan(ageMaxMs: number, nowMs: number): number {
    const bound = this.#pinAges.boundOf(this.#publishedVersion, nowMs, ageMaxMs)
    if (bound === undefined) return 0
    this.#pins.setAgeMaxMs(ageMaxMs)
    const revoked = this.#pins.revokeBefore(bound)
    this.#pinsRevoked += revoked
    return revoked
  }

  /** Others may be at that version and at all later ones; undefined: there are no others. */
  keepFrom(version: number | undefined): void {
    this.#keptFrom = version
  }

  /** What was retired up to there can be looked at. */
  get #reclaimBound(): number {
    return this.#keptFrom ?? this.#publishedVersion
  }

  get publishedVersion(): number {
    return this.#publishedVersion
  }

  /** The oldest version that somebody is at, in this process. */
  get oldestVersion(): number {
    this.#lookWhoIsThere()
    return this.#live.oldest
  }

  /** Frees what no reader needs any more; to be called once a group. Bounded work: false when more is left. */
  reclaim(): boolean {
    if (this.#retired.count > 0) this.#lookWhoIsThere()
    const done =
      this.#retired.count === 0 ||
      this.#retired.reclaim(this.#live, this.#reclaimBound, RECLAIM_LOOKS_MAX, this.#freePage)
    this.#frames.pollLimbo()
    return done
  }

  readonly #freePage = (pageId: number, birth: number, retired: number): void => {
    this.#forget(pageId)
    this.#pageIds.release(pageId, birth, retired)
  }

  #forget(pageId: number): void {
    this.#frames.forget(pageId)
    this.#file?.forget(pageId)
  }

  #lookWhoIsThere(): void {
    this.#live.look(this.#publishedVersion, this.#slots, this.#pins, this.#ownPins)
  }

  #forgetWhatIsTooOld(): void {
    this.#frames.forgetBirthsBefore((this.#working - VERSIONS_SPAN / 2) | 0)
    const revoked = this.#pins.revokeBefore((this.#working - VERSIONS_SPAN) | 0)
    this.#pinsRevoked += revoked
  }

  // ---- what is in memory, for checkpoints -------------------------------------------------------

  /**
   * Reads pages that readers asked for, up to so many; what is left is taken up the next time, if it is not
   * overwritten by then. Waits for no reader. Returns whether it read any.
   */
  admitWanted(pagesMax: number = ADMISSIONS_MAX): boolean {
    const file = this.#file
    if (file === undefined) return false
    let left = pagesMax
    let hasRoom = true
    this.#wanted.take((pageId, checksum) => {
      if (this.#table.find(pageId) !== NOT_RESIDENT) return true
      hasRoom = this.#hasRoomToAdmit()
      if (!hasRoom) return false
      this.#admit(file, pageId, checksum)
      left--
      return left > 0
    })
    // Otherwise who waits for requests would be busy with these until readers leave.
    if (!hasRoom) this.#wanted.forget()
    return left < pagesMax
  }

  /** Whether readers ask for pages that they had to read from the file. */
  get hasWanted(): boolean {
    return this.#file !== undefined && this.#wanted.isPending
  }

  #hasRoomToAdmit(): boolean {
    const reserve = Math.min(RESERVE_MAX, this.#frames.count >>> 3)
    if (this.#frames.freeCount > reserve) return true
    this.#eviction.evict(this.#evictionBatch)
    this.#frames.pollLimbo()
    return this.#frames.freeCount > reserve
  }

  #admit(file: PageStore, pageId: number, checksum: number): void {
    try {
      this.#fill(file, pageId, checksum)
      this.#admissions++
    } catch (error) {
      // A request is a hint, perhaps of a page that is gone by now. If it is damaged, or the file cannot be
      // read, who needs the page finds out.
      if (!isRingboltError(error)) throw error
    }
  }

  /** -1 when the page is not in memory. */
  residentFrame(pageId: number): number {
    return this.#table.find(pageId)
  }

  isDirty(frame: number): boolean {
    return this.#frames.isDirty(frame)
  }

  /** Writes a page whose references are all written; nothing is synced. Returns its checksum. */
  writeBack(frame: number): number {
    return this.#writeBack.write(frame)
  }

  /** Completes references to pages written since the last sweep: in memory, and in the pins' directories. */
  sweepReferences(): void {
    if (this.#frames.unsweptCount === 0) return
    this.#writeBack.sweep((frame) => !this.isWritable(frame))
    this.#writeBack.sweepDirectory(this.#publishedDirectory)
    for (const { directory } of this.#ownPins) this.#writeBack.sweepDirectory(directory)
  }

  /** Pages that are gone from the newest state, and not released because somebody may need them. */
  forEachRetired(visit: VisitRetired): void {
    this.#retired.forEach(visit)
  }

  /** A durable checkpoint of that version: earlier births make no difference any more. */
  checkpointed(version: number): void {
    this.#lookWhoIsThere()
    const oldest = this.#live.oldest
    const bound = ((version - oldest) | 0) < 0 ? version : oldest
    this.#frames.forgetAbsentBirthsBefore(versionAfter(bound))
  }

  get stats(): SpaceStats {
    let pins = 0
    this.#pins.forEach(() => pins++)
    this.#lookWhoIsThere()
    return {
      frames: this.#frames.count,
      freeFrames: this.#frames.freeCount,
      limboFrames: this.#frames.limbo.size,
      dirtyPages: this.#frames.dirtyCount,
      misses: this.#misses,
      readerLookups: this.#lookups.total(this.#slots.used),
      readerMisses: this.#wanted.requests,
      admissions: this.#admissions,
      evictions: this.#eviction.counts.evictions,
      spills: this.#eviction.counts.spills,
      retiredWaiting: this.#retired.count,
      pins,
      pinsRevoked: this.#pinsRevoked,
      publishedVersion: this.#publishedVersion,
      oldestVersion: this.#live.oldest,
    }
  }
}
