/**
 * Reading a log that may be appended to, cut or released meanwhile. Reads only what is written, one
 * group at a time, and checks each again: a disk may have gone bad since the log was opened.
 */

import { FRAME_HEADER_BYTES } from '@ringbolt/ring'
import { LogCorruptError, LogTruncatedError } from './errors.ts'
import { frameBytesOf, frameHeader, recordLengthOf } from './frame.ts'
import { viewOf } from './group.ts'
import { SEGMENT_FIRST_GROUP_OFFSET } from './layout.ts'
import type { LogStore } from './log-store.ts'
import { type Lsn, lsnOf } from './lsn.ts'
import type { LiveSegment } from './recovery.ts'
import { type Group, SegmentReader } from './segment-reader.ts'

export interface LogRecord {
  readonly lsn: Lsn
  /** Ordinal of the record in the log, from 1. */
  readonly sequence: number
  readonly epoch: number
  readonly record: Uint8Array
}

/** All records of a group, without an object for each. */
export interface LogGroup {
  readonly epoch: number
  readonly firstLsn: Lsn
  readonly firstSequence: number
  readonly recordCount: number
  /** The frames, as they stand in the file. Valid until the callback returns. */
  readonly body: Uint8Array
}

/** What a reader needs of its log. */
export interface LogSource {
  readonly store: LogStore
  readonly segments: readonly LiveSegment[]
  readonly writtenLsn: Lsn
  /** Grows when LSNs that had been given out are cut off. */
  readonly cuts: number
  assertReadable(): void
}

/** The records from one LSN up to another, in order. Each `record` is the reader's to keep. */
export function* readRecords(
  source: LogSource,
  from: Lsn,
  to: number,
): Generator<LogRecord, void, undefined> {
  let due: number = from
  for (const { group, liveEndLsn } of readGroups(source, from, to, false)) {
    const { body, header } = group
    const view = viewOf(body)
    let sequence = header.firstSequence
    for (let at = 0; at < body.length; ) {
      const frame = frameHeader(view, at)
      const length = recordLengthOf(frame)
      const lsn = header.firstLsn + at
      const next = at + frameBytesOf(length)
      if (lsn >= Math.min(to, liveEndLsn)) break
      if (lsn >= due) {
        assertBoundary(lsn, due, from)
        due = header.firstLsn + next
        if (frame > 0) {
          const start = at + FRAME_HEADER_BYTES
          const record = body.subarray(start, start + length)
          yield { lsn: lsnOf(lsn), sequence, epoch: header.epoch, record }
        }
      }
      if (frame > 0) sequence++
      at = next
    }
  }
}

function assertBoundary(lsn: number, due: number, from: number): void {
  if (lsn !== due) throw new RangeError(`LSN ${from} is inside the frame before ${lsn}`)
}

/** A group, and where its segment's live part ends: a cut may have gone through it. */
interface ReadGroup {
  readonly group: Group
  readonly liveEndLsn: number
}

/**
 * The groups that hold frames from `from` up to `to`. With `reuse`, a body is valid until the next.
 * @throws LogTruncatedError when the position is not, or is no longer, in the log
 * @throws LogCorruptError when a group has gone bad
 */
export function* readGroups(
  source: LogSource,
  from: Lsn,
  to: number,
  reuse: boolean,
): Generator<ReadGroup, void, undefined> {
  const { cuts } = source
  let lsn: number = from
  assertInLog(source, from, cuts)
  while (lsn < Math.min(to, source.writtenLsn)) {
    const segment = source.segments.find(({ endLsn }) => lsn < endLsn)
    if (segment === undefined || lsn < segment.header.firstLsn) throw notInLog(source, lsn)
    const file = source.store.open(segment.name)
    try {
      const reader = new SegmentReader(file, segment.header.logId, reuse)
      let position = SEGMENT_FIRST_GROUP_OFFSET
      while (lsn < Math.min(to, segment.endLsn)) {
        const group = groupAt(source, segment, reader, position)
        position = group.endPosition
        const end = group.header.firstLsn + group.header.bodyBytes
        if (end <= lsn) continue
        // The file is another part of the log by now.
        if (group.header.firstLsn > lsn) throw notInLog(source, lsn)
        yield { group, liveEndLsn: segment.endLsn }
        if (segment.released) throw notInLog(source, lsn)
        lsn = end
        assertInLog(source, Math.min(lsn, segment.endLsn), cuts)
      }
      lsn = Math.min(lsn, segment.endLsn)
    } finally {
      file.close()
    }
  }
}

function groupAt(
  source: LogSource,
  segment: LiveSegment,
  reader: SegmentReader,
  position: number,
): Group {
  const read = reader.group(position, segment.endPosition)
  if (read.ok) return read.group
  const file = `${source.store.location}/${segment.name}`
  const place = { file, byteOffset: read.byteOffset, epoch: read.header?.epoch ?? 0 }
  throw new LogCorruptError(place, read.mismatch)
}

/** @param cutsBefore a cut since then may have given the LSN to another record */
function assertInLog(source: LogSource, lsn: number, cutsBefore: number): void {
  source.assertReadable()
  const firstLsn = source.segments[0]?.header.firstLsn ?? 0
  if (lsn < firstLsn || lsn > source.writtenLsn || source.cuts !== cutsBefore) {
    throw notInLog(source, lsn)
  }
}

function notInLog(source: LogSource, lsn: number): LogTruncatedError {
  return new LogTruncatedError(lsn, source.segments[0]?.header.firstLsn ?? 0, source.writtenLsn)
}
