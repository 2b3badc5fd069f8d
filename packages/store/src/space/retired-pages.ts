/**
 * Pages that are gone from the newest state, and who still needs them.
 *
 * Threads: the sequencer's own.
 *
 * A page lived in the versions [birth, retired). It is looked at once its retirement is published: if a slot
 * or pin is at one of those versions it is put down to the oldest such version, and looked at again only when
 * nobody is at that one any more. So a page costs one look, and one more for each holder that it outlives,
 * however many others wait; an old snapshot keeps what it needs and nothing else.
 */
import type { LiveVersions } from './live-versions.ts'
import { isInLife, NO_VERSION, versionDistance } from './versions.ts'

export type VisitRetired = (pageId: number, birth: number, retired: number) => void

const FIELDS = 3

/** First in, first out: page id, birth, retired. */
class PageQueue {
  #fields: number[] = []
  #first = 0

  get length(): number {
    return (this.#fields.length - this.#first) / FIELDS
  }

  /** `retired` of the first. */
  get firstRetired(): number {
    return this.#fields[this.#first + 2]!
  }

  push(pageId: number, birth: number, retired: number): void {
    this.#fields.push(pageId, birth, retired)
  }

  forEach(visit: VisitRetired): void {
    for (let first = this.#first; first < this.#fields.length; first += FIELDS) {
      visit(this.#fields[first]!, this.#fields[first + 1]!, this.#fields[first + 2]!)
    }
  }

  shift(visit: VisitRetired): void {
    const fields = this.#fields
    const first = this.#first
    this.#first += FIELDS
    visit(fields[first]!, fields[first + 1]!, fields[first + 2]!)
    if (this.#first * 2 < fields.length) return
    // At least half is used up, so each entry is moved once at the most, on average.
    this.#fields = fields.slice(this.#first)
    this.#first = 0
  }
}

export class RetiredPages {
  /** In the order of their retirement. */
  readonly #retired = new PageQueue()
  /** By the oldest version that needs them. */
  readonly #held = new Map<number, PageQueue>()
  /** Whose holder is gone. */
  readonly #released: PageQueue[] = []
  #count = 0

  get count(): number {
    return this.#count
  }

  add(pageId: number, birth: number, retired: number): void {
    this.#retired.push(pageId, birth, retired)
    this.#count++
  }

  forEach(visit: VisitRetired): void {
    this.#retired.forEach(visit)
    for (const queue of this.#released) queue.forEach(visit)
    for (const queue of this.#held.values()) queue.forEach(visit)
  }

  /**
   * Frees what nobody needs; looks at `looksMax` pages at the most. False when there is more to look at.
   * @param bound pages retired after that version are left alone
   */
  reclaim(live: LiveVersions, bound: number, looksMax: number, free: VisitRetired): boolean {
    for (const [version, queue] of this.#held) {
      if (live.has(version)) continue
      this.#held.delete(version)
      this.#released.push(queue)
    }
    const look: VisitRetired = (pageId, birth, retired) => {
      const holder = live.firstFrom(birth)
      if (holder !== NO_VERSION && isInLife(holder, birth, retired, live.newest)) {
        this.#hold(holder, pageId, birth, retired)
      } else {
        this.#count--
        free(pageId, birth, retired)
      }
    }
    const left = this.#lookAtReleased(looksMax, look)
    return this.#lookAtRetired(left, bound, live.newest, look)
  }

  #lookAtReleased(looksMax: number, look: VisitRetired): number {
    let left = looksMax
    while (left > 0) {
      const queue = this.#released.at(-1)
      if (queue === undefined) break
      for (; left > 0 && queue.length > 0; left--) queue.shift(look)
      if (queue.length === 0) this.#released.pop()
    }
    return left
  }

  #lookAtRetired(looksMax: number, bound: number, newest: number, look: VisitRetired): boolean {
    const queue = this.#retired
    const last = versionDistance(bound, newest)
    for (let left = looksMax; left > 0; left--) {
      if (queue.length === 0 || versionDistance(queue.firstRetired, newest) > last) {
        return this.#released.length === 0
      }
      queue.shift(look)
    }
    return false
  }

  #hold(version: number, pageId: number, birth: number, retired: number): void {
    let queue = this.#held.get(version)
    if (queue === undefined) {
      queue = new PageQueue()
      this.#held.set(version, queue)
    }
    queue.push(pageId, birth, retired)
  }
}
