/** lmdb-js as a document store: one database of documents, and one of ids by age. */
import { join } from 'node:path'
import { isUsable, requirePeer } from '../peer-modules.ts'
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
  put(key: number, value: Value, version?: number): Promise<boolean>
  putSync(key: number, value: Value, version?: number): boolean
  remove(key: number, value?: Value): Promise<boolean>
  getEntry(key: number): { readonly value: Value; readonly version: number } | undefined
  ifVersion(key: number, version: number, action: () => void): Promise<boolean>
  batch(action: () => void): Promise<boolean>
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

interface VersionedDocument {
  readonly value: StoredDocument
  readonly version: number
}

const FIRST_VERSION = 1

class LmdbClient implements StoreClient {
  readonly #environment: Environment
  readonly #documents: Database<StoredDocument>
  readonly #ages: Database<number> | undefined
  #nextId: number
  readonly awaited: AwaitedWrites
  readonly blocking: BlockingWrites

  constructor(target: LmdbTarget, threadIndex: number) {
    this.#environment = openEnvironment(target.environment)
    this.#documents = openDocuments(this.#environment, target.indexed)
    this.#ages = target.indexed ? openAges(this.#environment) : undefined
    this.#nextId = firstIdOf(threadIndex)
    this.awaited = {
      insert: async (fields) => await this.#insert(fields),
      update: async (id, age) =>
        await this.#ifUnchanged(id, (entry) => this.#change(id, entry, age)),
      delete: async (id) => await this.#ifUnchanged(id, (entry) => this.#remove(id, entry)),
    }
    this.blocking = {
      insert: (fields) => this.#insertSync(fields),
      update: (id, age) => this.#transactSync(id, (entry) => this.#change(id, entry, age)),
      delete: (id) => this.#transactSync(id, (entry) => this.#remove(id, entry)),
    }
  }

  /** Without an index one put does, which is a transaction by itself. */
  async #insert(fields: Fields): Promise<number> {
    if (this.#ages === undefined) {
      const id = this.#nextId++
      await this.#documents.put(id, storedDocument(id, fields), FIRST_VERSION)
      return id
    }
    let id = 0
    await this.#documents.batch(() => {
      id = this.#put(fields)
    })
    return id
  }

  #insertSync(fields: Fields): number {
    if (this.#ages !== undefined) return this.#documents.transactionSync(() => this.#put(fields))
    const id = this.#nextId++
    this.#documents.putSync(id, storedDocument(id, fields), FIRST_VERSION)
    return id
  }

  /** A tenth quicker than a transaction with a callback, and as safe: again when it has changed. */
  async #ifUnchanged(id: number, change: (entry: VersionedDocument) => void): Promise<boolean> {
    for (;;) {
      const entry = this.#documents.getEntry(id)
      if (entry === undefined) return false
      if (await this.#documents.ifVersion(id, entry.version, () => change(entry))) return true
    }
  }

  #transactSync(id: number, change: (entry: VersionedDocument) => void): boolean {
    return this.#documents.transactionSync(() => {
      const entry = this.#documents.getEntry(id)
      if (entry !== undefined) change(entry)
      return entry !== undefined
    })
  }

  // The promise of each write in a transaction or a batch is that of the whole.

  #put(fields: Fields): number {
    const id = this.#nextId++
    void this.#documents.put(id, storedDocument(id, fields), FIRST_VERSION)
    void this.#ages?.put(fields.age, id)
    return id
  }

  #change(id: number, { value, version }: VersionedDocument, age: number): void {
    void this.#ages?.remove(value.age, id)
    void this.#ages?.put(age, id)
    void this.#documents.put(id, { ...value, age }, version + 1)
  }

  #remove(id: number, { value }: VersionedDocument): void {
    void this.#ages?.remove(value.age, id)
    void this.#documents.remove(id)
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
function openDocuments(environment: Environment, useVersions: boolean): Database<StoredDocument> {
  const sharedStructuresKey = Symbol.for('structures')
  return environment.openDB('documents', { sharedStructuresKey, useVersions })
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
    settings: `msgpackr with sharedStructuresKey, dupSort index, updates by ifVersion, overlappingSync: ${overlapping}; the file is mapped, its cache is the system's`,
    acknowledged,
    oneThreadOnly: undefined,
    async load() {
      return await Promise.resolve(isUsable(() => requirePeer('lmdb')))
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
