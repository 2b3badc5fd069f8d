/** Names of the log's files, and the header of a segment: into a file and out of it. Pure. */
import { crc32c } from '@node-rs/crc32'
import type { Mismatch } from './errors.ts'
import { isZero } from './frame.ts'
import { hex, viewOf } from './group.ts'
import {
  GROUP_ALIGNMENT_BYTES,
  LOG_FORMAT_VERSION,
  LOG_ID_BYTES,
  readU64,
  SEGMENT_BLOCK_BYTES,
  SEGMENT_BYTES_MIN,
  SEGMENT_BYTES_OFFSET,
  SEGMENT_CHECKSUM_OFFSET,
  SEGMENT_FIRST_EPOCH_OFFSET,
  SEGMENT_FIRST_LSN_OFFSET,
  SEGMENT_FIRST_SEQUENCE_OFFSET,
  SEGMENT_FLAG_CUT,
  SEGMENT_FLAGS_KNOWN,
  SEGMENT_FLAGS_OFFSET,
  SEGMENT_HEADER_BYTES,
  SEGMENT_LOG_ID_OFFSET,
  SEGMENT_MAGIC,
  SEGMENT_MAGIC_OFFSET,
  SEGMENT_PREVIOUS_OFFSET,
  SEGMENT_VERSION_OFFSET,
  writeU64,
} from './layout.ts'
import { type Lsn, lsnOf } from './lsn.ts'

export interface SegmentHeader {
  readonly firstEpoch: number
  readonly firstLsn: Lsn
  readonly firstSequence: number
  /** The file's size, header included. */
  readonly segmentBytes: number
  readonly logId: Uint8Array
  /** Checksum of the last group before this segment. */
  readonly previous: number
  /** What earlier segments hold at or past `firstLsn` is void. */
  readonly cut: boolean
}

const EPOCH_DIGITS = 16
const SEGMENT_NAME = /^[0-9a-f]{16}\.seg$/
const SPARE_NAME = /^spare-([1-9][0-9]{0,8})$/
const UNFINISHED_NAME = /^spare-([1-9][0-9]{0,8})\.new$/

export function segmentName(firstEpoch: number): string {
  return `${firstEpoch.toString(16).padStart(EPOCH_DIGITS, '0')}.seg`
}

export function isSegmentName(name: string): boolean {
  return SEGMENT_NAME.test(name)
}

/** May be past 2^53-1, which no header matches. */
export function epochOfName(name: string): number {
  return Number.parseInt(name.slice(0, EPOCH_DIGITS), 16)
}

export function spareName(ordinal: number): string {
  return `spare-${ordinal}`
}

/** A spare that is still being filled with zeros; never used as it is. */
export function unfinishedName(ordinal: number): string {
  return `spare-${ordinal}.new`
}

/** The ordinal of a spare; undefined for other names. */
export function spareOrdinal(name: string): number | undefined {
  const digits = SPARE_NAME.exec(name)?.[1]
  return digits === undefined ? undefined : Number(digits)
}

/** The same of one that is still being filled. */
export function unfinishedOrdinal(name: string): number | undefined {
  const digits = UNFINISHED_NAME.exec(name)?.[1]
  return digits === undefined ? undefined : Number(digits)
}

/** An ordinal that no spare has, half made ones included. */
export function freeOrdinal(names: readonly string[]): number {
  const digits = names.map((name) => Number(/^spare-([0-9]{1,9})(\.new)?$/.exec(name)?.[1] ?? 0))
  return Math.max(0, ...digits) + 1
}

/** The first name for what is left out of a segment that is not taken. */
export function leftName(name: string, taken: ReadonlySet<string>): string {
  const base = `${name}.left`
  let candidate = base
  for (let n = 2; taken.has(candidate); n++) candidate = `${base}-${n}`
  return candidate
}

/** The whole first block. */
export function encodeSegmentHeader(header: SegmentHeader): Buffer {
  const block = Buffer.alloc(SEGMENT_BLOCK_BYTES)
  const view = viewOf(block)
  view.setUint32(SEGMENT_MAGIC_OFFSET, SEGMENT_MAGIC, true)
  view.setUint16(SEGMENT_VERSION_OFFSET, LOG_FORMAT_VERSION, true)
  view.setUint16(SEGMENT_FLAGS_OFFSET, header.cut ? SEGMENT_FLAG_CUT : 0, true)
  writeU64(view, SEGMENT_FIRST_EPOCH_OFFSET, header.firstEpoch)
  writeU64(view, SEGMENT_FIRST_LSN_OFFSET, header.firstLsn)
  writeU64(view, SEGMENT_FIRST_SEQUENCE_OFFSET, header.firstSequence)
  writeU64(view, SEGMENT_BYTES_OFFSET, header.segmentBytes)
  block.set(header.logId, SEGMENT_LOG_ID_OFFSET)
  view.setUint32(SEGMENT_PREVIOUS_OFFSET, header.previous, true)
  const checksum = crc32c(block.subarray(0, SEGMENT_CHECKSUM_OFFSET))
  view.setUint32(SEGMENT_CHECKSUM_OFFSET, checksum, true)
  return block
}

/** `kind` tells another program's file, another version's, and a damaged one of ours apart. */
export type SegmentHeaderRead =
  | { readonly ok: true; readonly header: SegmentHeader }
  | {
      readonly ok: false
      readonly kind: 'foreign' | 'version' | 'corrupt'
      readonly byteOffset: number
      readonly mismatch: Mismatch
    }

/**
 * @param block the file's first bytes, a whole block unless the file is shorter
 * @param fileBytes the file's length: no more than the header says
 */
export function decodeSegmentHeader(
  block: Uint8Array,
  fileBytes: number,
  nameEpoch: number,
): SegmentHeaderRead {
  if (block.length < SEGMENT_BLOCK_BYTES) {
    return refused('corrupt', 0, 'segment length', `from ${SEGMENT_BLOCK_BYTES}`, block.length)
  }
  const view = viewOf(block)
  const magic = view.getUint32(SEGMENT_MAGIC_OFFSET, true)
  if (magic !== SEGMENT_MAGIC) {
    return refused('foreign', SEGMENT_MAGIC_OFFSET, 'segment magic', hex(SEGMENT_MAGIC), hex(magic))
  }
  const checksum = view.getUint32(SEGMENT_CHECKSUM_OFFSET, true)
  const actual = crc32c(block.subarray(0, SEGMENT_CHECKSUM_OFFSET))
  const version = view.getUint16(SEGMENT_VERSION_OFFSET, true)
  // A newer version may keep its checksum elsewhere: the version speaks first.
  if (version !== LOG_FORMAT_VERSION) {
    const kind = version > LOG_FORMAT_VERSION ? 'version' : 'corrupt'
    return refused(kind, SEGMENT_VERSION_OFFSET, 'segment version', LOG_FORMAT_VERSION, version)
  }
  if (checksum !== actual) {
    const at = SEGMENT_CHECKSUM_OFFSET
    return refused('corrupt', at, 'segment header checksum', hex(checksum), hex(actual))
  }
  const flags = view.getUint16(SEGMENT_FLAGS_OFFSET, true)
  if ((flags & ~SEGMENT_FLAGS_KNOWN) !== 0) {
    const known = `bits of ${SEGMENT_FLAGS_KNOWN}`
    return refused('version', SEGMENT_FLAGS_OFFSET, 'segment flags', known, flags)
  }
  return checkedFields(block, view, fileBytes, nameEpoch, flags)
}

function checkedFields(
  block: Uint8Array,
  view: DataView,
  fileBytes: number,
  nameEpoch: number,
  flags: number,
): SegmentHeaderRead {
  const firstEpoch = readU64(view, SEGMENT_FIRST_EPOCH_OFFSET)
  const firstLsn = readU64(view, SEGMENT_FIRST_LSN_OFFSET)
  const firstSequence = readU64(view, SEGMENT_FIRST_SEQUENCE_OFFSET)
  const segmentBytes = readU64(view, SEGMENT_BYTES_OFFSET)
  if (firstEpoch !== nameEpoch || !Number.isSafeInteger(firstEpoch) || firstEpoch < 1) {
    return refused('corrupt', SEGMENT_FIRST_EPOCH_OFFSET, 'first epoch', nameEpoch, firstEpoch)
  }
  if (!Number.isSafeInteger(firstLsn) || firstLsn % GROUP_ALIGNMENT_BYTES !== 0) {
    const what = `a multiple of ${GROUP_ALIGNMENT_BYTES}`
    return refused('corrupt', SEGMENT_FIRST_LSN_OFFSET, 'first LSN', what, firstLsn)
  }
  if (!Number.isSafeInteger(firstSequence) || firstSequence < 1) {
    const at = SEGMENT_FIRST_SEQUENCE_OFFSET
    return refused('corrupt', at, 'first sequence', 'from 1 to 2^53-1', firstSequence)
  }
  if (!Number.isSafeInteger(segmentBytes) || segmentBytes < SEGMENT_BYTES_MIN) {
    const what = `from ${SEGMENT_BYTES_MIN}`
    return refused('corrupt', SEGMENT_BYTES_OFFSET, 'segment bytes', what, segmentBytes)
  }
  if (fileBytes > segmentBytes) {
    return refused('corrupt', segmentBytes, 'segment length', segmentBytes, fileBytes)
  }
  if (!isZero(block, SEGMENT_HEADER_BYTES, SEGMENT_BLOCK_BYTES)) {
    return refused('corrupt', SEGMENT_HEADER_BYTES, 'rest of the block', 'zeros', 'other bytes')
  }
  const logId = new Uint8Array(
    block.subarray(SEGMENT_LOG_ID_OFFSET, SEGMENT_LOG_ID_OFFSET + LOG_ID_BYTES),
  )
  const previous = view.getUint32(SEGMENT_PREVIOUS_OFFSET, true)
  const cut = (flags & SEGMENT_FLAG_CUT) !== 0
  return {
    ok: true,
    header: {
      firstEpoch,
      firstLsn: lsnOf(firstLsn),
      firstSequence,
      segmentBytes,
      logId,
      previous,
      cut,
    },
  }
}

function refused(
  kind: 'foreign' | 'version' | 'corrupt',
  byteOffset: number,
  what: string,
  expected: number | string,
  actual: number | string,
): SegmentHeaderRead {
  return { ok: false, kind, byteOffset, mismatch: { what, expected, actual } }
}

export function idText(logId: Uint8Array): string {
  return Buffer.from(logId).toString('hex')
}
