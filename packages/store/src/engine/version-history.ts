/**
 * Which version and which commit sequence go with which place in the log, as far back as somebody may ask: all three rise
 * together.
 * Threads: the sequencer's.
 */
import { versionDistance } from '../space/versions.ts'

export class VersionHistory {
  #lsns: number[] = []
  #versions: number[] = []
  #sequences: number[] = []

  /** Rising. */
  add(lsn: number, version: number, sequence: number): void {
    this.#lsns.push(lsn)
    this.#versions.push(version)
    this.#sequences.push(sequence)
  }

  /** A place behind which all commits after that one stand; 0 when it is older than anybody remembers. */
  lsnAfter(sequence: number): number {
    return this.#lsns[upperBound(this.#sequences, (known) => known <= sequence) - 1] ?? 0
  }

  /** The newest version that shows nothing behind that place; undefined: older than anybody remembers. */
  versionAt(lsn: number): number | undefined {
    return this.#versions[upperBound(this.#lsns, (known) => known <= lsn) - 1]
  }

  /** A place whose state is not newer than the version's; 0 when it is older than anybody remembers. */
  lsnOf(version: number): number {
    const at = upperBound(this.#versions, (known) => versionDistance(known, version) <= 0) - 1
    return this.#lsns[at] ?? 0
  }

  /** Nobody will ask for a place before. */
  forgetBefore(lsn: number): void {
    const first = upperBound(this.#lsns, (known) => known <= lsn) - 1
    // At least half at once, so that each entry is moved once, on average.
    if (first < 1 || first * 2 < this.#lsns.length) return
    this.#lsns = this.#lsns.slice(first)
    this.#versions = this.#versions.slice(first)
    this.#sequences = this.#sequences.slice(first)
  }
}

/** How many from the beginning. */
function upperBound(sorted: readonly number[], isWithin: (value: number) => boolean): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (isWithin(sorted[middle]!)) low = middle + 1
    else high = middle
  }
  return low
}
