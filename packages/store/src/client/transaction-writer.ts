/**
 * Writes inside a transaction: kept in its view until it commits.
 */
import { encodeId, type Id } from '../document/keys.ts'
import { NotFoundError, UniqueError } from '../errors.ts'
import type { CollectionView } from './collection-view.ts'
import { type Change, type CollectionWriter, DocumentPreparer } from './collection-writer.ts'
import type { CollectionDefinition } from './define-collection.ts'
import type { StoredDocument } from './definition-types.ts'
import {
  EMPTY_VALUE,
  entriesOf,
  type IndexEntries,
  NO_ENTRIES,
  sameBytes,
  tupleText,
  without,
} from './index-entries.ts'
import type { TransactionView } from './transaction-view.ts'
import type { Work } from './work.ts'

interface KnownDocument {
  readonly id: Id
  readonly key: Uint8Array
  /** Its entries in the indexes so far; undefined when it is not there. */
  readonly before: IndexEntries | undefined
}

/** What a writer needs of its transaction. */
export interface Writing {
  /** @throws TransactionError */
  assertUsable(): void
  /** Before each write. */
  begin(): Work<void>
}

export class TransactionWriter<Doc extends StoredDocument> implements CollectionWriter<Doc> {
  readonly #definition: CollectionDefinition
  readonly #collection: CollectionView<Doc>
  readonly #view: TransactionView
  readonly #writing: Writing
  readonly #preparer: DocumentPreparer<Doc>

  constructor(
    definition: CollectionDefinition,
    collection: CollectionView<Doc>,
    view: TransactionView,
    writing: Writing,
  ) {
    this.#definition = definition
    this.#collection = collection
    this.#view = view
    this.#writing = writing
    this.#preparer = new DocumentPreparer(definition)
  }

  *insert(input: unknown): Work<Id> {
    yield* this.#begin()
    const { fields, id: chosen } = this.#preparer.given(input)
    for (;;) {
      const { binding, tree } = this.#collection.state
      const id = chosen ?? binding.ids.next() ?? (yield* binding.ids.take())
      const key = encodeId(id)
      const accepted = this.#preparer.accepted(fields, id)
      const ready =
        accepted instanceof Promise ? yield* this.#preparer.schemaSettled(accepted) : accepted
      if (this.#view.isFree(this.#collection.primaryTree, key)) {
        this.#put(ready, { id, key, before: undefined })
        return id
      }
      // Noted as read: what follows hangs on it.
      this.#collection.read(key)
      if (chosen !== undefined) throw new UniqueError(this.#definition.name, 'id', tupleText([id]))
      if (typeof id === 'number') yield* binding.ids.taken(id, tree)
    }
  }

  *#begin(): Work<void> {
    this.#writing.assertUsable()
    yield* this.#writing.begin()
  }

  *insertMany(inputs: readonly unknown[]): Work<Id[]> {
    const ids: Id[] = []
    for (const input of inputs) ids.push(yield* this.insert(input))
    return ids
  }

  *update(id: Id, change: Change<Doc>): Work<Doc> {
    yield* this.#begin()
    const key = encodeId(id)
    const { primaryTree, indexes } = this.#collection
    for (;;) {
      const written = this.#view.written(primaryTree, key)
      const document = this.#collection.read(key)
      if (document === undefined) throw new NotFoundError(this.#definition.name, id)
      const before = entriesOf(document, indexes, id)
      const fields = yield* this.#preparer.changed(document, id, change)
      // An asynchronous closure may have been overtaken by another write of this transaction.
      if (this.#view.written(primaryTree, key) !== written) continue
      this.#put(fields, { id, key, before })
      return this.#collection.typed(fields)
    }
  }

  *upsert(input: unknown): Work<Id> {
    yield* this.#begin()
    const { fields, id } = this.#preparer.given(input)
    if (id === undefined) return yield* this.insert(input)
    const key = encodeId(id)
    const accepted = this.#preparer.accepted(fields, id)
    const ready =
      accepted instanceof Promise ? yield* this.#preparer.schemaSettled(accepted) : accepted
    this.#put(ready, { id, key, before: this.#entriesNow(key, id) })
    return id
  }

  *delete(id: Id): Work<boolean> {
    yield* this.#begin()
    const key = encodeId(id)
    const before = this.#entriesNow(key, id)
    if (before === undefined) return false
    this.#changeIndexes({ id, key, before }, undefined)
    this.#view.writeRead(this.#collection.primaryTree, key, undefined)
    return true
  }

  #entriesNow(key: Uint8Array, id: Id): IndexEntries | undefined {
    const document = this.#collection.read(key)
    return document && entriesOf(document, this.#collection.indexes, id)
  }

  /** All that can be refused comes before the first change: a refused write leaves nothing behind. */
  #put(fields: object, known: KnownDocument): void {
    const { state, indexes, primaryTree } = this.#collection
    const value = state.binding.codec.encode(fields, this.#definition.version)
    const after = entriesOf(fields, indexes, known.id)
    this.#checkUnique(known, after)
    this.#changeIndexes(known, after)
    if (known.before === undefined) this.#view.writeFree(primaryTree, known.key, value)
    else this.#view.writeRead(primaryTree, known.key, value)
  }

  #checkUnique({ key, before }: KnownDocument, after: IndexEntries): void {
    for (const [ordinal, index] of this.#collection.indexes.entries()) {
      if (!index.unique) continue
      for (const entry of without(after[ordinal]!, before?.[ordinal] ?? NO_ENTRIES)) {
        if (this.#view.isFree(index.tree, entry.key)) continue
        const there = this.#view.get(index.tree, entry.key)
        if (there === undefined || sameBytes(there.value, key)) continue
        throw new UniqueError(this.#definition.name, index.name, tupleText(entry.tuple))
      }
    }
  }

  #changeIndexes({ key, before }: KnownDocument, after: IndexEntries | undefined): void {
    for (const [ordinal, index] of this.#collection.indexes.entries()) {
      const old = before?.[ordinal] ?? NO_ENTRIES
      const next = after?.[ordinal] ?? NO_ENTRIES
      for (const entry of without(old, next)) {
        if (!index.unique) this.#view.writeVouched(index.tree, entry.key, undefined)
        else if (this.#isOwn(index.tree, entry.key, key)) {
          this.#view.writeRead(index.tree, entry.key, undefined)
        }
      }
      for (const entry of without(next, old)) {
        if (index.unique) this.#putUnique(index.tree, entry.key, key)
        else this.#view.writeVouched(index.tree, entry.key, EMPTY_VALUE)
      }
    }
  }

  #putUnique(tree: number, entryKey: Uint8Array, idKey: Uint8Array): void {
    if (this.#view.isFree(tree, entryKey)) this.#view.writeFree(tree, entryKey, idKey)
    else this.#view.writeRead(tree, entryKey, idKey)
  }

  /** In an index that is being built, the value's entry may be another document's, or not there yet. */
  #isOwn(tree: number, entryKey: Uint8Array, idKey: Uint8Array): boolean {
    const there = this.#view.get(tree, entryKey)
    return there !== undefined && sameBytes(there.value, idKey)
  }
}
