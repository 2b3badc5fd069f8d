/**
 * Where old commits are: the log's segments as far as they are there, in the log's own folder or elsewhere.
 *
 * Threads: each belongs to the thread that made it. Segments are added and released meanwhile.
 */
import {
  type FollowedSegment,
  type LogFile,
  type LogStore,
  SegmentFolder,
  SegmentFollower,
} from '@ringbolt/wal'

export interface HistorySegment {
  /** Its path, for messages. */
  readonly place: string
  /** A copy: what came after it was made may be nowhere. */
  readonly isCopy: boolean
  /** Undefined when it was released meanwhile. */
  open(): OpenSegment | undefined
  /** Whether it is still there. */
  isThere(): boolean
}

interface OpenSegment {
  readonly follower: SegmentFollower
  /** What a record's ordinal in the log is added to for its commit sequence. */
  readonly baseSequence: number
}

export interface LogHistory {
  /** Of the first segment that begins after a commit, its first commit. */
  beginAfter(sequence: number): number | undefined
  /** The last of its segments that begins at or before a commit. */
  find(sequence: number): HistorySegment | undefined
}

/** What belongs to a main file, as its meta says it. */
export interface LogIdentity {
  readonly logId: Uint8Array
  readonly baseSequence: number
}

/** The log that is being written. */
export class LiveHistory implements LogHistory {
  readonly #openFolder: () => LogStore | undefined
  readonly #identity: LogIdentity
  #folder: SegmentFolder | undefined

  /** @param openFolder asked until there is one */
  constructor(openFolder: () => LogStore | undefined, identity: LogIdentity) {
    this.#openFolder = openFolder
    this.#identity = identity
  }

  beginAfter(sequence: number): number | undefined {
    const segment = this.#segments().find((candidate) => this.#firstOf(candidate) > sequence)
    return segment && this.#firstOf(segment)
  }

  find(sequence: number): HistorySegment | undefined {
    const segment = this.#segments().findLast((candidate) => this.#firstOf(candidate) <= sequence)
    const folder = this.#folder
    if (segment === undefined || folder === undefined) return undefined
    const { baseSequence } = this.#identity
    return {
      place: folder.placeOf(segment.name),
      isCopy: false,
      open() {
        const follower = folder.open(segment)
        return follower && { follower, baseSequence }
      },
      isThere: () => folder.has(segment.name),
    }
  }

  #segments(): readonly FollowedSegment[] {
    if (this.#folder === undefined) {
      const store = this.#openFolder()
      if (store === undefined) return []
      this.#folder = new SegmentFolder(store, this.#identity.logId)
    }
    return this.#folder.segments()
  }

  #firstOf({ header }: FollowedSegment): number {
    return this.#identity.baseSequence + header.firstSequence
  }
}

/** A segment's copy in an archive, as far as its name says. */
export interface ArchivedSegment {
  readonly place: string
  /** Sequence of its first commit. */
  readonly firstCommit: number
  /** Undefined when it was taken away. @throws what is wrong with the file */
  open(): ArchivedContent | undefined
}

interface ArchivedContent {
  /** The segment's bytes, from its own first on. */
  readonly file: LogFile
  readonly firstEpoch: number
  /** Where they end. */
  readonly endPosition: number
  readonly baseSequence: number
}

/** Copies of segments, of this log and of those before it. */
export class ArchiveHistory implements LogHistory {
  readonly #list: () => readonly ArchivedSegment[]

  /** @param list what there is now, in any order */
  constructor(list: () => readonly ArchivedSegment[]) {
    this.#list = list
  }

  beginAfter(sequence: number): number | undefined {
    const firsts = this.#list().map(({ firstCommit }) => firstCommit)
    const begin = Math.min(...firsts.filter((first) => first > sequence))
    return begin === Number.POSITIVE_INFINITY ? undefined : begin
  }

  find(sequence: number): HistorySegment | undefined {
    const begun = this.#list().filter(({ firstCommit }) => firstCommit <= sequence)
    const last = begun.toSorted((a, b) => a.firstCommit - b.firstCommit).at(-1)
    if (last === undefined) return undefined
    return {
      place: last.place,
      isCopy: true,
      open: () => openCopy(last),
      isThere: () => this.#list().some(({ place }) => place === last.place),
    }
  }
}

function openCopy(segment: ArchivedSegment): OpenSegment | undefined {
  const content = segment.open()
  if (content === undefined) return undefined
  const { file, firstEpoch, endPosition, baseSequence } = content
  const follower = SegmentFollower.ofCopy(file, firstEpoch, segment.place, endPosition)
  return { follower, baseSequence }
}
