/**
 * The oracle's thread: reads the log's folder as any later reader would, read-only, also while the
 * log is appended to. Composition root of that thread.
 */
import { parentPort, workerData } from 'node:worker_threads'
import {
  errorToPlain,
  FRAME_HEADER_BYTES,
  FRAME_LENGTH_MASK,
  frameBytes,
  type PlainError,
} from '@ringbolt/ring'
import { FileStore, type LogGroup, lsnOf, SegmentedLog } from '@ringbolt/wal'
import { Oracle, type OracleResult } from './oracle.ts'
import { Workload, type WorkloadSpec } from './workload.ts'

export interface VerifierWork {
  readonly logFolder: string
  readonly workload: WorkloadSpec
  readonly incarnations: number
}

/** `strict` after a close or a recovery: then nothing at all may be bad. `torn-tail` after a failure. */
export type ClosedPolicy = 'strict' | 'torn-tail'

export type VerifierRequest =
  | { readonly op: 'readBeside'; readonly atLeastLsn: number }
  | { readonly op: 'readClosed'; readonly recovery: ClosedPolicy }
  | {
      readonly op: 'finish'
      readonly acknowledged: readonly number[]
      readonly inFlightMax: number
    }

/** How far the oracle has come. */
export interface Verified {
  /** Everything before it was read and is as it must be, as far as can be told by now. */
  readonly lsn: number
  readonly records: number
  readonly aborted: number
  readonly findingCount: number
}

export type VerifierReply =
  | { readonly kind: 'read'; readonly verified: Verified }
  | { readonly kind: 'finished'; readonly result: OracleResult }
  | { readonly kind: 'failed'; readonly error: PlainError }

const work: VerifierWork = workerData
const oracle = new Oracle(new Workload(work.workload), work.incarnations)
let nextLsn = 0
let aborted = 0

/**
 * Reads on from where the last call ended to where the log ends now.
 *
 * `salvage` beside a writer: between two looks at the end of the log more of it is written and
 * synced, which looks like damage. So there it is read as far as it can be, and that must be as far
 * as it was durable before.
 */
function readOn(recovery: ClosedPolicy | 'salvage', atLeastLsn: number): Verified {
  const store = new FileStore(work.logFolder, { readOnly: true })
  const log = SegmentedLog.open(store, { readOnly: true, recovery })
  try {
    if (log.endLsn < atLeastLsn) {
      throw new Error(
        `the log was durable up to ${atLeastLsn} and can be read up to ${log.endLsn}: ${log.recovery.reason}`,
      )
    }
    log.replay(acceptGroup, lsnOf(nextLsn))
  } finally {
    log.close()
  }
  return { lsn: nextLsn, records: oracle.records, aborted, findingCount: oracle.findingCount }
}

function acceptGroup({ firstLsn, body }: LogGroup): void {
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength)
  let at = Math.max(0, nextLsn - firstLsn)
  while (at < body.length) {
    const header = view.getInt32(at, true)
    const length = header & FRAME_LENGTH_MASK
    const start = at + FRAME_HEADER_BYTES
    if (header > 0) oracle.accept(firstLsn + at, body.subarray(start, start + length))
    else aborted++
    at += frameBytes(length)
  }
  nextLsn = firstLsn + at
}

function answer(request: VerifierRequest): VerifierReply {
  if (request.op === 'finish') {
    return { kind: 'finished', result: oracle.finish(request.acknowledged, request.inFlightMax) }
  }
  const beside = request.op === 'readBeside'
  const verified = beside ? readOn('salvage', request.atLeastLsn) : readOn(request.recovery, 0)
  return { kind: 'read', verified }
}

function attempt(request: VerifierRequest): VerifierReply {
  try {
    return answer(request)
  } catch (error) {
    return { kind: 'failed', error: errorToPlain(error) }
  }
}

parentPort?.on('message', (request: VerifierRequest) => parentPort?.postMessage(attempt(request)))
