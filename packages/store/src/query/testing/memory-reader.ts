/**
 * A collection in sorted arrays: what queries are tested over. It counts what is looked at, and knows
 * whether what was opened was closed.
 */
import type { Entry, KeyedEntry, KeyRange, ReadView } from '../../client/engine.ts'
import { decodeId, encodeId, encodeIndexKey, type Id } from '../../document/keys.ts'
import { indexTuples } from '../paths.ts'
import type { CollectionReader, CollectionSnapshot, IndexInfo } from '../reader.ts'

export interface MemoryDocument {
  readonly id: Id
  readonly [field: string]: unknown
}

interface Row {
  readonly key: Buffer
  readonly value: Buffer
}

export class MemoryView implements ReadView {
  readonly sequence = 1
  readonly trees = new Map<number, readonly Row[]>()
  entriesRead = 0
  iteratorsOpen = 0

  set(tree: number, rows: readonly Row[]): void {
    this.trees.set(
      tree,
      rows.toSorted((a, b) => Buffer.compare(a.key, b.key)),
    )
  }

  rowsOf(tree: number): readonly Row[] {
    const found = this.trees.get(tree)
    if (found === undefined) throw new Error(`there is no tree ${tree}`)
    return found
  }

  get(tree: number, key: Uint8Array): Entry | undefined {
    const found = this.rowsOf(tree).find((row) => Buffer.compare(row.key, key) === 0)
    return found === undefined ? undefined : { sequence: 1, value: found.value }
  }

  /** Out of the middle of something larger, as a page is. */
  read<R>(
    tree: number,
    key: Uint8Array,
    read: (bytes: Buffer, start: number, end: number, sequence: number) => R,
  ): R | undefined {
    const found = this.get(tree, key)
    if (found === undefined) return undefined
    const page = Buffer.concat([Buffer.of(1, 2, 3), found.value, Buffer.of(4)])
    return read(page, 3, 3 + found.value.length, 1)
  }

  *entries(tree: number, { from, to, reverse }: KeyRange): Generator<KeyedEntry, void, undefined> {
    if (from !== undefined && to !== undefined && Buffer.compare(from, to) > 0) {
      throw new Error('a range that ends before it begins')
    }
    const inside = this.rowsOf(tree).filter(
      ({ key }) =>
        (from === undefined || Buffer.compare(key, from) >= 0) &&
        (to === undefined || Buffer.compare(key, to) < 0),
    )
    this.iteratorsOpen++
    try {
      for (const row of reverse === true ? inside.toReversed() : inside) {
        this.entriesRead++
        yield { ...row, sequence: 1 }
      }
    } finally {
      this.iteratorsOpen--
    }
  }

  count(tree: number): number {
    return this.rowsOf(tree).length
  }

  definition(): number {
    return 1
  }
}

export type IndexDefinition = Pick<IndexInfo, 'name' | 'fields'> & Partial<IndexInfo>

export class MemoryCollection implements CollectionReader<MemoryDocument> {
  readonly name = 'things'
  readonly primaryTree = 1
  readonly view: MemoryView = new MemoryView()
  readonly indexes: readonly IndexInfo[]
  readonly #documents: ReadonlyMap<Id, MemoryDocument>
  documentsRead = 0
  snapshotsOpen = 0
  snapshotsTaken = 0

  constructor(documents: readonly MemoryDocument[], definitions: readonly IndexDefinition[] = []) {
    this.indexes = definitions.map((definition, ordinal) => ({
      unique: false,
      each: false,
      state: 'ready',
      tree: 2 + ordinal,
      ...definition,
    }))
    this.#documents = new Map(documents.map((document) => [document.id, document]))
    this.view.set(this.primaryTree, documents.map(primaryRow))
    for (const index of this.indexes) {
      this.view.set(
        index.tree,
        documents.flatMap((document) => indexRows(index, document)),
      )
    }
  }

  readonly snapshot = (): CollectionSnapshot<MemoryDocument> => {
    this.snapshotsTaken++
    this.snapshotsOpen++
    let open = true
    return {
      reader: this,
      close: () => {
        if (open) this.snapshotsOpen--
        open = false
      },
    }
  }

  decode(value: Buffer): MemoryDocument {
    this.documentsRead++
    return this.#documents.get(decodeId(value, 0, value.length))!
  }

  /** None: each is counted when it is asked for. */
  readAhead(): undefined[] {
    return []
  }

  read(key: Uint8Array): MemoryDocument | undefined {
    const entry = this.view.get(this.primaryTree, key)
    return entry === undefined ? undefined : this.decode(entry.value)
  }
}

function primaryRow({ id }: MemoryDocument): Row {
  const key = Buffer.from(encodeId(id))
  return { key, value: key }
}

function indexRows(index: IndexInfo, document: MemoryDocument): Row[] {
  const { id } = document
  return indexTuples(document, index).map((tuple) => ({
    key: Buffer.from(encodeIndexKey(tuple, index.unique && tuple.length > 0 ? undefined : id)),
    value: index.unique ? Buffer.from(encodeId(id)) : Buffer.alloc(0),
  }))
}
