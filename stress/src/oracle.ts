/**
 * What must stand in a log, whatever happened to those who wrote it. Knows nothing of the log: it is
 * handed the records in the order in which the log gives them, and at the end what was acknowledged.
 *
 * Each incarnation of a worker appends ordinals 0, 1, 2, … and dies or stops at some point. So:
 *  O1 The ordinals of an incarnation stand in the log without a gap, from 0, each once, in order.
 *     That holds for those never acknowledged too: nothing follows a gap.
 *  O2 They reach at least as far as was acknowledged.
 *  O3 They reach at most as far as can have been issued: what was acknowledged, and in flight.
 *  O4 Every record is whole, byte for byte.
 *  O5 LSNs rise.
 *
 * The log may be handed over in stretches, so that what was verified can be let go of. Memory grows
 * with the number of incarnations, and with the findings, of which the first hundred are kept.
 */
import type { Workload } from './workload.ts'

export const FINDING_KINDS = [
  'lost',
  'duplicated',
  'reordered',
  'altered',
  'torn',
  'invented',
] as const
export type FindingKind = (typeof FINDING_KINDS)[number]

export interface Finding {
  readonly kind: FindingKind
  readonly lsn: number | null
  readonly incarnation: number | null
  readonly ordinal: number | null
  readonly detail: string
}

export interface OracleResult {
  readonly records: number
  readonly recordBytes: number
  /** Records that were proved to be there and had been acknowledged. */
  readonly acknowledged: number
  readonly counts: Readonly<Record<FindingKind, number>>
  /** The first of them. */
  readonly findings: readonly Finding[]
}

const FINDINGS_KEPT = 100
const MISSING_KEPT_MAX = 100_000

interface Incarnation {
  /** One past the highest ordinal seen. */
  next: number
  /** Ordinals below `next` that were not seen: lost, or about to turn out reordered. */
  readonly missing: Set<number>
}

export class Oracle {
  readonly #workload: Workload
  readonly #incarnations: Incarnation[]
  readonly #findings: Finding[] = []
  readonly #counts: Record<FindingKind, number> = {
    lost: 0,
    duplicated: 0,
    reordered: 0,
    altered: 0,
    torn: 0,
    invented: 0,
  }
  #records = 0
  #recordBytes = 0
  #lastLsn = -1

  constructor(workload: Workload, incarnationsMax: number) {
    this.#workload = workload
    this.#incarnations = Array.from({ length: incarnationsMax }, () => ({
      next: 0,
      missing: new Set(),
    }))
  }

  get records(): number {
    return this.#records
  }

  get findingCount(): number {
    return Object.values(this.#counts).reduce((sum, count) => sum + count, 0)
  }

  /** The next record that the log gives. */
  accept(lsn: number, record: Uint8Array): void {
    this.#records++
    this.#recordBytes += record.length
    if (lsn <= this.#lastLsn) {
      this.#find('reordered', lsn, undefined, `LSN ${lsn} comes after ${this.#lastLsn}`)
    }
    this.#lastLsn = lsn
    const inspection = this.#workload.inspect(record)
    if (inspection.kind === 'whole') {
      this.#place(lsn, inspection)
      return
    }
    this.#find(inspection.kind, lsn, inspection.author, inspection.detail)
    if (inspection.author !== undefined) this.#place(lsn, inspection.author)
  }

  /**
   * All has been handed over.
   * @param acknowledged by incarnation: how many ordinals, from 0, were acknowledged
   * @param inFlightMax how many more each can have had under way
   */
  finish(acknowledged: ArrayLike<number>, inFlightMax: number): OracleResult {
    let proved = 0
    for (const [incarnation, { next, missing }] of this.#incarnations.entries()) {
      const due = acknowledged[incarnation] ?? 0
      for (const ordinal of missing) {
        const was = ordinal < due ? 'acknowledged' : 'not acknowledged, but later ones are there'
        this.#find('lost', null, { incarnation, ordinal }, was)
      }
      if (next < due) {
        const author = { incarnation, ordinal: next }
        this.#find('lost', null, author, `acknowledged up to ${due - 1}, the log ends here`)
        this.#counts.lost += due - next - 1
      }
      if (next > due + inFlightMax) {
        const author = { incarnation, ordinal: next - 1 }
        const detail = `${due} were acknowledged and at most ${inFlightMax} in flight`
        this.#find('invented', null, author, detail)
      }
      proved += Math.min(next, due) - [...missing].filter((ordinal) => ordinal < due).length
    }
    return {
      records: this.#records,
      recordBytes: this.#recordBytes,
      acknowledged: proved,
      counts: { ...this.#counts },
      findings: [...this.#findings],
    }
  }

  #place(lsn: number, author: { readonly incarnation: number; readonly ordinal: number }): void {
    const { incarnation, ordinal } = author
    const state = this.#incarnations[incarnation]
    if (state === undefined) {
      this.#find('invented', lsn, author, `there were ${this.#incarnations.length} incarnations`)
      return
    }
    if (ordinal === state.next) {
      state.next++
    } else if (ordinal > state.next) {
      this.#skip(state, lsn, author)
    } else if (state.missing.delete(ordinal)) {
      this.#find('reordered', lsn, author, `comes after ordinal ${state.next - 1}`)
    } else {
      this.#find('duplicated', lsn, author, 'stands in the log already')
    }
  }

  #skip(
    state: Incarnation,
    lsn: number,
    author: { readonly incarnation: number; readonly ordinal: number },
  ): void {
    if (author.ordinal - state.next + state.missing.size > MISSING_KEPT_MAX) {
      const detail = `ordinal ${state.next} is due: more than ${MISSING_KEPT_MAX} in between`
      this.#find('invented', lsn, author, detail)
      return
    }
    for (let ordinal = state.next; ordinal < author.ordinal; ordinal++) state.missing.add(ordinal)
    state.next = author.ordinal + 1
  }

  #find(
    kind: FindingKind,
    lsn: number | null,
    author: { readonly incarnation: number; readonly ordinal: number } | undefined,
    detail: string,
  ): void {
    this.#counts[kind]++
    if (this.#findings.length >= FINDINGS_KEPT) return
    const { incarnation = null, ordinal = null } = author ?? {}
    this.#findings.push({ kind, lsn, incarnation, ordinal, detail })
  }
}

/** One line for people. */
export function describeFinding({ kind, lsn, incarnation, ordinal, detail }: Finding): string {
  const where = lsn === null ? '' : ` at LSN ${lsn}`
  const who = incarnation === null ? 'a record' : `incarnation ${incarnation}, ordinal ${ordinal}`
  return `${kind}: ${who}${where}: ${detail}`
}
