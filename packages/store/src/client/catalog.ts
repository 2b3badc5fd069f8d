/**
 * The catalog as a thread sees and changes it.
 *
 * Threads: belongs to the thread that made it. Others change the catalog at any time; whoever writes states the
 * definition number that he knows, is refused when it has changed, and looks here again. A refusal arrives only once
 * what caused it is visible, so looking again finds it.
 *
 * Invariants
 *  C1 A cached state is used for a view only when the view's definition number of its primary tree is the state's.
 *  C2 A change of the catalog is one command that is conditional on the head's sequence.
 */
import { StoreFullError } from '../errors.ts'
import { CommandBuilder, TREES_MAX } from '../sequencer/command.ts'
import {
  CATALOG_TREE,
  type CatalogHead,
  COLLECTION_KEYS,
  type CollectionEntry,
  collectionKey,
  decodeCollection,
  decodeHead,
  decodeLife,
  encodeCollection,
  encodeForgotten,
  encodeHead,
  encodeLife,
  FORGOTTEN_KEY,
  HEAD_KEY,
  LIFE_KEYS,
  leaseKey,
  lifeKey,
  shapeKeys,
} from './catalog-format.ts'
import { CollectionBinding, CollectionState } from './collection-state.ts'
import type { ReadView } from './engine.ts'
import { Attempts, commit, type Work, type WorkContext } from './work.ts'

const CHANGE_RETRIES_MAX = 1000
const CATALOG_DEFINITION = 1
/** Of dropped collections: who reads changes from before earlier ones' end is told that they are gone. */
const DROPPED_LIVES_MAX = 256

export class Catalog {
  readonly #context: WorkContext
  readonly #states = new Map<string, CollectionState>()
  readonly #bindings = new Map<number, CollectionBinding>()

  constructor(context: WorkContext) {
    this.#context = context
  }

  /** The collection as the view has it; undefined when it has none of that name. */
  stateIn(view: ReadView, name: string): CollectionState | undefined {
    const cached = this.#states.get(name)
    if (cached !== undefined && view.definition(cached.tree) === cached.entry.definition) {
      return cached
    }
    const entry = readCollection(view, name)
    if (entry === undefined) return undefined
    const state = new CollectionState(entry, this.#bindingOf(entry.id))
    if (cached === undefined || cached.entry.definition < entry.definition) {
      this.#states.set(name, state)
    }
    return state
  }

  collections(view: ReadView): CollectionEntry[] {
    return [...view.entries(CATALOG_TREE, COLLECTION_KEYS)].map(({ key, value }) =>
      decodeCollection(key.toString('utf8', 1), value),
    )
  }

  /**
   * One change, tried until nobody else's comes in between.
   * @param make writes it into the draft; false when there is nothing to change
   */
  *change(make: (draft: CatalogDraft) => boolean): Work<void> {
    const { engine, environment } = this.#context
    const attempts = new Attempts('changing the catalog', CHANGE_RETRIES_MAX, environment)
    for (;;) {
      if (engine.latest.definition(CATALOG_TREE) === 0) yield* this.#begin()
      const draft = new CatalogDraft(engine.latest, this)
      if (!make(draft)) return
      const refusal = yield* commit(draft.command())
      if (refusal === undefined) return
      yield* attempts.failed()
    }
  }

  /** In a new database; somebody else may have been quicker. */
  *#begin(): Work<void> {
    const command = new CommandBuilder()
    command.createTree(CATALOG_TREE, CATALOG_DEFINITION)
    yield* commit(command)
  }

  #bindingOf(collectionId: number): CollectionBinding {
    const known = this.#bindings.get(collectionId)
    if (known !== undefined) return known
    const binding = new CollectionBinding(collectionId, this.#context)
    this.#bindings.set(collectionId, binding)
    return binding
  }
}

function readCollection(view: ReadView, name: string): CollectionEntry | undefined {
  const entry = view.get(CATALOG_TREE, collectionKey(name))
  return entry === undefined ? undefined : decodeCollection(name, entry.value)
}

/** A change of the catalog that is being put together. */
export class CatalogDraft {
  readonly #view: ReadView
  readonly #catalog: Catalog
  readonly #command = new CommandBuilder()
  readonly #headSequence: number | 'absent'
  #head: CatalogHead
  #treesInUse: Set<number> | undefined

  constructor(view: ReadView, catalog: Catalog) {
    this.#view = view
    this.#catalog = catalog
    // The head first: what is read after it is not older, and if it is newer the command is refused.
    const head = view.get(CATALOG_TREE, HEAD_KEY)
    this.#headSequence = head?.sequence ?? 'absent'
    this.#head =
      head === undefined
        ? { nextCollection: 1, nextTree: 1, nextDefinition: CATALOG_DEFINITION + 1 }
        : decodeHead(head.value)
  }

  collection(name: string): CollectionEntry | undefined {
    return readCollection(this.#view, name)
  }

  newCollectionId(): number {
    const id = this.#head.nextCollection
    this.#head = { ...this.#head, nextCollection: id + 1 }
    return id
  }

  /** @throws StoreFullError when there are as many trees as there can be */
  createTree(definition: number): number {
    const inUse = this.#trees()
    let tree = this.#head.nextTree
    for (let tried = 0; inUse.has(tree); tried++) {
      if (tried === TREES_MAX) {
        throw new StoreFullError(`there are ${TREES_MAX - 1} collections and indexes, no more fit`)
      }
      tree = following(tree)
    }
    inUse.add(tree)
    this.#head = { ...this.#head, nextTree: following(tree) }
    this.#command.createTree(tree, definition)
    return tree
  }

  dropTree(tree: number): void {
    this.#command.dropTree(tree)
  }

  newDefinition(): number {
    const definition = this.#head.nextDefinition
    this.#head = { ...this.#head, nextDefinition: definition + 1 }
    return definition
  }

  /** Writes the entry, a new one or one that has changed; then with a new definition number. */
  putCollection(entry: CollectionEntry, before?: CollectionEntry): void {
    if (before !== undefined) {
      this.#command.checkDefinition(entry.tree, before.definition)
      this.#command.setDefinition(entry.tree, entry.definition)
    }
    this.#command.put(CATALOG_TREE, collectionKey(entry.name), encodeCollection(entry))
  }

  /** A new one, which has a life from now on. */
  makeCollection(entry: CollectionEntry): void {
    const { id, name, tree } = entry
    this.putCollection(entry)
    this.#command.put(CATALOG_TREE, lifeKey(id), encodeLife({ name, tree }))
  }

  dropCollection(entry: CollectionEntry): void {
    const { id, name, tree } = entry
    this.#command.checkDefinition(tree, entry.definition)
    this.#command.delete(CATALOG_TREE, collectionKey(name))
    this.#command.delete(CATALOG_TREE, leaseKey(id))
    const made = this.#view.get(CATALOG_TREE, lifeKey(id))?.sequence ?? 0
    this.#command.put(CATALOG_TREE, lifeKey(id), encodeLife({ name, tree, made }))
    this.#forgetOldest()
    for (const index of entry.indexes) this.#command.dropTree(index.tree)
    this.#command.dropTree(entry.tree)
  }

  /** Keeps the lives, and shapes, of so many dropped collections only. */
  #forgetOldest(): void {
    const dropped = [...this.#view.entries(CATALOG_TREE, LIFE_KEYS)]
      .map(({ key, value, sequence }) => ({ ...decodeLife(key, value), key, sequence }))
      .filter(({ made }) => made !== undefined)
      .toSorted((a, b) => a.sequence - b.sequence)
    const forgotten = dropped.slice(0, Math.max(0, dropped.length + 1 - DROPPED_LIVES_MAX))
    for (const { id, key, sequence } of forgotten) {
      this.#command.delete(CATALOG_TREE, key)
      for (const shape of this.#view.entries(CATALOG_TREE, shapeKeys(id))) {
        this.#command.delete(CATALOG_TREE, shape.key)
      }
      this.#command.put(CATALOG_TREE, FORGOTTEN_KEY, encodeForgotten(sequence))
    }
  }

  /** @returns false when there is none */
  dropIndex(entry: CollectionEntry, name: string): boolean {
    const found = entry.indexes.find((index) => index.name === name)
    if (found === undefined) return false
    const indexes = entry.indexes.filter((index) => index !== found)
    this.dropTree(found.tree)
    this.putCollection({ ...entry, indexes, definition: this.newDefinition() }, entry)
    return true
  }

  command(): CommandBuilder {
    this.#command.put(CATALOG_TREE, HEAD_KEY, encodeHead(this.#head), this.#headSequence)
    return this.#command
  }

  #trees(): Set<number> {
    this.#treesInUse ??= new Set(
      this.#catalog
        .collections(this.#view)
        .flatMap(({ tree, indexes }) => [tree, ...indexes.map((index) => index.tree)]),
    )
    return this.#treesInUse
  }
}

/** Trees are given out in turn, so that one that was dropped is not soon another one's. */
function following(tree: number): number {
  return tree + 1 < TREES_MAX ? tree + 1 : 1
}
