/** The catalog as an integrity check reads it: all that can be read of it, and what cannot. */
import { isRingboltError } from '@ringbolt/ring'
import type { Found } from '../finding.ts'
import { factsOf } from '../tree/verify.ts'
import {
  CATALOG_TREE,
  type CollectionEntry,
  decodeCollection,
  decodeForgotten,
  decodeHead,
  decodeLease,
  decodeLife,
  decodeShape,
  Kind,
} from './catalog-format.ts'
import type { ReadView } from './engine.ts'

export interface CheckedCatalog {
  readonly collections: readonly CollectionEntry[]
  /** By the collection's id, then by the shape's. */
  readonly shapes: ReadonlyMap<number, ReadonlyMap<number, readonly string[]>>
  /** Whether all of it could be read. */
  readonly isWhole: boolean
}

const COLLECTION_ID_BYTES = 4

export function readCatalog(view: ReadView, found: (finding: Found) => void): CheckedCatalog {
  const collections: CollectionEntry[] = []
  const shapes = new Map<number, Map<number, readonly string[]>>()
  let isWhole = true
  const refuse = (what: string, error: unknown): void => {
    if (!isRingboltError(error) || error.code !== 'RINGBOLT_CORRUPT') throw error
    isWhole = false
    found({
      kind: 'catalog',
      tree: CATALOG_TREE,
      ...factsOf(error),
      problem: `${what}: ${error.message}`,
    })
  }
  const readOne = (key: Buffer, value: Buffer): void => {
    if (key[0] === Kind.head) decodeHead(value)
    else if (key[0] === Kind.lease) decodeLease(value)
    else if (key[0] === Kind.life) decodeLife(key, value)
    else if (key[0] === Kind.forgotten && key.length === 1) decodeForgotten(value)
    else if (key[0] === Kind.collection)
      collections.push(decodeCollection(key.toString('utf8', 1), value))
    else if (key[0] === Kind.shape && key.length === 2 + COLLECTION_ID_BYTES) {
      const collectionId = key.readUInt32BE(1)
      const ofCollection = shapes.get(collectionId) ?? new Map<number, readonly string[]>()
      const shape = decodeShape(key, value)
      shapes.set(collectionId, ofCollection.set(shape.id, shape.keys))
    } else {
      isWhole = false
      const actual = key.toString('hex')
      found({
        kind: 'catalog',
        tree: CATALOG_TREE,
        what: 'key',
        expected: 'one that is known',
        actual,
      })
    }
  }
  try {
    for (const { key, value } of view.entries(CATALOG_TREE, {})) {
      try {
        readOne(key, value)
      } catch (error) {
        refuse(`entry ${key.toString('hex')}`, error)
      }
    }
  } catch (error) {
    refuse('catalog', error)
  }
  return { collections, shapes, isWhole }
}
