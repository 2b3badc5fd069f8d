/**
 * A sum over entries that does not depend on their order: two sets with the same count and the same sums are the same,
 * but for one chance in 2^64. So what is due in an index and what stands there can be compared without looking each
 * of them up. Seeded, so that nobody can prepare a set of which that is not true.
 */
export interface SumSeed {
  readonly first: number
  readonly second: number
}

const FIRST_MULTIPLIER = 0x2c1b_3c6d
const SECOND_MULTIPLIER = 0x85eb_ca6b

export class EntrySum {
  count = 0
  readonly #seed: SumSeed
  #first = 0
  #second = 0

  constructor(seed: SumSeed) {
    this.#seed = seed
  }

  /** One entry: a key, and a value, which may be empty. */
  add(
    key: Uint8Array,
    keyBytes: number,
    value: Uint8Array,
    valueStart: number,
    valueEnd: number,
  ): void {
    // Lengths first, so that no byte can pass from the key to the value.
    let first = this.#seed.first ^ keyBytes
    let second = this.#seed.second ^ (valueEnd - valueStart)
    let at = 0
    for (; at + 4 <= keyBytes; at += 4) {
      const word = key[at]! | (key[at + 1]! << 8) | (key[at + 2]! << 16) | (key[at + 3]! << 24)
      first = Math.imul(first ^ word ^ (first >>> 15), FIRST_MULTIPLIER)
      second = Math.imul(second ^ word ^ (second >>> 13), SECOND_MULTIPLIER)
    }
    for (; at < keyBytes; at++) {
      first = Math.imul(first ^ key[at]! ^ (first >>> 15), FIRST_MULTIPLIER)
      second = Math.imul(second ^ key[at]! ^ (second >>> 13), SECOND_MULTIPLIER)
    }
    for (at = valueStart; at < valueEnd; at++) {
      first = Math.imul(first ^ value[at]! ^ (first >>> 15), FIRST_MULTIPLIER)
      second = Math.imul(second ^ value[at]! ^ (second >>> 13), SECOND_MULTIPLIER)
    }
    this.count++
    this.#first = (this.#first + mixed(first)) | 0
    this.#second = (this.#second + mixed(second)) | 0
  }

  equals(other: EntrySum): boolean {
    return (
      this.count === other.count && this.#first === other.#first && this.#second === other.#second
    )
  }
}

/** Spreads what the last bytes did over all bits. */
function mixed(hash: number): number {
  let bits = Math.imul(hash ^ (hash >>> 16), 0x7feb_352d)
  bits = Math.imul(bits ^ (bits >>> 15), 0x846c_a68b | 0)
  return bits ^ (bits >>> 16)
}
