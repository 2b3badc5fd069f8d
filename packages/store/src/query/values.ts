/**
 * How values compare in filters and sorts: exactly as index keys do (`document/keys.ts`). Values of different types
 * are never equal and never in one range: 1, 1n and new Date(1) are three values; strings are
 * ordered by code points, dates by time, bytes by bytes.
 */
import type { IndexValue } from '../document/keys.ts'

/** The order of types; what no index holds comes last, what is missing counts as null. */
const Rank = {
  null: 0,
  boolean: 1,
  number: 2,
  bigint: 3,
  date: 4,
  text: 5,
  bytes: 6,
  other: 7,
} as const
export type Rank = (typeof Rank)[keyof typeof Rank]

export function rankOf(value: unknown): Rank {
  if (value === null || value === undefined) return Rank.null
  if (typeof value === 'string') return Rank.text
  if (typeof value === 'number') return Number.isNaN(value) ? Rank.other : Rank.number
  if (typeof value === 'boolean') return Rank.boolean
  if (typeof value === 'bigint') return Rank.bigint
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? Rank.other : Rank.date
  return value instanceof Uint8Array ? Rank.bytes : Rank.other
}

/** A total order over everything that an index can hold; all else is equal and at the end. */
export function compareValues(a: unknown, b: unknown): number {
  return orderWithin(a, b) ?? rankOf(a) - rankOf(b)
}

/** Order within one type; undefined for values of two types, and for what has no order. */
export function orderWithin(a: unknown, b: unknown): number | undefined {
  if (typeof a === 'string') return typeof b === 'string' ? compareText(a, b) : undefined
  if (typeof a === 'number') return typeof b === 'number' ? order(a, b) : undefined
  if (typeof a === 'bigint') return typeof b === 'bigint' ? order(a, b) : undefined
  if (typeof a === 'boolean') return typeof b === 'boolean' ? order(a, b) : undefined
  if (a instanceof Date) return b instanceof Date ? order(a.getTime(), b.getTime()) : undefined
  if (a instanceof Uint8Array) return b instanceof Uint8Array ? Buffer.compare(a, b) : undefined
  const bothNull = (a === null || a === undefined) && (b === null || b === undefined)
  return bothNull ? 0 : undefined
}

function order<V extends number | bigint | boolean>(a: V, b: V): number | undefined {
  if (a < b) return -1
  if (a > b) return 1
  return a === b ? 0 : undefined
}

/** By code points, as UTF-8 orders; `<` orders by UTF-16 units and puts U+FFEE above U+1F600. */
function compareText(a: string, b: string): number {
  if (a === b) return 0
  const length = Math.min(a.length, b.length)
  for (let index = 0; index < length; index++) {
    const left = a.charCodeAt(index)
    const right = b.charCodeAt(index)
    if (left !== right) return codePointOrder(left) - codePointOrder(right)
  }
  return a.length - b.length
}

/** Surrogates stand for code points above all others. */
function codePointOrder(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit
}

/**
 * Equality of whole values, containers included. The order of an object's fields says nothing.
 * Recursion is bounded by `b`, a filter's value, whose depth was checked.
 */
export function sameValue(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (rankOf(b) !== Rank.other) return orderWithin(a, b) === 0
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((item, i) => sameValue(item, b[i]))
  }
  if (a instanceof Map) return b instanceof Map && sameEntries(a, b)
  if (a instanceof Set) {
    return b instanceof Set && a.size === b.size && [...b].every((item) => hasMember(a, item))
  }
  return isPlainObject(a) && isPlainObject(b) && sameFields(a, b)
}

function sameEntries(a: Map<unknown, unknown>, b: Map<unknown, unknown>): boolean {
  if (a.size !== b.size) return false
  for (const [key, value] of b) {
    if (a.has(key)) {
      if (!sameValue(a.get(key), value)) return false
    } else if (![...a].some(([k, v]) => sameValue(k, key) && sameValue(v, value))) {
      return false
    }
  }
  return true
}

function hasMember(set: Set<unknown>, item: unknown): boolean {
  if (set.has(item)) return true
  return typeof item === 'object' && [...set].some((member) => sameValue(member, item))
}

function sameFields(a: Record<string, unknown>, b: Record<string, unknown>): boolean {
  const names = Object.keys(b)
  if (Object.keys(a).length !== names.length) return false
  return names.every((name) => Object.hasOwn(a, name) && sameValue(a[name], b[name]))
}

export function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

/** Values of one index field, risen and each once. */
export function distinctValues(values: readonly IndexValue[]): IndexValue[] {
  if (values.length < 2) return [...values]
  const sorted = values.toSorted(compareValues)
  return sorted.filter((value, index) => index === 0 || orderWithin(sorted[index - 1], value) !== 0)
}
