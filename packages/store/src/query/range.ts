/**
 * Ranges over an index, in its order, and look-ups in unique ones.
 */
import type { KeyRange } from '../client/engine.ts'
import { ValidationError } from '../document/errors.ts'
import { decodeId, type Id, type IndexValue, isIndexValue } from '../document/keys.ts'
import { checkCount, describe } from './checks.ts'
import { DanglingEntryError, Follower } from './follower.ts'
import type { CollectionReader, IndexInfo, SnapshotProvider } from './reader.ts'
import { copyOf } from './run.ts'
import {
  indexRange,
  indexRangeIfAny,
  isEmptyRange,
  type TupleBound,
  textPrefixRange,
  tupleRange,
} from './spans.ts'
import { isPlainObject, rankOf } from './values.ts'

/**
 * Bounds are values of the index's field; of an index over several fields, tuples of leading fields: { gte: ['Ulm'] } or
 * { gte: ['Ulm', 18] }. With one bound only the range ends with the values of its type.
 * @typeParam V the field's type, or the tuple's
 */
export interface RangeOptions<V = unknown> {
  readonly gt?: V
  readonly gte?: V
  readonly lt?: V
  readonly lte?: V
  /** Text that begins so; or, of an index over several fields, its leading values. */
  readonly prefix?: V
  readonly reverse?: boolean
  readonly limit?: number
}

/**
 * The documents of a range, each once, in the order of the index; lazily.
 * @throws ValidationError at the call when the bounds make no sense; at the first step when there is no such index
 */
export function range<T>(
  snapshot: SnapshotProvider<T>,
  indexName: string,
  options: RangeOptions = {},
): Iterable<T> {
  const limit = checkOptions(options)
  return { [Symbol.iterator]: () => walk(snapshot, indexName, options, limit) }
}

function* walk<T>(
  provider: SnapshotProvider<T>,
  indexName: string,
  options: RangeOptions,
  limit: number,
): Generator<T, void, undefined> {
  const snapshot = provider()
  let documents: Follower<T> | undefined
  try {
    const { reader } = snapshot
    const index = indexNamed(reader, indexName)
    const keys = keyRange(index, options)
    if (limit === 0 || isEmptyRange(keys)) return
    const seen = index.each ? new Set<Id>() : undefined
    documents = new Follower(reader, index, reader.view.entries(index.tree, keys), seen)
    for (let count = 0; count < limit; count++) {
      const document = documents.next()
      if (document === undefined) return
      yield document
    }
  } finally {
    documents?.close()
    snapshot.close()
  }
}

/**
 * The one document with this value, or with these values.
 * @throws ValidationError when there is no such index, it is not unique, or the value is none
 */
export function findUnique<T>(
  reader: CollectionReader<T>,
  indexName: string,
  value: unknown,
): T | undefined {
  const index = indexNamed(reader, indexName)
  if (!index.unique) {
    throw new ValidationError(`index '${indexName}' is not unique; use find or range`, {
      collection: reader.name,
      index: indexName,
    })
  }
  const values = tupleOf(index, value)
  if (values.length !== index.fields.length) {
    throw invalid(index, `takes a value for each of ${index.fields.join(', ')}`)
  }
  const range = indexRangeIfAny({ equal: values })
  // Longer than any value that has an entry.
  if (range === undefined) return undefined
  const idKey = reader.view.read(index.tree, range.from!, copyOf)
  if (idKey === undefined) return undefined
  const document = reader.read(idKey)
  if (document !== undefined) return document
  throw new DanglingEntryError(reader.name, indexName, decodeId(idKey, 0, idKey.length))
}

function indexNamed<T>(reader: CollectionReader<T>, name: string): IndexInfo {
  const index = reader.indexes.find((one) => one.name === name)
  if (index?.state === 'ready') return index
  const names = reader.indexes.map((one) => one.name).join(', ')
  const problem =
    index === undefined
      ? `has no index '${name}'; it has ${names || 'none'}`
      : `is still building '${name}'`
  throw new ValidationError(`collection '${reader.name}' ${problem}`, {
    collection: reader.name,
    index: name,
  })
}

const OPTIONS = ['gt', 'gte', 'lt', 'lte', 'prefix', 'reverse', 'limit']

/** @returns the limit */
function checkOptions(options: unknown): number {
  if (!isPlainObject(options)) {
    throw new ValidationError(
      `a range must be an object such as { gte: 18, lt: 30 }; this one is ${describe(options)}`,
    )
  }
  const unknown = Object.keys(options).find((name) => !OPTIONS.includes(name))
  if (unknown !== undefined) {
    throw new ValidationError(`a range knows no '${unknown}'; it knows ${OPTIONS.join(', ')}`)
  }
  const { gt, gte, lt, lte, prefix, limit } = options
  const alone = prefix === undefined || [gt, gte, lt, lte].every((bound) => bound === undefined)
  if (
    (gt !== undefined && gte !== undefined) ||
    (lt !== undefined && lte !== undefined) ||
    !alone
  ) {
    throw new ValidationError('a range has gt or gte, and lt or lte; or prefix alone')
  }
  return checkCount('limit', limit ?? Infinity)
}

function keyRange(index: IndexInfo, options: RangeOptions): KeyRange {
  const bounds = boundsOf(index, options)
  return options.reverse === true ? { ...bounds, reverse: true } : bounds
}

function boundsOf(index: IndexInfo, { gt, gte, lt, lte, prefix }: RangeOptions): KeyRange {
  if (prefix !== undefined) return prefixRange(index, prefix)
  const above = tupleBound(index, gt, gte)
  const below = tupleBound(index, lt, lte)
  if (above && below && rankOf(above.values[0]) !== rankOf(below.values[0])) {
    throw invalid(index, 'takes bounds of one type')
  }
  return tupleRange(above, below)
}

function prefixRange(index: IndexInfo, prefix: unknown): KeyRange {
  if (index.fields.length > 1) return indexRange({ equal: tupleOf(index, prefix) })
  if (typeof prefix !== 'string')
    throw invalid(index, `takes a string as prefix, not ${describe(prefix)}`)
  if (!prefix.isWellFormed()) throw invalid(index, 'takes well-formed text as prefix')
  return textPrefixRange([], prefix)
}

function tupleBound(index: IndexInfo, open: unknown, closed: unknown): TupleBound | undefined {
  const value = open === undefined ? closed : open
  if (value === undefined) return undefined
  return { values: tupleOf(index, value), inclusive: open === undefined }
}

function tupleOf(index: IndexInfo, value: unknown): readonly IndexValue[] {
  const { fields } = index
  const values: readonly unknown[] = fields.length > 1 && Array.isArray(value) ? value : [value]
  if (values.length > 0 && values.length <= fields.length && values.every(isIndexValue)) {
    return values
  }
  throw invalid(
    index,
    fields.length > 1
      ? `takes tuples of values of ${fields.join(', ')}`
      : `takes a value of ${fields[0]}, not ${describe(value)}`,
  )
}

function invalid(index: IndexInfo, problem: string): ValidationError {
  return new ValidationError(`index '${index.name}' ${problem}`, { index: index.name })
}
