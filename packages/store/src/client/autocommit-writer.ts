/**
 * Writes outside of transactions: each reads the newest state, and commits under the condition that the document
 * is still what was read. The entries of indexes follow from the document, so that condition vouches for them too.
 *
 * An index that is being built may not have this document's entry yet: in a unique one the key may be another's.
 * `removed` looks then, and commits under the condition of what it saw.
 */
import type { Fields } from '../document/format.ts'
import { encodeId, type Id, type IndexValue } from '../document/keys.ts'
import { NotFoundError, UniqueError } from '../errors.ts'
import type { IndexInfo } from '../query/reader.ts'
import { CommandBuilder, type Expectation } from '../sequencer/command.ts'
import type { CollectionState } from './collection-state.ts'
import type { CollectionView } from './collection-view.ts'
import { type Change, type CollectionWriter, DocumentPreparer } from './collection-writer.ts'
import type { CollectionDefinition } from './define-collection.ts'
import type { StoredDocument } from './definition-types.ts'
import {
  EMPTY_VALUE,
  entriesOf,
  type IndexEntries,
  type IndexEntry,
  NO_ENTRIES,
  sameBytes,
  tupleText,
  without,
} from './index-entries.ts'
import { Attempts, CommitStep, type Work, type WorkContext } from './work.ts'

/** Of one write, under contention. */
const WRITE_RETRIES_MAX = 200

/** What a writer needs of its collection: the newest state that this thread knows, and a look for a newer one. */
export interface NewestState<Doc extends StoredDocument> {
  readonly newest: CollectionView<Doc>
  /** @throws UnknownCollectionError when it is gone */
  refresh(): void
}

interface DocumentChange {
  readonly id: Id
  readonly key: Uint8Array
  readonly expect: Expectation | undefined
  readonly before: IndexEntries | undefined
  /** Undefined: deleted. */
  readonly value: Uint8Array | undefined
  readonly after: IndexEntries | undefined
}

/** The operations of a command that a unique index may refuse. */
interface UniquePut {
  readonly operation: number
  readonly index: IndexInfo
  readonly tuple: readonly IndexValue[]
}

/** A write that is on its way. */
interface PendingWrite {
  readonly step: CommitStep
  readonly uniquePuts: readonly UniquePut[]
}

const NO_UNIQUE_PUTS: UniquePut[] = []

export class AutocommitWriter<Doc extends StoredDocument> implements CollectionWriter<Doc> {
  readonly #definition: CollectionDefinition
  readonly #collection: NewestState<Doc>
  readonly #context: WorkContext
  readonly #preparer: DocumentPreparer<Doc>
  readonly #insertMany: (inputs: readonly unknown[]) => Work<Id[]>

  /** @param insertMany several documents are a transaction */
  constructor(
    definition: CollectionDefinition,
    collection: NewestState<Doc>,
    context: WorkContext,
    insertMany: (inputs: readonly unknown[]) => Work<Id[]>,
  ) {
    this.#definition = definition
    this.#collection = collection
    this.#context = context
    this.#preparer = new DocumentPreparer(definition)
    this.#insertMany = insertMany
  }

  *insert(input: unknown): Work<Id> {
    const { fields, id: chosen } = this.#preparer.given(input)
    let attempts: Attempts | undefined
    for (;;) {
      const { binding } = this.#collection.newest.state
      const id = chosen ?? binding.ids.next() ?? (yield* binding.ids.take())
      const key = encodeId(id)
      const accepted = this.#preparer.accepted(fields, id)
      const ready =
        accepted instanceof Promise ? yield* this.#preparer.schemaSettled(accepted) : accepted
      const { state } = this.#collection.newest
      const write = this.#put(state, ready, id, key, 'absent', undefined)
      yield write.step
      if (this.#isDone(write)) return id
      if (this.#exists(key)) {
        if (chosen !== undefined) {
          throw new UniqueError(this.#definition.name, 'id', tupleText([id]))
        }
        if (typeof id === 'number') yield* state.binding.ids.taken(id, state.tree)
      }
      attempts ??= this.#attempts('insert')
      yield* attempts.failed()
    }
  }

  insertMany(inputs: readonly unknown[]): Work<Id[]> {
    return this.#insertMany(inputs)
  }

  *update(id: Id, change: Change<Doc>): Work<Doc> {
    const key = encodeId(id)
    let attempts: Attempts | undefined
    for (;;) {
      const { newest } = this.#collection
      const document = newest.read(key)
      if (document !== undefined) {
        const { sequence } = newest
        const before = entriesOf(document, newest.indexes, id)
        const fields = yield* this.#preparer.changed(document, id, change)
        const write = this.#put(newest.state, fields, id, key, sequence, before)
        yield write.step
        if (this.#isDone(write)) return newest.typed(fields)
      } else if (this.#isCurrent()) {
        throw new NotFoundError(this.#definition.name, id)
      }
      attempts ??= this.#attempts('update')
      yield* attempts.failed()
    }
  }

  *upsert(input: unknown): Work<Id> {
    const { fields, id } = this.#preparer.given(input)
    if (id === undefined) return yield* this.insert(input)
    const key = encodeId(id)
    const accepted = this.#preparer.accepted(fields, id)
    const ready =
      accepted instanceof Promise ? yield* this.#preparer.schemaSettled(accepted) : accepted
    let attempts: Attempts | undefined
    for (;;) {
      const { newest } = this.#collection
      // Without indexes nothing depends on what was there.
      const known = newest.indexes.length === 0 ? undefined : entriesNow(newest, key, id)
      const write = this.#put(newest.state, ready, id, key, known?.expect, known?.before)
      yield write.step
      if (this.#isDone(write)) return id
      attempts ??= this.#attempts('upsert')
      yield* attempts.failed()
    }
  }

  *delete(id: Id): Work<boolean> {
    const key = encodeId(id)
    let attempts: Attempts | undefined
    for (;;) {
      const { newest } = this.#collection
      const { expect, before } = entriesNow(newest, key, id)
      if (expect === 'absent') {
        if (this.#isCurrent()) return false
      } else {
        const change = { id, key, expect, before, value: undefined, after: undefined }
        const write = this.#write(newest.state, change)
        yield write.step
        if (this.#isDone(write)) return true
      }
      attempts ??= this.#attempts('delete')
      yield* attempts.failed()
    }
  }

  #put(
    state: CollectionState,
    fields: Fields,
    id: Id,
    key: Uint8Array,
    expect: Expectation | undefined,
    before: IndexEntries | undefined,
  ): PendingWrite {
    const value = state.binding.codec.encode(fields, this.#definition.version)
    const after = entriesOf(fields, state.indexes, id)
    return this.#write(state, { id, key, expect, before, value, after })
  }

  #write(state: CollectionState, change: DocumentChange): PendingWrite {
    const command = new CommandBuilder()
    command.checkDefinition(state.tree, state.entry.definition)
    if (change.value === undefined) command.delete(state.tree, change.key, change.expect)
    else command.put(state.tree, change.key, change.value, change.expect)
    const uniquePuts =
      state.indexes.length === 0 ? NO_UNIQUE_PUTS : this.#changeIndexes(command, state, change)
    return { step: new CommitStep(command), uniquePuts }
  }

  /** False when it has to be tried again. @throws UniqueError */
  #isDone({ step, uniquePuts }: PendingWrite): boolean {
    const refusal = step.refusal()
    if (refusal === undefined) return true
    if (refusal.reason === 'definition') this.#collection.refresh()
    const refused = uniquePuts.find(({ operation }) => operation === refusal.operation)
    if (refused === undefined) return false
    throw new UniqueError(this.#definition.name, refused.index.name, tupleText(refused.tuple))
  }

  #changeIndexes(
    command: CommandBuilder,
    state: CollectionState,
    { id, key, before, after }: DocumentChange,
  ): UniquePut[] {
    const uniquePuts: UniquePut[] = []
    for (const [ordinal, index] of state.indexes.entries()) {
      const old = before?.[ordinal] ?? NO_ENTRIES
      const next = after?.[ordinal] ?? NO_ENTRIES
      for (const entry of without(old, next)) this.#remove(command, index, entry, key)
      for (const entry of without(next, old)) {
        const operation = command.put(
          index.tree,
          entry.key,
          index.unique ? encodeId(id) : EMPTY_VALUE,
          index.unique ? 'absent' : undefined,
        )
        if (index.unique) uniquePuts.push({ operation, index, tuple: entry.tuple })
      }
    }
    return uniquePuts
  }

  #remove(command: CommandBuilder, index: IndexInfo, entry: IndexEntry, idKey: Uint8Array): void {
    if (index.state === 'ready' || !index.unique) {
      command.delete(index.tree, entry.key)
      return
    }
    const there = this.#context.engine.latest.get(index.tree, entry.key)
    if (there === undefined) command.check(index.tree, entry.key, 'absent')
    else if (sameBytes(there.value, idKey)) command.delete(index.tree, entry.key, there.sequence)
    else command.check(index.tree, entry.key, there.sequence)
  }

  /** True when nothing was found because nothing is there, not because the collection has moved. */
  #isCurrent(): boolean {
    const { state, view } = this.#collection.newest
    if (view.definition(state.tree) === state.entry.definition) return true
    this.#collection.refresh()
    return false
  }

  #exists(key: Uint8Array): boolean {
    const { view, state } = this.#collection.newest
    return view.read(state.tree, key, isThere) === true
  }

  #attempts(what: string): Attempts {
    const { environment } = this.#context
    return new Attempts(
      `${what} in collection ${this.#definition.name}`,
      WRITE_RETRIES_MAX,
      environment,
    )
  }
}

function isThere(): true {
  return true
}

/** What stands there now: its sequence and its entries in the indexes. */
function entriesNow<Doc extends StoredDocument>(
  newest: CollectionView<Doc>,
  key: Uint8Array,
  id: Id,
): { expect: Expectation; before: IndexEntries | undefined } {
  if (newest.indexes.length === 0) {
    const sequence = newest.view.read(newest.primaryTree, key, sequenceOf)
    return { expect: sequence ?? 'absent', before: undefined }
  }
  const document = newest.read(key)
  if (document === undefined) return { expect: 'absent', before: undefined }
  return { expect: newest.sequence, before: entriesOf(document, newest.indexes, id) }
}

function sequenceOf(_bytes: Buffer, _start: number, _end: number, sequence: number): number {
  return sequence
}
