/**
 * Brings the catalog to what definitions say: makes collections, adds and drops indexes, raises versions, while other
 * threads go on writing.
 *
 * An index of a collection that has documents is first entered as 'building', with a new definition number: from
 * then on whoever writes maintains it, since who does not know of it is refused. Then every document there
 * is gets its entries, in batches, each conditional on the documents' sequences. Then the index is 'ready'.
 *
 * A new version of the documents' form builds all indexes anew: their entries follow from the documents as they read.
 *
 * Crash: an index stays 'building'; it is gone on with when the collection is next defined. What is there already is
 * passed over. Two threads that build the same index do the same work twice and no harm.
 */
import { UnknownCollectionError, UnknownIndexError } from '../errors.ts'
import type { IndexInfo } from '../query/reader.ts'
import type { Catalog, CatalogDraft } from './catalog.ts'
import type { CollectionEntry } from './catalog-format.ts'
import type { CollectionDefinition } from './define-collection.ts'
import { assertVersion, formOf, isSameIndex } from './definition-checks.ts'
import { IndexBuild } from './index-build.ts'
import type { Work, WorkContext } from './work.ts'

export class Definer {
  readonly #context: WorkContext
  readonly #catalog: Catalog

  constructor(context: WorkContext, catalog: Catalog) {
    this.#context = context
    this.#catalog = catalog
  }

  /**
   * @throws DefinitionError when the database has a newer version; UniqueError when a new unique index cannot be,
   * which is then gone again
   */
  *define(definition: CollectionDefinition): Work<void> {
    yield* this.#catalog.change((draft) => {
      const entry = draft.collection(definition.name)
      if (entry === undefined) return this.#create(draft, definition)
      return this.#alter(draft, entry, definition)
    })
    const state = this.#catalog.stateIn(this.#context.engine.latest, definition.name)
    for (const { name } of state?.indexes ?? []) {
      yield* new IndexBuild(this.#context, this.#catalog, definition, name).run()
    }
  }

  /** @throws UnknownCollectionError, UnknownIndexError */
  *dropIndex(collection: string, index: string): Work<void> {
    yield* this.#catalog.change((draft) => {
      const entry = draft.collection(collection)
      if (entry === undefined) throw new UnknownCollectionError(collection)
      if (!draft.dropIndex(entry, index)) throw new UnknownIndexError(collection, index)
      return true
    })
  }

  /** True when it existed. */
  *dropCollection(collection: string): Work<boolean> {
    let existed = false
    yield* this.#catalog.change((draft) => {
      const entry = draft.collection(collection)
      existed = entry !== undefined
      if (entry !== undefined) draft.dropCollection(entry)
      return existed
    })
    return existed
  }

  #create(draft: CatalogDraft, { name, version, indexes }: CollectionDefinition): true {
    const id = draft.newCollectionId()
    const definition = draft.newDefinition()
    const tree = draft.createTree(definition)
    const made = Object.entries(indexes).map(([index, spec]): IndexInfo => {
      const form = formOf(index, spec)
      return { ...form, tree: draft.createTree(definition), state: 'ready' }
    })
    draft.makeCollection({ name, id, tree, version, definition, indexes: made })
    return true
  }

  #alter(draft: CatalogDraft, entry: CollectionEntry, wanted: CollectionDefinition): boolean {
    if (entry.version > wanted.version) assertVersion(entry, wanted)
    const isRaised = entry.version < wanted.version
    const forms = Object.entries(wanted.indexes).map(([name, spec]) => formOf(name, spec))
    const others = entry.indexes.filter(({ name }) => !Object.hasOwn(wanted.indexes, name))
    const current = entry.indexes.filter(
      (index) => !isRaised && [...forms, ...others].some((form) => isSameIndex(index, form)),
    )
    const missing = [...forms, ...others].filter(
      (form) => !current.some((index) => isSameIndex(index, form)),
    )
    if (!isRaised && missing.length === 0) return false
    const definition = draft.newDefinition()
    for (const index of entry.indexes) if (!current.includes(index)) draft.dropTree(index.tree)
    const built = missing.map(({ name, fields, unique, each }): IndexInfo => {
      return { name, fields, unique, each, tree: draft.createTree(definition), state: 'building' }
    })
    const { version } = wanted
    draft.putCollection({ ...entry, version, definition, indexes: [...current, ...built] }, entry)
    return true
  }
}
