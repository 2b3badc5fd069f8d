/** The holder record of a lock file: written by who has the lock, cleared before it is given back. */
import type { Holder } from './errors.ts'
import {
  checksumOf,
  HOLDER_BYTES,
  HOLDER_CHECKSUM_FIELD,
  HOLDER_OFFSET,
  HOLDER_PID_FIELD,
  HOLDER_SINCE_FIELD,
  HOLDER_STATE_FIELD,
  HOLDER_STATE_HELD,
  HOLDER_THREAD_FIELD,
  viewOf,
} from './layout.ts'
import type { OpenFile, Threads } from './platform.ts'

export function encodeHolder({ pid, threadId }: Threads, sinceMs: number): Uint8Array {
  const record = new Uint8Array(HOLDER_BYTES)
  const view = viewOf(record)
  view.setUint32(HOLDER_STATE_FIELD, HOLDER_STATE_HELD, true)
  view.setUint32(HOLDER_PID_FIELD, pid, true)
  view.setUint32(HOLDER_THREAD_FIELD, threadId, true)
  view.setFloat64(HOLDER_SINCE_FIELD, sinceMs, true)
  view.setUint32(HOLDER_CHECKSUM_FIELD, checksumOf(record, 0, HOLDER_CHECKSUM_FIELD), true)
  return record
}

/** Null when nobody has said, or the record is being written. It says nothing about the lock. */
export function readHolder(file: OpenFile): Holder | null {
  const record = new Uint8Array(HOLDER_BYTES)
  const view = viewOf(record)
  if (file.read(HOLDER_OFFSET, record) < HOLDER_BYTES) return null
  if (view.getUint32(HOLDER_STATE_FIELD, true) !== HOLDER_STATE_HELD) return null
  const checksum = view.getUint32(HOLDER_CHECKSUM_FIELD, true)
  if (checksum !== checksumOf(record, 0, HOLDER_CHECKSUM_FIELD)) return null
  const sinceMs = view.getFloat64(HOLDER_SINCE_FIELD, true)
  // What `Date` can hold: the error message prints it.
  if (!(Math.abs(sinceMs) <= 8.64e15)) return null
  return {
    pid: view.getUint32(HOLDER_PID_FIELD, true),
    threadId: view.getUint32(HOLDER_THREAD_FIELD, true),
    sinceMs,
  }
}
