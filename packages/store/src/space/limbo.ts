/**
 * Frames that are out of the page table, until no reader can be looking at them any more.
 *
 * Threads: the sequencer's own; `reader-slots.ts` says what it may conclude from the slots.
 *
 * Frames wait in two batches: one whose readers are being waited for, and one of those that came later. A
 * frame of the second has to wait for readers that entered before it came, so it begins when the first is over.
 */
import type { ReaderSlots } from './reader-slots.ts'
import { NO_VERSION } from './versions.ts'

export class Limbo {
  readonly #slots: ReaderSlots
  #waiting: Int32Array
  #waitingCount = 0
  #collected: Int32Array
  #collectedCount = 0
  /** Slots that were inside when the wait began, and at which version. */
  readonly #inside: { readonly slotIndex: number; readonly version: number }[] = []

  constructor(slots: ReaderSlots, capacity: number) {
    this.#slots = slots
    this.#waiting = new Int32Array(capacity)
    this.#collected = new Int32Array(capacity)
  }

  get size(): number {
    return this.#waitingCount + this.#collectedCount
  }

  add(frame: number): void {
    this.#collected[this.#collectedCount++] = frame
  }

  /** Calls with each frame that is free now. Waits for nobody. */
  poll(release: (frame: number) => void): void {
    if (this.#waitingCount > 0 && !this.#finish(release)) return
    if (this.#collectedCount === 0) return
    this.#begin()
    this.#finish(release)
  }

  #begin(): void {
    const emptied = this.#waiting
    this.#waiting = this.#collected
    this.#waitingCount = this.#collectedCount
    this.#collected = emptied
    this.#collectedCount = 0
    const slots = this.#slots
    slots.fence()
    for (let slotIndex = slots.used - 1; slotIndex >= 0; slotIndex--) {
      const version = slots.entered(slotIndex)
      if (version === NO_VERSION) continue
      slots.ask(slotIndex)
      this.#inside.push({ slotIndex, version })
    }
  }

  /** False while somebody is still inside. */
  #finish(release: (frame: number) => void): boolean {
    const inside = this.#inside
    while (inside.length > 0) {
      const { slotIndex, version } = inside.at(-1)!
      if (!this.#slots.hasLeft(slotIndex, version)) return false
      inside.pop()
    }
    for (let index = 0; index < this.#waitingCount; index++) release(this.#waiting[index]!)
    this.#waitingCount = 0
    return true
  }
}
