/** A small generator (xorshift32): the same operations for every candidate of a round. */
export class Random {
  #state: number

  constructor(seed: number) {
    // Zero would stay zero; neighbouring seeds are spread.
    this.#state = Math.imul(seed + 1, 0x9e3779b1) >>> 0 || 1
  }

  /** From 0 to below `bound`, at most 2^32. */
  below(bound: number): number {
    let state = this.#state
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    this.#state = state
    return Math.floor(((state >>> 0) / 2 ** 32) * bound)
  }
}
