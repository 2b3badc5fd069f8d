/**
 * What a thread knows of a collection: its entry in the catalog as of some state of the database, and what goes with
 * its id for good.
 */
import { DocumentCodec } from '../document/codec.ts'
import type { IndexInfo } from '../query/reader.ts'
import type { CollectionEntry } from './catalog-format.ts'
import { CollectionShapes } from './collection-shapes.ts'
import { IdLease } from './ids.ts'
import type { WorkContext } from './work.ts'

/** Outlives changes of the collection's definition; a collection made anew under the name has its own. */
export class CollectionBinding {
  readonly shapes: CollectionShapes
  readonly codec: DocumentCodec
  readonly ids: IdLease

  constructor(collectionId: number, context: WorkContext) {
    this.shapes = new CollectionShapes(collectionId, context)
    this.codec = new DocumentCodec(this.shapes)
    this.ids = new IdLease(collectionId, context)
  }
}

export class CollectionState {
  readonly entry: CollectionEntry
  readonly binding: CollectionBinding
  readonly tree: number
  readonly indexes: readonly IndexInfo[]

  constructor(entry: CollectionEntry, binding: CollectionBinding) {
    this.entry = entry
    this.binding = binding
    this.tree = entry.tree
    this.indexes = entry.indexes
  }
}
