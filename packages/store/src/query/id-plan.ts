/** Plans that go by id, through the primary tree. */
import { ValidationError } from '../document/errors.ts'
import { encodeId } from '../document/ids.ts'
import type { IndexValue } from '../document/keys.ts'
import { StoreTooLargeError } from '../errors.ts'
import { type Choice, choiceOf, intersection } from './choices.ts'
import { type Candidate, type Part, type Question, RankClass } from './plan.ts'
import { servedOrder } from './sort.ts'
import { idRange, isEmptyRange } from './spans.ts'

export function planIds<T>({ filter, sort }: Question<T>): Candidate | undefined {
  const onId = filter.narrowings.filter((one) => one.path === 'id')
  if (onId.length === 0) return undefined
  const choice = onId.map(choiceOf).reduce(intersection)
  const exact = filter.narrowed && onId.length === filter.narrowings.length
  const parts =
    choice.kind === 'points' ? pointParts(choice.values, exact) : rangeParts(choice, exact)
  if (parts === undefined) return undefined
  const order = parts.length > 1 || choice.kind === 'range' ? servedOrder(sort, ['id'], NONE) : 1
  return {
    rank: [choice.kind === 'points' ? RankClass.ids : RankClass.idRange],
    plan: {
      kind: 'id',
      index: undefined,
      spans:
        choice.kind === 'points'
          ? choice.values.map((value) => ({ equal: [value] }))
          : [{ ...choice, equal: [] }],
      parts: order === -1 ? parts.toReversed() : parts,
      reverse: order === -1,
      sorted: order !== undefined,
      repeats: false,
    },
  }
}

const NONE: ReadonlySet<string> = new Set()

/** What cannot be an id is no document's. */
function pointParts(values: readonly IndexValue[], exact: boolean): Part[] {
  const parts: Part[] = []
  for (const value of values) {
    const key = idKeyIfAny(value)
    if (key !== undefined) parts.push({ range: {}, key, exact })
  }
  return parts
}

function idKeyIfAny(value: IndexValue): Uint8Array | undefined {
  if (typeof value !== 'number' && typeof value !== 'string') return undefined
  try {
    return encodeId(value)
  } catch (error) {
    if (error instanceof ValidationError || error instanceof StoreTooLargeError) return undefined
    throw error
  }
}

function rangeParts(range: Extract<Choice, { kind: 'range' }>, exact: boolean): Part[] | undefined {
  const keys = idRange(range.above, range.below)
  if (keys === undefined) return undefined
  return isEmptyRange(keys) ? [] : [{ range: keys, exact }]
}
