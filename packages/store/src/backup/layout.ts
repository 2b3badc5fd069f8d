/**
 * Increments and archive files: every offset, chained from the one before. docs/FORMAT.md shows the same as tables; a
 * test holds the two together. Integers are little-endian; 64-bit ones are at most 2^53-1.
 */
const U32 = 4
const U64 = 8
const ID = 16

// ---- header of an incremental backup --------------------------------------------------------------

export const INCREMENT_MAGIC = 'RINGBINC'
export const INCREMENT_VERSION = 1
export const INCREMENT_CHECKSUM_OFFSET: number = INCREMENT_MAGIC.length
export const INCREMENT_VERSION_OFFSET: number = INCREMENT_CHECKSUM_OFFSET + U32
export const INCREMENT_PAGE_BYTES_OFFSET: number = INCREMENT_VERSION_OFFSET + U32
export const INCREMENT_PAGES_OFFSET: number = INCREMENT_PAGE_BYTES_OFFSET + U32
export const INCREMENT_LIST_CHECKSUM_OFFSET: number = INCREMENT_PAGES_OFFSET + U32
export const INCREMENT_SINCE_STATE_OFFSET: number = INCREMENT_LIST_CHECKSUM_OFFSET + U32
export const INCREMENT_SINCE_OFFSET: number = INCREMENT_SINCE_STATE_OFFSET + U32
export const INCREMENT_HEADER_BYTES: number = INCREMENT_SINCE_OFFSET + U64
export const INCREMENT_META_PAGE = 1
export const INCREMENT_FIRST_PAGE = 2

// ---- header of an archived segment ------------------------------------------------------------------

export const ARCHIVE_MAGIC = 'RINGBARC'
export const ARCHIVE_VERSION = 1
export const ARCHIVE_CHECKSUM_OFFSET: number = ARCHIVE_MAGIC.length
export const ARCHIVE_VERSION_OFFSET: number = ARCHIVE_CHECKSUM_OFFSET + U32
export const ARCHIVE_DATABASE_ID_OFFSET: number = ARCHIVE_VERSION_OFFSET + U32
export const ARCHIVE_LOG_ID_OFFSET: number = ARCHIVE_DATABASE_ID_OFFSET + ID
export const ARCHIVE_BASE_SEQUENCE_OFFSET: number = ARCHIVE_LOG_ID_OFFSET + ID
export const ARCHIVE_FIRST_EPOCH_OFFSET: number = ARCHIVE_BASE_SEQUENCE_OFFSET + U64
export const ARCHIVE_FIRST_LSN_OFFSET: number = ARCHIVE_FIRST_EPOCH_OFFSET + U64
export const ARCHIVE_END_LSN_OFFSET: number = ARCHIVE_FIRST_LSN_OFFSET + U64
export const ARCHIVE_FIRST_ORDINAL_OFFSET: number = ARCHIVE_END_LSN_OFFSET + U64
export const ARCHIVE_END_ORDINAL_OFFSET: number = ARCHIVE_FIRST_ORDINAL_OFFSET + U64
export const ARCHIVE_CONTENT_BYTES_OFFSET: number = ARCHIVE_END_ORDINAL_OFFSET + U64
export const ARCHIVE_CONTENT_CHECKSUM_OFFSET: number = ARCHIVE_CONTENT_BYTES_OFFSET + U64
export const ARCHIVE_HEADER_BYTES: number = ARCHIVE_CONTENT_CHECKSUM_OFFSET + U64
