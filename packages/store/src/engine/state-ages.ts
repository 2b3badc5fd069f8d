/**
 * When states were the newest: what an old state that somebody still holds is told by. Samples, thinned as they grow
 * many, so that a state is called a little older than it is, never younger.
 *
 * Threads: the sequencer's own.
 */
import { versionDistance } from '../space/versions.ts'

interface Sample {
  readonly version: number
  readonly sequence: number
  /** It was the newest then. */
  readonly atMs: number
}

const SAMPLES_MAX = 512

export class StateAges {
  #samples: Sample[] = []

  /** The newest state now. */
  note(version: number, sequence: number, nowMs: number): void {
    const last = this.#samples.at(-1)
    if (last?.version === version) this.#samples.pop()
    this.#samples.push({ version, sequence, atMs: nowMs })
    if (this.#samples.length <= SAMPLES_MAX) return
    this.#samples = this.#samples.filter((_, at) => at % 2 === 0 || at === SAMPLES_MAX)
  }

  /** Forgets what is older than the oldest in use. @returns how it stands with that one */
  oldest(version: number, nowMs: number): { readonly sequence: number; readonly ageMs: number } {
    const isUpTo = (sample: Sample): boolean => versionDistance(sample.version, version) <= 0
    const at = this.#samples.findLastIndex(isUpTo)
    if (at > 0) this.#samples = this.#samples.slice(at)
    const sample = this.#samples[0]
    if (sample === undefined) return { sequence: 0, ageMs: 0 }
    const isNewest = this.#samples.length === 1
    return { sequence: sample.sequence, ageMs: isNewest ? 0 : nowMs - sample.atMs }
  }
}
