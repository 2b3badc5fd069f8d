/** What reading from the main file takes; `PageFile` is it. */
export interface PageLoader {
  /** @throws StoreCorruptError */
  readPage(pageId: number, checksum: number, target: Uint8Array): void
}

/** What the sequencer needs beyond that. */
export interface PageStore extends PageLoader {
  writePage(pageId: number, image: Uint8Array): void
  /** What `write` writes may be held back until it returns, and goes out in order of its place. */
  gather(write: () => void): void
}

/** What the sequencer needs of the free page ids; `PageIds` is it. */
export interface PageIdSource {
  take(birthVersion: number): number
  /** A certain id; false when it is in use. */
  takeThis(pageId: number, birthVersion: number): boolean
  release(pageId: number, birthVersion: number, retiredVersion: number): void
}
