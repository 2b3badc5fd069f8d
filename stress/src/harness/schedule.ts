/** When and how the harness kills: all of it follows from the seed. */
import type { Random } from '@ringbolt/wal/simulation'
import { KILL_KINDS, type KillKind } from '../load.ts'

export type KillOrder =
  | { readonly what: 'worker'; readonly kill: KillKind }
  | { readonly what: 'process' }

/** No interval is shorter or longer than the mean by more than these. */
const SHARE_MIN = 0.2
const SHARE_MAX = 3

export class KillSchedule {
  readonly #random: Random
  readonly #meanMs: number
  readonly #kinds: KillKind[] = []
  #lastWasProcess = false

  constructor(random: Random, meanMs: number) {
    this.#random = random
    this.#meanMs = meanMs
  }

  /** As of a Poisson process, but neither at once nor hardly ever. */
  nextDelayMs(): number {
    const share = -Math.log(1 - this.#random.uint32() / 2 ** 32)
    return this.#meanMs * Math.min(SHARE_MAX, Math.max(SHARE_MIN, share))
  }

  /** Processes and workers by turns; workers in each of the ways before one comes again. */
  next(): KillOrder {
    this.#lastWasProcess = !this.#lastWasProcess
    if (this.#lastWasProcess) return { what: 'process' }
    if (this.#kinds.length === 0) this.#kinds.push(...KILL_KINDS)
    const at = this.#random.below(this.#kinds.length)
    const [kill = 'terminate'] = this.#kinds.splice(at, 1)
    return { what: 'worker', kill }
  }
}
