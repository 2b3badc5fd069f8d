/**
 * The states that a lane's documents may be in between two counts of its acknowledged operations: after each of the
 * steps that were acknowledged in between, and after the one that was under way then, which may be committed without
 * anybody having been told.
 */
import type { Lane } from './lane.ts'

/** By ordinal: its version; undefined: it is not there. */
export type Versions = ReadonlyMap<number, number | undefined>

export class LaneWindow {
  readonly #lane: Lane
  readonly #to: number
  readonly #before = new Map<number, number | undefined>()

  /**
   * @param lane as it is after the operations that are known to be acknowledged
   * @param to how many may be acknowledged by now, at least as many
   */
  constructor(lane: Lane, to: number) {
    this.#lane = lane
    this.#to = to
    this.#walk((ordinal, version) => {
      if (!this.#before.has(ordinal)) this.#before.set(ordinal, version)
    })
  }

  /** What the window's steps change, as it was before. */
  get before(): Versions {
    return this.#before
  }

  /** After how many of the lane's operations its documents are what was found; undefined: never. */
  matchOf(found: Versions): number | undefined {
    const wrong = new Set<number>()
    for (const [ordinal, version] of this.#before) {
      if (found.get(ordinal) !== version) wrong.add(ordinal)
    }
    if (wrong.size === 0) return this.#lane.done
    return this.#walk(
      (ordinal, _, version) => {
        if (found.get(ordinal) === version) wrong.delete(ordinal)
        else wrong.add(ordinal)
      },
      () => wrong.size === 0,
    )
  }

  /** Each version that one document may be found in. @param known what it is when nothing in the window changes it */
  versionsOf(ordinal: number, known: number | undefined): Set<number | undefined> {
    const versions = new Set([this.#before.has(ordinal) ? this.#before.get(ordinal) : known])
    let last: number | undefined
    let changed = false
    this.#walk(
      (which, _, version) => {
        if (which !== ordinal) return
        last = version
        changed = true
      },
      () => {
        // Inside a step nobody can look.
        if (changed) versions.add(last)
        return false
      },
    )
    return versions
  }

  /** Returns after how many operations `isEnough`, asked after each step, said so. */
  #walk(
    change: (ordinal: number, before: number | undefined, after: number | undefined) => void,
    isEnough: () => boolean = () => false,
  ): number | undefined {
    const ahead = this.#lane.fork()
    while (ahead.done <= this.#to) {
      for (let left = ahead.step; left > 0; left--) {
        const { kind, document } = ahead.next()
        const { ordinal, version } = document
        const after = { insert: 0, update: version + 1, delete: undefined }[kind]
        change(ordinal, kind === 'insert' ? undefined : version, after)
        ahead.advance()
      }
      if (isEnough()) return ahead.done
    }
    return undefined
  }
}
