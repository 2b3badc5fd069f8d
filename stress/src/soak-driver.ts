import { Random } from '@ringbolt/wal/simulation'
import { KILL_KINDS, type Kill, type Load } from './load.ts'
import type { ProgressView } from './progress.ts'
import type { OpenAttempt } from './second-opener.ts'

export interface SoakDriverOptions {
  readonly seed: number
  readonly seconds: number
  readonly kills: number
  readonly progress: ProgressView
  /** Another process tries to open what the load writes to. */
  readonly tryElsewhere: () => Promise<OpenAttempt>
}

/** Kills stay away from the ends of the run by this share of it. */
const KILL_MARGIN = 0.15
const LOOK_MS = 10

/** Lets the load run for its time, ends workers at seeded moments, has another process try the lock. */
export class SoakDriver {
  readonly kills: Kill[] = []
  refusal: OpenAttempt | undefined
  readonly #options: SoakDriverOptions
  readonly #random: Random
  #startedMs: number | undefined

  constructor(options: SoakDriverOptions) {
    this.#options = options
    this.#random = new Random(options.seed)
  }

  get share(): number {
    if (this.#startedMs === undefined) return 0
    return Math.min(1, (performance.now() - this.#startedMs) / (this.#options.seconds * 1000))
  }

  async drive(load: Load): Promise<void> {
    await load.started()
    this.#startedMs = performance.now()
    this.refusal = await this.#options.tryElsewhere()
    for (const [at, kind] of this.#kinds().entries()) {
      await this.#until(this.#momentOf(at), load)
      const kill = await load.kill(kind, this.#random)
      if (kill === undefined) return
      this.kills.push(kill)
      this.#options.progress.note(
        `killed incarnation ${kill.incarnation} (${kind}): the ring moved on ${kill.progressMs.toFixed(1)} ms after its exit`,
      )
    }
    await this.#until(1, load)
  }

  /** Two kills are of two kinds, one of them by memory. */
  #kinds(): (typeof KILL_KINDS)[number][] {
    const first = this.#random.between(0, 1)
    const order = [KILL_KINDS[first], KILL_KINDS[2], KILL_KINDS[1 - first]] as const
    return Array.from({ length: this.#options.kills }, (_, at) => order[at % 3] ?? 'terminate')
  }

  #momentOf(kill: number): number {
    const span = (1 - 2 * KILL_MARGIN) / this.#options.kills
    return KILL_MARGIN + span * (kill + this.#random.uint32() / 2 ** 32)
  }

  /** Ends early when the load does. */
  async #until(share: number, load: Load): Promise<void> {
    while (this.share < share && !load.control.stopped) {
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
    }
  }
}
