/**
 * Whether what was acknowledged to one thread or process is seen by the next read of another (M4). The side file is the
 * one that tells: a count in it was written after its acknowledgement, so whoever reads the count and then the
 * database must find that much at least. And no more than the lane can have done by the time the count is read
 * again, and one step.
 */
import type { Random } from '@ringbolt/wal/simulation'
import type { Items } from './collection.ts'
import { Contents, type Lane, type LaneRules, laneAt } from './lane.ts'
import { LaneWindow } from './lane-window.ts'

/** What a watch needs of the side file. */
interface Acknowledgements {
  acknowledgedOf(place: number): number
}

interface Followed {
  readonly lane: Lane
  /** Ordinals that its last operations touched, the newest last. */
  readonly touched: number[]
}

/** A lane that is far ahead is followed in bounded steps: this thread has other work. */
const OPERATIONS_PER_LOOK_MAX = 2000
/** Of each incarnation: what is followed has to be remembered. */
const LANES_FOLLOWED = 4
const TOUCHED_KEPT = 3
const FINDINGS_KEPT = 10

export class FreshnessWatch {
  readonly findings: string[] = []
  /** Documents looked at, each after an acknowledgement that it was to show. */
  checks = 0
  readonly #collection: Items
  readonly #rules: LaneRules
  readonly #acknowledgements: Acknowledgements
  readonly #random: Random
  readonly #contents: Contents
  readonly #followed = new Map<number, Followed>()
  #incarnations: readonly number[] = []

  constructor(
    collection: Items,
    rules: LaneRules,
    acknowledgements: Acknowledgements,
    random: Random,
  ) {
    this.#collection = collection
    this.#rules = rules
    this.#acknowledgements = acknowledgements
    this.#random = random
    this.#contents = new Contents(rules.seed)
  }

  /** From now on lanes of these, the living or the dead. */
  watch(incarnations: readonly number[]): void {
    this.#incarnations = incarnations
    for (const place of this.#followed.keys()) {
      const incarnation = Math.floor(place / this.#rules.lanes)
      if (!incarnations.includes(incarnation)) this.#followed.delete(place)
    }
  }

  /** Looks at what one lane has done last. */
  look(): void {
    if (this.#incarnations.length === 0) return
    const { lanes } = this.#rules
    const lane = this.#random.below(Math.min(lanes, LANES_FOLLOWED))
    const place = this.#random.pick(this.#incarnations) * lanes + lane
    const acknowledged = this.#acknowledgements.acknowledgedOf(place)
    const followed = this.#follow(place, acknowledged)
    if (followed.lane.done < acknowledged) return
    const found = followed.touched.map((ordinal) => this.#versionOf(followed.lane, ordinal))
    const window = new LaneWindow(followed.lane, this.#acknowledgements.acknowledgedOf(place))
    for (const [at, ordinal] of followed.touched.entries()) {
      this.#judge(followed.lane, window, ordinal, found[at])
    }
  }

  #follow(place: number, acknowledged: number): Followed {
    const followed = this.#followed.get(place) ?? { lane: laneAt(this.#rules, place), touched: [] }
    this.#followed.set(place, followed)
    const { lane, touched } = followed
    const until = Math.min(acknowledged, lane.done + OPERATIONS_PER_LOOK_MAX)
    while (lane.done < until) {
      const { ordinal } = lane.next().document
      if (touched.includes(ordinal)) touched.splice(touched.indexOf(ordinal), 1)
      touched.push(ordinal)
      if (touched.length > TOUCHED_KEPT) touched.shift()
      lane.advance()
    }
    return followed
  }

  #versionOf(lane: Lane, ordinal: number): number | undefined {
    const found = this.#collection.findUnique('serial', lane.serialOf({ ordinal }))
    if (found === undefined) return undefined
    const fault = this.#contents.fault(found)
    if (fault !== undefined) this.#find(`${found.serial}: ${fault}`)
    return found.version
  }

  #judge(lane: Lane, window: LaneWindow, ordinal: number, found: number | undefined): void {
    this.checks++
    const known = lane.live.find((document) => document.ordinal === ordinal)?.version
    const versions = window.versionsOf(ordinal, known)
    if (versions.has(found)) return
    const due = [...versions].map((version) => version ?? 'absent').join(' or ')
    this.#find(
      `${lane.serialOf({ ordinal })} was acknowledged as ${due}, a read after that found ${found ?? 'none'}`,
    )
  }

  #find(finding: string): void {
    if (this.findings.length < FINDINGS_KEPT) this.findings.push(finding)
  }
}
