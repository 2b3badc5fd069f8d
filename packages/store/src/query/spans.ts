/**
 * Spans of an index: some leading fields fixed, perhaps a range on the next one. And the keys that
 * bound them.
 *
 * After a complete value comes the tag of the next value or id, which is never ff; within text and bytes ff only stands
 * behind a zero byte. So `key ff` is behind all entries that have exactly these values first, and before those of
 * text that goes on with a zero byte.
 */
import type { KeyRange } from '../client/engine.ts'
import { encodeId, ID_TAG_FIRST } from '../document/ids.ts'
import { encodeIndexKey, type IndexValue, prefixEnd } from '../document/keys.ts'
import { StoreTooLargeError } from '../errors.ts'
import type { Bound } from './filter.ts'

export interface Span {
  /** Values of the leading fields. */
  readonly equal: readonly IndexValue[]
  /** Bounds on the field after them, of one type; both absent: all that follows. */
  readonly above?: Bound
  readonly below?: Bound
}

const AFTER = 0xff

/** Where entries without values begin: those of documents that have no place in the index's order. */
export const UNPLACED_RANGE: KeyRange = { from: Uint8Array.of(ID_TAG_FIRST) }

function withByte(key: Uint8Array, byte: number): Uint8Array {
  const longer = new Uint8Array(key.length + 1)
  longer.set(key)
  longer[key.length] = byte
  return longer
}

/**
 * The keys of an index that lie in the span.
 * @throws StoreTooLargeError when a value is longer than a key can be
 */
export function indexRange(span: Span): KeyRange {
  const prefix = encodeIndexKey(span.equal)
  if (span.above === undefined && span.below === undefined) {
    return prefix.length === 0
      ? { to: Uint8Array.of(ID_TAG_FIRST) }
      : { from: prefix, to: withByte(prefix, AFTER) }
  }
  const above = edge(span.equal, span.above, false)
  const below = edge(span.equal, span.below, true)
  const tag = (above ?? below)![prefix.length]!
  return {
    from: above ?? withByte(prefix, tag),
    to: below ?? withByte(prefix, tag + 1),
  }
}

/** The key at a bound; `after` tells whether an inclusive one lies behind the value's entries or before. */
function edge(
  equal: readonly IndexValue[],
  bound: Bound | undefined,
  after: boolean,
): Uint8Array | undefined {
  if (bound === undefined) return undefined
  return tupleEdge({ values: [...equal, bound.value], inclusive: bound.inclusive }, after)
}

/** The same, but undefined when a value is longer than any that an entry has. */
export function indexRangeIfAny(span: Span): KeyRange | undefined {
  try {
    return indexRange(span)
  } catch (error) {
    if (error instanceof StoreTooLargeError) return undefined
    throw error
  }
}

export interface TupleBound {
  /** Of one leading field or more. */
  readonly values: readonly IndexValue[]
  readonly inclusive: boolean
}

/** Entries between two tuples; with one only, to the end of its first value's type. */
export function tupleRange(above: TupleBound | undefined, below: TupleBound | undefined): KeyRange {
  if (above === undefined && below === undefined) return indexRange({ equal: [] })
  const from = above && tupleEdge(above, false)
  const to = below && tupleEdge(below, true)
  const tag = (from ?? to)![0]!
  return { from: from ?? Uint8Array.of(tag), to: to ?? Uint8Array.of(tag + 1) }
}

function tupleEdge({ values, inclusive }: TupleBound, after: boolean): Uint8Array {
  const key = encodeIndexKey(values)
  return inclusive === after ? withByte(key, AFTER) : key
}

/** The entries whose next field is text that begins so. */
export function textPrefixRange(equal: readonly IndexValue[], text: string): KeyRange {
  const terminated = encodeIndexKey([...equal, text])
  const prefix = terminated.subarray(0, terminated.length - 1)
  return { from: prefix, to: prefixEnd(prefix) }
}

const TEXT_IDS = Uint8Array.of(encodeId('a')[0]!)
const NOTHING: KeyRange = { from: TEXT_IDS, to: TEXT_IDS }

/** The keys of the primary tree with ids in the bounds; undefined when these are beyond what ids can be. */
export function idRange(above: Bound | undefined, below: Bound | undefined): KeyRange | undefined {
  const value = (above ?? below)?.value
  if (typeof value === 'number') return numberIdRange(above, below)
  if (typeof value !== 'string') return NOTHING
  try {
    const from = above === undefined || above.value === '' ? TEXT_IDS : textEdge(above, false)
    if (below === undefined) return { from }
    return below.value === '' ? NOTHING : { from, to: textEdge(below, true) }
  } catch (error) {
    if (error instanceof StoreTooLargeError) return undefined
    throw error
  }
}

/** Texts of ids are not terminated: the next key after one is itself and a zero byte. */
function textEdge(bound: Bound, after: boolean): Uint8Array {
  const key = encodeId(typeof bound.value === 'string' ? bound.value : '')
  return bound.inclusive === after ? withByte(key, 0) : key
}

function numberIdRange(above: Bound | undefined, below: Bound | undefined): KeyRange {
  const first = above === undefined ? 1 : Math.max(1, idFrom(above, false))
  const end = below === undefined ? Infinity : idFrom(below, true)
  if (end <= first || first > Number.MAX_SAFE_INTEGER) return NOTHING
  return {
    from: encodeId(first),
    to: end > Number.MAX_SAFE_INTEGER ? TEXT_IDS : encodeId(end),
  }
}

/** The smallest whole number on the upper side of the bound. */
function idFrom(bound: Bound, after: boolean): number {
  const value = Number(bound.value)
  return bound.inclusive === after ? Math.floor(value) + 1 : Math.ceil(value)
}

export function isEmptyRange({ from, to }: KeyRange): boolean {
  return from !== undefined && to !== undefined && Buffer.compare(from, to) >= 0
}
