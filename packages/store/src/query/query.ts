/**
 * Queries: what `find` gives. A query is lazy and never changes; each run of it reads one state of the database, which
 * it takes at its first step and lets go of when it ends, is left, or throws.
 */
import { checkCount } from './checks.ts'
import { type ParsedFilter, parseFilter } from './filter.ts'
import type { Filter, FindOptions, Sort } from './filter-types.ts'
import { choosePlan, type Plan, type PlanKind, type Rejection } from './plan.ts'
import type { CollectionReader, SnapshotProvider } from './reader.ts'
import { countMatching, type Figures, matching } from './run.ts'
import { parseSort, type SortField, sortInMemory } from './sort.ts'
import type { Span } from './spans.ts'

export interface Explanation extends Readonly<Figures> {
  readonly kind: PlanKind
  /** Its name; null when it goes by id or through all documents. */
  readonly index: string | null
  /** What is walked, in values. Empty: everything. */
  readonly ranges: readonly Span[]
  readonly direction: 'forward' | 'reverse'
  /** Who gives the order: the tree that is walked, or sorting. */
  readonly sort: 'index' | 'memory' | 'none'
  readonly rejected: readonly Rejection[]
}

interface Parameters {
  readonly filter: ParsedFilter
  readonly sort: readonly SortField[]
  readonly skip: number
  /** Infinity without one. */
  readonly limit: number
}

export class Query<T> implements Iterable<T> {
  readonly #snapshot: SnapshotProvider<T>
  readonly #parameters: Parameters

  private constructor(snapshot: SnapshotProvider<T>, parameters: Parameters) {
    this.#snapshot = snapshot
    this.#parameters = parameters
  }

  /** @throws ValidationError which says what is wrong with the filter or the options */
  static find<T>(
    snapshot: SnapshotProvider<T>,
    filter: Filter<T> = {},
    options: FindOptions<T> = {},
  ): Query<T> {
    return new Query(snapshot, {
      filter: parseFilter(filter),
      sort: parseSort(options.sort),
      skip: checkCount('skip', options.skip ?? 0),
      limit: checkCount('limit', options.limit ?? Infinity),
    })
  }

  /** The same query in another order. */
  sort(sort: Sort<T>): Query<T> {
    return new Query(this.#snapshot, { ...this.#parameters, sort: parseSort(sort) })
  }

  /** The same query for at most so many documents. */
  limit(limit: number): Query<T> {
    return new Query(this.#snapshot, { ...this.#parameters, limit: checkCount('limit', limit) })
  }

  /** The same query without its first documents. */
  skip(skip: number): Query<T> {
    return new Query(this.#snapshot, { ...this.#parameters, skip: checkCount('skip', skip) })
  }

  *[Symbol.iterator](): Generator<T, void, undefined> {
    const snapshot = this.#snapshot()
    try {
      const { reader } = snapshot
      const { plan } = this.#plan(reader)
      for (const document of run(reader, plan, this.#parameters, noFigures())) yield document
    } finally {
      snapshot.close()
    }
  }

  toArray(): T[] {
    return [...this]
  }

  /** The first document in the order asked for; undefined when none matches. */
  first(): T | undefined {
    for (const document of this.limit(Math.min(1, this.#parameters.limit))) return document
    return undefined
  }

  /** How many documents iterating would give; none is read where an index alone decides. */
  count(): number {
    const { filter, skip, limit } = this.#parameters
    const snapshot = this.#snapshot()
    try {
      const { reader } = snapshot
      const { plan } = choosePlan({ reader, filter, sort: [] })
      return Math.max(0, countMatching(reader, plan, filter.matches, skip + limit) - skip)
    } finally {
      snapshot.close()
    }
  }

  /** Runs the query and tells how it went about it, and what it looked at. */
  explain(): Explanation {
    const snapshot = this.#snapshot()
    try {
      const { reader } = snapshot
      const { plan, rejected } = this.#plan(reader)
      const figures = noFigures()
      for (const _ of run(reader, plan, this.#parameters, figures)) figures.documentsReturned++
      return {
        kind: plan.kind,
        index: plan.index?.name ?? null,
        ranges: plan.spans,
        direction: plan.reverse ? 'reverse' : 'forward',
        sort: this.#parameters.sort.length === 0 ? 'none' : plan.sorted ? 'index' : 'memory',
        ...figures,
        rejected,
      }
    } finally {
      snapshot.close()
    }
  }

  #plan(reader: CollectionReader<T>) {
    return choosePlan({ reader, filter: this.#parameters.filter, sort: this.#parameters.sort })
  }
}

/** What a plan gives for the query: filtered, in order, without what is skipped, up to the limit. */
export function run<T>(
  reader: CollectionReader<T>,
  plan: Plan,
  { filter, sort, skip, limit }: Parameters,
  figures: Figures,
): Iterable<T> {
  if (limit === 0) return []
  const found = matching(reader, plan, filter.matches, figures)
  const ordered = plan.sorted ? found : sortInMemory(found, sort, skip + limit)
  return skip === 0 && limit === Infinity ? ordered : slice(ordered, skip, limit)
}

function* slice<T>(
  documents: Iterable<T>,
  skip: number,
  limit: number,
): Generator<T, void, undefined> {
  let ordinal = 0
  for (const document of documents) {
    if (ordinal++ < skip) continue
    yield document
    if (ordinal >= skip + limit) return
  }
}

function noFigures(): Figures {
  return { entriesExamined: 0, documentsExamined: 0, documentsReturned: 0 }
}
