/**
 * The catalog, tree 0: what collections there are and where they stand.
 *
 *   00                              head: the next numbers to give out
 *   01 + name in UTF-8              a collection
 *   02 + collection id, u32         the next id that no thread has leased
 *   03 + collection id, u32 + u8    a shape: the keys of many documents (`document/shapes.ts`)
 *   04 + collection id, u32         a collection's life: its name and primary tree, for good
 *   05                              the last commit that dropped a collection whose life is forgotten
 *
 * A life is put once when the collection is made, and once when it is dropped, so the entry's sequence says when that was.
 * It and the shapes outlive the collection: the log may hold documents of it (`collection-history.ts`).
 *
 * Numbers are big-endian, values JSON. Every change of collections also changes the head under the condition that
 * it is still the same, so these changes are one after another. Collection ids and definition numbers are
 * never given out twice; trees are, after all others.
 */

import { StoreCorruptError } from '../errors.ts'
import type { IndexInfo } from '../query/reader.ts'
import { TREES_MAX } from '../sequencer/command.ts'

export const CATALOG_TREE = 0

/** First bytes of keys. */
export const Kind = { head: 0, collection: 1, lease: 2, shape: 3, life: 4, forgotten: 5 } as const

export const HEAD_KEY: Uint8Array = Uint8Array.of(Kind.head)

const FORMAT = 1
const U32_MAX = 0xffff_ffff

export interface CatalogHead {
  readonly nextCollection: number
  readonly nextTree: number
  readonly nextDefinition: number
}

export interface CollectionEntry {
  readonly name: string
  readonly id: number
  /** The primary tree. */
  readonly tree: number
  /** Of the documents' form. */
  readonly version: number
  /** Of the primary tree; changes with each change of this entry. */
  readonly definition: number
  readonly indexes: readonly IndexInfo[]
}

export interface CollectionLife {
  readonly name: string
  /** The primary tree. */
  readonly tree: number
  /** Commit sequence at which it was made: known once it is dropped. */
  readonly made?: number
}

export function collectionKey(name: string): Uint8Array {
  const text = Buffer.from(name)
  const key = new Uint8Array(1 + text.length)
  key[0] = Kind.collection
  key.set(text, 1)
  return key
}

export const COLLECTION_KEYS: { readonly from: Uint8Array; readonly to: Uint8Array } = {
  from: Uint8Array.of(Kind.collection),
  to: Uint8Array.of(Kind.collection + 1),
}

export function leaseKey(collectionId: number): Uint8Array {
  return numberedKey(Kind.lease, collectionId)
}

export function shapeKey(collectionId: number, shapeId: number): Uint8Array {
  const key = new Uint8Array(6)
  key.set(numberedKey(Kind.shape, collectionId))
  key[5] = shapeId
  return key
}

export function shapeKeys(collectionId: number): { from: Uint8Array; to: Uint8Array } {
  return { from: shapeKey(collectionId, 0), to: numberedKey(Kind.shape, collectionId + 1) }
}

function numberedKey(kind: number, collectionId: number): Uint8Array {
  return Uint8Array.of(
    kind,
    collectionId >>> 24,
    collectionId >>> 16,
    collectionId >>> 8,
    collectionId,
  )
}

export const FORGOTTEN_KEY: Uint8Array = Uint8Array.of(Kind.forgotten)

export const LIFE_KEYS: { readonly from: Uint8Array; readonly to: Uint8Array } = {
  from: Uint8Array.of(Kind.life),
  to: Uint8Array.of(Kind.life + 1),
}

export function lifeKey(collectionId: number): Uint8Array {
  return numberedKey(Kind.life, collectionId)
}

export function isLifeKey(key: Uint8Array): boolean {
  return key[0] === Kind.life
}

export function encodeHead(head: CatalogHead): Uint8Array {
  return encode({ format: FORMAT, ...head })
}

/** Its name stands in the key. */
export function encodeCollection(entry: CollectionEntry): Uint8Array {
  return encode({ format: FORMAT, ...entry, name: undefined })
}

export function encodeLease(next: number): Uint8Array {
  return encode(next)
}

export function encodeShape(keys: readonly string[]): Uint8Array {
  return encode(keys)
}

function encode(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value))
}

export function encodeLife(life: CollectionLife): Uint8Array {
  return encode({ format: FORMAT, ...life })
}

export function encodeForgotten(sequence: number): Uint8Array {
  return encode(sequence)
}

export function decodeHead(bytes: Buffer): CatalogHead {
  const fields = formatted(bytes, 'head')
  return {
    nextCollection: integer(fields, 'nextCollection', 1, U32_MAX),
    nextTree: integer(fields, 'nextTree', 1, TREES_MAX),
    nextDefinition: integer(fields, 'nextDefinition', 1, U32_MAX),
  }
}

export function decodeCollection(name: string, bytes: Buffer): CollectionEntry {
  const fields = formatted(bytes, `collection ${name}`)
  const { indexes } = fields
  if (!Array.isArray(indexes)) throw corrupt('indexes', 'a list', typeof indexes)
  return {
    name,
    id: integer(fields, 'id', 1, U32_MAX),
    tree: integer(fields, 'tree', 1, TREES_MAX - 1),
    version: integer(fields, 'version', 1, U32_MAX),
    definition: integer(fields, 'definition', 1, U32_MAX),
    indexes: indexes.map(decodeIndex),
  }
}

function decodeIndex(value: unknown): IndexInfo {
  if (!isRecord(value)) throw corrupt('an index', 'an object', typeof value)
  const { name, fields, unique, each, state } = value
  if (typeof name !== 'string') throw corrupt('the name of an index', 'text', typeof name)
  if (!isTexts(fields) || fields.length === 0) {
    throw corrupt(`fields of index ${name}`, 'a list of text', typeof fields)
  }
  if (typeof unique !== 'boolean' || typeof each !== 'boolean') {
    throw corrupt(`index ${name}`, 'unique and each as booleans', typeof unique)
  }
  if (state !== 'ready' && state !== 'building') {
    throw corrupt(`state of index ${name}`, 'ready or building', String(state))
  }
  return { name, tree: integer(value, 'tree', 1, TREES_MAX - 1), fields, unique, each, state }
}

export function decodeLease(bytes: Buffer): number {
  const next = parse(bytes, 'lease of ids')
  if (typeof next === 'number' && Number.isSafeInteger(next) && next >= 1) return next
  throw corrupt('lease of ids', 'a number from 1', String(next))
}

export function decodeShape(key: Buffer, bytes: Buffer): { id: number; keys: readonly string[] } {
  const keys = parse(bytes, 'shape')
  if (!isTexts(keys)) throw corrupt('shape', 'a list of text', typeof keys)
  return { id: key[5] ?? 0, keys }
}

export function decodeLife(key: Buffer, bytes: Buffer): CollectionLife & { readonly id: number } {
  if (key.length !== 5) throw corrupt('key of a life', '5 bytes', `${key.length} bytes`)
  const id = key.readUInt32BE(1)
  const fields = formatted(bytes, `life of collection ${id}`)
  const { name } = fields
  if (typeof name !== 'string') throw corrupt(`name of collection ${id}`, 'text', typeof name)
  const tree = integer(fields, 'tree', 1, TREES_MAX - 1)
  if (fields['made'] === undefined) return { id, name, tree }
  return { id, name, tree, made: integer(fields, 'made', 0, Number.MAX_SAFE_INTEGER) }
}

export function decodeForgotten(bytes: Buffer): number {
  const sequence = parse(bytes, 'last forgotten commit')
  if (typeof sequence === 'number' && Number.isSafeInteger(sequence) && sequence >= 0) {
    return sequence
  }
  throw corrupt('last forgotten commit', 'a number from 0', String(sequence))
}

function formatted(bytes: Buffer, what: string): Record<string, unknown> {
  const fields = parse(bytes, what)
  if (!isRecord(fields)) throw corrupt(what, 'an object', typeof fields)
  if (fields['format'] !== FORMAT) {
    throw corrupt(`format of ${what}`, FORMAT, String(fields['format']))
  }
  return fields
}

function parse(bytes: Buffer, what: string): unknown {
  try {
    return JSON.parse(bytes.toString()) as unknown
  } catch (error) {
    throw corrupt(what, 'JSON', 'something else', error)
  }
}

function integer(fields: Record<string, unknown>, name: string, min: number, max: number): number {
  const value = fields[name]
  if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) {
    return value
  }
  throw corrupt(name, `${min} to ${max}`, String(value))
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string')
}

function corrupt(
  what: string,
  expected: string | number,
  actual: string,
  cause?: unknown,
): StoreCorruptError {
  return new StoreCorruptError({ file: 'catalog', offset: 0 }, what, expected, actual, cause)
}
