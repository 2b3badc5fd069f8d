/**
 * A group on its way into a file and out of it: header, body, certificate. Pure: bytes in, values
 * out; recovery decides what a mismatch means.
 *
 * The chain: a group's checksum is its certificate's, which covers the header's and the body's; the
 * next header carries it as `previous`. So a group vouches for all bytes before it.
 */
import { crc32c } from '@node-rs/crc32'
import type { Mismatch } from './errors.ts'
import { checkFrames } from './frame.ts'
import {
  CERTIFICATE_ABORTED_COUNT_OFFSET,
  CERTIFICATE_BODY_BYTES_OFFSET,
  CERTIFICATE_BODY_CHECKSUM_OFFSET,
  CERTIFICATE_END_SEQUENCE_OFFSET,
  CERTIFICATE_EPOCH_OFFSET,
  CERTIFICATE_FIRST_SEQUENCE_OFFSET,
  CERTIFICATE_FLAGS_KNOWN,
  CERTIFICATE_FLAGS_OFFSET,
  CERTIFICATE_HEADER_CHECKSUM_OFFSET,
  CERTIFICATE_LANE_COUNT_OFFSET,
  CERTIFICATE_LANES_OFFSET,
  CERTIFICATE_MAGIC,
  CERTIFICATE_MAGIC_OFFSET,
  CERTIFICATE_VERSION_OFFSET,
  certificateBytes,
  certificateChecksumOffset,
  GROUP_ABORTED_COUNT_OFFSET,
  GROUP_ALIGNMENT_BYTES,
  GROUP_BODY_BYTES_OFFSET,
  GROUP_CHECKSUM_OFFSET,
  GROUP_DURABLE_EPOCH_OFFSET,
  GROUP_EPOCH_OFFSET,
  GROUP_FIRST_LSN_OFFSET,
  GROUP_FIRST_SEQUENCE_OFFSET,
  GROUP_FLAGS_KNOWN,
  GROUP_FLAGS_OFFSET,
  GROUP_HEADER_BYTES,
  GROUP_LANE_COUNT_OFFSET,
  GROUP_LOG_ID_OFFSET,
  GROUP_MAGIC,
  GROUP_MAGIC_OFFSET,
  GROUP_PREVIOUS_OFFSET,
  GROUP_RECORD_COUNT_OFFSET,
  GROUP_VERSION_OFFSET,
  groupBytes,
  LANE_COUNT_MAX,
  LOG_FORMAT_VERSION,
  LOG_ID_BYTES,
  readU64,
  writeU64,
} from './layout.ts'

export interface GroupHeader {
  readonly epoch: number
  readonly firstSequence: number
  readonly firstLsn: number
  /** The last epoch known synced when this one was written. */
  readonly durableEpoch: number
  /** The log's id when it is another than the one asked for; undefined when it is that one. */
  readonly foreignId: string | undefined
  readonly bodyBytes: number
  readonly recordCount: number
  readonly abortedCount: number
  readonly laneCount: number
  /** Checksum of the group before. */
  readonly previous: number
}

/** What the `previous` of a log's first group is: no other log's chain begins so. */
export function genesisChecksum(logId: Uint8Array): number {
  return crc32c(logId)
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/**
 * Writes headers and certificates of one-lane groups into two buffers of its own, over and over: a
 * steady state allocates nothing here.
 */
export class GroupEncoder {
  readonly header: Buffer = Buffer.alloc(GROUP_HEADER_BYTES)
  readonly certificate: Buffer = Buffer.alloc(certificateBytes(1))
  readonly #headerView: DataView = viewOf(this.header)
  readonly #certificateView: DataView = viewOf(this.certificate)
  readonly #headerChecked: Buffer = this.header.subarray(0, GROUP_CHECKSUM_OFFSET)
  readonly #certificateChecked: Buffer = this.certificate.subarray(0, certificateChecksumOffset(1))

  constructor(logId: Uint8Array) {
    const header = this.#headerView
    header.setUint32(GROUP_MAGIC_OFFSET, GROUP_MAGIC, true)
    header.setUint16(GROUP_VERSION_OFFSET, LOG_FORMAT_VERSION, true)
    header.setUint32(GROUP_LANE_COUNT_OFFSET, 1, true)
    this.header.set(logId, GROUP_LOG_ID_OFFSET)
    const certificate = this.#certificateView
    certificate.setUint32(CERTIFICATE_MAGIC_OFFSET, CERTIFICATE_MAGIC, true)
    certificate.setUint16(CERTIFICATE_VERSION_OFFSET, LOG_FORMAT_VERSION, true)
    certificate.setUint32(CERTIFICATE_LANE_COUNT_OFFSET, 1, true)
  }

  /** Fills both buffers. Returns the group's checksum. */
  encode(
    epoch: number,
    firstSequence: number,
    firstLsn: number,
    durableEpoch: number,
    previous: number,
    recordCount: number,
    abortedCount: number,
    runs: readonly Uint8Array[],
  ): number {
    let bodyBytes = 0
    let bodyChecksum = 0
    for (const run of runs) {
      bodyBytes += run.length
      bodyChecksum = crc32c(run, bodyChecksum)
    }
    const header = this.#headerView
    writeU64(header, GROUP_EPOCH_OFFSET, epoch)
    writeU64(header, GROUP_FIRST_SEQUENCE_OFFSET, firstSequence)
    writeU64(header, GROUP_FIRST_LSN_OFFSET, firstLsn)
    writeU64(header, GROUP_DURABLE_EPOCH_OFFSET, durableEpoch)
    header.setUint32(GROUP_BODY_BYTES_OFFSET, bodyBytes, true)
    header.setUint32(GROUP_RECORD_COUNT_OFFSET, recordCount, true)
    header.setUint32(GROUP_ABORTED_COUNT_OFFSET, abortedCount, true)
    header.setUint32(GROUP_PREVIOUS_OFFSET, previous, true)
    const headerChecksum = crc32c(this.#headerChecked)
    header.setUint32(GROUP_CHECKSUM_OFFSET, headerChecksum, true)

    const certificate = this.#certificateView
    writeU64(certificate, CERTIFICATE_EPOCH_OFFSET, epoch)
    writeU64(certificate, CERTIFICATE_FIRST_SEQUENCE_OFFSET, firstSequence)
    writeU64(certificate, CERTIFICATE_END_SEQUENCE_OFFSET, firstSequence + recordCount)
    certificate.setUint32(CERTIFICATE_BODY_BYTES_OFFSET, bodyBytes, true)
    certificate.setUint32(CERTIFICATE_ABORTED_COUNT_OFFSET, abortedCount, true)
    certificate.setUint32(CERTIFICATE_HEADER_CHECKSUM_OFFSET, headerChecksum, true)
    certificate.setUint32(CERTIFICATE_BODY_CHECKSUM_OFFSET, bodyChecksum, true)
    certificate.setUint32(CERTIFICATE_LANES_OFFSET, recordCount, true)
    const checksum = crc32c(this.#certificateChecked)
    certificate.setUint32(certificateChecksumOffset(1), checksum, true)
    return checksum
  }
}

/** A header that passed its own checksum and bounds, or what is wrong with it. */
export type GroupHeaderRead =
  | { readonly ok: true; readonly header: GroupHeader; readonly headerChecksum: number }
  | { readonly ok: false; readonly mismatch: Mismatch; readonly newer: boolean }

/**
 * @param bytes at least a header's
 * @param remainingBytes from the header's first byte to the end of the file: bounds the group
 * @param logId the log that it should be of
 */
export function decodeGroupHeader(
  bytes: Uint8Array,
  remainingBytes: number,
  logId: Uint8Array,
): GroupHeaderRead {
  const view = viewOf(bytes)
  const magic = view.getUint32(GROUP_MAGIC_OFFSET, true)
  if (magic !== GROUP_MAGIC) return refused('group magic', hex(GROUP_MAGIC), hex(magic))
  const headerChecksum = view.getUint32(GROUP_CHECKSUM_OFFSET, true)
  const actualChecksum = crc32c(bytes.subarray(0, GROUP_CHECKSUM_OFFSET))
  if (headerChecksum !== actualChecksum) {
    return refused('group header checksum', hex(headerChecksum), hex(actualChecksum))
  }
  const version = view.getUint16(GROUP_VERSION_OFFSET, true)
  if (version !== LOG_FORMAT_VERSION) {
    return { ...refused('group version', LOG_FORMAT_VERSION, version), newer: true }
  }
  const flags = view.getUint16(GROUP_FLAGS_OFFSET, true)
  if ((flags & ~GROUP_FLAGS_KNOWN) !== 0) {
    return { ...refused('group flags', GROUP_FLAGS_KNOWN, flags), newer: true }
  }
  const header: GroupHeader = {
    epoch: readU64(view, GROUP_EPOCH_OFFSET),
    firstSequence: readU64(view, GROUP_FIRST_SEQUENCE_OFFSET),
    firstLsn: readU64(view, GROUP_FIRST_LSN_OFFSET),
    durableEpoch: readU64(view, GROUP_DURABLE_EPOCH_OFFSET),
    foreignId: foreignId(bytes, logId),
    bodyBytes: view.getUint32(GROUP_BODY_BYTES_OFFSET, true),
    recordCount: view.getUint32(GROUP_RECORD_COUNT_OFFSET, true),
    abortedCount: view.getUint32(GROUP_ABORTED_COUNT_OFFSET, true),
    laneCount: view.getUint32(GROUP_LANE_COUNT_OFFSET, true),
    previous: view.getUint32(GROUP_PREVIOUS_OFFSET, true),
  }
  const mismatch = headerOutOfBounds(header, remainingBytes)
  return mismatch === undefined
    ? { ok: true, header, headerChecksum }
    : { ok: false, mismatch, newer: false }
}

/** Bounds that keep every later computation safe, whoever wrote the checksum. */
function headerOutOfBounds(header: GroupHeader, remainingBytes: number): Mismatch | undefined {
  const { epoch, firstSequence, firstLsn, durableEpoch, bodyBytes, laneCount } = header
  const largest = Math.max(epoch, firstSequence, firstLsn, durableEpoch)
  if (!Number.isSafeInteger(largest)) {
    return { what: 'group numbers', expected: 'at most 2^53-1', actual: largest }
  }
  if (laneCount < 1 || laneCount > LANE_COUNT_MAX) {
    return { what: 'lane count', expected: `from 1 to ${LANE_COUNT_MAX}`, actual: laneCount }
  }
  const frameCount = header.recordCount + header.abortedCount
  const framesMax = bodyBytes / GROUP_ALIGNMENT_BYTES
  if (bodyBytes % GROUP_ALIGNMENT_BYTES !== 0 || bodyBytes === 0) {
    return { what: 'body bytes', expected: 'a multiple of 8 from 8', actual: bodyBytes }
  }
  if (frameCount > framesMax || frameCount === 0) {
    return {
      what: 'record count',
      expected: `from 1 to ${framesMax} frames`,
      actual: frameCount,
    }
  }
  const needed = groupBytes(bodyBytes, laneCount)
  if (needed > remainingBytes) {
    return { what: 'group length', expected: `at most ${remainingBytes} bytes`, actual: needed }
  }
  return undefined
}

/** What a certificate says, and what it should say, check by check. */
type CertificateCheck = readonly [what: string, expected: number, actual: number]

/** Checks a certificate against its header and body, and the body's frames. */
export function checkCertificate(
  certificate: Uint8Array,
  header: GroupHeader,
  headerChecksum: number,
  body: Uint8Array,
): Mismatch | undefined {
  const view = viewOf(certificate)
  const { laneCount } = header
  const checksumOffset = certificateChecksumOffset(laneCount)
  const checksum = crc32c(certificate.subarray(0, checksumOffset))
  const bodyChecksum = crc32c(body)
  // The sound case without a list of checks: it is as frequent as groups are.
  const sound =
    view.getUint32(checksumOffset, true) === checksum &&
    view.getUint32(CERTIFICATE_BODY_CHECKSUM_OFFSET, true) === bodyChecksum &&
    view.getUint32(CERTIFICATE_HEADER_CHECKSUM_OFFSET, true) === headerChecksum &&
    view.getUint32(CERTIFICATE_MAGIC_OFFSET, true) === CERTIFICATE_MAGIC &&
    view.getUint16(CERTIFICATE_VERSION_OFFSET, true) === LOG_FORMAT_VERSION &&
    (view.getUint16(CERTIFICATE_FLAGS_OFFSET, true) & ~CERTIFICATE_FLAGS_KNOWN) === 0 &&
    readU64(view, CERTIFICATE_EPOCH_OFFSET) === header.epoch &&
    readU64(view, CERTIFICATE_FIRST_SEQUENCE_OFFSET) === header.firstSequence &&
    readU64(view, CERTIFICATE_END_SEQUENCE_OFFSET) === header.firstSequence + header.recordCount &&
    view.getUint32(CERTIFICATE_BODY_BYTES_OFFSET, true) === header.bodyBytes &&
    view.getUint32(CERTIFICATE_ABORTED_COUNT_OFFSET, true) === header.abortedCount &&
    view.getUint32(CERTIFICATE_LANE_COUNT_OFFSET, true) === laneCount &&
    sumOfLanes(view, laneCount) === header.recordCount
  if (sound) return checkFrames(body, header.recordCount, header.abortedCount)
  return firstMismatch([
    ['certificate magic', CERTIFICATE_MAGIC, view.getUint32(CERTIFICATE_MAGIC_OFFSET, true)],
    ['certificate checksum', view.getUint32(checksumOffset, true), checksum],
    ...fieldChecks(view, header, headerChecksum),
    ['body checksum', view.getUint32(CERTIFICATE_BODY_CHECKSUM_OFFSET, true), bodyChecksum],
  ])
}

function fieldChecks(
  view: DataView,
  header: GroupHeader,
  headerChecksum: number,
): CertificateCheck[] {
  const { epoch, firstSequence, recordCount, bodyBytes, abortedCount, laneCount } = header
  const u16 = (offset: number): number => view.getUint16(offset, true)
  const u32 = (offset: number): number => view.getUint32(offset, true)
  const unknownFlags = u16(CERTIFICATE_FLAGS_OFFSET) & ~CERTIFICATE_FLAGS_KNOWN
  const endSequence = readU64(view, CERTIFICATE_END_SEQUENCE_OFFSET)
  return [
    ['certificate version', LOG_FORMAT_VERSION, u16(CERTIFICATE_VERSION_OFFSET)],
    ['certificate flags', 0, unknownFlags],
    ['certificate epoch', epoch, readU64(view, CERTIFICATE_EPOCH_OFFSET)],
    ['certificate first sequence', firstSequence, readU64(view, CERTIFICATE_FIRST_SEQUENCE_OFFSET)],
    ['certificate end sequence', firstSequence + recordCount, endSequence],
    ['certificate body bytes', bodyBytes, u32(CERTIFICATE_BODY_BYTES_OFFSET)],
    ['certificate aborted count', abortedCount, u32(CERTIFICATE_ABORTED_COUNT_OFFSET)],
    ['certificate lane count', laneCount, u32(CERTIFICATE_LANE_COUNT_OFFSET)],
    ['certificate header checksum', headerChecksum, u32(CERTIFICATE_HEADER_CHECKSUM_OFFSET)],
    ['certificate lane records', recordCount, sumOfLanes(view, laneCount)],
  ]
}

function firstMismatch(checks: readonly CertificateCheck[]): Mismatch | undefined {
  for (const [what, expected, actual] of checks) {
    if (expected === actual) continue
    const bits = what.endsWith('checksum') || what.endsWith('magic')
    return bits
      ? { what, expected: hex(expected), actual: hex(actual) }
      : { what, expected, actual }
  }
  return undefined
}

function sumOfLanes(view: DataView, laneCount: number): number {
  let records = 0
  for (let lane = 0; lane < laneCount; lane++) {
    records += view.getUint32(CERTIFICATE_LANES_OFFSET + lane * 4, true)
  }
  return records
}

/** The group's checksum: what the next one's `previous` must be. */
export function certificateChecksum(certificate: Uint8Array, laneCount: number): number {
  return viewOf(certificate).getUint32(certificateChecksumOffset(laneCount), true)
}

/** By a loop: the bytes are few, and a call out of JavaScript would cost more. */
function foreignId(header: Uint8Array, logId: Uint8Array): string | undefined {
  for (let at = 0; at < LOG_ID_BYTES; at++) {
    if (header[GROUP_LOG_ID_OFFSET + at] !== logId[at]) {
      const end = GROUP_LOG_ID_OFFSET + LOG_ID_BYTES
      return Buffer.from(header.subarray(GROUP_LOG_ID_OFFSET, end)).toString('hex')
    }
  }
  return undefined
}

function refused(
  what: string,
  expected: number | string,
  actual: number | string,
): { ok: false; mismatch: Mismatch; newer: false } {
  return { ok: false, mismatch: { what, expected, actual }, newer: false }
}

export function hex(value: number): string {
  return `0x${(value >>> 0).toString(16).padStart(8, '0')}`
}
