/**
 * What the process whose turn it is says to all others on the lock file's board: which log is written, how
 * far it is, and the newest checkpoint. Little-endian; the board's checksum stands for whole, not for true, so each field is checked.
 */
import { FIRST_PAGE } from '../page/page.ts'
import { PAGE_COUNT_MAX } from '../space/main-layout.ts'

export interface SharedHead {
  /** Up to where the log is acknowledged. */
  readonly lsn: number
  /** Of the next group. */
  readonly epoch: number
  /** Number of the newest durable meta. */
  readonly checkpoint: number
  /** No page id from here on was ever given. */
  readonly pageEnd: number
  /** Which log: `logTag` of its id. */
  readonly log: number
}

/** The first 48 bits of a log's id. */
export function logTag(logId: Uint8Array): number {
  return logId.subarray(0, 6).reduce((tag, byte) => tag * 256 + byte, 0)
}

const LSN_FIELD = 0
const EPOCH_FIELD = 8
const CHECKPOINT_FIELD = 16
const PAGE_END_FIELD = 24
/** Marks a board that was written by this version. */
const FORMAT_FIELD = 32
const FORMAT = 2
const LOG_FIELD = 36

export function encodeSharedHead(said: DataView, head: SharedHead): void {
  said.setFloat64(LSN_FIELD, head.lsn, true)
  said.setFloat64(EPOCH_FIELD, head.epoch, true)
  said.setFloat64(CHECKPOINT_FIELD, head.checkpoint, true)
  said.setFloat64(PAGE_END_FIELD, head.pageEnd, true)
  said.setUint32(FORMAT_FIELD, FORMAT, true)
  said.setFloat64(LOG_FIELD, head.log, true)
}

/** Undefined: nothing that this version can have said, which counts as nothing said. */
export function decodeSharedHead(said: DataView): SharedHead | undefined {
  if (said.getUint32(FORMAT_FIELD, true) !== FORMAT) return undefined
  const lsn = said.getFloat64(LSN_FIELD, true)
  const epoch = said.getFloat64(EPOCH_FIELD, true)
  const checkpoint = said.getFloat64(CHECKPOINT_FIELD, true)
  const pageEnd = said.getFloat64(PAGE_END_FIELD, true)
  const log = said.getFloat64(LOG_FIELD, true)
  const areCounts = [lsn, epoch, checkpoint, log].every(
    (count) => Number.isSafeInteger(count) && count >= 0,
  )
  const isPageEnd = Number.isInteger(pageEnd) && pageEnd >= FIRST_PAGE && pageEnd <= PAGE_COUNT_MAX
  return areCounts && isPageEnd ? { lsn, epoch, checkpoint, pageEnd, log } : undefined
}
