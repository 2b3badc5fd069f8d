/**
 * The versions that somebody is at, sorted: what the sequencer saw when it last looked at slots and pins.
 *
 * Threads: the sequencer's own; `reader-slots.ts` says what it may conclude. A reader that enters later enters
 * the newest published version, or one whose pin was seen.
 */
import type { Pins } from './pins.ts'
import type { ReaderSlots } from './reader-slots.ts'
import { NO_VERSION, versionDistance } from './versions.ts'

export class LiveVersions {
  #ages: Int32Array
  #count = 0
  #newest = NO_VERSION

  constructor(capacity: number) {
    this.#ages = new Int32Array(capacity)
  }

  #begin(newest: number): void {
    this.#newest = newest
    this.#count = 0
  }

  #add(version: number): void {
    if (this.#count === this.#ages.length) {
      const grown = new Int32Array(this.#count * 2)
      grown.set(this.#ages)
      this.#ages = grown
    }
    this.#ages[this.#count++] = versionDistance(version, this.#newest)
  }

  /**
   * Looks who is at what: what the published version has retired can be freed if it is in nobody's way here.
   * @param own versions that the sequencer itself keeps
   */
  look(newest: number, slots: ReaderSlots, pins: Pins, own: Iterable<{ version: number }>): void {
    this.#begin(newest)
    for (let slotIndex = slots.used - 1; slotIndex >= 0; slotIndex--) {
      const version = slots.entered(slotIndex)
      if (version !== NO_VERSION) this.#add(version)
    }
    // After the slots: who has taken a pin and left since is seen here.
    pins.forEach((version) => this.#add(version))
    for (const { version } of own) this.#add(version)
    this.#sort()
  }

  #sort(): void {
    if (this.#count > 1) this.#ages.subarray(0, this.#count).sort()
  }

  get newest(): number {
    return this.#newest
  }

  /** The newest published one when there is no older. */
  get oldest(): number {
    return this.#count === 0 ? this.#newest : (this.#newest + this.#ages[0]!) | 0
  }

  has(version: number): boolean {
    return this.firstFrom(version) === version
  }

  /** The oldest that is not before `birth`; NO_VERSION without one. */
  firstFrom(birth: number): number {
    const bound = birth === NO_VERSION ? -(2 ** 31) : versionDistance(birth, this.#newest)
    let low = 0
    let high = this.#count
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#ages[middle]! < bound) low = middle + 1
      else high = middle
    }
    return low === this.#count ? NO_VERSION : (this.#newest + this.#ages[low]!) | 0
  }
}
