/** SQLite as a document store: JSON text, and the age in a column of its own. */
import { join } from 'node:path'
import { isUsable, requirePeer } from '../peer-modules.ts'
import { type Fields, type StoredDocument, storedDocument } from './document.ts'
import {
  type BlockingWrites,
  type Candidate,
  firstIdOf,
  type Setup,
  type StoreClient,
} from './store.ts'

export interface SqliteTarget {
  readonly kind: 'sqlite'
  readonly driver: Driver
  readonly path: string
  readonly setup: Setup
}

type Driver = 'better-sqlite3' | 'node:sqlite'

/** All that is selected anywhere is one text, called `body`. */
type Body = string | { readonly body: string }

/** What both drivers have. */
interface Statement {
  run(...values: readonly (number | string)[]): { readonly changes: number | bigint }
  get(...values: readonly number[]): Body | undefined
  all(...values: readonly number[]): Body[]
}

interface Database {
  exec(source: string): unknown
  prepare(source: string): Statement & { pluck?(): Statement }
  close(): unknown
}

type DatabaseClass = new (path: string) => Database

function databaseClass(driver: Driver): DatabaseClass {
  if (driver === 'better-sqlite3') return requirePeer(driver)
  const { DatabaseSync }: { readonly DatabaseSync: DatabaseClass } = requirePeer(driver)
  return DatabaseSync
}

const MMAP_BYTES = 2 ** 30

function openDatabase({ driver, path, setup }: SqliteTarget): Database {
  const Database = databaseClass(driver)
  const database = new Database(path)
  database.exec('PRAGMA busy_timeout = 60000')
  database.exec('PRAGMA journal_mode = WAL')
  database.exec('PRAGMA synchronous = FULL')
  database.exec(`PRAGMA cache_size = -${Math.floor(setup.cacheBytes / 1024)}`)
  database.exec(`PRAGMA mmap_size = ${MMAP_BYTES}`)
  return database
}

/** better-sqlite3 can leave the row away, node:sqlite gives an object. */
function bodyReader(database: Database, source: string): Statement {
  const statement = database.prepare(source)
  return statement.pluck?.() ?? statement
}

function textOf(row: Body): string {
  return typeof row === 'string' ? row : row.body
}

function parse(row: Body): StoredDocument {
  const document: StoredDocument = JSON.parse(textOf(row))
  return document
}

class SqliteClient implements StoreClient {
  readonly #database: Database
  readonly #get: Statement
  readonly #range: Statement
  readonly #insert: Statement
  readonly #begin: Statement
  readonly #commit: Statement
  #nextId: number
  readonly awaited = undefined
  readonly blocking: BlockingWrites

  constructor(target: SqliteTarget, threadIndex: number) {
    const database = openDatabase(target)
    this.#database = database
    this.#nextId = firstIdOf(threadIndex)
    this.#get = bodyReader(database, 'SELECT body FROM document WHERE id = ?')
    this.#range = bodyReader(
      database,
      'SELECT body FROM document WHERE age >= ? AND age < ? ORDER BY age',
    )
    this.#insert = database.prepare('INSERT INTO document (id, age, body) VALUES (?, ?, ?)')
    this.#begin = database.prepare('BEGIN IMMEDIATE')
    this.#commit = database.prepare('COMMIT')
    // One statement is a transaction by itself; it need not bring the document here.
    const update = database.prepare(
      "UPDATE document SET age = ?, body = json_set(body, '$.age', ?) WHERE id = ?",
    )
    const remove = database.prepare('DELETE FROM document WHERE id = ?')
    this.blocking = {
      insert: (fields) => this.#put(fields),
      update: (id, age) => Number(update.run(age, age, id).changes) === 1,
      delete: (id) => Number(remove.run(id).changes) === 1,
    }
  }

  #put(fields: Fields): number {
    const id = this.#nextId++
    this.#insert.run(id, fields.age, JSON.stringify(storedDocument(id, fields)))
    return id
  }

  get(id: number): StoredDocument | undefined {
    const row = this.#get.get(id)
    return row === undefined ? undefined : parse(row)
  }

  range(ageFrom: number, ageTo: number): readonly StoredDocument[] {
    return this.#range.all(ageFrom, ageTo).map(parse)
  }

  insertAll(batch: readonly Fields[]): readonly number[] {
    this.#begin.run()
    const ids = batch.map((fields) => this.#put(fields))
    this.#commit.run()
    return ids
  }

  count(): number {
    const count = bodyReader(
      this.#database,
      'SELECT CAST(count(*) AS TEXT) AS body FROM document',
    ).get()
    return count === undefined ? 0 : Number(textOf(count))
  }

  async close(): Promise<void> {
    await Promise.resolve(this.#database.close())
  }
}

export function sqlite(driver: Driver): Candidate {
  return {
    name: `${driver}, synchronous=FULL`,
    settings:
      'WAL, JSON text, index on an age column, prepared statements, cache_size as configured, mmap_size of 1 GiB; updates by json_set; all writes are blocking',
    acknowledged: 'synced',
    oneThreadOnly: undefined,
    async load() {
      // The native part is loaded with the first database.
      return await Promise.resolve(isUsable(() => new (databaseClass(driver))(':memory:').close()))
    },
    async open(folder, setup) {
      const target: SqliteTarget = {
        kind: 'sqlite',
        driver,
        path: join(folder, 'sqlite.db'),
        setup,
      }
      const holder = openDatabase(target)
      holder.exec(
        'CREATE TABLE IF NOT EXISTS document (id INTEGER PRIMARY KEY, age INTEGER NOT NULL, body TEXT NOT NULL)',
      )
      if (setup.indexed) holder.exec('CREATE INDEX IF NOT EXISTS document_age ON document (age)')
      return await Promise.resolve({
        target,
        client: async () => await Promise.resolve(sqliteClient(target, 0)),
        close: async () => {
          await Promise.resolve(holder.close())
        },
      })
    },
  }
}

export function sqliteClient(target: SqliteTarget, threadIndex: number): StoreClient {
  return new SqliteClient(target, threadIndex)
}
