/**
 * Commits out of the log's files, one after another, each once: from any place that the files still reach back to.
 *
 * Threads: belongs to the thread that made it, beside the sequencer that writes the log. Reads only up to the
 * commit that it is told of, which is published, and so written. Memory: one group.
 */
import { FRAME_HEADER_BYTES, FRAME_LENGTH_MASK } from '@ringbolt/ring'
import { type FollowedGroup, frameBytesOf, type SegmentFollower } from '@ringbolt/wal'
import type { CommittedCommand } from '../client/commit-source.ts'
import { ChangesGoneError, StoreCorruptError } from '../errors.ts'
import { timeOfGroup } from '../sequencer/group-note.ts'
import type { HistorySegment, LogHistory } from './log-history.ts'

/** A segment that is found twice and does not have the commit will not have it the third time. */
const LOOKS_MAX = 2

export class CommitReader {
  readonly #histories: readonly LogHistory[]
  #sequence: number
  #segment: HistorySegment | undefined
  #follower: SegmentFollower | undefined
  /** Of the segment's log. */
  #baseSequence = 0
  #bytes: Buffer = Buffer.alloc(0)
  #at = 0
  /** Of the record at `#at`, or the next one behind it. */
  #next = 0
  #bodyPosition = 0
  #timeMs = 0

  /**
   * @param histories asked in turn
   * @param from the last commit that is not wanted
   */
  constructor(histories: readonly LogHistory[], from: number) {
    this.#histories = histories
    this.#sequence = from
  }

  /** The last commit that was read, or that is not wanted. */
  get sequence(): number {
    return this.#sequence
  }

  /**
   * The next commit; undefined when that is beyond `newest`.
   * @throws ChangesGoneError when it was released; LogCorruptError, LogIoError
   */
  next(newest: number): CommittedCommand | undefined {
    if (this.#sequence >= newest) return undefined
    for (;;) {
      while (this.#at < this.#bytes.length) {
        const command = this.#frame()
        if (command !== undefined) return command
      }
      this.#readGroup(newest)
    }
  }

  close(): void {
    this.#follower?.close()
    this.#follower = undefined
  }

  /** Steps over one frame. @returns its command, when it is the next one that is wanted */
  #frame(): CommittedCommand | undefined {
    const bytes = this.#bytes
    const header = bytes.readInt32LE(this.#at)
    const start = this.#at + FRAME_HEADER_BYTES
    const length = header & FRAME_LENGTH_MASK
    const offset = this.#bodyPosition + this.#at
    this.#at += frameBytesOf(length)
    // Aborted ones, and the notes that end a group, are no commits.
    if (header < 0) return undefined
    const sequence = this.#next++
    if (sequence <= this.#sequence) return undefined
    this.#sequence = sequence
    const [timeMs, file] = [this.#timeMs, this.#segment!.place]
    return { sequence, timeMs, bytes, start, end: start + length, file, offset }
  }

  #readGroup(newest: number): void {
    const wanted = this.#sequence + 1
    for (let looks = 0; ; looks++) {
      const found = this.#groupOf(wanted, newest)
      if (found !== undefined) {
        const { body } = found
        this.#bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength)
        this.#at = 0
        this.#next = this.#baseSequence + found.firstSequence
        this.#bodyPosition = found.bodyPosition
        this.#timeMs = this.#timeOf(this.#bytes)
        return
      }
      if (looks === LOOKS_MAX) throw this.#missing(wanted, newest)
    }
  }

  #timeOf(body: Buffer): number {
    const timeMs = timeOfGroup(body)
    if (typeof timeMs === 'number') return timeMs
    const place = { file: this.#segment!.place, offset: this.#bodyPosition }
    throw new StoreCorruptError(place, 'the head of a group', 'its note', timeMs)
  }

  /** The group with the commit; undefined: not in this segment, or no longer. */
  #groupOf(wanted: number, newest: number): FollowedGroup | undefined {
    this.#follower ??= this.#open(wanted, newest)
    const follower = this.#follower
    if (follower === undefined) return undefined
    try {
      for (let group = follower.next(); group !== undefined; group = follower.next()) {
        const first = this.#baseSequence + group.firstSequence
        if (first + group.recordCount > wanted) return group
      }
    } catch (error) {
      // What was found was found in a file that is no longer this part of the log.
      if (this.#segment!.isThere()) throw error
    }
    this.close()
    return undefined
  }

  #open(wanted: number, newest: number): SegmentFollower | undefined {
    for (const history of this.#histories) {
      const segment = history.find(wanted)
      if (segment === undefined) continue
      this.#segment = segment
      const opened = segment.open()
      this.#baseSequence = opened?.baseSequence ?? 0
      return opened?.follower
    }
    throw this.#gone(wanted, newest)
  }

  #gone(wanted: number, newest: number): ChangesGoneError {
    const begins = this.#histories.map((history) => history.beginAfter(wanted) ?? newest + 1)
    return new ChangesGoneError(this.#sequence, Math.min(newest + 1, ...begins) - 1)
  }

  #missing(wanted: number, newest: number): Error {
    if (this.#segment?.isCopy === true) return this.#gone(wanted, newest)
    const place = { file: this.#segment?.place ?? 'the log', offset: 0 }
    return new StoreCorruptError(
      place,
      `commit ${wanted}`,
      'in this segment or a later one',
      'missing',
    )
  }
}
