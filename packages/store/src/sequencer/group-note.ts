/**
 * What the sequencer writes down at the head of each group of the log, so that whoever applies the group comes to
 * the very same pages: under which ids they were made, and what was done between commits. It stands in an uncounted
 * frame, so it has no commit sequence; a group may have nothing else.
 *
 *   byte 0   u8   format, 3
 *   byte 1   u8   0, three times
 *   byte 4   u32  pages of dropped trees that were given back before the first command, at the most
 *   byte 8   f64  when the group was written: milliseconds since 1970
 *   byte 16  u32  page ids that were taken, n
 *   byte 20       n varints, in the order in which they were taken: the difference to the one before, zigzag
 */
import { FRAME_HEADER_BYTES, FRAME_LENGTH_MASK } from '@ringbolt/ring'
import { frameBytesOf, writeFrame } from '@ringbolt/wal'
import { FIRST_PAGE } from '../page/page.ts'
import { PAGE_COUNT_MAX } from '../space/main-layout.ts'

const NOTE_FORMAT = 3
const RECLAIMED_BYTE = 4
const TIME_BYTE = 8
const COUNT_BYTE = 16
const IDS_BYTE = 20
/** Of 33 bits, which is what a zigzag difference of two ids takes. */
const VARINT_BYTES_MAX = 5
const VARINT_BASE = 128
/** The sign of a frame's header. */
const UNCOUNTED: number = 1 << 31

export interface GroupNote {
  readonly pageIds: readonly number[]
  /** 0: nothing was given back. */
  readonly reclaimedPagesMax: number
  /** Wall clock. */
  readonly timeMs: number
}

/** As the first frame of a group. */
export function encodeNoteFrame(note: GroupNote): Buffer {
  const bytes = encodeNote(note)
  const frame = Buffer.allocUnsafe(frameBytesOf(bytes.length))
  writeFrame(frame, 0, bytes)
  frame.writeInt32LE(bytes.length | UNCOUNTED, 0)
  return frame
}

function encodeNote({ pageIds, reclaimedPagesMax, timeMs }: GroupNote): Buffer {
  const bytes = Buffer.allocUnsafe(IDS_BYTE + pageIds.length * VARINT_BYTES_MAX)
  bytes.writeUInt32LE(NOTE_FORMAT, 0)
  bytes.writeUInt32LE(reclaimedPagesMax, RECLAIMED_BYTE)
  bytes.writeDoubleLE(timeMs, TIME_BYTE)
  bytes.writeUInt32LE(pageIds.length, COUNT_BYTE)
  let at = IDS_BYTE
  let previous = 0
  for (const pageId of pageIds) {
    const difference = pageId - previous
    // Beyond 32 bits, so without shifts.
    let rest = difference < 0 ? -2 * difference - 1 : 2 * difference
    for (; rest >= VARINT_BASE; rest = Math.floor(rest / VARINT_BASE)) {
      bytes[at++] = (rest % VARINT_BASE) | VARINT_BASE
    }
    bytes[at++] = rest
    previous = pageId
  }
  return bytes.subarray(0, at)
}

/** The note of a group, and where the commands begin; what is wrong, in words, when there is none. */
export function decodeNoteFrame(body: Buffer): { note: GroupNote; endByte: number } | string {
  const header = body.readInt32LE(0)
  if (header >= 0) return 'a record'
  const noteBytes = header & FRAME_LENGTH_MASK
  const note = decodeNote(body, FRAME_HEADER_BYTES, FRAME_HEADER_BYTES + noteBytes)
  return typeof note === 'string' ? note : { note, endByte: frameBytesOf(noteBytes) }
}

/** When a group was written, by its note; what is wrong, in words, when there is none. Looks no further. */
export function timeOfGroup(body: Buffer): number | string {
  const header = body.readInt32LE(0)
  if (header >= 0) return 'a record'
  const noteBytes = header & FRAME_LENGTH_MASK
  if (noteBytes < IDS_BYTE) return `a note of ${noteBytes} bytes`
  const format = body.readUInt32LE(FRAME_HEADER_BYTES)
  if (format !== NOTE_FORMAT) return `format ${format}`
  const timeMs = body.readDoubleLE(FRAME_HEADER_BYTES + TIME_BYTE)
  return Number.isFinite(timeMs) ? timeMs : `a time of ${timeMs}`
}

/** The same; undefined: its head does not say. */
export function groupTimeMs(body: Uint8Array): number | undefined {
  const time = timeOfGroup(Buffer.from(body.buffer, body.byteOffset, body.byteLength))
  return typeof time === 'string' ? undefined : time
}

function decodeNote(bytes: Buffer, start: number, end: number): GroupNote | string {
  if (end - start < IDS_BYTE) return `a note of ${end - start} bytes`
  const format = bytes.readUInt32LE(start)
  if (format !== NOTE_FORMAT) return `format ${format}`
  const timeMs = bytes.readDoubleLE(start + TIME_BYTE)
  if (!Number.isFinite(timeMs)) return `a time of ${timeMs}`
  const count = bytes.readUInt32LE(start + COUNT_BYTE)
  if (count > end - start - IDS_BYTE) return `${count} page ids in ${end - start} bytes`
  const pageIds: number[] = []
  let at = start + IDS_BYTE
  let previous = 0
  while (pageIds.length < count) {
    let value = 0
    let scale = 1
    let byte: number
    do {
      if (at === end || scale > VARINT_BASE ** VARINT_BYTES_MAX) return 'a page id without an end'
      byte = bytes[at++]!
      value += (byte % VARINT_BASE) * scale
      scale *= VARINT_BASE
    } while (byte >= VARINT_BASE)
    previous += value % 2 === 0 ? value / 2 : -(value + 1) / 2
    if (!(previous >= FIRST_PAGE && previous < PAGE_COUNT_MAX)) return `page id ${previous}`
    pageIds.push(previous)
  }
  if (at !== end) return `${end - at} bytes after the last page id`
  return { pageIds, reclaimedPagesMax: bytes.readUInt32LE(start + RECLAIMED_BYTE), timeMs }
}
