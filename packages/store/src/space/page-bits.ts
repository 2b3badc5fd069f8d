/** A set of page ids: a bit for each, in blocks that exist only where there are members. */

const BLOCK_SHIFT = 16
const BLOCK_BYTES: number = 2 ** BLOCK_SHIFT / 8
const WITHIN_BLOCK: number = 2 ** BLOCK_SHIFT - 1

export class PageBits {
  readonly #blocks = new Map<number, Uint8Array>()
  #size = 0

  get size(): number {
    return this.#size
  }

  has(pageId: number): boolean {
    const block = this.#blocks.get(pageId >>> BLOCK_SHIFT)
    const bit = pageId & WITHIN_BLOCK
    return block !== undefined && (block[bit >>> 3]! & (1 << (bit & 7))) !== 0
  }

  /** False when it was there. */
  add(pageId: number): boolean {
    let block = this.#blocks.get(pageId >>> BLOCK_SHIFT)
    if (block === undefined) {
      block = new Uint8Array(BLOCK_BYTES)
      this.#blocks.set(pageId >>> BLOCK_SHIFT, block)
    }
    const bit = pageId & WITHIN_BLOCK
    const mask = 1 << (bit & 7)
    if ((block[bit >>> 3]! & mask) !== 0) return false
    block[bit >>> 3]! |= mask
    this.#size++
    return true
  }
}
