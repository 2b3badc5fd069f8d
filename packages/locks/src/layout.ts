/**
 * The bytes of a lock file and of a presence file. Little-endian; every offset is chained from the
 * one before; nobody else writes a number.
 *
 *     lock file                                    presence file
 *     0    header                     64 B         0    header         64 B
 *     64   holder record              64 B         64   statement      48 B
 *     128  wait slots 0…31   each     32 B         112  end
 *     1152 board                      64 B
 *     1216 end
 *
 *     header     magic "ringlock" 8 | version u32 | kind u32 | method u32 | reserved u32 |
 *                id 16 | reserved 20 | checksum u32 over the 60 before
 *     holder     state u32 (1: held) | pid u32 | thread u32 | reserved u32 | since f64, wall ms |
 *                reserved 36 | checksum u32 over the 60 before; all zero: nobody has said
 *     slot       arrival f64 | renewed f64, both monotonic ms | token u64 | pid u32 | checksum u32
 *     board      the holder's 60 | checksum u32 over the 60 before, xor the file's inode number
 *     statement  oldest needed u64 | started f64, wall ms | updates u64 | pid u32 | reached u64 |
 *                reserved 8 | checksum u32 over the 44 before
 *
 * The header is written once, before the file has its name, and never again. Records and slots are
 * overwritten in place by plain writes; a checksum tells a torn or foreign one, which is then read
 * again or passed over. None of them decides who holds the lock: the kernel does.
 */
const U32 = 4
const U64 = 8
const F64 = 8

export const MAGIC: Uint8Array = new TextEncoder().encode('ringlock')
export const FORMAT_VERSION = 1
export const ID_BYTES = 16

const HEADER_OFFSET = 0
export const HEADER_VERSION_OFFSET: number = HEADER_OFFSET + MAGIC.length
export const HEADER_KIND_OFFSET: number = HEADER_VERSION_OFFSET + U32
export const HEADER_METHOD_OFFSET: number = HEADER_KIND_OFFSET + U32
const HEADER_RESERVED_OFFSET = HEADER_METHOD_OFFSET + U32
export const HEADER_ID_OFFSET: number = HEADER_RESERVED_OFFSET + U32
const HEADER_TAIL_OFFSET = HEADER_ID_OFFSET + ID_BYTES
export const HEADER_CHECKSUM_OFFSET: number = HEADER_TAIL_OFFSET + 20
export const HEADER_BYTES: number = HEADER_CHECKSUM_OFFSET + U32

/** What kind of file a header introduces. */
export const KIND_LOCK = 1
export const KIND_PRESENCE = 2

// Offsets within a record, a slot and a statement are relative to its start.
export const HOLDER_OFFSET: number = HEADER_OFFSET + HEADER_BYTES
export const HOLDER_STATE_FIELD = 0
export const HOLDER_PID_FIELD: number = HOLDER_STATE_FIELD + U32
export const HOLDER_THREAD_FIELD: number = HOLDER_PID_FIELD + U32
const HOLDER_RESERVED_FIELD = HOLDER_THREAD_FIELD + U32
export const HOLDER_SINCE_FIELD: number = HOLDER_RESERVED_FIELD + U32
const HOLDER_TAIL_FIELD = HOLDER_SINCE_FIELD + F64
export const HOLDER_CHECKSUM_FIELD: number = HOLDER_TAIL_FIELD + 36
export const HOLDER_BYTES: number = HOLDER_CHECKSUM_FIELD + U32
export const HOLDER_STATE_HELD = 1

export const SLOTS_OFFSET: number = HOLDER_OFFSET + HOLDER_BYTES
export const SLOT_ARRIVAL_FIELD = 0
export const SLOT_RENEWED_FIELD: number = SLOT_ARRIVAL_FIELD + F64
export const SLOT_TOKEN_FIELD: number = SLOT_RENEWED_FIELD + F64
export const SLOT_PID_FIELD: number = SLOT_TOKEN_FIELD + U64
export const SLOT_CHECKSUM_FIELD: number = SLOT_PID_FIELD + U32
export const SLOT_BYTES: number = SLOT_CHECKSUM_FIELD + U32
export const SLOT_COUNT = 32
export const SLOTS_BYTES: number = SLOT_COUNT * SLOT_BYTES

export const BOARD_OFFSET: number = SLOTS_OFFSET + SLOTS_BYTES
/** What the holder may say to everybody. */
export const BOARD_BYTES = 60
const BOARD_END: number = BOARD_OFFSET + BOARD_BYTES + U32

export const LOCK_FILE_BYTES: number = BOARD_END

export const STATEMENT_OFFSET: number = HEADER_OFFSET + HEADER_BYTES
export const STATEMENT_OLDEST_FIELD = 0
export const STATEMENT_STARTED_FIELD: number = STATEMENT_OLDEST_FIELD + U64
export const STATEMENT_UPDATES_FIELD: number = STATEMENT_STARTED_FIELD + F64
export const STATEMENT_PID_FIELD: number = STATEMENT_UPDATES_FIELD + U64
export const STATEMENT_REACHED_FIELD: number = STATEMENT_PID_FIELD + U32
const STATEMENT_TAIL_FIELD = STATEMENT_REACHED_FIELD + U64
export const STATEMENT_CHECKSUM_FIELD: number = STATEMENT_TAIL_FIELD + 8
export const STATEMENT_BYTES: number = STATEMENT_CHECKSUM_FIELD + U32

export const PRESENCE_FILE_BYTES: number = STATEMENT_OFFSET + STATEMENT_BYTES

/** FNV-1a, 32 bits: these are a few dozen bytes, and what is to be told is torn from whole. */
export function checksumOf(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0x811c9dc5
  for (let index = start; index < end; index++) {
    hash = Math.imul(hash ^ (bytes[index] ?? 0), 0x01000193)
  }
  return hash >>> 0
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
