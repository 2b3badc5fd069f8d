/**
 * Where old commits are: the log's segments as far as they are there, in the log's own folder or elsewhere.
 *
 * Threads: each belongs to the thread that made it. Segments are added and released meanwhile.
 */
import {
  type FollowedSegment,
  type LogStore,
  SegmentFolder,
  type SegmentFollower,
} from '@ringbolt/wal'

export interface HistorySegment {
  /** Its path, for messages; no other segment's. */
  readonly place: string
  /** What a record's ordinal in the log is added to for its commit sequence. */
  readonly baseSequence: number
  /** Undefined when it was released meanwhile. */
  open(): SegmentFollower | undefined
  /** Whether it is still there. */
  isThere(): boolean
}

export interface LogHistory {
  /** Of the oldest commit that it has, or would have next; undefined: it has no segment. */
  oldest(): number | undefined
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

  oldest(): number | undefined {
    const first = this.#segments()[0]
    return first && this.#firstOf(first)
  }

  find(sequence: number): HistorySegment | undefined {
    const segment = this.#segments().findLast((candidate) => this.#firstOf(candidate) <= sequence)
    const folder = this.#folder
    if (segment === undefined || folder === undefined) return undefined
    return {
      place: folder.placeOf(segment.name),
      baseSequence: this.#identity.baseSequence,
      open: () => folder.open(segment),
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
