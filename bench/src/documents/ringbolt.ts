/** Ringbolt itself, through what it exports. */
import { join } from 'node:path'
import {
  attach,
  type Collection,
  type Database,
  type DocOf,
  defineCollection,
  type InsertTypeOf,
  type OpenOptions,
  open,
  type StoreHandle,
} from 'ringbolt'
import type { Fields, StoredDocument } from './document.ts'
import type { Candidate, Snapshot, Store, StoreClient } from './store.ts'

export interface RingboltTarget {
  readonly kind: 'ringbolt'
  /** From `share()`. */
  readonly handle: StoreHandle
  readonly indexed: boolean
}

const plain = defineCollection<Fields>()({ name: 'documents' })
export const byAge = defineCollection<Fields>()({
  name: 'documents',
  indexes: { age: { on: 'age' } },
})

type Documents = Collection<DocOf<typeof plain>, InsertTypeOf<typeof plain>, {}>

class RingboltClient implements StoreClient {
  readonly #database: Database
  readonly #definition: typeof plain | typeof byAge
  readonly #collection: Documents
  readonly #closes: boolean
  readonly awaited
  readonly blocking

  constructor(database: Database, indexed: boolean, closes: boolean) {
    this.#database = database
    this.#definition = indexed ? byAge : plain
    this.#closes = closes
    const collection: Documents = indexed ? database.collection(byAge) : database.collection(plain)
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
    return [...this.#database.collection(byAge).range('age', { gte, lt })]
  }

  async insertAll(batch: readonly Fields[]): Promise<readonly number[]> {
    return await this.#database.transaction(async (transaction) => {
      return await transaction.collection(this.#definition).insertMany(batch)
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

/** @param options whose effect is shown beside the defaults */
export function ringbolt(
  name: string,
  options: Pick<OpenOptions, 'crossProcessLock' | 'readStalenessMs'> = {},
): Candidate {
  const chosen = Object.entries(options).map(([option, value]) => `, ${option}: ${value}`)
  return {
    name,
    settings: `sync: 'full', cacheBytes as configured${chosen.join('')}`,
    acknowledged: 'synced',
    oneThreadOnly: undefined,
    load: async () => await Promise.resolve(true),
    async open(folder, { indexed, cacheBytes }): Promise<Store> {
      const database = await open(mainFileIn(folder), {
        collections: [indexed ? byAge : plain],
        cacheBytes,
        sync: 'full',
        ...options,
      })
      return {
        target: { kind: 'ringbolt', handle: database.share(), indexed },
        client: async () => await Promise.resolve(new RingboltClient(database, indexed, false)),
        turns: () => {
          const { turns, turnWaitMs } = database.stats().processes
          return { count: turns, waitMs: turnWaitMs }
        },
        close: async () => await database.close(),
      }
    },
  }
}

export function mainFileIn(folder: string): string {
  return join(folder, 'ringbolt.db')
}

export async function ringboltClient({ handle, indexed }: RingboltTarget): Promise<StoreClient> {
  return await Promise.resolve(new RingboltClient(attach(handle), indexed, true))
}
