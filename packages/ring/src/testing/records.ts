/** What the tests of this package share; not part of the package. */
import { FRAME_HEADER_BYTES, FRAME_LENGTH_MASK, frameBytes } from '../layout.ts'

/** Bytes that tell which record they are of and where in it they stand; none is zero. */
export function payload(seed: number, lengthBytes: number): Uint8Array {
  return Uint8Array.from({ length: lengthBytes }, (_, at) => 1 + ((seed * 31 + at * 7) % 255))
}

/** The frames of these records, one after another, as they stand in a log. */
export function framesOf(records: readonly Uint8Array[]): Buffer {
  const total = records.reduce((sum, record) => sum + frameBytes(record.length), 0)
  const bytes = Buffer.alloc(total)
  let at = 0
  for (const record of records) {
    bytes.writeInt32LE(record.length, at)
    bytes.set(record, at + FRAME_HEADER_BYTES)
    at += frameBytes(record.length)
  }
  return bytes
}

/** The payloads in drained bytes, records and closed ranges apart. */
export function recordsOf(bytes: Uint8Array): { records: Uint8Array[]; aborts: Uint8Array[] } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const found = { records: new Array<Uint8Array>(), aborts: new Array<Uint8Array>() }
  for (let at = 0; at < bytes.length; ) {
    const header = view.getInt32(at, true)
    const length = header & FRAME_LENGTH_MASK
    if (length === 0) throw new Error(`no frame at byte ${at} of ${bytes.length}`)
    const start = at + FRAME_HEADER_BYTES
    const body = Uint8Array.from(bytes.subarray(start, start + length))
    ;(header < 0 ? found.aborts : found.records).push(body)
    at += frameBytes(length)
  }
  return found
}

const NUMBERED_HEADER_BYTES = 8

/** A record that names its producer and ordinal and whose every byte follows from them. */
export function numberedRecord(
  producerId: number,
  ordinal: number,
  lengthMaxBytes: number,
): Uint8Array {
  const spread = Math.imul(ordinal + 1, 2_654_435_761) >>> 8
  const length = NUMBERED_HEADER_BYTES + (spread % (lengthMaxBytes - NUMBERED_HEADER_BYTES + 1))
  const record = payload(producerId + ordinal, length)
  const view = new DataView(record.buffer)
  view.setUint32(0, producerId, true)
  view.setUint32(4, ordinal, true)
  return record
}

export function numberOf(record: Uint8Array): { producerId: number; ordinal: number } {
  const view = new DataView(record.buffer, record.byteOffset, record.byteLength)
  return { producerId: view.getUint32(0, true), ordinal: view.getUint32(4, true) }
}
