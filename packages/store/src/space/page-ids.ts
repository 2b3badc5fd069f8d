/**
 * Which page ids are free. An id is a place in the main file; it is given when a page is made.
 *
 * Threads: the sequencer's only.
 *
 * Versions are 32-bit numbers that wrap; 0 is none, so the first is 1. A page was born in one version and
 * retired in a later one. Checkpoint k shows version(k), so it holds the page exactly when
 * birth <= version(k) < retired. Birth 0 is for pages older than this process, or than anyone remembers: every
 * checkpoint that can still matter may hold them. A birth must be told as 0 before it is 2^32 versions old.
 *
 * Invariants
 *  I1 `take` gives no id that the last durable checkpoint, or one in progress, holds: neither of its trees
 *     nor of its free list.
 *  I2 While others may be at older states of the same file, what is given back here is set aside: `take` gives none
 *     of it before `relax` says that nobody needs it any more.
 *  I3 `freeWith` gives exactly the ids that the checkpoint in progress does not hold. A process that opens it
 *     has no other pages, so there an id is free or reachable, never both, never neither.
 *
 * Other processes take ids too, and say which in the log: `takeThis`, where the log's word counts for more than what
 * is known here about checkpoints, since its writer knew them. A checkpoint that another process made is adopted.
 *
 * Crash: nothing here is written but by `freeWith`; what was taken after the last durable checkpoint is free
 * again, since that checkpoint's list says so.
 */
import { StoreCorruptError, StoreFullError } from '../errors.ts'
import { FIRST_PAGE, PAGE_BYTES } from '../page/page.ts'
import { PAGE_COUNT_MAX } from './main-layout.ts'
import { PageIdSet } from './page-ids-set.ts'
import { PageVersions } from './page-ids-versions.ts'

/** Calls back for each page that is retired and not released yet, because readers may need it. */
export interface RetiredPages {
  forEachRetired(
    visit: (pageId: number, birthVersion: number, retiredVersion: number) => void,
  ): void
}

/** What another process's checkpoint says of free pages. */
export interface AdoptedList {
  /** Where it was read. */
  readonly file: string
  readonly pageCount: number
  readonly free: PageIdSet
  readonly listPages: readonly number[]
}

const NOTHING_DURABLE = undefined
/** The version of the checkpoint that was opened, and the birth of its pages. */
const BEFORE_ALL = 0

export class PageIds {
  #free: PageIdSet
  /** Free as well, but others may still read what stood there (I2). */
  #aside = new PageIdSet()
  #isCautious = false
  /** Ids from here on were never given, or are free again. */
  #end: number
  #durableVersion: number | undefined
  #progressVersion: number | undefined
  /** Pages of the durable checkpoint's free list, and of the one in progress. */
  #durableList: readonly number[] = []
  #progressList: number[] = []
  /** Pages that a checkpoint holds and no reader needs any more, with the version that retired them. */
  readonly #waiting = new PageVersions()
  /**
   * Ids taken since the last checkpoint began, with the birth of their last page; those born in its version
   * or before are in it. Empty where there are no checkpoints.
   */
  readonly #taken = new PageVersions()

  private constructor(free: PageIdSet, end: number, durableVersion: number | undefined) {
    this.#free = free
    this.#end = end
    this.#durableVersion = durableVersion
  }

  /** For a database in memory: no checkpoint holds anything. */
  static forMemory(): PageIds {
    return new PageIds(new PageIdSet(), FIRST_PAGE, NOTHING_DURABLE)
  }

  /**
   * @param free what that checkpoint's list says; it is taken over
   * @param pageCount its pages
   * @param listPages where its list stands
   */
  static forCheckpoint(free: PageIdSet, pageCount: number, listPages: readonly number[]): PageIds {
    const ids = new PageIds(free, pageCount, BEFORE_ALL)
    ids.#durableList = listPages
    return ids
  }

  /** The lowest free id: that keeps the file short. */
  take(birthVersion: number): number {
    const pageId = this.#takeAny()
    if (this.#durableVersion !== NOTHING_DURABLE) this.#taken.set(pageId, birthVersion)
    return pageId
  }

  /** A certain id, as the log says that it was taken. False: it is in use, as far as is known here. */
  takeThis(pageId: number, birthVersion: number): boolean {
    if (!this.#takeOut(pageId)) return false
    if (this.#durableVersion !== NOTHING_DURABLE) this.#taken.set(pageId, birthVersion)
    return true
  }

  #takeOut(pageId: number): boolean {
    this.reach(pageId + 1)
    return this.#free.delete(pageId) || this.#aside.delete(pageId) || this.#takeUnheld(pageId)
  }

  /** Others have given ids up to there: what is new here may have been in use elsewhere. */
  reach(end: number): void {
    if (end <= this.#end) return
    const into = this.#isCautious ? this.#aside : this.#free
    into.addExtent(this.#end, end - this.#end)
    this.#end = end
  }

  /** While others write: a checkpoint of theirs no longer holds what the last one known here does. */
  #takeUnheld(pageId: number): boolean {
    if (!this.#isCautious) return false
    if (this.#waiting.delete(pageId)) return true
    if (!this.#durableList.includes(pageId)) return false
    this.#durableList = this.#durableList.filter((other) => other !== pageId)
    return true
  }

  /**
   * From now on others may write, or be at older states: nothing that is given back is given out before `relax`.
   * @param alsoFree what is free now may be needed by them, too
   */
  beCautious(alsoFree: boolean): void {
    this.#isCautious = true
    if (!alsoFree) return
    this.#free.forEachExtent((first, count) => this.#aside.addExtent(first, count))
    this.#free = new PageIdSet()
  }

  /** Nobody needs what was set aside, and nobody else writes. */
  relax(): void {
    if (!this.#isCautious) return
    this.#isCautious = false
    this.#free = unionOf(this.#free, this.#aside)
    this.#aside = new PageIdSet()
  }

  get isCautious(): boolean {
    return this.#isCautious
  }

  #takeAny(): number {
    const pageId = this.#free.takeLowest()
    if (pageId !== undefined) return pageId
    if (this.#end === PAGE_COUNT_MAX) {
      throw new StoreFullError(`the file has ${PAGE_COUNT_MAX} pages, the most there can be`)
    }
    return this.#end++
  }

  /** No reader needs the page any more; its id is free once no checkpoint that counts holds it. */
  release(pageId: number, birthVersion: number, retiredVersion: number): void {
    const held =
      isHeld(this.#durableVersion, birthVersion, retiredVersion) ||
      isHeld(this.#progressVersion, birthVersion, retiredVersion)
    if (held) this.#waiting.set(pageId, retiredVersion)
    else this.#giveBack(pageId)
  }

  #giveBack(pageId: number): void {
    const [into, other] = this.#isCautious ? [this.#aside, this.#free] : [this.#free, this.#aside]
    const isInFile = pageId >= FIRST_PAGE && pageId < this.#end
    if (!isInFile || other.has(pageId) || !into.add(pageId)) {
      throw new RangeError(`page ${pageId} is given back, and is not in use`)
    }
  }

  /** A checkpoint of that version is in progress: what it holds stays. */
  beginCheckpoint(version: number): void {
    if (this.#progressVersion !== undefined) throw new Error('a checkpoint is in progress')
    if (this.#durableVersion === NOTHING_DURABLE)
      throw new Error('there are no checkpoints in memory')
    this.#progressVersion = version
    // Older ones are in it, or retired: nobody will ask for them again.
    this.#taken.forgetWhere((_pageId, birthVersion) => !isAfter(birthVersion, version))
  }

  /**
   * A page for the free list of the checkpoint in progress. None that was taken since it began, and given back: the log
   * says so, and whoever replays it from that checkpoint on takes it again.
   */
  takeForList(): number {
    const passedOver: number[] = []
    let pageId = this.#takeAny()
    while (this.#taken.has(pageId)) {
      passedOver.push(pageId)
      pageId = this.#takeAny()
    }
    for (const other of passedOver) this.#free.add(other)
    this.#progressList.push(pageId)
    return pageId
  }

  /** What is free once the checkpoint in progress is durable; the caller's own. */
  freeWith(retired: RetiredPages): PageIdSet {
    const version = this.#progressVersion
    if (version === undefined) throw new Error('no checkpoint is in progress')
    const free = unionOf(this.#free.copy(), this.#aside.copy())
    for (const pageId of this.#durableList) free.add(pageId)
    const addWhenRetired = (pageId: number, retiredVersion: number): void => {
      if (!isAfter(retiredVersion, version)) free.add(pageId)
    }
    this.#waiting.forEach(addWhenRetired)
    retired.forEachRetired((pageId, _birth, retiredVersion) =>
      addWhenRetired(pageId, retiredVersion),
    )
    this.#taken.forEach((pageId) => free.add(pageId))
    for (const pageId of this.#progressList) free.delete(pageId)
    return free
  }

  /** The checkpoint in progress is durable; the one before no longer counts. */
  checkpointDurable(): void {
    const version = this.#progressVersion
    if (version === undefined) throw new Error('no checkpoint is in progress')
    this.#waiting.forgetWhere((pageId, retiredVersion) => {
      const isOver = !isAfter(retiredVersion, version)
      if (isOver) this.#giveBack(pageId)
      return isOver
    })
    for (const pageId of this.#durableList) this.#giveBack(pageId)
    this.#durableList = this.#progressList
    this.#progressList = []
    this.#durableVersion = version
    this.#progressVersion = undefined
  }

  /** The checkpoint in progress is given up, before its list was begun. */
  cancelCheckpoint(): void {
    if (this.#progressList.length > 0) throw new Error('a free list was begun')
    this.#progressVersion = undefined
  }

  /**
   * Another process has made a checkpoint of that version: it takes the place of the last one known here.
   * @param pageCount of that checkpoint
   * @param free what its list says
   * @param listPages where its list stands
   * @param newestVersion published here
   * @throws StoreCorruptError when the list stands where something else does
   */
  adoptCheckpoint(
    version: number,
    { file, pageCount, free, listPages }: AdoptedList,
    newestVersion: number,
  ): void {
    this.beginCheckpoint(version)
    // Its maker took them; what held them here until now no longer counts.
    for (const pageId of listPages) {
      if (this.#takeOut(pageId)) continue
      const place = { file, offset: pageId * PAGE_BYTES }
      throw new StoreCorruptError(place, 'a page of the free list', 'one without other use', pageId)
    }
    this.#progressList = [...listPages]
    this.checkpointDurable()
    // Given back here while nobody here knew that it holds them.
    for (const set of [this.#free, this.#aside]) {
      const held: number[] = []
      set.forEachExtent((first, count) => {
        for (let pageId = first; pageId < Math.min(first + count, pageCount); pageId++) {
          if (!free.has(pageId)) held.push(pageId)
        }
      })
      for (const pageId of held) {
        set.delete(pageId)
        this.#waiting.set(pageId, newestVersion)
      }
    }
  }

  /** One past the largest id in use. */
  get end(): number {
    return this.#end
  }

  /** Free at once. */
  get freeCount(): number {
    return this.#free.size
  }
}

/** Into the larger of two sets without common members. */
function unionOf(one: PageIdSet, other: PageIdSet): PageIdSet {
  const [large, small] = one.size >= other.size ? [one, other] : [other, one]
  small.forEachExtent((first, count) => large.addExtent(first, count))
  return large
}

function isAfter(version: number, other: number): boolean {
  return ((version - other) | 0) > 0
}

function isHeld(checkpoint: number | undefined, birth: number, retired: number): boolean {
  if (checkpoint === undefined) return false
  if (checkpoint === BEFORE_ALL) return birth === BEFORE_ALL
  if (!isAfter(retired, checkpoint)) return false
  // How long it lived, against how long ago the checkpoint is: both counted back from its retirement.
  return birth === BEFORE_ALL || (retired - birth) >>> 0 >= (retired - checkpoint) >>> 0
}
