/**
 * Keeps the log: a segment is copied into the archive before it is released, and all that is left before the log is
 * removed at a clean close.
 *
 * Threads: the sequencer's, in bounded pieces between groups.
 *
 * Invariants
 *  V1 A segment is released only after its copy is whole, synced, under its name, and the folder synced.
 *  V2 What is copied is durable in the log: the segments before the last are, and the last is synced first.
 *  V3 A name stands for one segment of one log. A copy of a segment that has grown since replaces the shorter one by a
 *     rename; one that is there and as long is not made again.
 *
 * Crash: at any point either the segment is still in the log, or its copy is whole in the archive, or both. A `.part`
 * is written over by the next attempt.
 *
 * A failing archive, a full disk above all, stops nothing: the segments stay in the log, and are tried again every some
 * seconds. Only a clean close needs them gone, and throws.
 */
import { crc32c } from '@node-rs/crc32'
import { isRingboltError } from '@ringbolt/ring'
import { type LogFile, type LogStore, lsnOf, type SegmentedLog } from '@ringbolt/wal'
import {
  type ArchiveHeader,
  archiveName,
  encodeArchiveHeader,
  readArchiveHeader,
} from './archive-format.ts'
import { ArchiveError } from './errors.ts'
import { ARCHIVE_HEADER_BYTES } from './layout.ts'

const PART_SUFFIX = '.part'
const PIECE_BYTES = 1024 * 1024
const RETRY_MS = 2000

type Segment = SegmentedLog['segments'][number]

export interface ArchivedDatabase {
  readonly databaseId: Uint8Array
  /** Of the log that is archived. */
  readonly baseSequence: number
}

/** A copy under way. */
interface Copy {
  readonly name: string
  readonly header: Omit<ArchiveHeader, 'contentChecksum'>
  readonly source: LogFile
  readonly target: LogFile
  copiedBytes: number
  checksum: number
}

export class LogArchive {
  readonly #store: LogStore
  /** While it may be written. */
  readonly #logNow: () => SegmentedLog
  readonly #database: ArchivedDatabase
  readonly #nowMs: () => number
  readonly #piece: Buffer = Buffer.alloc(PIECE_BYTES)
  #copy: Copy | undefined
  #failure: ArchiveError | undefined
  #failedAtMs = 0
  #failures = 0
  #segments = 0

  constructor(
    store: LogStore,
    log: () => SegmentedLog,
    database: ArchivedDatabase,
    nowMs: () => number,
  ) {
    this.#store = store
    this.#logNow = log
    this.#database = database
    this.#nowMs = nowMs
  }

  get #log(): SegmentedLog {
    return this.#logNow()
  }

  /** In the middle of a segment: nobody else may begin with it. */
  get isCopying(): boolean {
    return this.#copy !== undefined
  }

  /** Why the log is being held back; undefined: it is not. */
  get failure(): ArchiveError | undefined {
    return this.#failure
  }

  /** Attempts that failed since the database was opened. */
  get failures(): number {
    return this.#failures
  }

  /** Segments copied since the database was opened. */
  get segments(): number {
    return this.#segments
  }

  /**
   * Copies a piece of the oldest segment that lies wholly before the LSN, and releases it once it is copied.
   * @returns whether there was anything to do, and it could be done
   */
  step(lsn: number): boolean {
    const first = this.#log.segments[0]
    if (first === undefined || this.#log.segments.length === 1 || first.endLsn > lsn) return false
    if (this.#failure !== undefined && this.#nowMs() - this.#failedAtMs < RETRY_MS) return false
    try {
      if (!this.#advance(first)) return true
      this.#failure = undefined
    } catch (error) {
      this.#failed(error)
      return false
    }
    this.#log.truncateBefore(lsnOf(first.endLsn))
    return true
  }

  /** Copies all that the log holds; releases nothing. @throws ArchiveError */
  finish(): void {
    this.#log.sync()
    try {
      for (const segment of this.#log.segments) {
        let isThere = false
        while (!isThere) isThere = this.#advance(segment)
      }
    } catch (error) {
      throw this.#failed(error)
    }
  }

  /** Lets go of files. */
  close(): void {
    this.#copy?.source.close()
    this.#copy?.target.close()
    this.#copy = undefined
  }

  /** @returns whether the segment is in the archive */
  #advance(segment: Segment): boolean {
    if (segment.endLsn === segment.header.firstLsn) return true
    this.#copy ??= this.#begin(segment)
    const copy = this.#copy
    if (copy === undefined) return true
    if (copy.copiedBytes < copy.header.contentBytes) this.#copyPiece(copy)
    if (copy.copiedBytes < copy.header.contentBytes) return false
    copy.target.writeAt(0, [
      encodeArchiveHeader({ ...copy.header, contentChecksum: copy.checksum }),
    ])
    copy.target.sync()
    this.close()
    this.#store.rename(copy.name + PART_SUFFIX, copy.name)
    this.#store.syncFolder()
    this.#segments++
    return true
  }

  /** Undefined: it is there already (V3). */
  #begin(segment: Segment): Copy | undefined {
    const header = this.#headerOf(segment)
    const name = archiveName(header)
    if (this.#isThere(name, header.endLsn)) {
      // Whoever made it may have been killed before he got so far.
      this.#store.syncFolder()
      return undefined
    }
    const target = this.#makePart(name + PART_SUFFIX)
    try {
      const source = this.#log.store.open(segment.name)
      return { name, header, source, target, copiedBytes: 0, checksum: 0 }
    } catch (error) {
      target.close()
      throw error
    }
  }

  #headerOf(segment: Segment): Omit<ArchiveHeader, 'contentChecksum'> {
    const { segments } = this.#log
    const { databaseId, baseSequence } = this.#database
    const next = segments[segments.indexOf(segment) + 1]
    return {
      databaseId,
      logId: this.#log.logId,
      baseSequence,
      firstEpoch: segment.header.firstEpoch,
      firstLsn: segment.header.firstLsn,
      endLsn: segment.endLsn,
      firstOrdinal: segment.header.firstSequence,
      endOrdinal: next?.header.firstSequence ?? this.#log.nextSequence,
      contentBytes: segment.endPosition,
    }
  }

  #isThere(name: string, endLsn: number): boolean {
    const file = unlessErrno('ENOENT', () => this.#store.open(name))
    if (file === undefined) return false
    try {
      const there = readArchiveHeader(file, `${this.#store.location}/${name}`).endLsn
      if (there <= endLsn) return there === endLsn
      throw new Error(
        `${name} is there and goes on to LSN ${there}, past ${endLsn}: another copy of the database wrote it`,
      )
    } finally {
      file.close()
    }
  }

  #makePart(name: string): LogFile {
    const made = unlessErrno('EEXIST', () => this.#store.create(name))
    if (made !== undefined) return made
    this.#store.remove(name)
    return this.#store.create(name)
  }

  #copyPiece(copy: Copy): void {
    const rest = copy.header.contentBytes - copy.copiedBytes
    const piece = this.#piece.subarray(0, Math.min(PIECE_BYTES, rest))
    const length = copy.source.readAt(copy.copiedBytes, piece)
    if (length < piece.length)
      throw new Error(`${copy.source.name} ends ${rest - length} bytes early`)
    copy.target.writeAt(ARCHIVE_HEADER_BYTES + copy.copiedBytes, [piece])
    // Piece by piece: a sync of all at once would hold groups up for long.
    copy.target.sync()
    copy.checksum = crc32c(piece, copy.checksum)
    copy.copiedBytes += length
  }

  #failed(error: unknown): ArchiveError {
    const failure = new ArchiveError(this.#store.location, error)
    this.#failure = failure
    this.#failures++
    this.#failedAtMs = this.#nowMs()
    const name = this.#copy?.name
    this.close()
    // Half a copy on a full disk only takes room. If it cannot be removed either, the next attempt writes over it.
    if (name !== undefined) unlessRefused(() => this.#store.remove(name + PART_SUFFIX))
    return failure
  }
}

function unlessRefused(call: () => void): void {
  try {
    call()
  } catch (error) {
    if (!isRingboltError(error)) throw error
  }
}

function unlessErrno<T>(errno: string, call: () => T): T | undefined {
  try {
    return call()
  } catch (error) {
    if (isRingboltError(error) && error.facts['errno'] === errno) return undefined
    throw error
  }
}
