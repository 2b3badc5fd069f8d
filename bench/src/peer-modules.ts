/**
 * The peers as they are used here. They live in `bench/peers`, a project outside the workspace, so
 * that nobody needs them to build; `pnpm bench:peers` installs them.
 */
import { createRequire } from 'node:module'

/** The caller says what it uses of a peer: nobody needs their types to build. */
export const requirePeer = createRequire(new URL('../peers/package.json', import.meta.url))

/**
 * Whether a peer is installed, and its native part was built for this Node.
 * @param use loads it, and does something with it where only that loads the native part
 */
export function isUsable(use: () => unknown): boolean {
  try {
    use()
    return true
  } catch {
    // Whatever the reason: it is left out.
    return false
  }
}

interface LmdbDatabase {
  put(key: number, value: Uint8Array): Promise<boolean>
  putSync(key: number, value: Uint8Array): boolean
  close(): Promise<void>
}

export interface LmdbOptions {
  readonly path: string
  readonly encoding: 'binary'
  readonly keyEncoding: 'uint32'
  readonly mapSize: number
  readonly overlappingSync?: boolean
}

interface Lmdb {
  open(options: LmdbOptions): LmdbDatabase
}

interface SqliteStatement {
  run(...values: readonly Uint8Array[]): unknown
}

interface SqliteDatabase {
  pragma(source: string): unknown
  exec(source: string): unknown
  prepare(source: string): SqliteStatement
  close(): unknown
}

type Sqlite = new (path: string) => SqliteDatabase

export function loadLmdb(): Lmdb {
  return requirePeer('lmdb')
}

export function loadSqlite(): Sqlite {
  return requirePeer('better-sqlite3')
}

/** Whether all are installed, and their native parts are built. */
export function peersInstalled(): boolean {
  return isUsable(() => {
    loadLmdb()
    requirePeer('classic-level')
    const Sqlite = loadSqlite()
    new Sqlite(':memory:').close()
  })
}
