/**
 * What the conditions on one path come to: some values, or a range within one type.
 */
import type { IndexValue } from '../document/keys.ts'
import type { Bound, Narrowing } from './filter.ts'
import { compareValues, distinctValues, orderWithin, rankOf } from './values.ts'

export type Choice =
  /** Rising, each once; none: nothing can match. */
  | { readonly kind: 'points'; readonly values: readonly IndexValue[] }
  | { readonly kind: 'range'; readonly above?: Bound; readonly below?: Bound }

const NOTHING: Choice = { kind: 'points', values: [] }

export function choiceOf(narrowing: Narrowing): Choice {
  return narrowing.kind === 'points'
    ? { kind: 'points', values: distinctValues(narrowing.values) }
    : narrowing
}

/** What meets both; of fields that hold one value, since elements of an array may meet each by another one. */
export function intersection(a: Choice, b: Choice): Choice {
  if (a.kind === 'points') return { kind: 'points', values: a.values.filter((v) => meets(v, b)) }
  if (b.kind === 'points') return intersection(b, a)
  if (rankOf(anchor(a)) !== rankOf(anchor(b))) return NOTHING
  const above = tighter(a.above, b.above, 1)
  const below = tighter(a.below, b.below, -1)
  return {
    kind: 'range',
    ...(above === undefined ? {} : { above }),
    ...(below === undefined ? {} : { below }),
  }
}

type Range = Extract<Choice, { kind: 'range' }>

function anchor(range: Range): IndexValue {
  return (range.above ?? range.below)!.value
}

function meets(value: IndexValue, choice: Choice): boolean {
  if (choice.kind === 'points') return choice.values.some((one) => orderWithin(one, value) === 0)
  const { above, below } = choice
  return isBeyond(value, above, 1) && isBeyond(value, below, -1)
}

/** @param side 1: above the bound; -1: below it */
function isBeyond(value: IndexValue, bound: Bound | undefined, side: 1 | -1): boolean {
  if (bound === undefined) return true
  const order = orderWithin(value, bound.value)
  if (order === undefined) return false
  return order === 0 ? bound.inclusive : order * side > 0
}

/** @param side 1 for bounds from above which the greater is tighter, -1 for the others */
function tighter(a: Bound | undefined, b: Bound | undefined, side: 1 | -1): Bound | undefined {
  if (a === undefined) return b
  if (b === undefined) return a
  const order = compareValues(a.value, b.value) * side
  if (order === 0) return a.inclusive ? b : a
  return order > 0 ? a : b
}

/** For an index with entries per element: the one condition that promises the fewest entries. */
export function narrowest(narrowings: readonly Narrowing[]): Narrowing | undefined {
  let best: Narrowing | undefined
  for (const one of narrowings) {
    if (best === undefined || weight(one) < weight(best)) best = one
  }
  return best
}

function weight(narrowing: Narrowing): number {
  if (narrowing.kind === 'points') return narrowing.values.length
  return narrowing.above === undefined || narrowing.below === undefined ? Infinity : 1e9
}
