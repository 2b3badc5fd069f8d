/**
 * The seam between trees and memory: where pages are found, and how new ones are made.
 *
 * All frames of a database, a thread's private ones included, lie in one shared buffer, so that code that
 * reads pages is the same everywhere and sees one pair of typed arrays. A frame is PAGE_BYTES long; a page's
 * first byte is `frame * PAGE_BYTES` in `bytes`, its first word `frame * PAGE_WORDS` in `words`.
 *
 * `PageSource` is a thread's view for reading (`SharedPageReader`: any thread, between `enter` and `leave`).
 * `PageSpace` is the sequencer's: it alone makes, changes and retires pages.
 */
export interface PageSource {
  readonly bytes: Uint8Array
  readonly words: Uint32Array
  /**
   * The frame in which the page stands, read from the file if need be and verified then. Valid until the
   * read ends (a reader's `leave`; the sequencer's next `makeRoom`), but a page that a reader had to read from
   * the file only until its next 16 such pages.
   * @param checksum as the reference says; NOT_WRITTEN: only the page's own checksum can be verified
   * @throws StoreCorruptError with file, offset, expected and actual
   */
  locate(pageId: number, checksum: number): number
}

/**
 * Pages of the working version: the one that the sequencer is building. It is published by
 * `publish`, which makes the pages of that version immutable, and begins the next.
 */
export interface PageSpace extends PageSource {
  /**
   * Makes sure that operations which make or read up to `pages` pages need no eviction. To be called before
   * each operation; may write dirty pages out and evict, so frames located before are no longer valid.
   * @throws StoreFullError when nothing can be evicted
   */
  makeRoom(pages: number): void
  /**
   * A new page of the working version, zero-filled but for its id. Never evicts by itself: takes of what
   * `makeRoom` has made.
   * @returns the frame; the page's id stands in its header
   */
  allocate(): number
  /** True when the page was made in the working version, so that it may be changed in place. */
  isWritable(frame: number): boolean
  /**
   * A page with the same content that may be changed: itself when it was made in the working version,
   * otherwise a copy under a new id, and the old one is retired. Only the header's id and checksum differ.
   * @returns the id; `locate` it for the frame
   */
  writable(pageId: number, checksum: number): number
  /**
   * Says that the working version no longer refers to the page. It stays for the readers and snapshots of
   * older versions, and for the last checkpoint, as long as they need it.
   */
  retire(pageId: number): void
}
