/** The plan that one index gives for a filter and a sort, or why it gives none. */
import type { ReadView } from '../client/engine.ts'
import { type Choice, choiceOf, intersection, narrowest } from './choices.ts'
import type { Narrowing } from './filter.ts'
import { type Candidate, type Part, type Question, RankClass } from './plan.ts'
import type { CollectionReader, IndexInfo } from './reader.ts'
import { servedOrder } from './sort.ts'
import { indexRangeIfAny, isEmptyRange, type Span, UNPLACED_RANGE } from './spans.ts'

/** More spans than this are not made of conditions on several fields; those on fewer fields are used. */
const SPANS_MAX = 1000

/** What the filter says of one field of the index. */
interface FieldUse {
  readonly path: string
  readonly choice: Choice
  /** The conditions that the choice stands for. */
  readonly narrowings: readonly Narrowing[]
}

interface Prefix {
  readonly spans: readonly Span[]
  readonly used: readonly FieldUse[]
  /** Leading fields with values, and whether a range follows them. */
  readonly equalCount: number
  readonly ranged: boolean
}

/** @returns in words why the index cannot be used, when it cannot */
export function planIndex<T>(question: Question<T>, index: IndexInfo): Candidate | string {
  if (index.state !== 'ready') return 'it is still being built'
  const { filter, reader, sort } = question
  const uses = index.fields.map((path) => fieldUse(filter.narrowings, path, index.each))
  const absent = reasonForAbsence(reader, index, uses)
  const prefix = prefixOf(uses)
  const narrowed = prefix.equalCount > 0 || prefix.ranged
  if (!narrowed && sort.length === 0) return `no condition on '${index.fields[0]}' narrows it`
  if (absent !== undefined) return absent

  const parts = partsOf(index, prefix, consumesAll(question, prefix))
  if (parts === undefined) return 'a value to compare with is longer than a key can be'
  const single = index.unique && prefix.equalCount === index.fields.length
  const order = orderOf(question, index, prefix)
  // The index gives an order only when there are no unplaced documents.
  const ordered = sort.length > 0 && order !== undefined
  if (!ordered && canHaveUnplaced(index)) parts.push({ range: UNPLACED_RANGE, exact: false })
  if (!narrowed && order === undefined) {
    return `no condition on '${index.fields[0]}' narrows it, and its order is not the one asked for`
  }
  const rankClass = single ? RankClass.unique : narrowed ? RankClass.narrowed : RankClass.ordered
  return {
    rank: [
      rankClass,
      -prefix.equalCount,
      prefix.ranged ? 0 : 1,
      order === undefined ? 1 : 0,
      index.each ? 1 : 0,
      index.fields.length,
    ],
    plan: {
      kind: single ? 'unique' : 'index',
      index,
      spans: prefix.spans,
      parts: order === -1 ? parts.toReversed() : parts,
      reverse: order === -1,
      sorted: order !== undefined,
      repeats:
        index.each && !(prefix.spans.length === 1 && prefix.equalCount === index.fields.length),
    },
  }
}

function fieldUse(
  narrowings: readonly Narrowing[],
  path: string,
  each: boolean,
): FieldUse | undefined {
  const onPath = narrowings.filter((one) => one.path === path)
  if (!each) {
    if (onPath.length === 0) return undefined
    return { path, choice: onPath.map(choiceOf).reduce(intersection), narrowings: onPath }
  }
  // Each condition may be met by another element: one at a time.
  const one = narrowest(onPath.filter((narrowing) => !allowsNull(choiceOf(narrowing))))
  return one === undefined ? undefined : { path, choice: choiceOf(one), narrowings: [one] }
}

/** Null is also what is missing, and what is missing has no entry. */
function allowsNull(choice: Choice): boolean {
  return choice.kind === 'points' && choice.values[0] === null
}

/** Why a document that matches might have no entry; undefined when none can. */
function reasonForAbsence<T>(
  reader: CollectionReader<T>,
  index: IndexInfo,
  uses: readonly (FieldUse | undefined)[],
): string | undefined {
  const open = uses.findIndex((use) => use === undefined || allowsNull(use.choice))
  if (open < 0 || (!index.each && isComplete(reader, index))) return undefined
  return `documents without a value in '${index.fields[open]}' have no entry and might match`
}

/** Every document has an entry; of an index that is not `each` none has more than one. */
function isComplete<T>({ view, primaryTree }: CollectionReader<T>, index: IndexInfo): boolean {
  const missing = view.missing?.(index.tree, primaryTree)
  return (missing ?? view.count(primaryTree) - view.count(index.tree)) === 0
}

/** Documents with arrays where the index has one value stand behind all others. */
function hasUnplaced(view: ReadView, index: IndexInfo): boolean {
  const entries = view.entries(index.tree, UNPLACED_RANGE)
  const first = entries.next()
  entries.return?.()
  return first.done !== true
}

/** An `each` index over one field holds every element. */
function canHaveUnplaced(index: IndexInfo): boolean {
  return !index.each || index.fields.length > 1
}

function prefixOf(uses: readonly (FieldUse | undefined)[]): Prefix {
  let spans: Span[] = [{ equal: [] }]
  const used: FieldUse[] = []
  for (const use of uses) {
    if (use === undefined) break
    const { choice } = use
    if (choice.kind === 'range') {
      const { above, below } = choice
      const bounds = {
        ...(above === undefined ? {} : { above }),
        ...(below === undefined ? {} : { below }),
      }
      const ranged = spans.map((span) => ({ ...span, ...bounds }))
      return { spans: ranged, used: [...used, use], equalCount: used.length, ranged: true }
    }
    if (used.length > 0 && spans.length * choice.values.length > SPANS_MAX) break
    used.push(use)
    spans = spans.flatMap(({ equal }) =>
      choice.values.map((value) => ({ equal: [...equal, value] })),
    )
  }
  return { spans, used, equalCount: used.length, ranged: false }
}

/** The spans say all that the filter says. */
function consumesAll<T>({ filter }: Question<T>, prefix: Prefix): boolean {
  if (!filter.narrowed) return false
  const consumed = new Set(prefix.used.flatMap((use) => use.narrowings))
  return filter.narrowings.every((narrowing) => consumed.has(narrowing))
}

function partsOf(index: IndexInfo, prefix: Prefix, exact: boolean): Part[] | undefined {
  const parts: Part[] = []
  const isKey = index.unique && prefix.equalCount === index.fields.length
  for (const span of prefix.spans) {
    const range = indexRangeIfAny(span)
    if (range === undefined) {
      // No entry has so long a value; but a range may begin or end there.
      if (prefix.ranged) return undefined
    } else if (isKey) {
      parts.push({ range, key: range.from!, exact })
    } else if (!isEmptyRange(range)) {
      parts.push({ range, exact })
    }
  }
  return parts
}

/** 1 or -1 when the entries' order is the one asked for, or none was. */
function orderOf<T>(
  { reader, sort }: Question<T>,
  index: IndexInfo,
  prefix: Prefix,
): 1 | -1 | undefined {
  if (sort.length === 0) return 1
  if (index.each) return undefined
  const fixed = new Set(
    prefix.used.flatMap(({ choice, path }) =>
      choice.kind === 'points' && choice.values.length === 1 ? [path] : [],
    ),
  )
  const columns = index.unique ? index.fields : [...index.fields, 'id']
  const order = servedOrder(sort, columns, fixed)
  return order === undefined || hasUnplaced(reader.view, index) ? undefined : order
}
