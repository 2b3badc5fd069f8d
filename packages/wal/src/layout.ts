/**
 * The log's files: every offset, chained from the one before. Nobody else writes a number.
 * docs/FORMAT.md shows the same as tables; a test holds the two together.
 *
 *   segment file                               group
 *   ┌──────────────────┐ 0                     ┌──────────────────┐
 *   │ segment header   │                       │ group header     │ 80 bytes
 *   │ zeros            │                       ├──────────────────┤
 *   ├──────────────────┤ 4096                  │ body: frames     │ a multiple of 8
 *   │ group            │                       ├──────────────────┤
 *   ├──────────────────┤                       │ certificate      │ 64 bytes with one lane
 *   │ group …          │                       └──────────────────┘
 *   ├──────────────────┤
 *   │ terminator       │ 8 zero bytes
 *   │ zeros, or what a recycled file held
 *   └──────────────────┘ segmentBytes
 *
 * All integers are little-endian. 64-bit integers are safe integers: at most 2^53-1. A checksum is
 * CRC32C of all bytes before it in the same structure.
 */
import { FRAME_ALIGNMENT_BYTES } from '@ringbolt/ring'

export const LOG_FORMAT_VERSION = 1
export const LOG_ID_BYTES = 16
const U16 = 2
const U32 = 4
const U64 = 8

/** Everything in a segment starts at a multiple of this. */
export const GROUP_ALIGNMENT_BYTES: number = FRAME_ALIGNMENT_BYTES

// ---- segment header -------------------------------------------------------------------------

export const SEGMENT_MAGIC = 0x53_57_42_52 // "RBWS" in the file
export const SEGMENT_MAGIC_OFFSET = 0
export const SEGMENT_VERSION_OFFSET: number = SEGMENT_MAGIC_OFFSET + U32
export const SEGMENT_FLAGS_OFFSET: number = SEGMENT_VERSION_OFFSET + U16
export const SEGMENT_FIRST_EPOCH_OFFSET: number = SEGMENT_FLAGS_OFFSET + U16
export const SEGMENT_FIRST_LSN_OFFSET: number = SEGMENT_FIRST_EPOCH_OFFSET + U64
export const SEGMENT_FIRST_SEQUENCE_OFFSET: number = SEGMENT_FIRST_LSN_OFFSET + U64
export const SEGMENT_BYTES_OFFSET: number = SEGMENT_FIRST_SEQUENCE_OFFSET + U64
export const SEGMENT_LOG_ID_OFFSET: number = SEGMENT_BYTES_OFFSET + U64
export const SEGMENT_PREVIOUS_OFFSET: number = SEGMENT_LOG_ID_OFFSET + LOG_ID_BYTES
export const SEGMENT_CHECKSUM_OFFSET: number = SEGMENT_PREVIOUS_OFFSET + U32
export const SEGMENT_HEADER_BYTES: number = SEGMENT_CHECKSUM_OFFSET + U32

/** The segment begins where earlier ones were cut: what they hold at or past its first LSN is void. */
export const SEGMENT_FLAG_CUT = 1
export const SEGMENT_FLAGS_KNOWN: number = 0 | SEGMENT_FLAG_CUT

/** The header has a block of the largest common sector size to itself; the rest of it is zeros. */
export const SEGMENT_BLOCK_BYTES = 4096
export const SEGMENT_FIRST_GROUP_OFFSET: number = SEGMENT_MAGIC_OFFSET + SEGMENT_BLOCK_BYTES
export const SEGMENT_BYTES_DEFAULT: number = 16 * 1024 * 1024
export const SEGMENT_BYTES_MIN: number = 2 * SEGMENT_BLOCK_BYTES

// ---- group header ---------------------------------------------------------------------------

export const GROUP_MAGIC = 0x47_57_42_52 // "RBWG" in the file
export const GROUP_MAGIC_OFFSET = 0
export const GROUP_VERSION_OFFSET: number = GROUP_MAGIC_OFFSET + U32
export const GROUP_FLAGS_OFFSET: number = GROUP_VERSION_OFFSET + U16
export const GROUP_EPOCH_OFFSET: number = GROUP_FLAGS_OFFSET + U16
export const GROUP_FIRST_SEQUENCE_OFFSET: number = GROUP_EPOCH_OFFSET + U64
export const GROUP_FIRST_LSN_OFFSET: number = GROUP_FIRST_SEQUENCE_OFFSET + U64
export const GROUP_DURABLE_EPOCH_OFFSET: number = GROUP_FIRST_LSN_OFFSET + U64
export const GROUP_LOG_ID_OFFSET: number = GROUP_DURABLE_EPOCH_OFFSET + U64
export const GROUP_BODY_BYTES_OFFSET: number = GROUP_LOG_ID_OFFSET + LOG_ID_BYTES
export const GROUP_RECORD_COUNT_OFFSET: number = GROUP_BODY_BYTES_OFFSET + U32
export const GROUP_ABORTED_COUNT_OFFSET: number = GROUP_RECORD_COUNT_OFFSET + U32
export const GROUP_LANE_COUNT_OFFSET: number = GROUP_ABORTED_COUNT_OFFSET + U32
export const GROUP_PREVIOUS_OFFSET: number = GROUP_LANE_COUNT_OFFSET + U32
export const GROUP_CHECKSUM_OFFSET: number = GROUP_PREVIOUS_OFFSET + U32
export const GROUP_HEADER_BYTES: number = GROUP_CHECKSUM_OFFSET + U32

export const GROUP_FLAGS_KNOWN = 0
/** The largest multiple of 8 that 32 bits hold. */
export const GROUP_BODY_BYTES_MAX: number = 2 ** 32 - FRAME_ALIGNMENT_BYTES
export const LANE_COUNT_MAX = 65_535

// ---- certificate ----------------------------------------------------------------------------

export const CERTIFICATE_MAGIC = 0x43_57_42_52 // "RBWC" in the file
export const CERTIFICATE_MAGIC_OFFSET = 0
export const CERTIFICATE_VERSION_OFFSET: number = CERTIFICATE_MAGIC_OFFSET + U32
export const CERTIFICATE_FLAGS_OFFSET: number = CERTIFICATE_VERSION_OFFSET + U16
export const CERTIFICATE_EPOCH_OFFSET: number = CERTIFICATE_FLAGS_OFFSET + U16
export const CERTIFICATE_FIRST_SEQUENCE_OFFSET: number = CERTIFICATE_EPOCH_OFFSET + U64
export const CERTIFICATE_END_SEQUENCE_OFFSET: number = CERTIFICATE_FIRST_SEQUENCE_OFFSET + U64
export const CERTIFICATE_BODY_BYTES_OFFSET: number = CERTIFICATE_END_SEQUENCE_OFFSET + U64
export const CERTIFICATE_ABORTED_COUNT_OFFSET: number = CERTIFICATE_BODY_BYTES_OFFSET + U32
export const CERTIFICATE_LANE_COUNT_OFFSET: number = CERTIFICATE_ABORTED_COUNT_OFFSET + U32
export const CERTIFICATE_HEADER_CHECKSUM_OFFSET: number = CERTIFICATE_LANE_COUNT_OFFSET + U32
export const CERTIFICATE_BODY_CHECKSUM_OFFSET: number = CERTIFICATE_HEADER_CHECKSUM_OFFSET + U32
/** One 32-bit record count per lane, then zeros, then the checksum in the last four bytes. */
export const CERTIFICATE_LANES_OFFSET: number = CERTIFICATE_BODY_CHECKSUM_OFFSET + U32

/** The group was written by the one-lane path because the others were not trusted. */
export const CERTIFICATE_FLAG_FALLBACK = 1
export const CERTIFICATE_FLAGS_KNOWN: number = 0 | CERTIFICATE_FLAG_FALLBACK
const CERTIFICATE_CHECKSUM_BYTES = U32

export function certificateBytes(laneCount: number): number {
  const unaligned = CERTIFICATE_LANES_OFFSET + laneCount * U32 + CERTIFICATE_CHECKSUM_BYTES
  return Math.ceil(unaligned / GROUP_ALIGNMENT_BYTES) * GROUP_ALIGNMENT_BYTES
}

export function certificateChecksumOffset(laneCount: number): number {
  return certificateBytes(laneCount) - CERTIFICATE_CHECKSUM_BYTES
}

/** Header, body and certificate. */
export function groupBytes(bodyBytes: number, laneCount: number): number {
  return GROUP_HEADER_BYTES + bodyBytes + certificateBytes(laneCount)
}

/** Written after each group where there is room: the end of the log is never an old byte. */
export const TERMINATOR_BYTES: number = GROUP_ALIGNMENT_BYTES

/** A group has a frame at least. */
export const GROUP_BYTES_MIN: number = groupBytes(FRAME_ALIGNMENT_BYTES, 1)

// ---- commit record: the payload of a frame, for those who log commits -------------------------

export const COMMIT_VERSION = 1
export const COMMIT_VERSION_OFFSET = 0
export const COMMIT_FLAGS_OFFSET: number = COMMIT_VERSION_OFFSET + U16
export const COMMIT_IMAGE_BYTES_OFFSET: number = COMMIT_FLAGS_OFFSET + U16
export const COMMIT_TRANSACTION_OFFSET: number = COMMIT_IMAGE_BYTES_OFFSET + U32
export const COMMIT_EPOCH_OFFSET: number = COMMIT_TRANSACTION_OFFSET + U64
export const COMMIT_FIRST_SEQUENCE_OFFSET: number = COMMIT_EPOCH_OFFSET + U64
export const COMMIT_LAST_SEQUENCE_OFFSET: number = COMMIT_FIRST_SEQUENCE_OFFSET + U64
export const COMMIT_IMAGE_OFFSET: number = COMMIT_LAST_SEQUENCE_OFFSET + U64

/** Writes a 64-bit integer without BigInt, which allocates. */
export function writeU64(target: DataView, byteOffset: number, value: number): void {
  target.setUint32(byteOffset, value % 2 ** 32, true)
  target.setUint32(byteOffset + U32, Math.floor(value / 2 ** 32), true)
}

/** Past 2^53-1 the result is not a safe integer, which every caller refuses. */
export function readU64(source: DataView, byteOffset: number): number {
  return source.getUint32(byteOffset, true) + source.getUint32(byteOffset + U32, true) * 2 ** 32
}

for (const [name, bytes] of Object.entries({ SEGMENT_FIRST_GROUP_OFFSET, GROUP_HEADER_BYTES })) {
  if (bytes % GROUP_ALIGNMENT_BYTES !== 0) {
    throw new Error(`${name} = ${bytes} is not a multiple of ${GROUP_ALIGNMENT_BYTES}`)
  }
}
if (SEGMENT_HEADER_BYTES > SEGMENT_BLOCK_BYTES) {
  throw new Error(`the segment header of ${SEGMENT_HEADER_BYTES} exceeds ${SEGMENT_BLOCK_BYTES}`)
}
