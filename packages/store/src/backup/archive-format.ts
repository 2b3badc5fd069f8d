/**
 * A file of the archive: a segment of the log as far as it was written, behind a header that says whose it is and which
 * commits are in it. Pure.
 */
import { crc32c } from '@node-rs/crc32'
import type { LogFile } from '@ringbolt/wal'
import { StoreCorruptError, StoreForeignError, StoreVersionError } from '../errors.ts'
import { hex } from '../space/meta.ts'
import {
  ARCHIVE_BASE_SEQUENCE_OFFSET,
  ARCHIVE_CHECKSUM_OFFSET,
  ARCHIVE_CONTENT_BYTES_OFFSET,
  ARCHIVE_CONTENT_CHECKSUM_OFFSET,
  ARCHIVE_DATABASE_ID_OFFSET,
  ARCHIVE_END_LSN_OFFSET,
  ARCHIVE_END_ORDINAL_OFFSET,
  ARCHIVE_FIRST_EPOCH_OFFSET,
  ARCHIVE_FIRST_LSN_OFFSET,
  ARCHIVE_FIRST_ORDINAL_OFFSET,
  ARCHIVE_HEADER_BYTES,
  ARCHIVE_LOG_ID_OFFSET,
  ARCHIVE_MAGIC,
  ARCHIVE_VERSION,
  ARCHIVE_VERSION_OFFSET,
} from './layout.ts'

const SUFFIX = '.log'
const ID_BYTES = 16

export interface ArchiveHeader {
  readonly databaseId: Uint8Array
  readonly logId: Uint8Array
  /** Commit sequence of a record: this plus the record's ordinal in the log. */
  readonly baseSequence: number
  readonly firstEpoch: number
  readonly firstLsn: number
  readonly endLsn: number
  /** Ordinal of the first record, and one past that of the last. */
  readonly firstOrdinal: number
  readonly endOrdinal: number
  readonly contentBytes: number
  readonly contentChecksum: number
}

function hexId(id: Uint8Array): string {
  return Buffer.from(id).toString('hex')
}

function hexNumber(value: number): string {
  return value.toString(16).padStart(16, '0')
}

/** Sorts by database, then by commit. The same for a segment that has grown since. */
export function archiveName(
  header: Omit<ArchiveHeader, 'contentBytes' | 'contentChecksum'>,
): string {
  const { databaseId, logId, baseSequence, firstOrdinal, firstEpoch } = header
  const commit = hexNumber(baseSequence + firstOrdinal)
  return `${hexId(databaseId)}-${commit}-${hexId(logId)}-${hexNumber(firstEpoch)}${SUFFIX}`
}

const NAME = /^[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{32}-[0-9a-f]{16}\.log$/

/** @param databaseId of that database alone */
export function isArchiveName(name: string, databaseId: Uint8Array): boolean {
  return NAME.test(name) && name.startsWith(hexId(databaseId))
}

export function encodeArchiveHeader(header: ArchiveHeader): Buffer {
  const bytes = Buffer.alloc(ARCHIVE_HEADER_BYTES)
  bytes.write(ARCHIVE_MAGIC, 0, 'latin1')
  bytes.writeUInt32LE(ARCHIVE_VERSION, ARCHIVE_VERSION_OFFSET)
  bytes.set(header.databaseId, ARCHIVE_DATABASE_ID_OFFSET)
  bytes.set(header.logId, ARCHIVE_LOG_ID_OFFSET)
  for (const [offset, value] of numbersOf(header)) bytes.writeBigUInt64LE(BigInt(value), offset)
  bytes.writeUInt32LE(header.contentChecksum, ARCHIVE_CONTENT_CHECKSUM_OFFSET)
  bytes.writeUInt32LE(checksumOf(bytes), ARCHIVE_CHECKSUM_OFFSET)
  return bytes
}

function numbersOf(header: ArchiveHeader): readonly (readonly [number, number])[] {
  return [
    [ARCHIVE_BASE_SEQUENCE_OFFSET, header.baseSequence],
    [ARCHIVE_FIRST_EPOCH_OFFSET, header.firstEpoch],
    [ARCHIVE_FIRST_LSN_OFFSET, header.firstLsn],
    [ARCHIVE_END_LSN_OFFSET, header.endLsn],
    [ARCHIVE_FIRST_ORDINAL_OFFSET, header.firstOrdinal],
    [ARCHIVE_END_ORDINAL_OFFSET, header.endOrdinal],
    [ARCHIVE_CONTENT_BYTES_OFFSET, header.contentBytes],
  ]
}

function checksumOf(bytes: Uint8Array): number {
  return crc32c(bytes.subarray(ARCHIVE_VERSION_OFFSET))
}

/**
 * Reads and checks the header; the content is held against its checksum by `checkArchiveContent`.
 * @throws StoreCorruptError, StoreForeignError, StoreVersionError
 */
export function readArchiveHeader(file: LogFile, place: string): ArchiveHeader {
  const bytes = Buffer.alloc(ARCHIVE_HEADER_BYTES)
  const length = file.readAt(0, bytes)
  if (bytes.toString('latin1', 0, ARCHIVE_MAGIC.length) !== ARCHIVE_MAGIC) {
    throw new StoreForeignError(place, 'it has no header of an archived log')
  }
  const refuse = (
    offset: number,
    what: string,
    expected: string | number,
    actual: string | number,
  ) => new StoreCorruptError({ file: place, offset }, what, expected, actual)
  if (length < bytes.length) throw refuse(0, 'header length', bytes.length, length)
  const stored = bytes.readUInt32LE(ARCHIVE_CHECKSUM_OFFSET)
  const actual = checksumOf(bytes)
  if (stored !== actual) {
    throw refuse(ARCHIVE_CHECKSUM_OFFSET, 'header checksum', hex(actual), hex(stored))
  }
  const version = bytes.readUInt32LE(ARCHIVE_VERSION_OFFSET)
  if (version > ARCHIVE_VERSION) throw new StoreVersionError(place, ARCHIVE_VERSION, version)
  const number = (offset: number): number => {
    const value = Number(bytes.readBigUInt64LE(offset))
    if (!Number.isSafeInteger(value)) throw refuse(offset, 'number', 'at most 2^53-1', value)
    return value
  }
  const header = {
    databaseId: idAt(bytes, ARCHIVE_DATABASE_ID_OFFSET),
    logId: idAt(bytes, ARCHIVE_LOG_ID_OFFSET),
    baseSequence: number(ARCHIVE_BASE_SEQUENCE_OFFSET),
    firstEpoch: number(ARCHIVE_FIRST_EPOCH_OFFSET),
    firstLsn: number(ARCHIVE_FIRST_LSN_OFFSET),
    endLsn: number(ARCHIVE_END_LSN_OFFSET),
    firstOrdinal: number(ARCHIVE_FIRST_ORDINAL_OFFSET),
    endOrdinal: number(ARCHIVE_END_ORDINAL_OFFSET),
    contentBytes: number(ARCHIVE_CONTENT_BYTES_OFFSET),
    contentChecksum: bytes.readUInt32LE(ARCHIVE_CONTENT_CHECKSUM_OFFSET),
  }
  const { firstLsn, endLsn, firstOrdinal, endOrdinal, contentBytes } = header
  if (endLsn <= firstLsn) {
    throw refuse(ARCHIVE_END_LSN_OFFSET, 'end LSN', `above ${firstLsn}`, endLsn)
  }
  if (endOrdinal < firstOrdinal) {
    throw refuse(ARCHIVE_END_ORDINAL_OFFSET, 'end of the records', firstOrdinal, endOrdinal)
  }
  const lengthBytes = ARCHIVE_HEADER_BYTES + contentBytes
  if (file.length() !== lengthBytes) {
    throw refuse(file.length(), 'file length', lengthBytes, file.length())
  }
  return header
}

function idAt(bytes: Buffer, offset: number): Uint8Array {
  return new Uint8Array(bytes.subarray(offset, offset + ID_BYTES))
}

const PIECE_BYTES = 1024 * 1024

/** @throws StoreCorruptError */
export function checkArchiveContent(file: LogFile, header: ArchiveHeader, place: string): void {
  const piece = Buffer.alloc(Math.min(PIECE_BYTES, Math.max(1, header.contentBytes)))
  let checksum = 0
  for (let at = 0; at < header.contentBytes; ) {
    const wanted = piece.subarray(0, Math.min(piece.length, header.contentBytes - at))
    const length = file.readAt(ARCHIVE_HEADER_BYTES + at, wanted)
    if (length === 0) break
    checksum = crc32c(wanted.subarray(0, length), checksum)
    at += length
  }
  if (checksum === header.contentChecksum) return
  throw new StoreCorruptError(
    { file: place, offset: ARCHIVE_CONTENT_CHECKSUM_OFFSET },
    'checksum of the content',
    hex(header.contentChecksum),
    hex(checksum),
  )
}
