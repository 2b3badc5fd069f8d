/**
 * Do catalog, documents and indexes agree? Looks at one state, changes nothing; goes on after what it finds.
 *
 *  A1 Every tree is the catalog, or a collection's, or an index's: of one of them only.
 *  A2 Every document can be read, and has the id under which it stands.
 *  A3 Every document has its entries in each index that is ready, and these lead to it.
 *  A4 Every entry of an index is one of those.
 *
 * Documents and entries are seen once, as the walk over the trees comes upon them. A3 and A4 are shown by a sum over
 * the entries that are due and one over those that are there; only where these differ are both looked up one by
 * one. Documents of an older version are migrated by the program that reads them, so which entries they are due cannot
 * be said here; that they exist can.
 */
import { isRingboltError } from '@ringbolt/ring'
import { DocumentCodec } from '../document/codec.ts'
import { UnknownShapeError } from '../document/errors.ts'
import { decodeId, encodeId, type Id, idOf } from '../document/keys.ts'
import type { Found } from '../finding.ts'
import type { IndexInfo } from '../query/reader.ts'
import { TREES_MAX } from '../sequencer/command.ts'
import { type EntryVisitor, factsOf } from '../tree/verify.ts'
import { CATALOG_TREE, type CollectionEntry } from './catalog-format.ts'
import { type CheckedCatalog, readCatalog } from './check-catalog.ts'
import type { KeyedEntry, ReadView } from './engine.ts'
import { EntrySum, type SumSeed } from './entry-sum.ts'
import { indexEntries, readIndexKeys, sameBytes } from './index-entries.ts'

/** A state of which is known, too, on which page an entry stands. */
export interface CheckedView extends ReadView {
  located(tree: number): Iterable<KeyedEntry & { readonly pageId: number }>
}

/** Yields now and then, so that whoever drives it can do something else. */
type Steps = Generator<void, void, undefined>

/** Entries looked up between two steps. */
const STEP_ENTRIES = 64
const EMPTY = new Uint8Array(0)

export class CollectionsCheck {
  readonly #found: (finding: Found) => void
  readonly #checks: readonly CollectionCheck[]
  readonly #visitors = new Map<number, EntryVisitor>()

  /**
   * Reads the catalog.
   * @param seed random, for this check alone
   */
  constructor(view: CheckedView, seed: SumSeed, found: (finding: Found) => void) {
    this.#found = found
    const catalog = readCatalog(view, found)
    this.#checks = catalog.collections.map(
      (entry) => new CollectionCheck(entry, catalog, seed, found),
    )
    this.#checkTrees(view, catalog)
    for (const check of this.#checks) {
      this.#visitors.set(check.entry.tree, check.documentsVisitor())
      for (const [at, { tree }] of check.entry.indexes.entries()) {
        this.#visitors.set(tree, check.indexVisitor(at))
      }
    }
  }

  get documents(): number {
    return this.#checks.reduce((sum, check) => sum + check.documents, 0)
  }

  get indexEntries(): number {
    return this.#checks.reduce((sum, check) => sum + check.indexEntries, 0)
  }

  /** Who is to see the entries of that tree, before `compare`. */
  visitorOf(tree: number): EntryVisitor | undefined {
    return this.#visitors.get(tree)
  }

  /**
   * Documents against indexes, once all trees were walked.
   * @param viewOf asked when something is to be looked up
   * @param isSearchable whether all of a tree was visited and can be searched: what cannot be read is missing in
   *   every index, too, so that nothing is said of those beside it
   */
  *compare(viewOf: () => CheckedView, isSearchable: (tree: number) => boolean): Steps {
    let view: CheckedView | undefined
    for (const check of this.#checks) {
      if (!isSearchable(check.entry.tree)) continue
      for (const [at, { tree }] of check.entry.indexes.entries()) {
        if (!isSearchable(tree) || check.agrees(at)) continue
        view ??= viewOf()
        yield* check.lookUp(view, at)
      }
    }
  }

  /** A1. */
  #checkTrees(view: ReadView, { isWhole }: CheckedCatalog): void {
    const owners = new Map([[CATALOG_TREE, 'the catalog']])
    for (const { entry } of this.#checks) {
      const { name: collection, tree, indexes } = entry
      const definition = this.#definition(view, tree)
      if (definition !== undefined && definition !== entry.definition) {
        const problem = `collection ${collection}: definition ${entry.definition}, its tree's is ${definition}`
        const what = 'definition of the tree'
        const [expected, actual] = [entry.definition, definition]
        this.#found({ kind: 'catalog', tree, collection, what, expected, actual, problem })
      }
      this.#own(view, owners, tree, { collection })
      for (const { name: index, tree } of indexes) {
        this.#own(view, owners, tree, { collection, index })
      }
    }
    // What could not be read may own them.
    if (!isWhole) return
    for (let tree = 0; tree < TREES_MAX; tree++) {
      if (owners.has(tree) || (this.#definition(view, tree) ?? 0) === 0) continue
      const problem = `tree ${tree}: nobody's`
      const [what, expected, actual] = [
        `owner of tree ${tree}`,
        'a collection or an index',
        'nobody',
      ]
      this.#found({ kind: 'catalog', tree, what, expected, actual, problem })
    }
  }

  #own(
    view: ReadView,
    owners: Map<number, string>,
    tree: number,
    of: { readonly collection: string; readonly index?: string },
  ): void {
    const { collection, index } = of
    const owner = index === undefined ? `collection ${collection}` : `index ${collection}.${index}`
    const other = owners.get(tree)
    if (other === undefined) owners.set(tree, owner)
    else {
      const problem = `tree ${tree}: of ${other} and of ${owner}`
      const [what, expected, actual] = [`owner of tree ${tree}`, other, owner]
      this.#found({ kind: 'catalog', tree, ...of, what, expected, actual, problem })
    }
    if (this.#definition(view, tree) !== 0) return
    const problem = `${owner}: its tree ${tree} does not exist`
    const [what, expected, actual] = [`tree ${tree}`, 'one that exists', 'none']
    this.#found({ kind: 'catalog', tree, ...of, what, expected, actual, problem })
  }

  /** Undefined when the directory cannot be read, which the walk finds. */
  #definition(view: ReadView, tree: number): number | undefined {
    const definition = attempt(() => view.definition(tree))
    return definition instanceof Error ? undefined : definition
  }
}

class CollectionCheck {
  documents = 0
  indexEntries = 0
  readonly entry: CollectionEntry
  readonly #found: (finding: Found) => void
  readonly #codec: DocumentCodec
  /** By index: what is due, and what is there. */
  readonly #due: readonly EntrySum[]
  readonly #there: readonly EntrySum[]
  /** Of the document at hand, and the index. */
  #primaryKey: Uint8Array = EMPTY
  #valueBytes = 0
  #sum: EntrySum
  /** There are documents of which it cannot be said which entries they are due. */
  #isDueUnknown = false

  constructor(
    entry: CollectionEntry,
    { shapes }: CheckedCatalog,
    seed: SumSeed,
    found: (finding: Found) => void,
  ) {
    this.entry = entry
    this.#found = found
    this.#due = entry.indexes.map(() => new EntrySum(seed))
    this.#there = entry.indexes.map(() => new EntrySum(seed))
    this.#sum = new EntrySum(seed)
    const known = shapes.get(entry.id) ?? new Map<number, readonly string[]>()
    // Nothing is written here, so no shape is looked for by its keys.
    this.#codec = new DocumentCodec({ shape: (id) => known.get(id), idOf: () => undefined })
  }

  documentsVisitor(): EntryVisitor {
    return {
      wantsLongValues: true,
      entry: (key, keyBytes, bytes, start, end, pageId) => {
        this.documents++
        try {
          this.#document(key, keyBytes, bytes, start, end, pageId)
        } catch (error) {
          this.#isDueUnknown = true
          this.#unreadable(error, key.slice(0, keyBytes), pageId)
        }
      },
    }
  }

  indexVisitor(at: number): EntryVisitor {
    const there = this.#there[at]!
    return {
      wantsLongValues: true,
      entry: (key, keyBytes, bytes, start, end) => {
        this.indexEntries++
        there.add(key, keyBytes, bytes, start, end)
      },
    }
  }

  /** Whether the index has just what it is due. */
  agrees(at: number): boolean {
    const isReady = this.entry.indexes[at]!.state === 'ready'
    return isReady && !this.#isDueUnknown && this.#due[at]!.equals(this.#there[at]!)
  }

  *lookUp(view: CheckedView, at: number): Steps {
    const index = this.entry.indexes[at]!
    if (index.state === 'ready') yield* this.#lookUpDue(view, index)
    yield* this.#lookUpEntries(view, index)
  }

  /** A2, and what it is due. */
  #document(
    key: Uint8Array,
    keyBytes: number,
    bytes: Buffer,
    start: number,
    end: number,
    pageId: number,
  ): void {
    const id = decodeId(key, 0, keyBytes)
    const document = this.#codec.decode(bytes, start, end)
    const own = document['id']
    if (own !== id) {
      const { name: collection, tree } = this.entry
      const actual = isId(own) ? own : typeof own
      const problem = `document ${textOf(id)} of ${collection}: has another id`
      const where = { collection, tree, pageId, documentId: id }
      this.#found({ kind: 'document', ...where, what: 'id', expected: id, actual, problem })
    }
    if (this.#codec.schemaVersion !== this.entry.version) {
      this.#isDueUnknown = true
      return
    }
    const { indexes } = this.entry
    this.#primaryKey = key
    for (let at = 0; at < indexes.length; at++) {
      const index = indexes[at]!
      if (index.state !== 'ready') continue
      this.#sum = this.#due[at]!
      this.#valueBytes = index.unique ? keyBytes : 0
      readIndexKeys(document, index, id, this.#addDue)
    }
  }

  readonly #addDue = (key: Uint8Array, keyBytes: number): void => {
    this.#sum.add(key, keyBytes, this.#primaryKey, 0, this.#valueBytes)
  }

  #unreadable(error: unknown, key: Uint8Array, pageId: number): void {
    const { name: collection, tree } = this.entry
    const id = attempt(() => decodeId(key, 0, key.length))
    const cause = damage(error)
    const found = { kind: 'document', collection, tree, pageId, ...factsOf(cause) } as const
    const what =
      id instanceof Error ? `collection ${collection}` : `document ${textOf(id)} of ${collection}`
    const problem = `${what}: ${cause.message}`
    this.#found(id instanceof Error ? { ...found, problem } : { ...found, documentId: id, problem })
  }

  /** A3, document by document. */
  *#lookUpDue(view: CheckedView, index: IndexInfo): Steps {
    const { name: collection, tree, version } = this.entry
    let count = 0
    for (const { key, value, pageId } of view.located(tree)) {
      if (++count % STEP_ENTRIES === 0) yield
      const id = attempt(() => decodeId(key, 0, key.length))
      const document = attempt(() => this.#codec.decode(value, 0, value.length))
      if (id instanceof Error || document instanceof Error) continue
      if (this.#codec.schemaVersion !== version) continue
      for (const due of indexEntries(document, index, id)) {
        const entry = view.get(index.tree, due.key)
        if (entry !== undefined && sameBytes(entry.value, index.unique ? key : EMPTY)) continue
        const actual = entry === undefined ? 'none' : "another document's"
        const problem =
          entry === undefined
            ? `no entry of document ${textOf(id)}`
            : `the entry of document ${textOf(id)} is another's`
        this.#found({
          kind: 'missing-index-entry',
          collection,
          index: index.name,
          tree: index.tree,
          documentId: id,
          pageId,
          what: `entry of document ${textOf(id)}`,
          expected: 'one that leads to it',
          actual,
          problem: `index ${collection}.${index.name}: ${problem}`,
        })
      }
    }
  }

  /** A4, entry by entry. */
  *#lookUpEntries(view: CheckedView, index: IndexInfo): Steps {
    const { name: collection, tree } = this.entry
    let count = 0
    for (const { key, value, pageId } of view.located(index.tree)) {
      if (++count % STEP_ENTRIES === 0) yield
      const where = { collection, index: index.name, tree: index.tree, pageId } as const
      const kind = 'orphaned-index-entry'
      const id = attempt(() =>
        index.unique ? decodeId(value, 0, value.length) : idOf(key, 0, key.length),
      )
      if (id instanceof Error) {
        const problem = `index ${collection}.${index.name}: ${id.message}`
        this.#found({ kind, ...where, ...factsOf(id), problem })
        continue
      }
      const stored = view.get(tree, encodeId(id))
      if (stored !== undefined && this.#isDue(index, id, key, stored.value)) continue
      const [expected, actual, problem] =
        stored === undefined
          ? ['a document', 'none', `an entry of document ${textOf(id)}, which is not there`]
          : ['one that is due', 'another', `an entry that document ${textOf(id)} does not have`]
      const what = `document ${textOf(id)} of an entry`
      this.#found({
        kind,
        ...where,
        documentId: id,
        what,
        expected,
        actual,
        problem: `index ${collection}.${index.name}: ${problem}`,
      })
    }
  }

  /** Of a document that cannot be read, and of one of an older version: it may be. */
  #isDue(index: IndexInfo, id: Id, key: Uint8Array, stored: Buffer): boolean {
    const document = attempt(() => this.#codec.decode(stored, 0, stored.length))
    if (document instanceof Error || this.#codec.schemaVersion !== this.entry.version) return true
    return indexEntries(document, index, id).some((due) => sameBytes(due.key, key))
  }
}

/** An error when bytes are not what they must be; others are thrown. */
function attempt<T>(read: () => T): T | Error {
  try {
    return read()
  } catch (error) {
    return damage(error)
  }
}

function damage(error: unknown): Error {
  if (error instanceof UnknownShapeError) return error
  if (isRingboltError(error) && error.code === 'RINGBOLT_CORRUPT') return error
  throw error
}

function isId(value: unknown): value is Id {
  return typeof value === 'string' || typeof value === 'number'
}

function textOf(id: Id): string {
  return JSON.stringify(id)
}
