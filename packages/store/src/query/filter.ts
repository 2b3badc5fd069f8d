/**
 * Filters, read once at the call: everything that is wrong with one is said then, in plain words. What comes out is a
 * predicate and the conditions that an index can narrow by.
 *
 * Nothing in a filter is ever called or evaluated.
 */
import { ValidationError } from '../document/errors.ts'
import { type IndexValue, isIndexValue } from '../document/keys.ts'
import { describe } from './checks.ts'
import { atPath, createPredicate, type Predicate, type SiftQuery } from './matcher.ts'
import { comparisonTest, equalTest, oneOfTest, patternTest, type Test } from './value-tests.ts'
import { isPlainObject } from './values.ts'

/** Filters nested deeper, values in them included, are refused. */
export const FILTER_DEPTH_MAX = 64

export interface Bound {
  readonly value: IndexValue
  readonly inclusive: boolean
}

/** A condition that an index on the path can narrow by: one of some values, or a range within one type. */
export type Narrowing = {
  readonly path: string
  /** False when there is more to the condition than this: the matcher has to decide. */
  readonly exact: boolean
} & (
  | { readonly kind: 'points'; readonly values: readonly IndexValue[] }
  | { readonly kind: 'range'; readonly above?: Bound; readonly below?: Bound }
)

export interface ParsedFilter {
  readonly matches: Predicate
  /** All of these hold for whatever matches. */
  readonly narrowings: readonly Narrowing[]
  /** True when the narrowings say all that the filter says. */
  readonly narrowed: boolean
}

/** What was read of a filter or a part of it. */
interface Part {
  readonly query: SiftQuery
  readonly narrowings: readonly Narrowing[]
  readonly narrowed: boolean
}

const FIELD_OPERATORS =
  '$eq $ne $gt $gte $lt $lte $in $nin $all $exists $regex $options $size $elemMatch $not'
const GROUP_OPERATORS = '$and $or $nor'

/** @throws ValidationError which says what is wrong with the filter */
export function parseFilter(filter: unknown): ParsedFilter {
  const part = parseGroup(filter, 'a filter', 0)
  return {
    matches: createPredicate(part.query),
    narrowings: part.narrowings,
    narrowed: part.narrowed,
  }
}

function parseGroup(filter: unknown, what: string, depth: number): Part {
  checkDepth(depth)
  if (!isPlainObject(filter)) {
    throw new ValidationError(
      `${what} must be an object such as { age: { $gte: 18 } }; this one is ${describe(filter)}`,
    )
  }
  const parts = Object.keys(filter).map((name) =>
    name.startsWith('$')
      ? parseOperatorGroup(name, filter[name], depth)
      : parseField(name, filter[name], depth),
  )
  return allOf(parts)
}

function parseOperatorGroup(operator: string, value: unknown, depth: number): Part {
  if (operator !== '$and' && operator !== '$or' && operator !== '$nor') {
    throw unknownOperator(operator, `at this place there are paths and ${GROUP_OPERATORS}`)
  }
  if (!Array.isArray(value) || value.length === 0) {
    throw new ValidationError(
      `${operator} takes an array of at least one filter; this is ${describe(value)}`,
      { operator },
    )
  }
  const parts = value.map((item) => parseGroup(item, `a filter in ${operator}`, depth + 1))
  return operator === '$and' || (operator === '$or' && parts.length === 1)
    ? allOf(parts)
    : opaque({ [operator]: parts.map((part) => part.query) })
}

function allOf(parts: readonly Part[]): Part {
  if (parts.length === 1) return parts[0]!
  return {
    query: parts.length === 0 ? {} : { $and: parts.map((part) => part.query) },
    narrowings: parts.flatMap((part) => part.narrowings),
    narrowed: parts.every((part) => part.narrowed),
  }
}

/** A part that no index narrows. */
function opaque(query: SiftQuery): Part {
  return { query, narrowings: [], narrowed: false }
}

function negated(part: Part): Part {
  return opaque({ $nor: [part.query] })
}

function parseField(path: string, condition: unknown, depth: number): Part {
  if (condition instanceof RegExp) return patternPart(path, condition)
  if (!isOperators(condition, path)) return equalPart(path, condition, depth)
  return parseOperators(path, condition, depth)
}

/** True for { $gt: 3 }; a plain value is false; a mixture is an error. */
function isOperators(
  condition: unknown,
  path: string | undefined,
): condition is Record<string, unknown> {
  if (!isPlainObject(condition)) return false
  const names = Object.keys(condition)
  const count = names.filter((name) => name.startsWith('$')).length
  if (count === 0) return false
  if (count === names.length) return true
  throw new ValidationError(
    `${place(path)} mixes operators and fields: ${names.join(', ')}; write fields as dotted paths`,
    facts(path),
  )
}

function parseOperators(
  path: string | undefined,
  condition: Record<string, unknown>,
  depth: number,
): Part {
  checkDepth(depth)
  return allOf(
    Object.keys(condition).map((operator) =>
      parseOperator(path, operator, condition[operator], condition, depth + 1),
    ),
  )
}

function parseOperator(
  path: string | undefined,
  operator: string,
  value: unknown,
  siblings: Record<string, unknown>,
  depth: number,
): Part {
  switch (operator) {
    case '$eq':
      return equalPart(path, value, depth)
    case '$ne':
      return negated(equalPart(path, value, depth))
    case '$gt':
    case '$gte':
    case '$lt':
    case '$lte':
      return comparisonPart(path, operator, value)
    case '$in':
      return oneOfPart(path, operator, value, depth)
    case '$nin':
      return negated(oneOfPart(path, operator, value, depth))
    case '$all':
      return allPart(path, value, depth)
    case '$exists':
      if (typeof value !== 'boolean') throw wrongOperand(path, operator, 'true or false', value)
      return opaque(atPath(path, { $exists: value }))
    case '$regex':
      return patternPart(path, compilePattern(path, value, siblings['$options']))
    case '$options':
      if ('$regex' in siblings) return allOf([])
      throw new ValidationError(`${place(path)} has $options without $regex`, facts(path))
    case '$size':
      if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) {
        throw wrongOperand(path, operator, 'a count from 0', value)
      }
      return opaque(atPath(path, { $size: value }))
    case '$elemMatch':
      return elementPart(path, value, depth)
    case '$not':
      return notPart(path, value, depth)
    default:
      throw unknownOperator(operator, `for a field there are ${FIELD_OPERATORS}`, path)
  }
}

function testPart(path: string | undefined, test: Test): SiftQuery {
  return atPath(path, { $eq: test })
}

function equalPart(path: string | undefined, value: unknown, depth: number): Part {
  checkValue(path, value, depth)
  const query = testPart(path, equalTest(value))
  return path !== undefined && isIndexValue(value)
    ? narrowing(query, { kind: 'points', path, exact: true, values: [value] })
    : opaque(query)
}

function narrowing(query: SiftQuery, one: Narrowing): Part {
  return { query, narrowings: [one], narrowed: one.exact }
}

function comparisonPart(
  path: string | undefined,
  operator: '$gt' | '$gte' | '$lt' | '$lte',
  value: unknown,
): Part {
  if (!isIndexValue(value)) {
    throw wrongOperand(path, operator, 'a value that has an order', value)
  }
  const inclusive = operator === '$gte' || operator === '$lte'
  if (value === null) {
    return inclusive ? equalPart(path, null, 0) : opaque(testPart(path, () => false))
  }
  const query = testPart(path, comparisonTest(operator, value))
  if (path === undefined) return opaque(query)
  const bound = { value, inclusive }
  return operator === '$gt' || operator === '$gte'
    ? narrowing(query, { kind: 'range', path, exact: true, above: bound })
    : narrowing(query, { kind: 'range', path, exact: true, below: bound })
}

function oneOfPart(
  path: string | undefined,
  operator: string,
  values: unknown,
  depth: number,
): Part {
  if (!Array.isArray(values)) throw wrongOperand(path, operator, 'an array', values)
  for (const value of values) if (!(value instanceof RegExp)) checkValue(path, value, depth + 1)
  const query = testPart(path, oneOfTest(values))
  return path !== undefined && values.every(isIndexValue)
    ? narrowing(query, { kind: 'points', path, exact: true, values })
    : opaque(query)
}

/** Every value is found at the path, each perhaps in another element. */
function allPart(path: string | undefined, values: unknown, depth: number): Part {
  if (!Array.isArray(values)) throw wrongOperand(path, '$all', 'an array', values)
  if (values.length === 0) return oneOfPart(path, '$all', values, depth)
  return allOf(values.map((value) => equalPart(path, value, depth + 1)))
}

function patternPart(path: string | undefined, pattern: RegExp): Part {
  return opaque(testPart(path, patternTest(pattern)))
}

function compilePattern(path: string | undefined, value: unknown, flags: unknown): RegExp {
  if (flags !== undefined && typeof flags !== 'string') {
    throw wrongOperand(path, '$options', 'a string of flags', flags)
  }
  if (value instanceof RegExp && flags === undefined) return value
  if (typeof value !== 'string' && !(value instanceof RegExp)) {
    throw wrongOperand(path, '$regex', 'a string or RegExp', value)
  }
  try {
    return new RegExp(value, flags)
  } catch (cause) {
    throw new ValidationError(
      `${place(path)} has a $regex that is no regular expression: ${cause instanceof Error ? cause.message : String(cause)}`,
      facts(path),
      cause,
    )
  }
}

/** One element of an array meets all of it: conditions on the element, or a filter on its fields. */
function elementPart(path: string | undefined, value: unknown, depth: number): Part {
  if (!isPlainObject(value)) {
    throw wrongOperand(path, '$elemMatch', 'operators or a filter', value)
  }
  const names = Object.keys(value)
  const onFields = names.length === 0 || names.some((name) => !isFieldOperator(name))
  const inner = onFields
    ? parseGroup(value, 'a filter in $elemMatch', depth + 1)
    : parseOperators(undefined, value, depth + 1)
  return opaque(atPath(path, { $elemMatch: inner.query }))
}

function isFieldOperator(name: string): boolean {
  return name.startsWith('$') && !GROUP_OPERATORS.split(' ').includes(name)
}

function notPart(path: string | undefined, value: unknown, depth: number): Part {
  if (value instanceof RegExp) return negated(patternPart(path, value))
  if (!isOperators(value, path)) throw wrongOperand(path, '$not', 'operators or a RegExp', value)
  return negated(parseOperators(path, value, depth))
}

function checkDepth(depth: number): void {
  if (depth <= FILTER_DEPTH_MAX) return
  throw new ValidationError(`a filter must not be nested deeper than ${FILTER_DEPTH_MAX} levels`)
}

/** Refuses what no document holds, at any depth of the value. */
function checkValue(path: string | undefined, value: unknown, depth: number): void {
  checkDepth(depth)
  if (value === undefined) {
    throw new ValidationError(
      `${place(path)} is compared with undefined; use null or { $exists: false } for what is missing`,
      facts(path),
    )
  }
  if (typeof value === 'function' || typeof value === 'symbol' || Number.isNaN(value)) {
    throw new ValidationError(
      `${place(path)} cannot be compared with ${describe(value)}`,
      facts(path),
    )
  }
  if (typeof value !== 'object' || value === null) return
  if (Array.isArray(value) || value instanceof Set) {
    for (const item of value) checkValue(path, item, depth + 1)
  } else if (value instanceof Map) {
    for (const [key, item] of value) {
      checkValue(path, key, depth + 1)
      checkValue(path, item, depth + 1)
    }
  } else if (isPlainObject(value)) {
    for (const name of Object.keys(value)) checkValue(path, value[name], depth + 1)
  } else if (!isIndexValue(value)) {
    throw new ValidationError(
      `${place(path)} cannot be compared with ${describe(value)}`,
      facts(path),
    )
  }
}

function unknownOperator(operator: string, hint: string, path?: string): ValidationError {
  return new ValidationError(`unknown operator ${operator}: ${hint}`, { operator, ...facts(path) })
}

function wrongOperand(
  path: string | undefined,
  operator: string,
  wanted: string,
  value: unknown,
): ValidationError {
  return new ValidationError(
    `${place(path)}: ${operator} takes ${wanted}; this is ${describe(value)}`,
    { operator, ...facts(path) },
  )
}

function place(path: string | undefined): string {
  return path === undefined ? 'an element' : `'${path}'`
}

function facts(path: string | undefined): { path?: string } {
  return path === undefined ? {} : { path }
}
