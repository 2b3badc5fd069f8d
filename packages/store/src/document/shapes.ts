/**
 * Shapes: lists of keys that many objects have, so that a stored object states its shape's id instead of its
 * keys. A shape is committed to the catalog before the first document that uses it, and never changed or
 * reused, so any thread and process can read what another wrote.
 */

import type { Fields } from './format.ts'
import type { DocumentReader } from './reader.ts'

/** Ids are 1 to this: one byte of a document. */
export const SHAPES_MAX = 255
export const SHAPE_KEYS_MAX = 64
const SHAPE_KEY_LENGTH_MAX = 64

/** The shapes of one collection. The committed ones, so it gives ids of these only. */
export interface ShapeStore {
  /** Undefined while the shape is not known here: the owner may have to look into the catalog again. */
  shape(id: number): readonly string[] | undefined
  /**
   * The id of the shape with these keys in this order. The store may register them, at once or for later
   * calls; undefined says that this object is to be written with its keys.
   */
  idOf(keys: readonly string[]): number | undefined
}

/** A key list that has been seen this often is worth a shape. */
const SIGHTINGS_TO_REGISTER = 3
const SIGHTINGS_KEPT_MAX = 1024
/** Digits are the mark of keys that are data: ids, dates, hashes. */
const KEY_DIGITS_MAX = 3

interface Sighting {
  count: number
  /** The count at which the store is asked (again). */
  askAt: number
}

interface KnownShape {
  readonly id: number
  readonly keys: readonly string[]
}

/**
 * The writer's side: finds the shape of an object, and holds back those that are not worth one. Objects used as
 * dictionaries have ever new keys: a list is proposed when it has been seen a third time, and only
 * when its keys look like names. A store that declines is asked again at each doubling.
 */
export class ShapeFinder {
  readonly #store: ShapeStore
  readonly #known = new Map<string, KnownShape>()
  readonly #sightings = new Map<string, Sighting>()
  /** The last one found, by number of keys: mostly the one again. */
  readonly #recent: (KnownShape | undefined)[] = new Array(SHAPE_KEYS_MAX + 1).fill(undefined)

  constructor(store: ShapeStore) {
    this.#store = store
  }

  /** 0: to be written with its keys. */
  find(keys: readonly string[]): number {
    const length = keys.length
    if (length === 0 || length > SHAPE_KEYS_MAX) return 0
    const recent = this.#recent[length]
    if (recent !== undefined && sameKeys(recent.keys, keys)) return recent.id
    // Sightings are remembered, so they have to be bounded in size too.
    for (const key of keys) if (key.length > SHAPE_KEY_LENGTH_MAX) return 0
    return this.#findOther(keys)
  }

  #findOther(keys: readonly string[]): number {
    // Keys may hold any character, so the separator does not make the text unambiguous: compare.
    const text = keys.join('\0')
    const known = this.#known.get(text) ?? this.#learn(text, keys)
    if (known === undefined || !sameKeys(known.keys, keys)) return 0
    this.#recent[keys.length] = known
    return known.id
  }

  #learn(text: string, keys: readonly string[]): KnownShape | undefined {
    const sighting = this.#see(text)
    if (sighting.count < sighting.askAt) return undefined
    sighting.askAt *= 2
    const id = keys.every(isName) ? this.#store.idOf(keys) : undefined
    if (id === undefined || id < 1 || id > SHAPES_MAX) return undefined
    const known = { id, keys: [...keys] }
    this.#known.set(text, known)
    this.#sightings.delete(text)
    return known
  }

  #see(text: string): Sighting {
    const seen = this.#sightings.get(text)
    if (seen !== undefined) {
      seen.count++
      return seen
    }
    if (this.#sightings.size >= SIGHTINGS_KEPT_MAX) this.#sightings.clear()
    const first = { count: 1, askAt: SIGHTINGS_TO_REGISTER }
    this.#sightings.set(text, first)
    return first
  }
}

function sameKeys(a: readonly string[], b: readonly string[]): boolean {
  if (a.length !== b.length) return false
  for (let index = 0; index < a.length; index++) if (a[index] !== b[index]) return false
  return true
}

function isName(key: string): boolean {
  if (key === '' || key === '__proto__') return false
  let digits = 0
  for (let index = 0; index < key.length; index++) {
    const unit = key.charCodeAt(index)
    if (unit >= 0x30 && unit <= 0x39) digits++
  }
  return digits <= KEY_DIGITS_MAX && !/^\d/.test(key) && key.isWellFormed()
}

/** Makes an object of a shape out of the values that the reader gives, one after another. */
export type ShapeReader = (reader: DocumentReader) => Fields

/**
 * A function made of source text for the shape, as an object literal: the engine gives all its objects one
 * hidden class at once. Where code generation is not allowed, a loop over the keys: the same, slower.
 */
export function shapeReader(keys: readonly string[]): ShapeReader {
  return compiledReader(keys) ?? loopReader(keys)
}

function compiledReader(keys: readonly string[]): ShapeReader | undefined {
  const fields = keys.map((key) => {
    const name = JSON.stringify(key)
    // In brackets `__proto__` is a key like any other.
    return `${key === '__proto__' ? `[${name}]` : name}: reader.value()`
  })
  try {
    // The keys are JSON strings here, so they cannot be anything but keys.
    // oxlint-disable-next-line no-implied-eval, no-unsafe-type-assertion, no-new-func
    return new Function('reader', `return { ${fields.join(', ')} }`) as ShapeReader
  } catch (error) {
    if (error instanceof EvalError) return undefined
    throw error
  }
}

function loopReader(keys: readonly string[]): ShapeReader {
  return (reader) => {
    const fields: Fields = {}
    for (let index = 0; index < keys.length; index++) setField(fields, keys[index]!, reader.value())
    return fields
  }
}

/** `__proto__` becomes a field; it must not reach the setter of that name. */
export function setField(fields: Fields, key: string, value: unknown): void {
  if (key === '__proto__') {
    Object.defineProperty(fields, key, {
      value,
      configurable: true,
      enumerable: true,
      writable: true,
    })
  } else {
    fields[key] = value
  }
}
