/** A seeded generator: the same seed gives the same run in every thread and process. */

/** Mixes three words into one; every bit of each reaches every bit of the result. */
export function mix(a: number, b: number, c: number): number {
  let h = Math.imul(a ^ 0x9e37_79b9, 0x85eb_ca6b)
  h = Math.imul(h ^ (h >>> 15) ^ b, 0xc2b2_ae35)
  h = Math.imul(h ^ (h >>> 13) ^ c, 0x27d4_eb2f)
  h = Math.imul(h ^ (h >>> 16), 0x1656_67b1)
  return (h ^ (h >>> 15)) >>> 0
}

export class Random {
  #state: number

  constructor(seed: number) {
    this.#state = mix(seed, 0, 0)
  }

  /** 0 to 2^32-1. */
  word(): number {
    this.#state = (this.#state + 0x6d2b_79f5) | 0
    return mix(this.#state, 1, 0)
  }

  /** 0 up to, but not including, 1. */
  fraction(): number {
    return this.word() / 2 ** 32
  }

  /** An integer from `min` to `max`, both included. */
  between(min: number, max: number): number {
    return min + Math.floor(this.fraction() * (max - min + 1))
  }

  /** @throws RangeError when there is nothing to choose from */
  pick<T>(from: readonly T[]): T {
    const picked = from[this.between(0, from.length - 1)]
    if (picked === undefined) throw new RangeError('pick: nothing to choose from')
    return picked
  }
}
