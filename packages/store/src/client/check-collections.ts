/**
 * Do catalog, documents and indexes agree? Reads one state, changes nothing; goes on after what it finds.
 *
 *  A1 Every tree is the catalog, or a collection's, or an index's: of one of them only.
 *  A2 Every document can be read, and has the id under which it stands.
 *  A3 Every document has its entries in each index that is ready, and these lead to it.
 *  A4 Every entry of an index is one of those.
 *
 * A4 is shown by counting, as long as A3 holds: all that are due are there, and there are no more. Only where that does
 * not come out is the index itself walked. Documents of an older version are migrated by the program that reads them,
 * so which entries they are due cannot be said here; that they exist can.
 */
import { isRingboltError } from '@ringbolt/ring'
import { DocumentCodec } from '../document/codec.ts'
import { UnknownShapeError } from '../document/errors.ts'
import type { Fields } from '../document/format.ts'
import { decodeId, encodeId, type Id, idOf } from '../document/keys.ts'
import type { ShapeStore } from '../document/shapes.ts'
import type { IndexInfo } from '../query/reader.ts'
import { TREES_MAX } from '../sequencer/command.ts'
import {
  CATALOG_TREE,
  COLLECTION_KEYS,
  type CollectionEntry,
  decodeCollection,
  decodeShape,
  shapeKeys,
} from './catalog-format.ts'
import type { ReadView } from './engine.ts'
import { indexEntries, sameBytes } from './index-entries.ts'

type Findings = Generator<string, void, undefined>

/** Everything in which they do not agree, one line each. */
export function* checkCollections(view: ReadView): Findings {
  const owners = new Map([[CATALOG_TREE, 'the catalog']])
  for (const { key, value } of view.entries(CATALOG_TREE, COLLECTION_KEYS)) {
    const name = key.toString('utf8', 1)
    const entry = yield* guarded(`collection ${name}`, () => decodeCollection(name, value))
    if (entry === undefined) continue
    yield* checkTrees(view, entry, owners)
    yield* new CollectionCheck(view, entry).findings()
  }
  for (let tree = 0; tree < TREES_MAX; tree++) {
    if (view.definition(tree) !== 0 && !owners.has(tree)) yield `tree ${tree}: nobody's`
  }
}

/** A1, of one collection. */
function* checkTrees(
  view: ReadView,
  entry: CollectionEntry,
  owners: Map<number, string>,
): Findings {
  const definition = view.definition(entry.tree)
  if (definition !== entry.definition) {
    yield `collection ${entry.name}: definition ${entry.definition}, its tree's is ${definition}`
  }
  for (const { tree, name } of [{ ...entry, name: '' }, ...entry.indexes]) {
    const owner = name === '' ? `collection ${entry.name}` : `index ${entry.name}.${name}`
    const other = owners.get(tree)
    if (other !== undefined) yield `tree ${tree}: of ${other} and of ${owner}`
    else owners.set(tree, owner)
    if (view.definition(tree) === 0) yield `${owner}: its tree ${tree} does not exist`
  }
}

class CollectionCheck {
  readonly #view: ReadView
  readonly #entry: CollectionEntry
  readonly #shapes: StoredShapes
  readonly #codec: DocumentCodec
  /** By index: how many entries are due. */
  readonly #due: number[]
  /** Indexes that lack an entry, or may have more than is due. */
  readonly #doubtful = new Set<IndexInfo>()

  constructor(view: ReadView, entry: CollectionEntry) {
    this.#view = view
    this.#entry = entry
    this.#due = entry.indexes.map(() => 0)
    this.#shapes = new StoredShapes()
    this.#codec = new DocumentCodec(this.#shapes)
  }

  *findings(): Findings {
    const { name, id, tree, indexes } = this.#entry
    for (const { key, value } of this.#view.entries(CATALOG_TREE, shapeKeys(id))) {
      const shape = yield* guarded(`collection ${name}`, () => decodeShape(key, value))
      if (shape !== undefined) this.#shapes.add(shape.id, shape.keys)
    }
    for (const { key, value } of this.#view.entries(tree, {})) {
      yield* this.#checkDocument(key, value)
    }
    for (const [at, index] of indexes.entries()) {
      const isCounted = this.#view.count(index.tree) === this.#due[at]
      if (!isCounted || this.#doubtful.has(index)) yield* this.#checkEntries(index)
    }
  }

  /** A2 and A3. */
  *#checkDocument(key: Buffer, value: Buffer): Findings {
    const { name, indexes } = this.#entry
    const id = yield* guarded(`collection ${name}`, () => decodeId(key, 0, key.length))
    if (id === undefined) return
    const what = `document ${textOf(id)} of ${name}`
    const document = yield* guarded(what, () => this.#codec.decode(value, 0, value.length))
    if (document === undefined) return
    if (document['id'] !== id) yield `${what}: has another id`
    if (this.#codec.schemaVersion !== this.#entry.version) {
      for (const index of indexes) this.#doubtful.add(index)
      return
    }
    for (const [at, index] of indexes.entries()) {
      if (index.state === 'ready') yield* this.#checkEntriesOf(document, id, key, at, index)
    }
  }

  *#checkEntriesOf(
    document: Fields,
    id: Id,
    key: Uint8Array,
    at: number,
    index: IndexInfo,
  ): Findings {
    const what = `index ${this.#entry.name}.${index.name}`
    for (const due of indexEntries(document, index, id)) {
      const entry = this.#view.get(index.tree, due.key)
      if (entry === undefined) yield `${what}: no entry of document ${textOf(id)}`
      else if (!sameBytes(entry.value, index.unique ? key : EMPTY)) {
        yield `${what}: the entry of document ${textOf(id)} is another's`
      } else this.#due[at]!++
    }
  }

  /** A4, entry by entry. */
  *#checkEntries(index: IndexInfo): Findings {
    const what = `index ${this.#entry.name}.${index.name}`
    for (const { key, value } of this.#view.entries(index.tree, {})) {
      const id = yield* guarded(what, () =>
        index.unique ? decodeId(value, 0, value.length) : idOf(key, 0, key.length),
      )
      if (id === undefined) continue
      const stored = this.#view.get(this.#entry.tree, encodeId(id))
      if (stored === undefined)
        yield `${what}: an entry of document ${textOf(id)}, which is not there`
      else if (!this.#isDue(index, id, key, stored.value)) {
        yield `${what}: an entry that document ${textOf(id)} does not have`
      }
    }
  }

  /** Of a document that cannot be read, and of one of an older version: it may be. */
  #isDue(index: IndexInfo, id: Id, key: Uint8Array, stored: Buffer): boolean {
    const document = attempt(() => this.#codec.decode(stored, 0, stored.length))
    if (document instanceof Error || this.#codec.schemaVersion !== this.#entry.version) return true
    return indexEntries(document, index, id).some((due) => sameBytes(due.key, key))
  }
}

const EMPTY = new Uint8Array(0)

/** A collection's shapes as one state has them. */
class StoredShapes implements ShapeStore {
  readonly #keysById = new Map<number, readonly string[]>()

  add(id: number, keys: readonly string[]): void {
    this.#keysById.set(id, keys)
  }

  shape(id: number): readonly string[] | undefined {
    return this.#keysById.get(id)
  }

  /** Nothing is written here. */
  idOf(): undefined {
    return undefined
  }
}

/** What makes it fail is a finding. */
function* guarded<T>(what: string, read: () => T): Generator<string, T | undefined, undefined> {
  const result = attempt(read)
  if (!(result instanceof Error)) return result
  yield `${what}: ${result.message}`
  return undefined
}

/** An error when bytes are not what they must be; others are thrown. */
function attempt<T>(read: () => T): T | Error {
  try {
    return read()
  } catch (error) {
    if (error instanceof UnknownShapeError) return error
    if (isRingboltError(error) && error.code === 'RINGBOLT_CORRUPT') return error
    throw error
  }
}

function textOf(id: Id): string {
  return JSON.stringify(id)
}
