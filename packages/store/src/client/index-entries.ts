/**
 * The entries that a document has in its collection's indexes, and what changes of them with the document.
 */
import { asTextBuffer } from '../document/bytes.ts'
import {
  encodeIndexKey,
  type Id,
  type IndexValue,
  isIndexValue,
  readIndexKey,
} from '../document/keys.ts'
import { indexTuples } from '../query/paths.ts'
import type { IndexInfo } from '../query/reader.ts'

export interface IndexEntry {
  readonly key: Uint8Array
  readonly tuple: readonly IndexValue[]
}

/** Per index of the collection, in the catalog's order. */
export type IndexEntries = readonly (readonly IndexEntry[])[]

export const NO_ENTRIES: readonly IndexEntry[] = []
export const EMPTY_VALUE: Uint8Array = new Uint8Array(0)

export function entriesOf(document: object, indexes: readonly IndexInfo[], id: Id): IndexEntries {
  return indexes.map((index) => indexEntries(document, index, id))
}

export function indexEntries(document: object, index: IndexInfo, id: Id): readonly IndexEntry[] {
  const tuples = simpleTuples(document, index) ?? indexTuples(document, index)
  return tuples.map((tuple) => {
    // The empty tuple, of documents without a place in the index's order, is told apart by its id.
    const isOwnKey = index.unique && tuple.length > 0
    return { tuple, key: isOwnKey ? encodeIndexKey(tuple) : encodeIndexKey(tuple, id) }
  })
}

/** The keys of `indexEntries`, each for as long as `read` runs. */
export function readIndexKeys(
  document: object,
  index: IndexInfo,
  id: Id,
  read: (bytes: Uint8Array, length: number) => void,
): void {
  for (const tuple of simpleTuples(document, index) ?? indexTuples(document, index)) {
    readIndexKey(tuple, index.unique && tuple.length > 0 ? undefined : id, read)
  }
}

/** The common case of `indexTuples`: one field, at the top, with one value. */
function simpleTuples(
  document: object,
  { fields }: IndexInfo,
): readonly (readonly IndexValue[])[] | undefined {
  const field = fields[0]!
  if (fields.length > 1 || field.includes('.') || !Object.hasOwn(document, field)) return undefined
  const value: unknown = Reflect.get(document, field)
  return isIndexValue(value) ? [[value]] : undefined
}

/** Entries of `entries` that are not in `others`. */
export function without(
  entries: readonly IndexEntry[],
  others: readonly IndexEntry[],
): readonly IndexEntry[] {
  if (others.length === 0 || entries.length === 0) return entries
  if (others.length === 1) {
    const other = others[0]!.key
    if (entries.length === 1) return sameBytes(entries[0]!.key, other) ? NO_ENTRIES : entries
    return entries.filter(({ key }) => !sameBytes(key, other))
  }
  const keys = new Set(others.map(({ key }) => keyText(key)))
  return entries.filter(({ key }) => !keys.has(keyText(key)))
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && Buffer.compare(a, b) === 0
}

/** A key as text of one character per byte: for Maps and Sets. */
export function keyText(key: Uint8Array): string {
  // An id that is a number, mostly: making a Buffer of it costs more than all the rest.
  if (key.length === 4) return String.fromCharCode(key[0]!, key[1]!, key[2]!, key[3]!)
  return asTextBuffer(key).latin1Slice(0, key.length)
}

/** Values for a message. */
export function tupleText(tuple: readonly IndexValue[]): string {
  return tuple.map(valueText).join(', ')
}

const TEXT_LENGTH_MAX = 100

function valueText(value: IndexValue): string {
  if (typeof value === 'string') {
    const text = JSON.stringify(value)
    return text.length > TEXT_LENGTH_MAX ? `${text.slice(0, TEXT_LENGTH_MAX)}…` : text
  }
  if (typeof value === 'bigint') return `${value}n`
  if (value instanceof Date) return value.toISOString()
  if (value instanceof Uint8Array) return `${value.length} bytes`
  return String(value)
}
