/**
 * Reading a log that another process appends to: from where one stands up to where that process says that it is
 * acknowledged, and no further. One thread; changes nothing.
 *
 * Whoever says how far the log goes has written those groups before, so what is missing or bad up to there is damage.
 * The segments from where the follower stands on must not be released meanwhile: it says how far it is, and whoever
 * releases segments looks.
 */
import { LogCorruptError, LogIoError } from './errors.ts'
import { hex } from './group.ts'
import { groupBytes, SEGMENT_FIRST_GROUP_OFFSET } from './layout.ts'
import type { LogFile, LogStore } from './log-store.ts'
import { lsnOf } from './lsn.ts'
import { placeOf, readHeader, wrongLog } from './recovery-headers.ts'
import { type ChainLink, chainMismatch, linkAfter } from './recovery-scan.ts'
import { epochOfName, type SegmentHeader, segmentName } from './segment.ts'
import { type GroupRead, SegmentReader } from './segment-reader.ts'
import type { LogGroup } from './segmented-log-reader.ts'

/** Between two groups, in a segment's file. */
export interface LogPosition {
  readonly segment: string
  readonly byteOffset: number
  readonly link: ChainLink
}

/** How far a log goes. */
export interface LogHead {
  readonly lsn: number
  /** Of the next group. */
  readonly epoch: number
}

/** Bytes of a group that are not its body. */
const AROUND_BODY: number = groupBytes(0, 1)

export class LogFollower {
  readonly #store: LogStore
  readonly #logId: Uint8Array
  #segment: string
  #file: LogFile
  #header: SegmentHeader
  #reader: SegmentReader
  #byteOffset: number
  #link: ChainLink

  constructor(store: LogStore, logId: Uint8Array, { segment, byteOffset, link }: LogPosition) {
    this.#store = store
    this.#logId = logId
    this.#segment = segment
    this.#byteOffset = byteOffset
    this.#link = link
    const { file, header } = this.#open(segment)
    this.#file = file
    this.#header = header
    this.#reader = new SegmentReader(file, logId, true)
  }

  get position(): LogPosition {
    return { segment: this.#segment, byteOffset: this.#byteOffset, link: this.#link }
  }

  /**
   * Goes on to the head, group by group; when `onGroup` throws, that group counts as not read.
   * @throws LogCorruptError when a group up to there is bad or missing
   */
  readTo(head: LogHead, onGroup: (group: LogGroup) => void): void {
    this.#reader.forget()
    while (this.#link.epoch < head.epoch) this.#readGroup(head, onGroup)
    if (this.#link.lsn !== head.lsn) {
      throw this.#corrupt('LSN of the head', head.lsn, this.#link.lsn)
    }
  }

  /** Idempotent. */
  close(): void {
    this.#file.close()
  }

  #readGroup(head: LogHead, onGroup: (group: LogGroup) => void): void {
    let read = this.#read(head)
    if (isEndOfSegment(read, this.#link)) {
      this.#nextSegment()
      read = this.#read(head)
    }
    if (!read.ok) {
      const place = placeOf(this.#store, this.#segment, read.byteOffset)
      throw new LogCorruptError({ ...place, epoch: this.#link.epoch }, read.mismatch)
    }
    const { group } = read
    const mismatch = chainMismatch(group.header, this.#header, this.#link)
    if (mismatch !== undefined) {
      throw this.#corrupt(mismatch.what, mismatch.expected, mismatch.actual)
    }
    const { epoch, firstLsn, firstSequence, recordCount } = group.header
    onGroup({ epoch, firstLsn: lsnOf(firstLsn), firstSequence, recordCount, body: group.body })
    this.#link = linkAfter(group)
    this.#byteOffset = group.endPosition
  }

  #read(head: LogHead): GroupRead {
    const groups = head.epoch - this.#link.epoch
    // What lies behind the head may just be being written.
    const settled = head.lsn - this.#link.lsn + groups * AROUND_BODY
    const limit = Math.min(this.#header.segmentBytes, this.#byteOffset + settled)
    return this.#reader.group(this.#byteOffset, limit)
  }

  #nextSegment(): void {
    const segment = segmentName(this.#link.epoch)
    const { file, header } = this.#open(segment)
    // An empty one is replaced by a larger one when the first group needs that.
    if (segment === this.#segment && header.segmentBytes === this.#header.segmentBytes) {
      file.close()
      throw this.#corrupt('group', `epoch ${this.#link.epoch}`, 'none')
    }
    this.#file.close()
    this.#file = file
    this.#segment = segment
    this.#header = header
    this.#byteOffset = SEGMENT_FIRST_GROUP_OFFSET
    this.#reader = new SegmentReader(file, this.#logId, true)
    const { lsn, previous } = this.#link
    if (header.firstLsn !== lsn) throw this.#corrupt('first LSN', lsn, header.firstLsn)
    if (header.previous !== previous) {
      throw this.#corrupt('previous checksum', hex(previous), hex(header.previous))
    }
  }

  #open(segment: string): { file: LogFile; header: SegmentHeader } {
    const file = this.#openFile(segment)
    const read = readHeader(file, epochOfName(segment))
    if (read.ok && Buffer.compare(read.header.logId, this.#logId) === 0) {
      return { file, header: read.header }
    }
    file.close()
    if (!read.ok)
      throw new LogCorruptError(placeOf(this.#store, segment, read.byteOffset), read.mismatch)
    throw wrongLog(this.#store, segment, this.#logId, read.header)
  }

  #openFile(segment: string): LogFile {
    try {
      return this.#store.open(segment)
    } catch (error) {
      if (!(error instanceof LogIoError) || error.facts['errno'] !== 'ENOENT') throw error
      const mismatch = { what: 'segment', expected: segment, actual: 'missing' }
      throw new LogCorruptError(placeOf(this.#store, segment, 0), mismatch)
    }
  }

  #corrupt(what: string, expected: number | string, actual: number | string): LogCorruptError {
    const place = placeOf(this.#store, this.#segment, this.#byteOffset)
    return new LogCorruptError({ ...place, epoch: this.#link.epoch }, { what, expected, actual })
  }
}

/** No group of this life of the file: a terminator, no room for one, or what it held before. */
function isEndOfSegment(read: GroupRead, link: ChainLink): boolean {
  if (read.ok) return read.group.header.epoch < link.epoch
  return read.header === undefined || read.header.epoch < link.epoch
}
