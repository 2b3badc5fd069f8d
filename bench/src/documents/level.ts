/** classic-level as a document store: documents and index entries are keys of one database. */
import { join } from 'node:path'
import { isUsable, requirePeer } from '../peer-modules.ts'
import { type Fields, type StoredDocument, storedDocument } from './document.ts'
import {
  type AwaitedWrites,
  type Candidate,
  firstIdOf,
  type Setup,
  type StoreClient,
} from './store.ts'

export interface LevelTarget {
  readonly kind: 'level'
  readonly path: string
  readonly setup: Setup
}

type Operation =
  | { readonly type: 'put'; readonly key: Buffer; readonly value: StoredDocument | 0 }
  | { readonly type: 'del'; readonly key: Buffer }

interface Database {
  open(): Promise<void>
  getSync(key: Buffer): StoredDocument | undefined
  batch(operations: readonly Operation[], options: { readonly sync: boolean }): Promise<void>
  keys(range: { readonly gte: Buffer; readonly lt: Buffer }): {
    all(): Promise<Buffer[]>
    nextv(size: number): Promise<Buffer[]>
    close(): Promise<void>
  }
  close(): Promise<void>
}

interface ClassicLevel {
  readonly ClassicLevel: new (path: string, options: object) => Database
}

const DOCUMENT = 1
const AGE = 2
const AGE_KEY_BYTES = 9
/** Where the id stands in the key of an index entry. */
const AGE_KEY_ID = 5
const KEYS_PER_STEP = 10_000

function documentKey(id: number): Buffer {
  const key = Buffer.allocUnsafe(5)
  key[0] = DOCUMENT
  key.writeUInt32BE(id, 1)
  return key
}

function ageKey(age: number, id: number): Buffer {
  const key = Buffer.allocUnsafe(AGE_KEY_BYTES)
  key[0] = AGE
  key.writeUInt32BE(age, 1)
  key.writeUInt32BE(id, AGE_KEY_ID)
  return key
}

const SYNCED = { sync: true }

class LevelClient implements StoreClient {
  readonly #database: Database
  readonly #indexed: boolean
  #nextId: number
  readonly awaited: AwaitedWrites
  readonly blocking = undefined

  constructor(database: Database, indexed: boolean, threadIndex: number) {
    this.#database = database
    this.#indexed = indexed
    this.#nextId = firstIdOf(threadIndex)
    this.awaited = {
      insert: async (fields) => (await this.insertAll([fields]))[0]!,
      update: async (id, age) => await this.#update(id, age),
      delete: async (id) => await this.#delete(id),
    }
  }

  async insertAll(batch: readonly Fields[]): Promise<readonly number[]> {
    const ids: number[] = []
    const operations: Operation[] = []
    for (const fields of batch) {
      const id = this.#nextId++
      ids.push(id)
      operations.push({ type: 'put', key: documentKey(id), value: storedDocument(id, fields) })
      if (this.#indexed) operations.push({ type: 'put', key: ageKey(fields.age, id), value: 0 })
    }
    await this.#database.batch(operations, SYNCED)
    return ids
  }

  /** There are no transactions: right only since no two writes of a document are under way at once. */
  async #update(id: number, age: number): Promise<boolean> {
    const document = this.get(id)
    if (document === undefined) return false
    const operations: Operation[] = [
      { type: 'put', key: documentKey(id), value: { ...document, age } },
    ]
    if (this.#indexed) {
      operations.push(
        { type: 'del', key: ageKey(document.age, id) },
        { type: 'put', key: ageKey(age, id), value: 0 },
      )
    }
    await this.#database.batch(operations, SYNCED)
    return true
  }

  async #delete(id: number): Promise<boolean> {
    const document = this.get(id)
    if (document === undefined) return false
    const operations: Operation[] = [{ type: 'del', key: documentKey(id) }]
    if (this.#indexed) operations.push({ type: 'del', key: ageKey(document.age, id) })
    await this.#database.batch(operations, SYNCED)
    return true
  }

  get(id: number): StoredDocument | undefined {
    return this.#database.getSync(documentKey(id))
  }

  async range(ageFrom: number, ageTo: number): Promise<readonly StoredDocument[]> {
    const range = { gte: ageKey(ageFrom, 0), lt: ageKey(ageTo, 0) }
    const found: StoredDocument[] = []
    for (const key of await this.#database.keys(range).all()) {
      const document = this.get(key.readUInt32BE(AGE_KEY_ID))
      if (document !== undefined) found.push(document)
    }
    return found
  }

  async count(): Promise<number> {
    const keys = this.#database.keys({ gte: Buffer.of(DOCUMENT), lt: Buffer.of(AGE) })
    let documents = 0
    for (;;) {
      const { length } = await keys.nextv(KEYS_PER_STEP)
      if (length === 0) break
      documents += length
    }
    await keys.close()
    return documents
  }

  async close(): Promise<void> {
    await this.#database.close()
  }
}

export const level: Candidate = {
  name: 'classic-level, sync: true',
  settings: 'JSON (quicker here than msgpackr), getSync, cacheSize as configured, compression off',
  acknowledged: 'synced',
  oneThreadOnly: 'one thread of one process may have it open',
  async load() {
    return await Promise.resolve(isUsable(() => requirePeer('classic-level')))
  },
  async open(folder, setup) {
    const target: LevelTarget = { kind: 'level', path: join(folder, 'level'), setup }
    return await Promise.resolve({
      target,
      client: async () => await levelClient(target, 0),
      // Nothing is held: it is open in the one thread that uses it.
      close: async () => await Promise.resolve(),
    })
  },
}

export async function levelClient(target: LevelTarget, threadIndex: number): Promise<StoreClient> {
  const { ClassicLevel }: ClassicLevel = requirePeer('classic-level')
  const database = new ClassicLevel(target.path, {
    keyEncoding: 'buffer',
    valueEncoding: 'json',
    compression: false,
    cacheSize: target.setup.cacheBytes,
  })
  await database.open()
  return new LevelClient(database, target.setup.indexed, threadIndex)
}
