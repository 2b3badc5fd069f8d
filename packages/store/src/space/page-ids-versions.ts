/**
 * A version for some page ids, 0 for the others: four bytes an id, in chunks that are made as they are needed.
 * Ids are given lowest first, so those in use here stand close together.
 */
const CHUNK_IDS = 16_384

export class PageVersions {
  readonly #chunks: (Int32Array | undefined)[] = []
  #size = 0

  /** How many ids have a version. */
  get size(): number {
    return this.#size
  }

  /** @param version not 0 */
  set(pageId: number, version: number): void {
    const index = Math.floor(pageId / CHUNK_IDS)
    while (this.#chunks.length <= index) this.#chunks.push(undefined)
    const chunk = (this.#chunks[index] ??= new Int32Array(CHUNK_IDS))
    const at = pageId % CHUNK_IDS
    if (chunk[at] === 0) this.#size++
    chunk[at] = version
  }

  has(pageId: number): boolean {
    const version = this.#chunks[Math.floor(pageId / CHUNK_IDS)]?.[pageId % CHUNK_IDS]
    return version !== undefined && version !== 0
  }

  /** False: it has none. */
  delete(pageId: number): boolean {
    const chunk = this.#chunks[Math.floor(pageId / CHUNK_IDS)]
    const at = pageId % CHUNK_IDS
    if (chunk === undefined || chunk[at] === 0) return false
    chunk[at] = 0
    this.#size--
    return true
  }

  forEach(visit: (pageId: number, version: number) => void): void {
    for (const [index, chunk] of this.#chunks.entries()) {
      if (chunk === undefined) continue
      for (let at = 0; at < CHUNK_IDS; at++) {
        const version = chunk[at] ?? 0
        if (version !== 0) visit(index * CHUNK_IDS + at, version)
      }
    }
  }

  /** Forgets those for which `isOver` says so, and the memory of chunks that are empty then. */
  forgetWhere(isOver: (pageId: number, version: number) => boolean): void {
    for (const [index, chunk] of this.#chunks.entries()) {
      if (chunk === undefined) continue
      let left = 0
      for (let at = 0; at < CHUNK_IDS; at++) {
        const version = chunk[at] ?? 0
        if (version === 0) continue
        if (isOver(index * CHUNK_IDS + at, version)) {
          chunk[at] = 0
          this.#size--
        } else left++
      }
      if (left === 0) this.#chunks[index] = undefined
    }
  }
}
