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
  CERTIFICATE_FLAG_FALLBACK,
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
  readonly logId: Uint8Array
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
 */
export function decodeGroupHeader(bytes: Uint8Array, remainingBytes: number): GroupHeaderRead {
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
    logId: Uint8Array.prototype.slice.call(
      bytes,
      GROUP_LOG_ID_OFFSET,
      GROUP_LOG_ID_OFFSET + LOG_ID_BYTES,
    ),
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
  for (const [what, value] of Object.entries({ epoch, firstSequence, firstLsn, durableEpoch })) {
    if (!Number.isSafeInteger(value)) {
      return { what: `group ${what}`, expected: 'at most 2^53-1', actual: value }
    }
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

/** Checks a certificate against its header and body. */
export function checkCertificate(
  certificate: Uint8Array,
  header: GroupHeader,
  headerChecksum: number,
  body: Uint8Array,
): Mismatch | undefined {
  const view = viewOf(certificate)
  const { laneCount } = header
  const fields: readonly [string, number, number][] = [
    ['certificate magic', CERTIFICATE_MAGIC, view.getUint32(CERTIFICATE_MAGIC_OFFSET, true)],
    [
      'certificate checksum',
      view.getUint32(certificateChecksumOffset(laneCount), true),
      crc32c(certificate.subarray(0, certificateChecksumOffset(laneCount))),
    ],
    ['certificate version', LOG_FORMAT_VERSION, view.getUint16(CERTIFICATE_VERSION_OFFSET, true)],
    [
      'certificate flags',
      0,
      view.getUint16(CERTIFICATE_FLAGS_OFFSET, true) & ~CERTIFICATE_FLAGS_KNOWN,
    ],
    ['certificate epoch', header.epoch, readU64(view, CERTIFICATE_EPOCH_OFFSET)],
    [
      'certificate first sequence',
      header.firstSequence,
      readU64(view, CERTIFICATE_FIRST_SEQUENCE_OFFSET),
    ],
    [
      'certificate end sequence',
      header.firstSequence + header.recordCount,
      readU64(view, CERTIFICATE_END_SEQUENCE_OFFSET),
    ],
    [
      'certificate body bytes',
      header.bodyBytes,
      view.getUint32(CERTIFICATE_BODY_BYTES_OFFSET, true),
    ],
    [
      'certificate aborted count',
      header.abortedCount,
      view.getUint32(CERTIFICATE_ABORTED_COUNT_OFFSET, true),
    ],
    ['certificate lane count', laneCount, view.getUint32(CERTIFICATE_LANE_COUNT_OFFSET, true)],
    [
      'certificate header checksum',
      headerChecksum,
      view.getUint32(CERTIFICATE_HEADER_CHECKSUM_OFFSET, true),
    ],
    ['certificate lane records', header.recordCount, sumOfLanes(view, laneCount)],
    ['body checksum', view.getUint32(CERTIFICATE_BODY_CHECKSUM_OFFSET, true), crc32c(body)],
  ]
  for (const [what, expected, actual] of fields) {
    if (expected !== actual) {
      const checksum = what.endsWith('checksum') || what.endsWith('magic')
      return checksum
        ? { what, expected: hex(expected), actual: hex(actual) }
        : { what, expected, actual }
    }
  }
  return checkFrames(body, header.recordCount, header.abortedCount)
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

export function isFallback(certificate: Uint8Array): boolean {
  return (
    (viewOf(certificate).getUint16(CERTIFICATE_FLAGS_OFFSET, true) & CERTIFICATE_FLAG_FALLBACK) !==
    0
  )
}

export function isOurs(header: GroupHeader, logId: Uint8Array): boolean {
  return Buffer.compare(header.logId, logId) === 0
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
