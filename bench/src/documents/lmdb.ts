/** lmdb-js as a document store: one database of documents, and one of ids by age. */
import { join } from 'node:path'
import { isPeerInstalled, requirePeer } from '../peer-modules.ts'
import { type Fields, type StoredDocument, storedDocument } from './document.ts'
import {
  type AwaitedWrites,
  type BlockingWrites,
  type Candidate,
  firstIdOf,
  type Setup,
  type StoreClient,
} from './store.ts'

export interface LmdbTarget {
  readonly kind: 'lmdb'
  readonly environment: EnvironmentOptions
  readonly indexed: boolean
}

interface EnvironmentOptions {
  readonly path: string
  readonly mapSize: number
  readonly overlappingSync?: boolean
}

interface Database<Value> {
  get(key: number): Value | undefined
  put(key: number, value: Value): Promise<boolean>
  remove(key: number, value?: Value): Promise<boolean>
  transaction<T>(action: () => T): Promise<T>
  transactionSync<T>(action: () => T): T
  getRange(range: { start: number; end: number }): Iterable<{ key: number; value: Value }>
  getCount(): number
}

interface Environment {
  openDB<Value>(name: string, options: object): Database<Value>
  close(): Promise<void>
}

function openEnvironment(options: EnvironmentOptions): Environment {
  const lmdb: { open(options: EnvironmentOptions): Environment } = requirePeer('lmdb')
  return lmdb.open(options)
}

class LmdbClient implements StoreClient {
  readonly #environment: Environment
  readonly #documents: Database<StoredDocument>
  readonly #ages: Database<number> | undefined
  #nextId: number
  readonly awaited: AwaitedWrites
  readonly blocking: BlockingWrites

  constructor(target: LmdbTarget, threadIndex: number) {
    this.#environment = openEnvironment(target.environment)
    this.#documents = openDocuments(this.#environment)
    this.#ages = target.indexed ? openAges(this.#environment) : undefined
    this.#nextId = firstIdOf(threadIndex)
    const documents = this.#documents
    this.awaited = {
      insert: async (fields) => await this.#insert(fields),
      update: async (id, age) => await documents.transaction(() => this.#change(id, age)),
      delete: async (id) => await documents.transaction(() => this.#remove(id)),
    }
    this.blocking = {
      insert: (fields) => documents.transactionSync(() => this.#put(fields)),
      update: (id, age) => documents.transactionSync(() => this.#change(id, age)),
      delete: (id) => documents.transactionSync(() => this.#remove(id)),
    }
  }

  /** Without an index one put does, which is a transaction by itself. */
  async #insert(fields: Fields): Promise<number> {
    if (this.#ages !== undefined) {
      return await this.#documents.transaction(() => this.#put(fields))
    }
    const id = this.#nextId++
    await this.#documents.put(id, storedDocument(id, fields))
    return id
  }

  // In a transaction, where a put is done at once: its promise is that of the transaction.

  #put(fields: Fields): number {
    const id = this.#nextId++
    void this.#documents.put(id, storedDocument(id, fields))
    void this.#ages?.put(fields.age, id)
    return id
  }

  #change(id: number, age: number): boolean {
    const document = this.#documents.get(id)
    if (document === undefined) return false
    void this.#ages?.remove(document.age, id)
    void this.#ages?.put(age, id)
    document.age = age
    void this.#documents.put(id, document)
    return true
  }

  #remove(id: number): boolean {
    const document = this.#documents.get(id)
    if (document === undefined) return false
    void this.#ages?.remove(document.age, id)
    void this.#documents.remove(id)
    return true
  }

  get(id: number): StoredDocument | undefined {
    return this.#documents.get(id)
  }

  range(ageFrom: number, ageTo: number): readonly StoredDocument[] {
    const found: StoredDocument[] = []
    for (const { value: id } of this.#ages?.getRange({ start: ageFrom, end: ageTo }) ?? []) {
      const document = this.#documents.get(id)
      if (document !== undefined) found.push(document)
    }
    return found
  }

  insertAll(batch: readonly Fields[]): readonly number[] {
    return this.#documents.transactionSync(() => batch.map((fields) => this.#put(fields)))
  }

  count(): number {
    return this.#documents.getCount()
  }

  async close(): Promise<void> {
    await this.#environment.close()
  }
}

/** Of the tried settings the quickest: 0.70 M gets a second, 0.49 without shared structures. */
function openDocuments(environment: Environment): Database<StoredDocument> {
  return environment.openDB('documents', { sharedStructuresKey: Symbol.for('structures') })
}

function openAges(environment: Environment): Database<number> {
  return environment.openDB('ages', { dupSort: true, encoding: 'ordered-binary' })
}

const MAP_BYTES = 16 * 2 ** 30

/** `overlappingSync: false` makes the flush a part of the commit that a promise waits for. */
export function lmdb(name: string, acknowledged: Candidate['acknowledged']): Candidate {
  const overlapping = acknowledged !== 'synced'
  return {
    name,
    settings: `msgpackr with sharedStructuresKey, dupSort index, overlappingSync: ${overlapping}; the file is mapped, its cache is the system's`,
    acknowledged,
    oneThreadOnly: undefined,
    async load() {
      return await Promise.resolve(isPeerInstalled('lmdb'))
    },
    async open(folder: string, { indexed }: Setup) {
      const target: LmdbTarget = {
        kind: 'lmdb',
        environment: {
          path: join(folder, 'lmdb'),
          mapSize: MAP_BYTES,
          ...(overlapping ? {} : { overlappingSync: false }),
        },
        indexed,
      }
      // Made, and held open, by one thread: the others only attach.
      const holder = lmdbClient(target, 0)
      return await Promise.resolve({
        target,
        client: async () => await Promise.resolve(lmdbClient(target, 0)),
        close: async () => await holder.close(),
      })
    },
  }
}

export function lmdbClient(target: LmdbTarget, threadIndex: number): StoreClient {
  return new LmdbClient(target, threadIndex)
}
