/**
 * The one source of chance in simulations: xoshiro128** of D. Blackman and S. Vigna ("Scrambled linear
 * pseudorandom number generators", 2018), seeded by a 32-bit SplitMix (G. Steele, D. Lea, C. Flood,
 * "Fast splittable pseudorandom number generators", 2014) with the finisher of MurmurHash3. 32-bit
 * integers only. The same seed gives the same numbers on every machine and in every version.
 */

const GOLDEN_GAMMA = 0x9e37_79b9
const UINT32_RANGE = 2 ** 32

/** MurmurHash3's finisher: every bit of the input reaches every bit of the result. */
function mix(word: number): number {
  let h = word
  h = Math.imul(h ^ (h >>> 16), 0x85eb_ca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2_ae35)
  return h ^ (h >>> 16)
}

/** FNV-1a over UTF-16 units. */
function hashOf(label: string): number {
  let h = 0x811c_9dc5 | 0
  for (let at = 0; at < label.length; at++) h = Math.imul(h ^ label.charCodeAt(at), 0x0100_0193)
  return h
}

function rotateLeft(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits))
}

export class Random {
  readonly #low: number
  readonly #high: number
  #a = 0
  #b = 0
  #c = 0
  #d = 0

  /** @param seed an integer from 0 to 2^53-1 */
  constructor(seed: number) {
    if (!Number.isSafeInteger(seed) || seed < 0) {
      throw new RangeError(`a seed is an integer from 0 to 2^53-1, not ${seed}`)
    }
    this.#low = seed | 0
    this.#high = Math.floor(seed / UINT32_RANGE) | 0
    this.#start()
  }

  /** A generator in a given state of four words, not all zero: for the paper's own vectors. */
  static fromState(a: number, b: number, c: number, d: number): Random {
    const random = new Random(0)
    random.#a = a | 0
    random.#b = b | 0
    random.#c = c | 0
    random.#d = d | 0
    return random
  }

  #start(): void {
    let state = mix(this.#low) ^ mix(this.#high + GOLDEN_GAMMA)
    const next = (): number => mix((state = (state + GOLDEN_GAMMA) | 0) ^ this.#high)
    this.#a = next()
    this.#b = next()
    this.#c = next()
    // The state must not be all zeros.
    this.#d = next() | 1
  }

  /** 0 to 2^32-1. */
  uint32(): number {
    const result = Math.imul(rotateLeft(Math.imul(this.#b, 5), 7), 9)
    const shifted = this.#b << 9
    this.#c ^= this.#a
    this.#d ^= this.#b
    this.#b ^= this.#c
    this.#a ^= this.#d
    this.#c ^= shifted
    this.#d = rotateLeft(this.#d, 11)
    return result >>> 0
  }

  /** An integer from 0 to `n` - 1, `n` up to 2^32; no value is likelier than another by more than n / 2^32. */
  below(n: number): number {
    return Math.floor((this.uint32() / UINT32_RANGE) * n)
  }

  /** An integer from `min` to `max`, both included. */
  between(min: number, max: number): number {
    return min + this.below(max - min + 1)
  }

  /** True with probability `p`. */
  chance(p: number): boolean {
    return this.uint32() < p * UINT32_RANGE
  }

  /** @throws RangeError when there is nothing to choose from */
  pick<T>(from: readonly T[]): T {
    const picked = from[this.below(from.length)]
    if (picked === undefined) throw new RangeError('pick: nothing to choose from')
    return picked
  }

  /** One of the keys, each as likely as its share of the sum of all weights. */
  weighted<K extends string>(choices: readonly (readonly [K, number])[]): K {
    let total = 0
    for (const [, weight] of choices) total += weight
    let rest = this.below(total)
    for (const [key, weight] of choices) {
      if (rest < weight) return key
      rest -= weight
    }
    throw new RangeError('weighted: nothing to choose from')
  }

  /**
   * A generator of its own. It depends on this one's seed and the label only, not on how many numbers
   * were drawn: taking one part of a run out leaves the others as they were.
   */
  fork(label: string | number): Random {
    const word = typeof label === 'number' ? mix(label + GOLDEN_GAMMA) : hashOf(label)
    const low = mix(this.#low ^ word)
    const high = mix(this.#high ^ rotateLeft(word, 16) ^ low) >>> 11
    return new Random((low >>> 0) + high * UINT32_RANGE)
  }

  /** Fills `target`, and returns it. */
  bytes<T extends Uint8Array>(target: T): T {
    let word = 0
    for (let at = 0; at < target.length; at++) {
      word = (at & 3) === 0 ? this.uint32() : word >>> 8
      target[at] = word
    }
    return target
  }
}
