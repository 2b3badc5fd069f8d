/**
 * Collections as users see them. The same class serves the newest state, a snapshot and a transaction; they differ
 * in where reads look and in what writes do.
 */
import { encodeIdInto, ID_BYTES_MAX, type Id } from '../document/keys.ts'
import type { Filter, FindOptions } from '../query/filter-types.ts'
import { Query } from '../query/query.ts'
import { findUnique, type RangeOptions, range } from '../query/range.ts'
import type { CollectionSource } from './collection-source.ts'
import type { Change, CollectionWriter } from './collection-writer.ts'
import type { CollectionDefinition } from './define-collection.ts'
import type {
  IndexBoundOf,
  IndexKeyOf,
  IndexSpecs,
  StoredDocument,
  UniqueNames,
} from './definition-types.ts'
import { drive, driveBlocking, type WorkContext } from './work.ts'

/** Ids are looked up from here: a read allocates nothing but its result. */
const scratch = new Uint8Array(ID_BYTES_MAX)
const shortKey = scratch.subarray(0, 4)

function scratchKey(id: Id): Uint8Array {
  const length = encodeIdInto(scratch, id)
  return length === shortKey.length ? shortKey : scratch.subarray(0, length)
}

export class CollectionReads<Doc extends StoredDocument, Indexes extends IndexSpecs> {
  readonly name: string
  readonly #source: CollectionSource<Doc>

  constructor(name: string, source: CollectionSource<Doc>) {
    this.name = name
    this.#source = source
  }

  /**
   * The document, the caller's own; undefined when there is none.
   * @throws ValidationError when it is no id
   */
  get(id: Doc['id']): Doc | undefined {
    const document = this.#source.current().read(scratchKey(id))
    if (document !== undefined || !this.#source.hasMoved()) return document
    return this.#source.current().read(scratchKey(id))
  }

  /** All documents of one state, in the order of their ids; lazily. */
  *all(): Generator<Doc, undefined, undefined> {
    const snapshot = this.#source.pin()
    try {
      const { reader } = snapshot
      for (const { key, value } of reader.view.entries(reader.primaryTree, {})) {
        yield reader.decode(value, key)
      }
    } finally {
      snapshot.close()
    }
    return undefined
  }

  count(): number {
    const { view, primaryTree } = this.#source.current()
    const count = view.count(primaryTree)
    if (count > 0 || !this.#source.hasMoved()) return count
    return view.count(this.#source.current().primaryTree)
  }

  /** The one document with this value; with several fields, a tuple of values. */
  findUnique<Name extends UniqueNames<Indexes>>(
    index: Name,
    value: IndexKeyOf<Doc, Indexes[Name]>,
  ): Doc | undefined {
    const snapshot = this.#source.pin()
    try {
      return findUnique(snapshot.reader, index, value)
    } finally {
      snapshot.close()
    }
  }

  /** The documents of a range of the index, in its order; lazily. */
  range<Name extends keyof Indexes & string>(
    index: Name,
    options?: RangeOptions<IndexBoundOf<Doc, Indexes[Name]>>,
  ): Iterable<Doc> {
    return range(() => this.#source.pin(), index, options)
  }

  /** A lazy query: iterate it, or `toArray`, `first`, `count`, `explain`. */
  find(filter?: Filter<Doc>, options?: FindOptions<Doc>): Query<Doc> {
    return Query.find(() => this.#source.pin(), filter, options)
  }
}

/** Writes that block this thread until they are acknowledged. */
export class BlockingWrites<Doc extends StoredDocument, Insert> {
  readonly #writer: CollectionWriter<Doc>
  readonly #context: WorkContext

  constructor(writer: CollectionWriter<Doc>, context: WorkContext) {
    this.#writer = writer
    this.#context = context
  }

  insert(document: Insert): Doc['id'] {
    return driveBlocking(this.#writer.insert(document), this.#context)
  }

  insertMany(documents: readonly Insert[]): Doc['id'][] {
    return driveBlocking(this.#writer.insertMany(documents), this.#context)
  }

  update(id: Doc['id'], change: (document: Doc) => Doc | void): Doc {
    return driveBlocking(this.#writer.update(id, change), this.#context)
  }

  upsert(document: Insert): Doc['id'] {
    return driveBlocking(this.#writer.upsert(document), this.#context)
  }

  delete(id: Doc['id']): boolean {
    return driveBlocking(this.#writer.delete(id), this.#context)
  }
}

export class Collection<
  Doc extends StoredDocument,
  Insert,
  Indexes extends IndexSpecs,
> extends CollectionReads<Doc, Indexes> {
  /** The same writes, blocking: for the code of workers. */
  readonly sync: BlockingWrites<Doc, Insert>
  readonly #writer: CollectionWriter<Doc>
  readonly #context: WorkContext

  constructor(
    name: string,
    source: CollectionSource<Doc>,
    writer: CollectionWriter<Doc>,
    context: WorkContext,
  ) {
    super(name, source)
    this.#writer = writer
    this.#context = context
    this.sync = new BlockingWrites(writer, context)
  }

  /**
   * Adds a document; without an id it is given a number.
   * @throws UniqueError when the id or a unique value is there already; ValidationError
   */
  insert(document: Insert): Promise<Doc['id']> {
    return drive(this.#writer.insert(document), this.#context)
  }

  /** All of them or none. */
  insertMany(documents: readonly Insert[]): Promise<Doc['id'][]> {
    return drive(this.#writer.insertMany(documents), this.#context)
  }

  /**
   * Changes a document by a closure, which mutates it or returns another. It is run again when somebody else has changed
   * the document in the meantime.
   * @returns the document as it was stored
   * @throws NotFoundError, UniqueError, ValidationError, ConflictError
   */
  update(id: Doc['id'], change: Change<Doc>): Promise<Doc> {
    return drive(this.#writer.update(id, change), this.#context)
  }

  /** Adds the document or puts it in the place of the one with its id. */
  upsert(document: Insert): Promise<Doc['id']> {
    return drive(this.#writer.upsert(document), this.#context)
  }

  /** True when it existed. */
  delete(id: Doc['id']): Promise<boolean> {
    return drive(this.#writer.delete(id), this.#context)
  }
}

/** Collections that were made, by their definitions. */
export class CollectionCache {
  readonly #collections = new Map<object, object>()

  get<Doc extends StoredDocument, Insert, Indexes extends IndexSpecs>(
    definition: CollectionDefinition<Doc, Insert, Indexes>,
  ): Collection<Doc, Insert, Indexes> | undefined {
    // It was made for this very definition.
    // oxlint-disable-next-line no-unsafe-type-assertion
    return this.#collections.get(definition) as Collection<Doc, Insert, Indexes> | undefined
  }

  set<Doc extends StoredDocument, Insert, Indexes extends IndexSpecs>(
    definition: CollectionDefinition<Doc, Insert, Indexes>,
    collection: Collection<Doc, Insert, Indexes>,
  ): void {
    this.#collections.set(definition, collection)
  }
}
