/**
 * What all pages of the store have in common: size, identity, header. The layouts of the kinds stand
 * beside their code: leaves, branches and overflow pages in `../tree`, metas and free lists in `../space`.
 *
 * A page id is the page's place in the main file: byte offset = id × PAGE_BYTES. Pages 0 and 1 are the
 * metas, so that 0 stands for "no page". A page gets its id when it is made, long before it is written.
 *
 * A reference to a page is two words, aligned to 4 bytes, wherever it stands: the page's id and its checksum.
 * The checksum is 0 as long as the page has not been written since it was made; the one who writes the page
 * fills it in, in the page that refers to it. In memory a reader needs it only to read the page from the file.
 *
 *   byte  0  u32  checksum: CRC32C of bytes 4 to the end (0 is stored as 1); 0 while not written
 *   byte  4  u32  page id
 *   byte  8  u8   kind
 *   byte  9  u8   level: 0 for a leaf, one more for each branch above it; 0 for the other kinds
 *   byte 10  u16  tree index
 *   byte 12  u32  highest commit sequence in the page, low 32 bits
 *   byte 16  u32  the same, above
 *   byte 20       the kind's own
 *
 * All numbers are little-endian, in shared memory as in the file.
 */

export const PAGE_BYTES = 8192
export const PAGE_WORDS: number = PAGE_BYTES / 4

export const PAGE_CHECKSUM_WORD = 0
export const PAGE_ID_WORD = 1
export const PAGE_KIND_BYTE = 8
export const PAGE_LEVEL_BYTE = 9
export const PAGE_TREE_BYTE = 10
export const PAGE_SEQUENCE_LOW_WORD = 3
export const PAGE_SEQUENCE_HIGH_WORD = 4
export const PAGE_HEADER_BYTES = 20

export const PageKind = {
  leaf: 1,
  branch: 2,
  overflow: 3,
  directory: 4,
  freeList: 5,
} as const
export type PageKind = (typeof PageKind)[keyof typeof PageKind]

/** No page: the meta page's place, which nothing refers to. */
export const NO_PAGE = 0
/** The reference's checksum of a page that has not been written since it was made. */
export const NOT_WRITTEN = 0
/** The first id that a page other than a meta can have. */
export const FIRST_PAGE = 2
