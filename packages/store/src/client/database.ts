/**
 * A database as users see it, over the engine of one thread.
 *
 * Threads: belongs to the thread that made it, like its engine; each thread makes its own.
 */
import { ChangesUnavailableError, StoreClosedError } from '../errors.ts'
import { AutocommitWriter } from './autocommit-writer.ts'
import { Catalog } from './catalog.ts'
import { Changes, type ChangesOptions, checkChangesOptions } from './changes.ts'
import { Collection, CollectionCache } from './collection.ts'
import { NewestSource } from './collection-source.ts'
import type { OpenCommits } from './commit-source.ts'
import type { CollectionDefinition } from './define-collection.ts'
import { Definer } from './definer.ts'
import { assertIndexes } from './definition-checks.ts'
import type { IndexSpecs, StoredDocument } from './definition-types.ts'
import type { Engine } from './engine.ts'
import type { StoreEnvironment } from './environment.ts'
import { Snapshot } from './snapshot.ts'
import { type StoredRecord, storedDocuments } from './stored-documents.ts'
import type { Transaction } from './transaction.ts'
import {
  type BlockingTransactionOptions,
  type TransactionOptions,
  TransactionRunner,
} from './transaction-runner.ts'
import { drive, driveBlocking, type WorkContext } from './work.ts'

export interface DatabaseParts {
  readonly engine: Engine
  readonly environment: StoreEnvironment
  /** Without it there are no changes to read. */
  readonly openCommits?: OpenCommits | undefined
  /** What closing means below; called once. */
  readonly close?: () => Promise<void>
  /** Whether another thread, which opened the database, has closed it; asked before each operation. */
  readonly isClosedElsewhere?: () => boolean
}

function never(): false {
  return false
}

export class Database {
  readonly #context: WorkContext
  readonly #catalog: Catalog
  readonly #definer: Definer
  readonly #transactions: TransactionRunner
  readonly #close: (() => Promise<void>) | undefined
  readonly #collections = new CollectionCache()
  readonly #snapshots = new Set<Snapshot>()
  readonly #openCommits: OpenCommits | undefined
  readonly #changes = new Set<Changes>()
  #closing: Promise<void> | undefined

  constructor(parts: DatabaseParts) {
    const { engine, environment, isClosedElsewhere = never } = parts
    this.#close = parts.close
    this.#openCommits = parts.openCommits
    this.#context = {
      engine,
      environment,
      blocking: false,
      assertOpen: () => {
        if (this.#closing !== undefined || isClosedElsewhere()) {
          throw new StoreClosedError('the database')
        }
      },
    }
    this.#catalog = new Catalog(this.#context)
    this.#definer = new Definer(this.#context, this.#catalog)
    this.#transactions = new TransactionRunner(this.#context, this.#catalog)
  }

  get isClosed(): boolean {
    return this.#closing !== undefined
  }

  /**
   * Makes what is missing of the collections: the collections themselves, indexes, new versions. Resolves once all
   * indexes are complete; others may write meanwhile.
   * @throws DefinitionError, UniqueError
   */
  async define(definitions: readonly CollectionDefinition[]): Promise<void> {
    for (const definition of definitions) {
      await drive(this.#definer.define(definition), this.#context)
    }
  }

  /** @throws UnknownCollectionError, DefinitionError when the database has it otherwise: see `define` */
  collection<Doc extends StoredDocument, Insert, Indexes extends IndexSpecs>(
    definition: CollectionDefinition<Doc, Insert, Indexes>,
  ): Collection<Doc, Insert, Indexes> {
    this.#context.assertOpen()
    const known = this.#collections.get(definition)
    if (known !== undefined) return known
    const source = new NewestSource<Doc>(this.#context, this.#catalog, definition)
    assertIndexes(source.newest.state.entry, definition)
    const writer = new AutocommitWriter<Doc>(definition, source, this.#context, (inputs) =>
      this.#transactions.insertMany(definition, inputs),
    )
    const collection = new Collection<Doc, Insert, Indexes>(
      definition.name,
      source,
      writer,
      this.#context,
    )
    this.#collections.set(definition, collection)
    return collection
  }

  /** Names of all collections. */
  collectionNames(): string[] {
    this.#context.assertOpen()
    return this.#catalog.collections(this.#context.engine.latest).map(({ name }) => name)
  }

  /**
   * All documents of a collection as they are stored, without its definition: nothing is migrated. All of one state,
   * which is kept until the iteration ends.
   * @throws UnknownCollectionError
   */
  storedDocuments(collection: string): Generator<StoredRecord, void, undefined> {
    this.#context.assertOpen()
    return storedDocuments(this.#context.engine, collection)
  }

  /** @throws UnknownCollectionError, UnknownIndexError */
  dropIndex(collection: string, index: string): Promise<void> {
    return drive(this.#definer.dropIndex(collection, index), this.#context)
  }

  /** With all its documents and indexes. True when it existed. */
  dropCollection(collection: string): Promise<boolean> {
    return drive(this.#definer.dropCollection(collection), this.#context)
  }

  /**
   * Runs the closure against one state of the database and commits what it wrote, all or nothing. When others have
   * changed what it read, it is run again, on the newest state.
   * @throws what the closure throws, and nothing is committed; ConflictError, TransactionTimeoutError,
   * StoreTooLargeError; the signal's reason
   */
  transaction<T>(
    closure: (tx: Transaction) => T | Promise<T>,
    options: TransactionOptions = {},
  ): Promise<T> {
    return drive(this.#transactions.run(closure, options), this.#context)
  }

  /** The same, blocking this thread; the closure must not return a promise. */
  transactionSync<T>(closure: (tx: Transaction) => T, options: BlockingTransactionOptions = {}): T {
    return driveBlocking(this.#transactions.run(closure, options), this.#context)
  }

  /** The newest state, to be read for as long as it is open; `using` closes it. */
  snapshot(): Snapshot {
    this.#context.assertOpen()
    const snapshot = new Snapshot(this.#context, this.#catalog, () =>
      this.#snapshots.delete(snapshot),
    )
    this.#snapshots.add(snapshot)
    return snapshot
  }

  /**
   * Committed changes in their order, each commit once, out of the log: those after `from`, then new ones as they are
   * committed, for as long as one asks. Keeps the log from being released behind it, up to `keepLogBytes`.
   * @throws ChangesGoneError when `from` is beyond the newest commit, and later when the log no longer has the next;
   * ChangesUnavailableError, ValidationError, StoreFullError
   */
  changes(options: ChangesOptions = {}): Changes {
    this.#context.assertOpen()
    checkChangesOptions(options)
    if (this.#openCommits === undefined) throw new ChangesUnavailableError()
    const source = this.#openCommits(options.from)
    const changes = new Changes(source, this.#context.engine, options, () =>
      this.#changes.delete(changes),
    )
    this.#changes.add(changes)
    return changes
  }

  /** Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#closeParts()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #closeParts(): Promise<void> {
    for (const snapshot of this.#snapshots) snapshot.close()
    for (const changes of this.#changes) changes.stop()
    try {
      await this.#close?.()
    } finally {
      for (const changes of this.#changes) changes.close()
    }
  }
}
