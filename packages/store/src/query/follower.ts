/**
 * From the entries of an index to their documents.
 *
 * Documents of neighbouring entries mostly stand far from each other, and what reading one costs is waiting for
 * memory: so some are read ahead, together, where the view allows it.
 */
import { RingboltError } from '@ringbolt/ring'
import { READ_EACH_MAX } from '../client/engine.ts'
import { decodeId, encodeId, encodeIdInto, type Id, idOf } from '../document/keys.ts'
import type { CollectionReader, IndexInfo } from './reader.ts'

export interface KeyedValue {
  readonly key: Uint8Array
  readonly value: Uint8Array
}

export function idOfEntry(index: IndexInfo, { key, value }: KeyedValue): Id {
  return index.unique ? decodeId(value, 0, value.length) : idOf(key, 0, key.length)
}

/** An entry of an index without its document, in one state of the database. `RINGBOLT_CORRUPT` */
export class DanglingEntryError extends RingboltError {
  constructor(collection: string, index: string, id: Id) {
    super(
      'RINGBOLT_CORRUPT',
      `index '${index}' of collection '${collection}' has an entry of document ${id}, which does not exist`,
      { collection, index, id },
    )
  }
}

/** Few at first, since many walks end early. */
const AHEAD_FIRST = 8

/** Keys of numbers below are 4 bytes. */
const SHORT_ID_END = 0x8000_0000
/** Where short ids are encoded, for as long as one call lasts: an allocation fewer for each document. */
const shortKeys: readonly Uint8Array[] = Array.from(
  { length: READ_EACH_MAX },
  () => new Uint8Array(4),
)

/** The documents of the entries, in the order of these. */
export class Follower<T> {
  /** Up to the document that was given last; all, after the last one. */
  entriesExamined = 0
  readonly #reader: CollectionReader<T>
  readonly #index: IndexInfo
  readonly #entries: Iterator<KeyedValue, unknown>
  readonly #seen: Set<Id> | undefined
  #aheadMax: number
  #ids: Id[] = []
  /** For each id, how many entries had been stepped over with it. */
  #examined: number[] = []
  #documents: (T | undefined)[] = []
  #next = 0
  #stepped = 0
  #isOver = false

  /** @param seen where a document may have several entries: it is given once, by the first; undefined: it has one */
  constructor(
    reader: CollectionReader<T>,
    index: IndexInfo,
    entries: Iterable<KeyedValue>,
    seen: Set<Id> | undefined,
  ) {
    this.#reader = reader
    this.#index = index
    this.#entries = entries[Symbol.iterator]()
    this.#seen = seen
    // Where it is noted what is read, only what is asked for is.
    this.#aheadMax = reader.view.readEach === undefined ? 1 : AHEAD_FIRST
  }

  /** Undefined after the last. @throws DanglingEntryError */
  next(): T | undefined {
    if (this.#next === this.#ids.length && !this.#isOver) this.#fill()
    const at = this.#next
    if (at === this.#ids.length) {
      this.entriesExamined = this.#stepped
      return undefined
    }
    this.#next++
    this.entriesExamined = this.#examined[at]!
    return this.#documents[at] ?? this.#read(this.#ids[at]!)
  }

  /** To be called whatever way the walk ends. */
  close(): void {
    this.#isOver = true
    this.#entries.return?.()
  }

  #fill(): void {
    this.#ids = []
    this.#examined = []
    this.#documents = []
    this.#next = 0
    const max = this.#aheadMax
    const keys: Uint8Array[] = []
    while (this.#ids.length < max) {
      const step = this.#entries.next()
      if (step.done === true) {
        this.#isOver = true
        break
      }
      this.#stepped++
      const id = idOfEntry(this.#index, step.value)
      if (this.#seen?.has(id) === true) continue
      this.#seen?.add(id)
      keys.push(keyOf(id, keys.length))
      this.#ids.push(id)
      this.#examined.push(this.#stepped)
    }
    if (max === 1) return
    this.#documents = this.#reader.readAhead(keys, keys.length)
    this.#aheadMax = Math.min(2 * max, READ_EACH_MAX)
  }

  #read(id: Id): T {
    const document = this.#reader.read(keyOf(id, 0))
    if (document === undefined)
      throw new DanglingEntryError(this.#reader.name, this.#index.name, id)
    return document
  }
}

function keyOf(id: Id, at: number): Uint8Array {
  if (typeof id !== 'number' || id >= SHORT_ID_END) return encodeId(id)
  const key = shortKeys[at]!
  encodeIdInto(key, id)
  return key
}
