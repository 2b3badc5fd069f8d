/**
 * Whose primary tree a tree was at some commit, and how its documents are read: of collections that are dropped by
 * now, too. What a log's commands say in numbers is understood by it.
 *
 * Threads: belongs to the thread that made it.
 *
 * Invariants
 *  T1 What was read of the catalog holds for all commits up to the state that it was read of, and for later ones up to
 *     the first that changes a life: whoever comes upon one calls `forget`.
 *  T2 A tree that nobody owned at a commit is the catalog, or an index.
 */
import { DocumentCodec } from '../document/codec.ts'
import type { Fields } from '../document/format.ts'
import type { ShapeStore } from '../document/shapes.ts'
import { ChangesGoneError } from '../errors.ts'
import {
  CATALOG_TREE,
  decodeForgotten,
  decodeLife,
  decodeShape,
  FORGOTTEN_KEY,
  LIFE_KEYS,
  shapeKey,
} from './catalog-format.ts'
import type { Engine } from './engine.ts'

/** A collection from its making to its end. */
export interface OwnedTree {
  readonly id: number
  readonly name: string
  readonly made: number
  /** Infinity while it is there. */
  readonly dropped: number
}

export class CollectionHistory {
  readonly #engine: Engine
  #owners: Map<number, OwnedTree[]> | undefined
  readonly #codecs = new Map<number, DocumentCodec>()

  constructor(engine: Engine) {
    this.#engine = engine
  }

  /** A commit has made or dropped a collection. */
  forget(): void {
    this.#owners = undefined
  }

  /**
   * The collection whose documents the tree held at that commit.
   * @throws ChangesGoneError when lives of that time are forgotten
   */
  ownerOf(tree: number, sequence: number): OwnedTree | undefined {
    this.#owners ??= this.#read(sequence)
    return this.#owners
      .get(tree)
      ?.find(({ made, dropped }) => made <= sequence && sequence < dropped)
  }

  /** @throws EncodingCorruptError; UnknownShapeError for a shape that the catalog does not have */
  decode({ id }: OwnedTree, bytes: Buffer): { document: Fields; version: number } {
    const codec = this.#codecOf(id)
    const document = codec.decode(bytes, 0, bytes.length)
    return { document, version: codec.schemaVersion }
  }

  #codecOf(id: number): DocumentCodec {
    const known = this.#codecs.get(id)
    if (known !== undefined) return known
    const codec = new DocumentCodec(new CatalogShapes(this.#engine, id))
    this.#codecs.set(id, codec)
    return codec
  }

  #read(sequence: number): Map<number, OwnedTree[]> {
    const view = this.#engine.snapshot()
    try {
      const forgotten = view.get(CATALOG_TREE, FORGOTTEN_KEY)
      const through = forgotten === undefined ? 0 : decodeForgotten(forgotten.value)
      if (through > sequence) throw new ChangesGoneError(sequence - 1, through)
      const owners = new Map<number, OwnedTree[]>()
      for (const { key, value, sequence: changed } of view.entries(CATALOG_TREE, LIFE_KEYS)) {
        const { id, name, tree, made } = decodeLife(key, value)
        const ofTree = owners.get(tree) ?? []
        ofTree.push(
          made === undefined
            ? { id, name, made: changed, dropped: Number.POSITIVE_INFINITY }
            : { id, name, made, dropped: changed },
        )
        owners.set(tree, ofTree)
      }
      return owners
    } finally {
      view.close()
    }
  }
}

/** As the catalog has them, looked up one by one: a shape is never changed. */
class CatalogShapes implements ShapeStore {
  readonly #engine: Engine
  readonly #collectionId: number
  readonly #keysById = new Map<number, readonly string[]>()

  constructor(engine: Engine, collectionId: number) {
    this.#engine = engine
    this.#collectionId = collectionId
  }

  shape(id: number): readonly string[] | undefined {
    const known = this.#keysById.get(id)
    if (known !== undefined) return known
    const key = shapeKey(this.#collectionId, id)
    const entry = this.#engine.latest.get(CATALOG_TREE, key)
    if (entry === undefined) return undefined
    const { keys } = decodeShape(Buffer.from(key), entry.value)
    this.#keysById.set(id, keys)
    return keys
  }

  /** Nothing is written here. */
  idOf(): undefined {
    return undefined
  }
}
