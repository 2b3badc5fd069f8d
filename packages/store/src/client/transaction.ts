/**
 * One run of a transaction's closure: one state of the database, and what the closure wrote over it.
 *
 * A transaction object serves one run of one closure. When the closure has returned it is at its end; a repetition
 * after a conflict gets another one.
 */
import type { Id } from '../document/keys.ts'
import { TransactionError, UnknownCollectionError } from '../errors.ts'
import type { CommandBuilder } from '../sequencer/command.ts'
import type { Catalog } from './catalog.ts'
import { Collection, CollectionCache } from './collection.ts'
import { FixedSource } from './collection-source.ts'
import type { CollectionState } from './collection-state.ts'
import { CollectionView } from './collection-view.ts'
import type { CollectionDefinition } from './define-collection.ts'
import { assertVersion } from './definition-checks.ts'
import type { IndexSpecs, StoredDocument } from './definition-types.ts'
import type { SnapshotView, WriteHold } from './engine.ts'
import { TransactionView } from './transaction-view.ts'
import { TransactionWriter } from './transaction-writer.ts'
import { HoldStep, type Work, type WorkContext } from './work.ts'

export type Isolation = 'serializable' | 'snapshot'

/** What a transaction's closure is given. Reads see the transaction's own writes. */
export interface Transaction {
  /** The highest commit sequence that it reads. */
  readonly sequence: number
  /**
   * The collection inside the transaction; in a blocking closure, write through its `sync`.
   * @throws UnknownCollectionError; TransactionError after the end
   */
  collection<Doc extends StoredDocument, Insert, Indexes extends IndexSpecs>(
    definition: CollectionDefinition<Doc, Insert, Indexes>,
  ): Collection<Doc, Insert, Indexes>
}

export class OpenTransaction implements Transaction {
  readonly sequence: number
  readonly #context: WorkContext
  readonly #catalog: Catalog
  readonly #base: SnapshotView
  readonly #view: TransactionView
  readonly #assertMayUse: (transaction: Transaction) => void
  readonly #states = new Map<string, CollectionState>()
  readonly #collections = new CollectionCache()
  #isActive = true
  #hold: WriteHold | undefined

  /** @param assertMayUse throws when the caller's closure is another transaction's */
  constructor(
    context: WorkContext,
    catalog: Catalog,
    assertMayUse: (transaction: Transaction) => void,
  ) {
    this.#context = context
    this.#catalog = catalog
    this.#assertMayUse = assertMayUse
    this.#base = context.engine.snapshot()
    this.#view = new TransactionView(this.#base, () => this.#assertActive())
    this.sequence = this.#base.sequence
  }

  collection<Doc extends StoredDocument, Insert, Indexes extends IndexSpecs>(
    definition: CollectionDefinition<Doc, Insert, Indexes>,
  ): Collection<Doc, Insert, Indexes> {
    this.#assertUsable()
    const known = this.#collections.get(definition)
    if (known !== undefined) return known
    const assertUsable = (): void => this.#assertUsable()
    const source = new FixedSource(this.#viewOf<Doc>(definition), assertUsable)
    const writer = this.#writerOf<Doc>(definition, assertUsable)
    const collection = new Collection<Doc, Insert, Indexes>(
      definition.name,
      source,
      writer,
      this.#context,
    )
    this.#collections.set(definition, collection)
    return collection
  }

  insertMany(definition: CollectionDefinition, inputs: readonly unknown[]): Work<Id[]> {
    return this.#writerOf(definition, () => this.#assertActive()).insertMany(inputs)
  }

  /** The command that commits it; undefined when it wrote nothing. */
  command(isolation: Isolation): CommandBuilder | undefined {
    const definitions = [...this.#states.values()].map(({ tree, entry }) => ({
      tree,
      definition: entry.definition,
    }))
    return this.#view.command(isolation, definitions)
  }

  /** Its closure is over. Idempotent. */
  end(): void {
    this.#isActive = false
    this.#base.close()
  }

  /** It is committed, or given up: others may write. Idempotent. */
  release(): void {
    this.#hold?.release()
  }

  /** Before its first write: from then on until `release` no other process writes. */
  *#beginWriting(): Work<void> {
    const { engine } = this.#context
    if (this.#hold !== undefined || engine.hold === undefined) return
    this.#hold = engine.hold()
    yield new HoldStep(this.#hold)
    this.#assertActive()
  }

  #viewOf<Doc extends StoredDocument>(definition: CollectionDefinition): CollectionView<Doc> {
    const state = this.#catalog.stateIn(this.#base, definition.name)
    if (state === undefined) throw new UnknownCollectionError(definition.name)
    assertVersion(state.entry, definition)
    this.#states.set(definition.name, state)
    return new CollectionView(this.#view, state, definition)
  }

  #writerOf<Doc extends StoredDocument>(
    definition: CollectionDefinition,
    assertUsable: () => void,
  ): TransactionWriter<Doc> {
    const view = this.#viewOf<Doc>(definition)
    return new TransactionWriter(definition, view, this.#view, {
      assertUsable,
      begin: () => this.#beginWriting(),
    })
  }

  #assertUsable(): void {
    this.#assertActive()
    this.#assertMayUse(this)
  }

  #assertActive(): void {
    this.#context.assertOpen()
    if (!this.#isActive) throw new TransactionError('the transaction is used after its end')
  }
}
