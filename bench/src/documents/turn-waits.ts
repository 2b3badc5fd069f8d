/** Each wait of a process for its turn to write, from figures that only tell how many there were, and how long in all. */
import type { Turns } from './store.ts'

/** The figures are written every 10 ms at the most, and a turn takes longer: two waits seldom come at once. */
const LOOK_EVERY_MS = 3

export class TurnWaits {
  readonly #look: () => Turns
  readonly #waitsMs: number[] = []
  #last: Turns
  #timer: NodeJS.Timeout

  /** Begins at once. */
  constructor(look: () => Turns) {
    this.#look = look
    this.#last = look()
    this.#timer = setInterval(() => this.#take(), LOOK_EVERY_MS)
  }

  /** Waits that came at once count as long as they are at the mean. */
  #take(): void {
    const now = this.#look()
    const count = now.count - this.#last.count
    const meanMs = (now.waitMs - this.#last.waitMs) / count
    for (let wait = 0; wait < count; wait++) this.#waitsMs.push(meanMs)
    this.#last = now
  }

  /** Those that have ended. */
  stop(): Float64Array {
    clearInterval(this.#timer)
    this.#take()
    return Float64Array.from(this.#waitsMs)
  }
}
