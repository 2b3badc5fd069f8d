/**
 * A thread's transactions that have begun to write, and keep other processes from writing until they are over.
 *
 * Threads: belongs to the thread that made it; the sequencer reads the count. A thread that ends without giving up
 * is struck out by the owner.
 *
 * Invariant
 *  H1 Between the return of `wait` and `release` it is this process's turn: the count is stored before the turn is looked
 *     at, and the sequencer gives the turn up before it looks at the counts, and takes it back if there is one.
 */
import type { WriteHold } from '../client/engine.ts'
import type { Control } from './control.ts'

export interface HoldsParts {
  readonly control: Control
  readonly slot: number
  readonly threadId: number
  readonly busy: () => Error
  /** Wakes the sequencer. */
  readonly wake: () => void
  /** To be read before one looks whether to wait. */
  readonly signal: () => number
  readonly waitAsync: (signal: number) => Promise<unknown> | undefined
  readonly waitSync: (signal: number) => void
  /** @throws when nobody is going to take the turn any more */
  readonly assertOpen: () => void
}

export class WriteHolds {
  readonly #parts: HoldsParts
  #count = 0

  constructor(parts: HoldsParts) {
    this.#parts = parts
  }

  make(): WriteHold {
    const add = (change: number): void => this.#add(change)
    return new Hold(this.#parts, add, () => this.#count === 0)
  }

  #add(change: number): void {
    const { control, slot, threadId } = this.#parts
    this.#count += change
    control.setWriting(slot, threadId, this.#count)
  }
}

class Hold implements WriteHold {
  readonly #parts: HoldsParts
  readonly #add: (change: number) => void
  readonly #isFirst: () => boolean
  #isCounted = false

  constructor(parts: HoldsParts, add: (change: number) => void, isFirst: () => boolean) {
    this.#parts = parts
    this.#add = add
    this.#isFirst = isFirst
  }

  async wait(): Promise<void> {
    for (const signal of this.#waits()) await this.#parts.waitAsync(signal)
  }

  waitSync(): void {
    for (const signal of this.#waits()) this.#parts.waitSync(signal)
  }

  release(): void {
    if (!this.#isCounted) return
    this.#isCounted = false
    this.#add(-1)
    // Others may be waiting for the end of the turn.
    if (this.#parts.control.isDraining) this.#parts.wake()
  }

  /** The signals to wait for, one after another. @throws what `busy` gives */
  *#waits(): Generator<number> {
    const { control, signal, wake } = this.#parts
    const busyCount = control.busyCount
    for (;;) {
      const seen = signal()
      // Others wait for the end of the turn; a thread that has a transaction open may need this one to end it.
      const lets = control.isDraining && this.#isFirst()
      if (!lets && !this.#isCounted) this.#count()
      if (!lets && control.isTurn) return
      this.#assertMayWait(busyCount)
      if (!lets) wake()
      yield seen
    }
  }

  #count(): void {
    this.#isCounted = true
    this.#add(1)
  }

  /** @throws what `busy` gives */
  #assertMayWait(busyCount: number): void {
    const { control, assertOpen, busy } = this.#parts
    assertOpen()
    if (control.busyCount === busyCount) return
    this.release()
    throw busy()
  }
}
