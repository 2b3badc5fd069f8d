/**
 * One state of the database, to be read again and again while others write. Never in a writer's way; pages that it
 * needs are kept, so its age is bounded (SnapshotExpiredError).
 */
import { StoreClosedError } from '../errors.ts'
import type { Catalog } from './catalog.ts'
import { CollectionReads } from './collection.ts'
import { FixedSource, viewOf } from './collection-source.ts'
import type { CollectionDefinition } from './define-collection.ts'
import type { IndexSpecs, StoredDocument } from './definition-types.ts'
import type { ReadView, SnapshotView } from './engine.ts'
import { GuardedView } from './guarded-view.ts'
import type { WorkContext } from './work.ts'

export class Snapshot {
  readonly #context: WorkContext
  readonly #catalog: Catalog
  readonly #pinned: SnapshotView
  readonly #view: ReadView
  readonly #onClose: () => void
  #isClosed = false

  constructor(context: WorkContext, catalog: Catalog, onClose: () => void) {
    this.#context = context
    this.#catalog = catalog
    this.#pinned = context.engine.snapshot()
    this.#view = new GuardedView(this.#pinned, () => this.#assertOpen())
    this.#onClose = onClose
  }

  /** The highest commit sequence that it shows. */
  get sequence(): number {
    return this.#pinned.sequence
  }

  /** @throws UnknownCollectionError when there was none in this state */
  collection<Doc extends StoredDocument, Insert, Indexes extends IndexSpecs>(
    definition: CollectionDefinition<Doc, Insert, Indexes>,
  ): CollectionReads<Doc, Indexes> {
    this.#assertOpen()
    const view = viewOf<Doc>(this.#catalog, this.#view, definition)
    return new CollectionReads(definition.name, new FixedSource(view, () => this.#assertOpen()))
  }

  /** Idempotent. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#pinned.close()
    this.#onClose()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  #assertOpen(): void {
    this.#context.assertOpen()
    if (this.#isClosed) throw new StoreClosedError('the snapshot')
  }
}
