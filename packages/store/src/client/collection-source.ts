/**
 * Where a collection's reads look: at the newest state, each time anew, or at one that stays.
 */
import { UnknownCollectionError } from '../errors.ts'
import type { CollectionSnapshot } from '../query/reader.ts'
import type { Catalog } from './catalog.ts'
import { CollectionView } from './collection-view.ts'
import type { CollectionDefinition } from './define-collection.ts'
import { assertVersion } from './definition-checks.ts'
import type { StoredDocument } from './definition-types.ts'
import type { ReadView } from './engine.ts'
import { GuardedView } from './guarded-view.ts'
import type { WorkContext } from './work.ts'

export interface CollectionSource<Doc extends StoredDocument> {
  /** For one read. */
  current(): CollectionView<Doc>
  /**
   * After a read that found nothing: whether the collection's definition has changed since `current` was made,
   * which is then made anew.
   */
  hasMoved(): boolean
  /** For several reads that belong together. */
  pin(): CollectionSnapshot<Doc>
}

/** @throws UnknownCollectionError */
export function viewOf<Doc extends StoredDocument>(
  catalog: Catalog,
  view: ReadView,
  definition: CollectionDefinition,
): CollectionView<Doc> {
  const state = catalog.stateIn(view, definition.name)
  if (state === undefined) throw new UnknownCollectionError(definition.name)
  return new CollectionView(view, state, definition)
}

/** The newest state of the database. What is known of the definition is looked at again where it matters. */
export class NewestSource<Doc extends StoredDocument> implements CollectionSource<Doc> {
  newest: CollectionView<Doc>
  readonly #context: WorkContext
  readonly #catalog: Catalog
  readonly #definition: CollectionDefinition

  constructor(context: WorkContext, catalog: Catalog, definition: CollectionDefinition) {
    this.#context = context
    this.#catalog = catalog
    this.#definition = definition
    this.newest = this.#look()
  }

  current(): CollectionView<Doc> {
    this.#context.assertOpen()
    return this.newest
  }

  hasMoved(): boolean {
    const { state, view } = this.newest
    if (view.definition(state.tree) === state.entry.definition) return false
    this.refresh()
    return true
  }

  refresh(): void {
    this.newest = this.#look()
  }

  #look(): CollectionView<Doc> {
    const view = viewOf<Doc>(this.#catalog, this.#context.engine.latest, this.#definition)
    assertVersion(view.state.entry, this.#definition)
    return view
  }

  pin(): CollectionSnapshot<Doc> {
    this.#context.assertOpen()
    const view = this.#context.engine.snapshot()
    try {
      const guarded = new GuardedView(view, () => this.#context.assertOpen())
      const reader = viewOf<Doc>(this.#catalog, guarded, this.#definition)
      return { reader, close: () => view.close() }
    } catch (error) {
      view.close()
      throw error
    }
  }
}

/** One state, whose owner lets go of it: a snapshot's or a transaction's. */
export class FixedSource<Doc extends StoredDocument> implements CollectionSource<Doc> {
  readonly #view: CollectionView<Doc>
  readonly #assertUsable: () => void

  constructor(view: CollectionView<Doc>, assertUsable: () => void) {
    this.#view = view
    this.#assertUsable = assertUsable
  }

  current(): CollectionView<Doc> {
    this.#assertUsable()
    return this.#view
  }

  hasMoved(): boolean {
    return false
  }

  pin(): CollectionSnapshot<Doc> {
    return { reader: this.current(), close: () => undefined }
  }
}
