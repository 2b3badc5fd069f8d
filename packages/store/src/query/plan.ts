/**
 * Which way to the documents: by id, by a unique index, by an index, or through all of them.
 *
 * Whatever matches the filter must be reachable. An index holds no entry of a document of which a field is missing
 * or no value; so an index is used when the filter itself demands a value (other than null, which also stands for
 * missing) in each of its fields, or when it has as many entries as there are documents. Documents with
 * arrays where one value is expected have entries apart (`paths.ts`), which are looked at too. The matcher decides
 * wherever a span of the index says less than the filter.
 *
 * The choice is by rank, the same whatever the data: ids, then all fields of a unique index, then the most fields
 * fixed, then a range; of these the one that gives the order asked for; then the smaller index, then by name.
 */
import type { KeyRange } from '../client/engine.ts'
import type { ParsedFilter } from './filter.ts'
import { planIds } from './id-plan.ts'
import { planIndex } from './index-plan.ts'
import type { CollectionReader, IndexInfo } from './reader.ts'
import { type SortField, servedOrder } from './sort.ts'
import type { Span } from './spans.ts'

export type PlanKind = 'id' | 'unique' | 'index' | 'scan'

/** A stretch of the tree. */
export interface Part {
  readonly range: KeyRange
  /** Its only key, where it has but one: to be looked up, not walked. */
  readonly key?: Uint8Array
  /** Every entry is of a document that matches; otherwise the matcher decides. */
  readonly exact: boolean
}

export interface Plan {
  readonly kind: PlanKind
  /** Undefined: the primary tree. */
  readonly index: IndexInfo | undefined
  /** What the parts are in values, for `explain`. */
  readonly spans: readonly Span[]
  /** In the order in which they are to be walked. */
  readonly parts: readonly Part[]
  readonly reverse: boolean
  /** Documents come in the order asked for, if one was. */
  readonly sorted: boolean
  /** A document may come several times. */
  readonly repeats: boolean
}

export interface Rejection {
  readonly index: string
  readonly reason: string
}

export interface Candidate {
  readonly plan: Plan
  /** Compared number by number; the lowest is taken. */
  readonly rank: readonly number[]
}

/** First numbers of ranks. */
export const RankClass = {
  ids: 0,
  unique: 1,
  narrowed: 2,
  idRange: 3,
  ordered: 4,
  scan: 5,
} as const

export interface Question<T> {
  readonly reader: CollectionReader<T>
  readonly filter: ParsedFilter
  readonly sort: readonly SortField[]
}

export interface PlanChoice {
  readonly plan: Plan
  readonly rejected: readonly Rejection[]
}

export function choosePlan<T>(question: Question<T>): PlanChoice {
  const { candidates, rejected } = considerPlans(question)
  const [best, ...others] = candidates
  const { plan } = best!
  const beaten = others.flatMap((other) =>
    other.plan.index === undefined
      ? []
      : [{ index: other.plan.index.name, reason: `${nameOf(plan)} was better` }],
  )
  return { plan, rejected: [...beaten, ...rejected] }
}

/** All usable plans, the best first; each gives the same documents. */
export function considerPlans<T>(question: Question<T>): {
  readonly candidates: readonly Candidate[]
  readonly rejected: readonly Rejection[]
} {
  const candidates: Candidate[] = []
  const rejected: Rejection[] = []
  const byIds = planIds(question)
  if (byIds !== undefined) candidates.push(byIds)
  for (const index of byName(question.reader.indexes)) {
    const planned = planIndex(question, index)
    if (typeof planned === 'string') rejected.push({ index: index.name, reason: planned })
    else candidates.push(planned)
  }
  candidates.push(planScan(question))
  // Sorting is stable: equals stay in the order of names.
  candidates.sort((a, b) => compareRanks(a.rank, b.rank))
  return { candidates, rejected }
}

function byName(indexes: readonly IndexInfo[]): readonly IndexInfo[] {
  return indexes.length < 2
    ? indexes
    : indexes.toSorted((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))
}

function compareRanks(a: readonly number[], b: readonly number[]): number {
  for (let index = 0; index < a.length && index < b.length; index++) {
    const difference = a[index]! - b[index]!
    if (difference !== 0) return difference
  }
  return 0
}

function planScan<T>({ filter, sort }: Question<T>): Candidate {
  const order = servedOrder(sort, ['id'], new Set())
  return {
    rank: [RankClass.scan],
    plan: {
      kind: 'scan',
      index: undefined,
      spans: [],
      parts: [{ range: {}, exact: filter.narrowed && filter.narrowings.length === 0 }],
      reverse: order === -1,
      sorted: order !== undefined,
      repeats: false,
    },
  }
}

function nameOf(plan: Plan): string {
  if (plan.index !== undefined) return `index '${plan.index.name}'`
  return plan.kind === 'id' ? 'going by id' : 'a scan'
}
