/**
 * Orders: what is asked for, whether a tree's own order is it, and sorting in memory where it is not.
 * Documents that are equal in all fields of a sort come in no particular order.
 */
import { ValidationError } from '../document/errors.ts'
import { describe } from './checks.ts'
import { valueAt } from './paths.ts'
import { compareValues, isPlainObject } from './values.ts'

export interface SortField {
  readonly path: string
  readonly direction: 1 | -1
}

/** @throws ValidationError */
export function parseSort(sort: unknown): readonly SortField[] {
  if (sort === undefined) return []
  if (!isPlainObject(sort)) {
    throw new ValidationError(
      `a sort must be an object such as { age: -1 }; this one is ${describe(sort)}`,
    )
  }
  return Object.keys(sort).map((path) => {
    const direction = sort[path]
    if (direction === 1 || direction === -1) return { path, direction }
    throw new ValidationError(
      `sort by '${path}' must be 1 (rising) or -1 (falling); this is ${typeof direction === 'number' ? direction : describe(direction)}`,
      { path },
    )
  })
}

/**
 * The direction in which to walk entries ordered by these columns, to have the order asked for; undefined when neither
 * gives it.
 * @param fixed paths with one and the same value in all the entries walked
 */
export function servedOrder(
  sort: readonly SortField[],
  columns: readonly string[],
  fixed: ReadonlySet<string>,
): 1 | -1 | undefined {
  let at = 0
  let common: 1 | -1 | undefined
  for (const { path, direction } of sort) {
    if (fixed.has(path)) continue
    while (at < columns.length && fixed.has(columns[at]!)) at++
    if (columns[at] !== path || (common ?? direction) !== direction) return undefined
    common = direction
    at++
    // No two documents share an id.
    if (path === 'id') break
  }
  return common ?? 1
}

interface Sortable<T> {
  readonly document: T
  readonly values: readonly unknown[]
}

/** Fewer are sorted at the end, whatever the limit. */
const KEPT_MIN = 64

/** @param limit only so many are needed: no more than twice as many are held */
export function sortInMemory<T>(
  documents: Iterable<T>,
  sort: readonly SortField[],
  limit: number,
): T[] {
  const paths = sort.map(({ path }) => path.split('.'))
  const compare = comparator(sort)
  const keptMax = Math.max(KEPT_MIN, 2 * limit)
  let kept: Sortable<T>[] = []
  for (const document of documents) {
    kept.push({ document, values: paths.map((steps) => valueAt(document, steps)) })
    if (kept.length > keptMax) kept = kept.sort(compare).slice(0, limit)
  }
  return kept
    .sort(compare)
    .slice(0, limit)
    .map(({ document }) => document)
}

function comparator(sort: readonly SortField[]) {
  return (a: Sortable<unknown>, b: Sortable<unknown>): number => {
    for (let index = 0; index < sort.length; index++) {
      const order = compareValues(a.values[index], b.values[index])
      if (order !== 0) return order * sort[index]!.direction
    }
    return 0
  }
}
