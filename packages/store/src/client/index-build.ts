/**
 * Fills an index with the entries of the documents that were there before it. See `definer.ts` for the whole.
 *
 * Invariant
 *  I1 An entry is added only by a command that is conditional on its document's sequence, so a document that somebody
 *     changes meanwhile is read again: its entry may already have been made by who changed it.
 */
import { decodeId, type Id } from '../document/keys.ts'
import { UniqueError, UnknownCollectionError } from '../errors.ts'
import type { IndexInfo } from '../query/reader.ts'
import { CommandBuilder } from '../sequencer/command.ts'
import type { Catalog } from './catalog.ts'
import { viewOf } from './collection-source.ts'
import type { CollectionView } from './collection-view.ts'
import type { CollectionDefinition } from './define-collection.ts'
import type { StoredDocument } from './definition-types.ts'
import type { Refusal } from './engine.ts'
import {
  EMPTY_VALUE,
  type IndexEntry,
  indexEntries,
  keyText,
  sameBytes,
  tupleText,
} from './index-entries.ts'
import { commit, type Work, type WorkContext } from './work.ts'

const BATCH_DOCUMENTS = 256
const BATCH_BYTES = 1024 * 1024

interface Pending {
  readonly id: Id
  readonly key: Uint8Array
  readonly sequence: number
  readonly entries: readonly IndexEntry[]
}

/** Whose the operations of a command are. */
interface Owner {
  readonly document: Pending
  /** Undefined: the condition on the document itself. */
  readonly entry: IndexEntry | undefined
}

export class IndexBuild {
  readonly #context: WorkContext
  readonly #catalog: Catalog
  readonly #definition: CollectionDefinition
  readonly #name: string

  constructor(
    context: WorkContext,
    catalog: Catalog,
    definition: CollectionDefinition,
    name: string,
  ) {
    this.#context = context
    this.#catalog = catalog
    this.#definition = definition
    this.#name = name
  }

  /** Does nothing when the index is ready, or gone. */
  *run(): Work<void> {
    let from: Uint8Array | undefined
    while (this.#building() !== undefined) {
      const batch = this.#batchFrom(from)
      if (batch.length === 0) return yield* this.#finish()
      yield* this.#add(batch)
      from = after(batch.at(-1)!.key)
    }
  }

  #view(): CollectionView<StoredDocument> {
    return viewOf(this.#catalog, this.#context.engine.latest, this.#definition)
  }

  #building(): IndexInfo | undefined {
    const index = this.#view().indexes.find(({ name }) => name === this.#name)
    return index?.state === 'building' ? index : undefined
  }

  #batchFrom(from: Uint8Array | undefined): Pending[] {
    const view = this.#view()
    const index = this.#building()
    const batch: Pending[] = []
    let byteLength = 0
    if (index === undefined) return batch
    for (const { key, value, sequence } of view.view.entries(view.primaryTree, { from })) {
      batch.push(pendingOf(view.decode(value, key), index, key, sequence))
      byteLength += value.length
      if (batch.length === BATCH_DOCUMENTS || byteLength >= BATCH_BYTES) break
    }
    return batch
  }

  /** Commits what is left of the batch until nothing is; what is refused is looked at again. */
  *#add(batch: readonly Pending[]): Work<void> {
    let left: readonly Pending[] = batch
    while (left.length > 0) {
      const index = this.#building()
      if (index === undefined) return
      const { command, owners, later } = this.#command(index, left)
      const refusal = yield* commit(command)
      if (refusal === undefined) left = later
      else left = yield* this.#refused(index, left, owners, refusal)
    }
  }

  /** Documents that claim a unique value twice go one after another, so that the second finds the first. */
  #command(
    index: IndexInfo,
    batch: readonly Pending[],
  ): { command: CommandBuilder; owners: Map<number, Owner>; later: Pending[] } {
    const { state } = this.#view()
    const command = new CommandBuilder()
    const owners = new Map<number, Owner>()
    const later: Pending[] = []
    const claimed = new Set<string>()
    command.checkDefinition(state.tree, state.entry.definition)
    for (const document of batch) {
      const claims = index.unique ? document.entries.map(({ key }) => keyText(key)) : []
      if (claims.some((claim) => claimed.has(claim))) {
        later.push(document)
        continue
      }
      for (const claim of claims) claimed.add(claim)
      const checked = command.check(state.tree, document.key, document.sequence)
      owners.set(checked, { document, entry: undefined })
      for (const entry of document.entries) {
        const value = index.unique ? document.key : EMPTY_VALUE
        const put = command.put(index.tree, entry.key, value, index.unique ? 'absent' : undefined)
        owners.set(put, { document, entry })
      }
    }
    return { command, owners, later }
  }

  /** @returns what is to be tried now */
  *#refused(
    index: IndexInfo,
    batch: readonly Pending[],
    owners: ReadonlyMap<number, Owner>,
    refusal: Refusal,
  ): Work<readonly Pending[]> {
    const owner = owners.get(refusal.operation)
    if (refusal.reason !== 'conflict' || owner === undefined) return batch
    const { document, entry } = owner
    const replacement =
      entry === undefined
        ? this.#readAgain(index, document)
        : yield* this.#withoutEntry(index, document, entry)
    return batch.flatMap((one) => (one === document ? (replacement ?? []) : [one]))
  }

  #readAgain(index: IndexInfo, { key }: Pending): Pending | undefined {
    const view = this.#view()
    const document = view.read(key)
    return document === undefined ? undefined : pendingOf(document, index, key, view.sequence)
  }

  /**
   * The unique value has an entry already: the document's own, and there is nothing to add, or another's.
   * @throws UniqueError when two documents have the value; the index is gone then
   */
  *#withoutEntry(
    index: IndexInfo,
    document: Pending,
    entry: IndexEntry,
  ): Work<Pending | undefined> {
    const there = this.#context.engine.latest.get(index.tree, entry.key)
    if (there === undefined) return document
    if (sameBytes(there.value, document.key)) {
      return { ...document, entries: document.entries.filter((one) => one !== entry) }
    }
    // Only now is it certain: the other had the entry while this document had the value.
    const current = this.#readAgain(index, document)
    if (current?.sequence !== document.sequence) return current
    yield* this.#giveUp(index)
    throw new UniqueError(this.#definition.name, index.name, tupleText(entry.tuple))
  }

  *#giveUp(index: IndexInfo): Work<void> {
    yield* this.#catalog.change((draft) => {
      const entry = draft.collection(this.#definition.name)
      const isThere = entry?.indexes.some(({ tree }) => tree === index.tree) === true
      return isThere && draft.dropIndex(entry, index.name)
    })
  }

  *#finish(): Work<void> {
    yield* this.#catalog.change((draft) => {
      const entry = draft.collection(this.#definition.name)
      if (entry === undefined) throw new UnknownCollectionError(this.#definition.name)
      const building = entry.indexes.find(({ name }) => name === this.#name)
      if (building?.state !== 'building') return false
      const indexes = entry.indexes.map(
        (index): IndexInfo => (index === building ? { ...index, state: 'ready' } : index),
      )
      draft.putCollection({ ...entry, indexes, definition: draft.newDefinition() }, entry)
      return true
    })
  }
}

function pendingOf(document: object, index: IndexInfo, key: Uint8Array, sequence: number): Pending {
  const id = decodeId(key, 0, key.length)
  return { id, key, sequence, entries: indexEntries(document, index, id) }
}

/** The smallest key above it. */
function after(key: Uint8Array): Uint8Array {
  const next = new Uint8Array(key.length + 1)
  next.set(key)
  return next
}
