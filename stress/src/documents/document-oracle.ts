/**
 * What must stand in the database, whatever happened to those who wrote it: each lane's documents after its
 * acknowledged operations, and at most its next operation besides. Knows the seed and the counts alone.
 *
 *  O1 Every document of an acknowledged operation is there, whole, in its last version; every deleted one is not.
 *  O2 A lane's next step, the one that was under way, is there whole or not at all: one operation, or several of
 *     one transaction.
 *  O3 Nothing else is there: the collection's count is what O1 and O2 add up to.
 */
import type { Items } from './collection.ts'
import { Contents, Lane, type Live } from './lane.ts'

export interface DocumentOracleResult {
  readonly lanes: number
  /** Operations that were acknowledged and are proved. */
  readonly operations: number
  readonly documents: number
  /** Operations that were under way when their worker ended, and turned out to be committed. */
  readonly unacknowledgedCommitted: number
  /** The first of them, one line each. */
  readonly findings: readonly string[]
  readonly findingCount: number
}

const FINDINGS_KEPT = 100

/** A document's version before a step and after it; undefined: it is not there. */
interface Change {
  readonly before: number | undefined
  readonly after: number | undefined
}

/** What the lane's next step does, by ordinal. */
function stepOf(lane: Lane): Map<number, Change> {
  const changes = new Map<number, Change>()
  const ahead = lane.fork()
  for (let left = lane.step; left > 0; left--) {
    const { kind, document } = ahead.next()
    const { ordinal, version } = document
    const known = changes.get(ordinal)
    const before = known === undefined && kind !== 'insert' ? version : known?.before
    const after = { insert: 0, update: version + 1, delete: undefined }[kind]
    changes.set(ordinal, { before, after })
    ahead.advance()
  }
  return changes
}

export class DocumentOracle {
  readonly #collection: Items
  readonly #seed: number
  readonly #contents: Contents
  readonly #findings: string[] = []
  #findingCount = 0
  #operations = 0
  #documents = 0
  #lanes = 0
  #unacknowledgedCommitted = 0

  constructor(collection: Items, seed: number) {
    this.#collection = collection
    this.#seed = seed
    this.#contents = new Contents(seed)
  }

  /** @param acknowledged by place (incarnation × lanes + lane): operations acknowledged */
  async prove(acknowledged: readonly number[], lanes: number): Promise<DocumentOracleResult> {
    for (const [place, count] of acknowledged.entries()) {
      const incarnation = Math.floor(place / lanes)
      this.#proveLane(new Lane({ seed: this.#seed, incarnation, lane: place % lanes }), count)
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

  #proveLane(lane: Lane, acknowledged: number): void {
    const deleted: Live[] = []
    while (lane.done < acknowledged) {
      const { kind, document } = lane.next()
      if (kind === 'delete') deleted.push(document)
      lane.advance()
    }
    // Never started, or nothing of it acknowledged: its first step may be there.
    const underWay = stepOf(lane)
    for (const document of lane.live) {
      if (underWay.has(document.ordinal)) continue
      if (this.#versionOf(lane, document) === document.version) this.#documents++
      else this.#find(`${lane.serialOf(document)}: not in version ${document.version}`)
    }
    for (const document of deleted) {
      if (this.#versionOf(lane, document) !== undefined) {
        this.#find(`${lane.serialOf(document)}: there although deleted`)
      }
    }
    this.#proveUnderWay(lane, underWay)
    this.#lanes++
    this.#operations += acknowledged
  }

  /** All of it or nothing. */
  #proveUnderWay(lane: Lane, underWay: ReadonlyMap<number, Change>): void {
    const found = Array.from(underWay, ([ordinal, change]) => ({
      ...change,
      serial: lane.serialOf({ ordinal, version: 0 }),
      version: this.#versionOf(lane, { ordinal, version: 0 }),
    }))
    this.#documents += found.filter(({ version }) => version !== undefined).length
    if (found.every(({ version, before }) => version === before)) return
    if (found.every(({ version, after }) => version === after)) {
      this.#unacknowledgedCommitted += lane.step
      return
    }
    const states = found.map(
      ({ serial, version, before, after }) => `${serial} ${version} (${before} → ${after})`,
    )
    this.#find(`the step under way is there in part: versions of ${states.join(', ')}`)
  }

  /** As the unique index finds it; a finding of its own when the document is not whole. */
  #versionOf(lane: Lane, document: Live): number | undefined {
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
