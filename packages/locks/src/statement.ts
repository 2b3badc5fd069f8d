/** What a presence file states: the oldest state its owner still needs, how far it has come, and who it is. */
import {
  checksumOf,
  STATEMENT_BYTES,
  STATEMENT_CHECKSUM_FIELD,
  STATEMENT_OFFSET,
  STATEMENT_OLDEST_FIELD,
  STATEMENT_PID_FIELD,
  STATEMENT_REACHED_FIELD,
  STATEMENT_STARTED_FIELD,
  STATEMENT_UPDATES_FIELD,
  viewOf,
} from './layout.ts'
import type { OpenFile } from './platform.ts'

export interface Statement {
  /** 64 bits, unsigned. */
  readonly oldestNeeded: bigint
  /** How far its owner has come. 64 bits, unsigned. */
  readonly reached: bigint
  readonly pid: number
  /** Wall clock, milliseconds since 1970. */
  readonly startedMs: number
  /** How often it was changed. */
  readonly updates: bigint
}

export function writeStatement(file: OpenFile, statement: Statement): void {
  const bytes = new Uint8Array(STATEMENT_BYTES)
  const view = viewOf(bytes)
  view.setBigUint64(STATEMENT_OLDEST_FIELD, statement.oldestNeeded, true)
  view.setBigUint64(STATEMENT_REACHED_FIELD, statement.reached, true)
  view.setFloat64(STATEMENT_STARTED_FIELD, statement.startedMs, true)
  view.setBigUint64(STATEMENT_UPDATES_FIELD, statement.updates, true)
  view.setUint32(STATEMENT_PID_FIELD, statement.pid, true)
  view.setUint32(STATEMENT_CHECKSUM_FIELD, checksumOf(bytes, 0, STATEMENT_CHECKSUM_FIELD), true)
  file.write(STATEMENT_OFFSET, bytes)
}

// The owner writes in place, and a reader may meet it at that: the next look sees it whole.
const READS_MAX = 8

/** Null when it stays unreadable: then its owner must be taken to need everything. */
export function readStatement(file: OpenFile): Statement | null {
  const bytes = new Uint8Array(STATEMENT_BYTES)
  const view = viewOf(bytes)
  for (let reads = 0; reads < READS_MAX; reads++) {
    if (file.read(STATEMENT_OFFSET, bytes) < STATEMENT_BYTES) return null
    const checksum = view.getUint32(STATEMENT_CHECKSUM_FIELD, true)
    if (checksum !== checksumOf(bytes, 0, STATEMENT_CHECKSUM_FIELD)) continue
    return {
      oldestNeeded: view.getBigUint64(STATEMENT_OLDEST_FIELD, true),
      reached: view.getBigUint64(STATEMENT_REACHED_FIELD, true),
      pid: view.getUint32(STATEMENT_PID_FIELD, true),
      startedMs: view.getFloat64(STATEMENT_STARTED_FIELD, true),
      updates: view.getBigUint64(STATEMENT_UPDATES_FIELD, true),
    }
  }
  return null
}
