/**
 * A commit as the payload of a frame: who, in which epoch, which commit sequences, and the image of
 * what it leaves behind. The group's checksum covers it; here every number is checked.
 */
import { LogEpochError, LogTooLargeError } from './errors.ts'
import { viewOf } from './group.ts'
import {
  COMMIT_EPOCH_OFFSET,
  COMMIT_FIRST_SEQUENCE_OFFSET,
  COMMIT_FLAGS_OFFSET,
  COMMIT_IMAGE_BYTES_OFFSET,
  COMMIT_IMAGE_OFFSET,
  COMMIT_LAST_SEQUENCE_OFFSET,
  COMMIT_TRANSACTION_OFFSET,
  COMMIT_VERSION,
  COMMIT_VERSION_OFFSET,
  readU64,
  writeU64,
} from './layout.ts'

export interface CommitRecord {
  readonly transactionId: number
  readonly epoch: number
  /** The commit sequences it takes, both included, from 1. */
  readonly firstSequence: number
  readonly lastSequence: number
  readonly image: Uint8Array
}

export function commitRecordBytes(record: CommitRecord): number {
  return COMMIT_IMAGE_OFFSET + record.image.length
}

/**
 * @throws LogTooLargeError for an image past `imageBytesMax`, LogEpochError for numbers that cannot be,
 *   TypeError for an image that is no bytes
 */
export function checkCommitRecord(record: CommitRecord, imageBytesMax: number): void {
  if (!(record.image instanceof Uint8Array)) throw new TypeError('an image is a Uint8Array')
  if (record.image.length > imageBytesMax) {
    throw new LogTooLargeError('image', record.image.length, imageBytesMax)
  }
  checkNumbers(record)
}

function checkNumbers(record: Omit<CommitRecord, 'image'>): void {
  const { transactionId, epoch, firstSequence, lastSequence } = record
  checkInteger('transaction id', transactionId, 0)
  checkInteger('epoch', epoch, 1)
  checkInteger('first commit sequence', firstSequence, 1)
  checkInteger('last commit sequence', lastSequence, firstSequence)
}

function checkInteger(what: string, actual: number, from: number): void {
  if (Number.isSafeInteger(actual) && actual >= from) return
  throw new LogEpochError({ what, expected: `from ${from} to 2^53-1`, actual })
}

/** Writes the payload at `byteOffset`. Returns the offset just past it. */
export function encodeCommitRecord(
  record: CommitRecord,
  target: Uint8Array,
  byteOffset = 0,
): number {
  const view = viewOf(target.subarray(byteOffset, byteOffset + COMMIT_IMAGE_OFFSET))
  view.setUint16(COMMIT_VERSION_OFFSET, COMMIT_VERSION, true)
  view.setUint16(COMMIT_FLAGS_OFFSET, 0, true)
  view.setUint32(COMMIT_IMAGE_BYTES_OFFSET, record.image.length, true)
  writeU64(view, COMMIT_TRANSACTION_OFFSET, record.transactionId)
  writeU64(view, COMMIT_EPOCH_OFFSET, record.epoch)
  writeU64(view, COMMIT_FIRST_SEQUENCE_OFFSET, record.firstSequence)
  writeU64(view, COMMIT_LAST_SEQUENCE_OFFSET, record.lastSequence)
  target.set(record.image, byteOffset + COMMIT_IMAGE_OFFSET)
  return byteOffset + commitRecordBytes(record)
}

/**
 * @param epoch the group's: a record of another one is refused
 * @returns the record; its image is a view of the payload
 * @throws LogEpochError naming what is wrong, with both values
 */
export function decodeCommitRecord(payload: Uint8Array, epoch: number): CommitRecord {
  if (payload.length < COMMIT_IMAGE_OFFSET) {
    throw refused('commit record length', `from ${COMMIT_IMAGE_OFFSET}`, payload.length)
  }
  const view = viewOf(payload)
  const version = view.getUint16(COMMIT_VERSION_OFFSET, true)
  if (version !== COMMIT_VERSION) throw refused('commit record version', COMMIT_VERSION, version)
  const flags = view.getUint16(COMMIT_FLAGS_OFFSET, true)
  if (flags !== 0) throw refused('commit record flags', 0, flags)
  const imageBytes = view.getUint32(COMMIT_IMAGE_BYTES_OFFSET, true)
  if (imageBytes !== payload.length - COMMIT_IMAGE_OFFSET) {
    throw refused('image length', payload.length - COMMIT_IMAGE_OFFSET, imageBytes)
  }
  const record = {
    transactionId: readU64(view, COMMIT_TRANSACTION_OFFSET),
    epoch: readU64(view, COMMIT_EPOCH_OFFSET),
    firstSequence: readU64(view, COMMIT_FIRST_SEQUENCE_OFFSET),
    lastSequence: readU64(view, COMMIT_LAST_SEQUENCE_OFFSET),
    image: payload.subarray(COMMIT_IMAGE_OFFSET),
  }
  checkNumbers(record)
  if (record.epoch !== epoch) throw refused('commit record epoch', epoch, record.epoch)
  return record
}

function refused(what: string, expected: number | string, actual: number): LogEpochError {
  return new LogEpochError({ what, expected, actual })
}
