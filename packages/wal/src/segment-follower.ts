/**
 * Reading the segments of a log beside its owner, from any thread or process, through files of one's own.
 *
 * Threads: each object belongs to the thread that made it. The owner appends, rotates and releases meanwhile.
 *
 * Contract. A group is asked for only once something else has said that it is written: published, or
 * acknowledged. Then it is whole where the one before it ends, or the first of the next segment. Nothing is read
 * ahead, so nothing that is being written is ever kept.
 *
 * A released segment is renamed before it is used again. Who finds something strange looks whether the
 * segment still has its name (`SegmentFolder.has`): if it does, the log is damaged; if not, it was let go of.
 */
import { LogCorruptError, LogIoError, type Mismatch } from './errors.ts'
import { isZero } from './frame.ts'
import {
  GROUP_BYTES_MIN,
  GROUP_HEADER_BYTES,
  SEGMENT_FIRST_GROUP_OFFSET,
  TERMINATOR_BYTES,
} from './layout.ts'
import type { LogFile, LogStore } from './log-store.ts'
import { readHeader } from './recovery-headers.ts'
import { type ChainLink, chainMismatch, linkAfter, linkOfHeader } from './recovery-scan.ts'
import { epochOfName, idText, isSegmentName, type SegmentHeader } from './segment.ts'
import { type GroupRead, SegmentReader } from './segment-reader.ts'

export interface FollowedSegment {
  readonly name: string
  readonly header: SegmentHeader
}

export interface FollowedGroup {
  /** Ordinal of its first record in the log. */
  readonly firstSequence: number
  readonly recordCount: number
  /** The frames, as they stand in the file; the reader's to keep. */
  readonly body: Uint8Array
  /** Where the body begins in the file. */
  readonly bodyPosition: number
}

/** The segments of one log in a folder, while its owner adds and releases some. */
export class SegmentFolder {
  readonly #store: LogStore
  readonly #logId: string
  /** By name; without the last, in whose place a longer one may come as long as it is empty. */
  #known = new Map<string, FollowedSegment>()

  constructor(store: LogStore, logId: Uint8Array) {
    this.#store = store
    this.#logId = idText(logId)
  }

  /**
   * In the order of the log; those of other logs are passed over.
   * @throws LogCorruptError for a header that is not what it must be
   */
  segments(): FollowedSegment[] {
    const names = this.#store.list().filter(isSegmentName).toSorted()
    const known = new Map<string, FollowedSegment>()
    for (const name of names) {
      const segment = this.#known.get(name) ?? this.#read(name)
      if (segment !== undefined) known.set(name, segment)
    }
    const segments = [...known.values()]
    const last = segments.at(-1)
    if (last !== undefined) known.delete(last.name)
    this.#known = known
    return segments.filter(({ header }) => idText(header.logId) === this.#logId)
  }

  /** Whether the folder has the segment still. */
  has(name: string): boolean {
    return this.#store.list().includes(name)
  }

  /** Undefined when it was released. */
  open({ name, header }: FollowedSegment): SegmentFollower | undefined {
    const file = this.#openFile(name)
    return file && new SegmentFollower(file, header, this.placeOf(name))
  }

  placeOf(name: string): string {
    return `${this.#store.location}/${name}`
  }

  /** Undefined when it is gone again. */
  #read(name: string): FollowedSegment | undefined {
    const file = this.#openFile(name)
    if (file === undefined) return undefined
    try {
      const read = readHeader(file, epochOfName(name))
      if (read.ok) return { name, header: read.header }
      if (!this.has(name)) return undefined
      const place = {
        file: this.placeOf(name),
        byteOffset: read.byteOffset,
        epoch: epochOfName(name),
      }
      throw new LogCorruptError(place, read.mismatch)
    } finally {
      file.close()
    }
  }

  #openFile(name: string): LogFile | undefined {
    try {
      return this.#store.open(name)
    } catch (error) {
      if (error instanceof LogIoError && !this.has(name)) return undefined
      throw error
    }
  }
}

/** The groups of one segment, from its first on. */
export class SegmentFollower {
  readonly #file: LogFile
  readonly #header: SegmentHeader
  readonly #place: string
  /** Where the file ends: that of a copy, after the last group that was there when it was made. */
  readonly #endPosition: number
  #link: ChainLink
  #position = SEGMENT_FIRST_GROUP_OFFSET

  /**
   * @param place its path, for messages
   * @param endPosition where the file ends; less than the header's length in a copy
   */
  constructor(
    file: LogFile,
    header: SegmentHeader,
    place: string,
    endPosition: number = header.segmentBytes,
  ) {
    this.#file = file
    this.#header = header
    this.#place = place
    this.#endPosition = endPosition
    this.#link = linkOfHeader(header)
  }

  /**
   * Of a copy of a segment.
   * @param firstEpoch which it should begin with
   * @throws LogCorruptError
   */
  static ofCopy(
    file: LogFile,
    firstEpoch: number,
    place: string,
    endPosition: number,
  ): SegmentFollower {
    const read = readHeader(file, firstEpoch)
    if (read.ok) return new SegmentFollower(file, read.header, place, endPosition)
    const { byteOffset, mismatch } = read
    throw new LogCorruptError({ file: place, byteOffset, epoch: firstEpoch }, mismatch)
  }

  /** Ordinal of the record that the next group begins with. */
  get nextSequence(): number {
    return this.#link.sequence
  }

  /**
   * The next group, which must be written by now, here or in the next segment.
   * @returns undefined where the segment ends
   * @throws LogCorruptError when something else stands here
   */
  next(): FollowedGroup | undefined {
    const expected = this.#endPosition
    const limit = Math.min(this.#file.length(), expected)
    const position = this.#position
    if (limit - position < GROUP_BYTES_MIN) {
      if (limit === expected) return undefined
      const mismatch = { what: 'segment length', expected, actual: limit }
      throw this.#corrupt(position, mismatch)
    }
    if (this.#endsAt(position)) return undefined
    // Anew for each group: its window is never older than what vouches for the group.
    const read = new SegmentReader(this.#file, this.#header.logId, false, 0).group(position, limit)
    return this.#accept(read, position)
  }

  close(): void {
    this.#file.close()
  }

  #endsAt(position: number): boolean {
    const terminator = new Uint8Array(TERMINATOR_BYTES)
    this.#file.readAt(position, terminator)
    return isZero(terminator)
  }

  #accept(read: GroupRead, position: number): FollowedGroup {
    if (!read.ok) throw this.#corrupt(read.byteOffset, read.mismatch)
    const { group } = read
    const mismatch = chainMismatch(group.header, this.#header, this.#link)
    if (mismatch !== undefined) throw this.#corrupt(position, mismatch)
    this.#link = linkAfter(group)
    this.#position = group.endPosition
    const { firstSequence, recordCount } = group.header
    const bodyPosition = position + GROUP_HEADER_BYTES
    return { firstSequence, recordCount, body: group.body, bodyPosition }
  }

  #corrupt(byteOffset: number, mismatch: Mismatch): LogCorruptError {
    return new LogCorruptError({ file: this.#place, byteOffset, epoch: this.#link.epoch }, mismatch)
  }
}
