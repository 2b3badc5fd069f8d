/**
 * What a query needs of a collection: trees of entries at one state, and a way to turn bytes into documents.
 */
import type { ReadView } from '../client/engine.ts'

export interface IndexInfo {
  readonly name: string
  readonly tree: number
  /** Dotted paths, in the order of the key. */
  readonly fields: readonly string[]
  readonly unique: boolean
  /** One entry per distinct element of an array, not one per document. */
  readonly each: boolean
  /** Queries use only what is ready. */
  readonly state: 'ready' | 'building'
}

export interface CollectionReader<T> {
  readonly name: string
  readonly view: ReadView
  readonly primaryTree: number
  readonly indexes: readonly IndexInfo[]
  /** A document out of an entry of the primary tree. `key` is its encoded id. */
  decode(value: Buffer, key: Buffer): T
  /** The document with this encoded id. The key is the caller's: it is not kept. */
  read(key: Uint8Array): T | undefined
  /**
   * Documents with these encoded ids as far as they can be had at once, which is quicker; those left undefined are
   * to be had by `read`.
   * @param count of `keys`, READ_EACH_MAX at the most
   */
  readAhead(keys: readonly Uint8Array[], count: number): (T | undefined)[]
}

/** One state of a collection, for as long as a query reads. */
export interface CollectionSnapshot<T> {
  readonly reader: CollectionReader<T>
  /** Lets go of the state. Idempotent. */
  close(): void
}

/** Taken when a query makes its first step, closed when it ends, is left, or throws. */
export type SnapshotProvider<T> = () => CollectionSnapshot<T>
