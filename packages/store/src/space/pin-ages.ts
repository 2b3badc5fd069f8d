/**
 * How old a version is: since when it is no longer the newest. Kept as samples, so that it costs nothing to
 * publish; a pin is never called older than it is.
 *
 * Threads: the sequencer's own.
 */

interface Sample {
  /** The newest version at that time: those before it were superseded by then. */
  readonly version: number
  readonly atMs: number
}

const SAMPLES_PER_BOUND = 16

export class PinAges {
  #samples: Sample[] = []

  /** Versions before the one returned were superseded `ageMaxMs` ago or earlier; undefined: not known yet. */
  boundOf(newest: number, nowMs: number, ageMaxMs: number): number | undefined {
    const last = this.#samples.at(-1)
    if (last === undefined || nowMs - last.atMs >= ageMaxMs / SAMPLES_PER_BOUND) {
      this.#samples.push({ version: newest, atMs: nowMs })
    }
    const old = this.#samples.findLastIndex(({ atMs }) => nowMs - atMs >= ageMaxMs)
    if (old < 0) return undefined
    this.#samples = this.#samples.slice(old)
    return this.#samples[0]?.version
  }
}
