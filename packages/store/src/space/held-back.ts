/**
 * The main file, for somebody who applies what another process logged: pages of the group that is being applied are
 * not written to their places before they are as they were when the group was. Until then somebody who is
 * further on may be reading there what it is going to be. Who goes through older states to the newest, as in recovery, writes
 * nothing before it is there.
 *
 * Threads: the sequencer's. What had to leave the cache is kept on the heap. In the middle of a group: no more than the group
 * has made. On the way through older states: every page that the log after the last checkpoint has changed and that the
 * state still has, but for those in the cache.
 */
import type { PageStore } from './page-loader.ts'

export class HeldBack implements PageStore {
  readonly #file: PageStore
  /** Whether the page is of the version that is being made. */
  readonly #isWorking: (pageId: number) => boolean
  readonly #pages = new Map<number, Buffer>()
  #isHolding = false
  #holdsAll = false

  constructor(file: PageStore, isWorking: (pageId: number) => boolean) {
    this.#file = file
    this.#isWorking = isWorking
  }

  begin(): void {
    this.#isHolding = true
  }

  /**
   * Nothing is written before `writeAll`: states are gone through that others have left behind, and in whose places they
   * may have other pages by now.
   */
  holdAll(): void {
    this.#holdsAll = true
  }

  /** The newest state is reached, and what is not in it is forgotten. */
  writeAll(): void {
    this.#holdsAll = false
    this.#write()
  }

  /** The group is whole, or given up; what was held back is written when it is whole. */
  end(isWhole: boolean): void {
    this.#isHolding = false
    if (this.#holdsAll) return
    if (isWhole) this.#write()
    this.#pages.clear()
  }

  #write(): void {
    if (this.#pages.size === 0) return
    this.#file.gather(() => {
      for (const [pageId, image] of this.#pages) this.#file.writePage(pageId, image)
    })
    this.#pages.clear()
  }

  /** The page changes again, or is gone: somebody further on may have another there already. */
  forget(pageId: number): void {
    this.#pages.delete(pageId)
  }

  readPage(pageId: number, checksum: number, target: Uint8Array): void {
    const image = this.#pages.get(pageId)
    if (image === undefined) this.#file.readPage(pageId, checksum, target)
    else target.set(image)
  }

  writePage(pageId: number, image: Uint8Array): void {
    const isHeld = this.#holdsAll || (this.#isHolding && this.#isWorking(pageId))
    if (isHeld) this.#pages.set(pageId, Buffer.from(image))
    else this.#file.writePage(pageId, image)
  }

  gather(write: () => void): void {
    this.#file.gather(write)
  }
}
