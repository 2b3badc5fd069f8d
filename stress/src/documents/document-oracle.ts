/**
 * What must stand in the database, whatever happened to those who wrote it: each lane's documents after its
 * acknowledged operations, and at most its next operation besides. Knows the seed and the counts alone.
 *
 *  O1 Every document of an acknowledged operation is there, whole, in its last version; every deleted one is not.
 *  O2 A lane's next step, the one that was under way, is there whole or not at all: one operation, or several of
 *     one transaction.
 *  O3 Nothing else is there: the collection's count is what O1 and O2 add up to.
 *
 * Of a backup, which is the state of some moment in between: all that had been acknowledged before it was begun, and
 * of each lane some number of the steps that followed until it had ended, in their order.
 */
import type { Items } from './collection.ts'
import { Contents, type Lane, type LaneRules, type Live, laneAt } from './lane.ts'
import { LaneWindow } from './lane-window.ts'

export interface DocumentOracleResult {
  readonly lanes: number
  /** Operations that were acknowledged and are proved. */
  readonly operations: number
  readonly documents: number
  /** Operations that were not known to be acknowledged, and turned out to be committed. */
  readonly unacknowledgedCommitted: number
  /** The first of them, one line each. */
  readonly findings: readonly string[]
  readonly findingCount: number
}

/** What of a collection, or of a snapshot's, is needed to prove it. */
type ProvedItems = Pick<Items, 'count' | 'findUnique' | 'get'>

const FINDINGS_KEPT = 100
/** Of each lane's deleted documents the newest are looked for one by one; O3 finds the others. */
const DELETED_KEPT = 1000

export class DocumentOracle {
  readonly #collection: ProvedItems
  readonly #rules: LaneRules
  readonly #followed: Map<number, Lane>
  readonly #contents: Contents
  readonly #findings: string[] = []
  #findingCount = 0
  #operations = 0
  #documents = 0
  #lanes = 0
  #unacknowledgedCommitted = 0

  /**
   * @param followed lanes by place, as far as earlier proofs have come; this one goes on from there, and looks one
   * by one only for what was deleted since
   */
  constructor(collection: ProvedItems, rules: LaneRules, followed = new Map<number, Lane>()) {
    this.#collection = collection
    this.#rules = rules
    this.#followed = followed
    this.#contents = new Contents(rules.seed)
  }

  /**
   * By place (incarnation × lanes + lane): operations acknowledged.
   * @param atMost by the time the state was fixed, where that is not the same
   */
  async prove(
    atLeast: readonly number[],
    atMost: readonly number[] = atLeast,
  ): Promise<DocumentOracleResult> {
    const places = Math.max(atLeast.length, atMost.length)
    for (let place = 0; place < places; place++) {
      this.#proveLane(this.#laneAt(place), atLeast[place] ?? 0, atMost[place] ?? 0)
      // Progress, signals and timers of the run go on in between.
      await new Promise((resolve) => setImmediate(resolve))
    }
    const count = this.#collection.count()
    if (count !== this.#documents) {
      this.#find(`the collection counts ${count} documents, ${this.#documents} are accounted for`)
    }
    return {
      lanes: this.#lanes,
      operations: this.#operations,
      documents: this.#documents,
      unacknowledgedCommitted: this.#unacknowledgedCommitted,
      findings: this.#findings,
      findingCount: this.#findingCount,
    }
  }

  #laneAt(place: number): Lane {
    const lane = this.#followed.get(place) ?? laneAt(this.#rules, place)
    this.#followed.set(place, lane)
    return lane
  }

  #proveLane(lane: Lane, atLeast: number, atMost: number): void {
    const deleted: Live[] = []
    let deletes = 0
    while (lane.done < atLeast) {
      const { kind, document } = lane.next()
      if (kind === 'delete') deleted[deletes++ % DELETED_KEPT] = document
      lane.advance()
    }
    // Never started, or nothing of it acknowledged: its first step may be there.
    const window = new LaneWindow(lane, Math.max(atLeast, atMost))
    for (const document of lane.live) {
      if (window.before.has(document.ordinal)) continue
      if (this.#versionOf(lane, document) === document.version) this.#documents++
      else this.#find(`${lane.serialOf(document)}: not in version ${document.version}`)
    }
    for (const document of deleted) {
      if (this.#versionOf(lane, document) !== undefined) {
        this.#find(`${lane.serialOf(document)}: there although deleted`)
      }
    }
    this.#proveWindow(lane, window)
    this.#lanes++
    this.#operations += atLeast
  }

  /** So many whole steps of it, and nothing of those that follow. */
  #proveWindow(lane: Lane, window: LaneWindow): void {
    const found = new Map<number, number | undefined>()
    for (const ordinal of window.before.keys()) {
      found.set(ordinal, this.#versionOf(lane, { ordinal }))
    }
    this.#documents += [...found.values()].filter((version) => version !== undefined).length
    const match = window.matchOf(found)
    if (match !== undefined) {
      this.#unacknowledgedCommitted += match - lane.done
      return
    }
    const states = Array.from(
      found,
      ([ordinal, version]) =>
        `${lane.serialOf({ ordinal })} ${version} (was ${window.before.get(ordinal)})`,
    )
    this.#find(`steps under way are there in part: versions of ${states.slice(0, 8).join(', ')}`)
  }

  /** As the unique index finds it; a finding of its own when the document is not whole. */
  #versionOf(lane: Lane, document: Pick<Live, 'ordinal'>): number | undefined {
    const serial = lane.serialOf(document)
    const found = this.#collection.findUnique('serial', serial)
    if (found === undefined) return undefined
    const fault = this.#contents.fault(found)
    if (fault !== undefined) this.#find(`${serial}: ${fault}`)
    const byId = this.#collection.get(found.id)
    if (byId?.serial !== serial) this.#find(`${serial}: id ${found.id} leads to ${byId?.serial}`)
    return found.version
  }

  #find(finding: string): void {
    this.#findingCount++
    if (this.#findings.length < FINDINGS_KEPT) this.#findings.push(finding)
  }
}
