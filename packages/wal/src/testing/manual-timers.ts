/** Time that a test moves by hand. */
import type { LogTimers } from '../epoch-log.ts'

export class ManualTimers implements LogTimers {
  #nowMs = 0
  #timers: { readonly atMs: number; readonly run: () => void }[] = []

  nowMs(): number {
    return this.#nowMs
  }

  after(delayMs: number, run: () => void): () => void {
    const timer = { atMs: this.#nowMs + delayMs, run }
    this.#timers.push(timer)
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer)
    }
  }

  /** Timers that would hold a process open. */
  get pending(): number {
    return this.#timers.length
  }

  advance(byMs: number): void {
    const untilMs = this.#nowMs + byMs
    for (let next = this.#due(untilMs); next !== undefined; next = this.#due(untilMs)) {
      this.#nowMs = next.atMs
      next.run()
    }
    this.#nowMs = untilMs
  }

  #due(untilMs: number): { readonly atMs: number; readonly run: () => void } | undefined {
    const due = this.#timers
      .filter(({ atMs }) => atMs <= untilMs)
      .sort((a, b) => a.atMs - b.atMs)[0]
    this.#timers = this.#timers.filter((timer) => timer !== due)
    return due
  }
}
