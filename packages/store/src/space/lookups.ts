/**
 * How many pages readers have looked for, all threads together: what tells misses from much.
 *
 * Threads: the sequencer's. Readers keep plain counts in their slots, which wrap; nothing depends on them.
 */
import { READER_LOOKUPS, type RegionLayout, readerWord } from './layout.ts'
import type { PlainWords } from './region.ts'

export class Lookups {
  readonly #control: PlainWords
  readonly #layout: RegionLayout
  readonly #seen: number[] = []
  #total = 0

  constructor(control: PlainWords, layout: RegionLayout) {
    this.#control = control
    this.#layout = layout
  }

  /** @param slotsUsed how many slots have ever been taken */
  total(slotsUsed: number): number {
    for (let slotIndex = 0; slotIndex < slotsUsed; slotIndex++) {
      const count = this.#control[readerWord(this.#layout, slotIndex) + READER_LOOKUPS]!
      this.#total += (count - (this.#seen[slotIndex] ?? 0)) >>> 0
      this.#seen[slotIndex] = count
    }
    return this.#total
  }
}
