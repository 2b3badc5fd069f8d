/** Documents as they are stored, for those who have no definition of the collection: nothing is migrated, nothing checked. */
import { DocumentCodec } from '../document/codec.ts'
import { EncodingCorruptError, UnknownShapeError } from '../document/errors.ts'
import type { Fields } from '../document/format.ts'
import { UnknownCollectionError } from '../errors.ts'
import {
  CATALOG_TREE,
  collectionKey,
  decodeCollection,
  decodeShape,
  shapeKeys,
} from './catalog-format.ts'
import type { Engine } from './engine.ts'

export interface StoredRecord {
  readonly document: Readonly<Record<string, unknown>>
  /** Version of the collection's definition under which it was written. */
  readonly version: number
  /** Commit sequence of its last change. */
  readonly sequence: number
}

/**
 * In the order of their ids, all of one state.
 * @throws UnknownCollectionError
 */
export function* storedDocuments(
  engine: Engine,
  collection: string,
): Generator<StoredRecord, void, undefined> {
  const view = engine.snapshot()
  try {
    const found = view.get(CATALOG_TREE, collectionKey(collection))
    if (found === undefined) throw new UnknownCollectionError(collection)
    const { id, tree } = decodeCollection(collection, found.value)
    const shapes = new Map<number, readonly string[]>()
    for (const { key, value } of view.entries(CATALOG_TREE, shapeKeys(id))) {
      const shape = decodeShape(key, value)
      shapes.set(shape.id, shape.keys)
    }
    const codec = new DocumentCodec({ shape: (id) => shapes.get(id), idOf: () => undefined })
    for (const { value, sequence } of view.entries(tree, {})) {
      const document = decode(codec, value, collection)
      yield { document, version: codec.schemaVersion, sequence }
    }
  } finally {
    view.close()
  }
}

function decode(codec: DocumentCodec, value: Buffer, collection: string): Fields {
  try {
    return codec.decode(value, 0, value.length)
  } catch (error) {
    if (!(error instanceof UnknownShapeError)) throw error
    const what = `a document of collection ${collection}`
    throw new EncodingCorruptError(what, 0, 'a shape of the collection', error.shapeId)
  }
}
