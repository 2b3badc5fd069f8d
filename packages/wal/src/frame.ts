/**
 * Frames: how records stand in a group's body. The format is the ring's (see its layout.ts), since
 * drained bytes go into the file as they are.
 */
import {
  FRAME_ALIGNMENT_BYTES,
  FRAME_HEADER_BYTES,
  FRAME_LENGTH_MASK,
  frameBytes,
} from '@ringbolt/ring'
import type { Mismatch } from './errors.ts'

/** A length read from a frame's header; the sign of the header says whether it is aborted. */
export function frameHeader(view: DataView, byteOffset: number): number {
  return view.getInt32(byteOffset, true)
}

export function recordLengthOf(header: number): number {
  return header & FRAME_LENGTH_MASK
}

/**
 * Size of a frame in bytes, for lengths up to 2^31-1. The ring's own `frameBytes` is 32-bit
 * arithmetic and holds up to its capacity only.
 */
export function frameBytesOf(recordLengthBytes: number): number {
  return recordLengthBytes < 2 ** 30
    ? frameBytes(recordLengthBytes)
    : Math.ceil((recordLengthBytes + FRAME_HEADER_BYTES) / FRAME_ALIGNMENT_BYTES) *
        FRAME_ALIGNMENT_BYTES
}

/** Writes the header of a record's frame. Returns the offset just past it. */
export function writeFrameHeader(
  target: Uint8Array,
  byteOffset: number,
  recordLengthBytes: number,
): number {
  target[byteOffset] = recordLengthBytes
  target[byteOffset + 1] = recordLengthBytes >>> 8
  target[byteOffset + 2] = recordLengthBytes >>> 16
  target[byteOffset + 3] = recordLengthBytes >>> 24
  return byteOffset + FRAME_HEADER_BYTES
}

/** Writes a whole frame, padding included. Returns the offset just past it. */
export function writeFrame(target: Uint8Array, byteOffset: number, record: Uint8Array): number {
  const end = byteOffset + frameBytesOf(record.length)
  const start = writeFrameHeader(target, byteOffset, record.length)
  target.set(record, start)
  for (let at = start + record.length; at < end; at++) target[at] = 0
  return end
}

/** What is wrong with a body, as a check's name and both values, and where in the body. */
export interface FrameMismatch extends Mismatch {
  readonly bodyOffset: number
}

/**
 * Walks a body's frames: each within what remains, aborted ones but the first all zeros, the counts as claimed.
 * Returns undefined when all is well.
 */
export function checkFrames(
  body: Uint8Array,
  recordCount: number,
  abortedCount: number,
): FrameMismatch | undefined {
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength)
  const end = body.byteLength
  let records = 0
  let aborted = 0
  let at = 0
  while (at < end) {
    const header = view.getInt32(at, true)
    const length = header & FRAME_LENGTH_MASK
    const next = at + frameBytesOf(length)
    if (length === 0) return mismatch('frame header', 'a length from 1', 0, at)
    if (next > end) return mismatch('frame length', `up to ${end - at} bytes`, next - at, at)
    if (header < 0) {
      aborted++
      // The first may be a note of the log's writer.
      if (at > 0 && !isZero(body, at + FRAME_HEADER_BYTES, next)) {
        return mismatch('aborted frame', 'zeros', 'other bytes', at)
      }
    } else {
      records++
    }
    at = next
  }
  if (records !== recordCount) return mismatch('record count', recordCount, records, end)
  if (aborted !== abortedCount) return mismatch('aborted count', abortedCount, aborted, end)
  return undefined
}

/** What stands before a body's offset; undefined when no frame begins there. */
export function framesBefore(
  body: Uint8Array,
  bodyOffset: number,
): { records: number; aborted: number } | undefined {
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength)
  let records = 0
  let aborted = 0
  let at = 0
  while (at < bodyOffset && at < body.length) {
    const header = view.getInt32(at, true)
    if (header > 0) records++
    else aborted++
    at += frameBytesOf(recordLengthOf(header))
  }
  return at === bodyOffset ? { records, aborted } : undefined
}

/** How many records stand before a body's offset; undefined when no frame begins there. */
export function sequenceAt(body: Uint8Array, bodyOffset: number): number | undefined {
  return framesBefore(body, bodyOffset)?.records
}

function mismatch(
  what: string,
  expected: number | string,
  actual: number | string,
  bodyOffset: number,
): FrameMismatch {
  return { what, expected, actual, bodyOffset }
}

export function isZero(bytes: Uint8Array, from = 0, to: number = bytes.length): boolean {
  for (let at = from; at < to; at++) if (bytes[at] !== 0) return false
  return true
}
