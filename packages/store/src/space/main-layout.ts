/**
 * The main file: every offset of metas and free-list pages, chained from the one before. The common header
 * of pages is in `../page/page.ts`, trees' pages beside their code. docs/FORMAT.md shows the same as tables;
 * a test holds the two together.
 *
 *   main file                          meta (pages 0 and 1)          free-list page
 *   ┌────────────────────┐ 0           ┌───────────────────────┐     ┌─────────────────────────┐
 *   │ meta, even numbers │             │ magic, checksum       │     │ header of all pages     │ 20 bytes
 *   ├────────────────────┤ 8192        │ version, page size    │     ├─────────────────────────┤
 *   │ meta, odd numbers  │             │ numbers, ids          │     │ reference to the next   │
 *   ├────────────────────┤ 16384       │ references            │     │ number of extents       │
 *   │ page 2             │             │ zeros                 │     ├─────────────────────────┤
 *   ├────────────────────┤             └───────────────────────┘     │ extents: first id, count│
 *   │ page 3 …           │                                           └─────────────────────────┘
 *   └────────────────────┘ page count × 8192; what is behind belongs to no checkpoint
 *
 * All integers are little-endian. 64-bit integers are safe integers: at most 2^53-1. What a version of the
 * format never changes: magic, checksum and version stay where they are, and the checksum covers the rest of
 * the 8192 bytes; so that a newer version is told from damage.
 */
import { PAGE_BYTES, PAGE_HEADER_BYTES } from '../page/page.ts'

const U32 = 4
const U64 = 8

export const MAIN_FORMAT_VERSION = 1
export const ID_BYTES = 16
/** How many directory pages a meta refers to. */
export const META_DIRECTORY_COUNT = 8
export const REFERENCE_BYTES: number = U32 + U32

// ---- meta -----------------------------------------------------------------------------------

export const META_SLOTS = 2
/** In ASCII. */
export const META_MAGIC = 'RINGBOLT'
export const META_MAGIC_OFFSET = 0
export const META_CHECKSUM_OFFSET: number = META_MAGIC_OFFSET + META_MAGIC.length
export const META_VERSION_OFFSET: number = META_CHECKSUM_OFFSET + U32
export const META_PAGE_BYTES_OFFSET: number = META_VERSION_OFFSET + U32
export const META_FLAGS_OFFSET: number = META_PAGE_BYTES_OFFSET + U32
export const META_CHECKPOINT_OFFSET: number = META_FLAGS_OFFSET + U32
export const META_SEQUENCE_OFFSET: number = META_CHECKPOINT_OFFSET + U64
export const META_DATABASE_ID_OFFSET: number = META_SEQUENCE_OFFSET + U64
export const META_LOG_ID_OFFSET: number = META_DATABASE_ID_OFFSET + ID_BYTES
export const META_LOG_LSN_OFFSET: number = META_LOG_ID_OFFSET + ID_BYTES
export const META_BASE_SEQUENCE_OFFSET: number = META_LOG_LSN_OFFSET + U64
export const META_PAGE_COUNT_OFFSET: number = META_BASE_SEQUENCE_OFFSET + U64
export const META_FREE_COUNT_OFFSET: number = META_PAGE_COUNT_OFFSET + U32
export const META_FREE_LIST_OFFSET: number = META_FREE_COUNT_OFFSET + U32
export const META_DIRECTORY_OFFSET: number = META_FREE_LIST_OFFSET + REFERENCE_BYTES
export const META_BYTES: number = META_DIRECTORY_OFFSET + META_DIRECTORY_COUNT * REFERENCE_BYTES

/** The database was closed cleanly: nothing is to be replayed, and there need be no log. */
export const META_FLAG_CLEAN = 1
export const META_FLAGS_KNOWN: number = 0 | META_FLAG_CLEAN

// ---- free-list page -------------------------------------------------------------------------

export const FREE_NEXT_OFFSET: number = PAGE_HEADER_BYTES
export const FREE_EXTENT_COUNT_OFFSET: number = FREE_NEXT_OFFSET + REFERENCE_BYTES
export const FREE_EXTENTS_OFFSET: number = FREE_EXTENT_COUNT_OFFSET + U32
export const FREE_EXTENT_BYTES: number = U32 + U32
export const FREE_EXTENTS_MAX: number = Math.floor(
  (PAGE_BYTES - FREE_EXTENTS_OFFSET) / FREE_EXTENT_BYTES,
)

/** One past the largest page id: ids are 32 bits, and the count of pages is too. */
export const PAGE_COUNT_MAX: number = 2 ** 32 - 1

/** A disk that writes a sector of 512 bytes whole never tears a meta: the rest of it never changes. */
const SECTOR_BYTES_MIN = 512
if (META_BYTES > SECTOR_BYTES_MIN) {
  throw new Error(`a meta of ${META_BYTES} bytes exceeds a sector of ${SECTOR_BYTES_MIN}`)
}
for (const [name, offset] of Object.entries({ META_CHECKPOINT_OFFSET, FREE_EXTENTS_OFFSET })) {
  if (offset % U64 !== 0) throw new Error(`${name} = ${offset} is not a multiple of ${U64}`)
}
