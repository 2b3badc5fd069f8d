/** Ringbolt itself, through what it exports. */
import { join } from 'node:path'
import type { Fields, StoredDocument } from './document.ts'
import type { Candidate, Snapshot, Store, StoreClient } from './store.ts'

export interface RingboltTarget {
  readonly kind: 'ringbolt'
  /** From `share()`. */
  readonly handle: unknown
  readonly indexed: boolean
}

interface Writes<Result> {
  insert(fields: Fields): Result
}

interface Collection extends Writes<Promise<number>> {
  update(id: number, change: (document: StoredDocument) => void): Promise<unknown>
  delete(id: number): Promise<boolean>
  readonly sync: Writes<number> & {
    update(id: number, change: (document: StoredDocument) => void): unknown
    delete(id: number): boolean
  }
  get(id: number): StoredDocument | undefined
  range(index: 'age', bounds: { gte: number; lt: number }): Iterable<StoredDocument>
  count(): number
}

interface Transaction {
  collection(definition: unknown): { insert(fields: Fields): number | Promise<number> }
}

interface SnapshotOfAll {
  collection(definition: unknown): { get(id: number): StoredDocument | undefined }
  close(): void
}

interface Database {
  collection(definition: unknown): Collection
  transaction<T>(action: (transaction: Transaction) => Promise<T>): Promise<T>
  snapshot(): SnapshotOfAll
  share(): unknown
  close(): Promise<void>
}

interface Module {
  readonly defineCollection: () => (definition: object) => unknown
  open(path: string, options: object): Promise<Database>
  attach(handle: unknown, options: object): Database | Promise<Database>
}

/** Not resolved by the compiler: the package is being made. */
const MODULE: string = 'ringbolt'

async function importRingbolt(): Promise<Module> {
  const module: Module = await import(MODULE)
  return module
}

function definitionOf({ defineCollection }: Module, indexed: boolean): unknown {
  return defineCollection()({
    name: 'documents',
    ...(indexed ? { indexes: { age: { on: 'age' } } } : {}),
  })
}

class RingboltClient implements StoreClient {
  readonly #database: Database
  readonly #definition: unknown
  readonly #collection: Collection
  readonly #closes: boolean
  readonly awaited
  readonly blocking

  constructor(database: Database, definition: unknown, closes: boolean) {
    this.#database = database
    this.#definition = definition
    this.#closes = closes
    const collection = database.collection(definition)
    this.#collection = collection
    this.awaited = {
      insert: (fields: Fields) => collection.insert(fields),
      update: async (id: number, age: number) => {
        await collection.update(id, (document) => {
          document.age = age
        })
        return true
      },
      delete: (id: number) => collection.delete(id),
    }
    this.blocking = {
      insert: (fields: Fields) => collection.sync.insert(fields),
      update: (id: number, age: number) => {
        collection.sync.update(id, (document) => {
          document.age = age
        })
        return true
      },
      delete: (id: number) => collection.sync.delete(id),
    }
  }

  get(id: number): StoredDocument | undefined {
    return this.#collection.get(id)
  }

  range(gte: number, lt: number): readonly StoredDocument[] {
    return [...this.#collection.range('age', { gte, lt })]
  }

  async insertAll(batch: readonly Fields[]): Promise<readonly number[]> {
    return await this.#database.transaction(async (transaction) => {
      const documents = transaction.collection(this.#definition)
      const ids: number[] = []
      for (const fields of batch) {
        const id = documents.insert(fields)
        ids.push(typeof id === 'number' ? id : await id)
      }
      return ids
    })
  }

  count(): number {
    return this.#collection.count()
  }

  snapshot(): Snapshot {
    const snapshot = this.#database.snapshot()
    const documents = snapshot.collection(this.#definition)
    return { get: (id) => documents.get(id), close: () => snapshot.close() }
  }

  async close(): Promise<void> {
    if (this.#closes) await this.#database.close()
  }
}

export const ringbolt: Candidate = {
  name: 'ringbolt',
  settings: "sync: 'full', cacheBytes as configured",
  acknowledged: 'synced',
  oneThreadOnly: undefined,
  async load() {
    try {
      return (await importRingbolt()).open !== undefined
    } catch (error) {
      const isMissing =
        error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND'
      if (isMissing) return false
      throw error
    }
  },
  async open(folder, { indexed, cacheBytes }): Promise<Store> {
    const module = await importRingbolt()
    const definition = definitionOf(module, indexed)
    const database = await module.open(join(folder, 'ringbolt.db'), {
      collections: [definition],
      cacheBytes,
      sync: 'full',
    })
    return {
      target: { kind: 'ringbolt', handle: database.share(), indexed },
      client: async () => await Promise.resolve(new RingboltClient(database, definition, false)),
      close: async () => await database.close(),
    }
  },
}

export async function ringboltClient(target: RingboltTarget): Promise<StoreClient> {
  const module = await importRingbolt()
  const definition = definitionOf(module, target.indexed)
  const database = await module.attach(target.handle, { collections: [definition] })
  return new RingboltClient(database, definition, true)
}
