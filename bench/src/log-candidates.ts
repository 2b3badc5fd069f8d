/** The stores that a load is put on, each made afresh for a round and removed after it. */
import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type Log, openLog } from '@ringbolt/wal'
import type { AppendTarget, LmdbForm, LoadShape } from './append-work.ts'
import { type LmdbOptions, loadLmdb, loadSqlite } from './peer-modules.ts'

export interface Candidate {
  readonly name: string
  /** What an acknowledgement promises, by the store's documentation. */
  readonly acknowledged: 'synced' | 'at its commit'
  /** Shown beside the others, not compared with. */
  readonly contextOnly: boolean
  prepare(folder: string, shape: LoadShape): Promise<Prepared>
}

interface Prepared {
  readonly target: AppendTarget
  /** Syncs that were made, where the store counts them. */
  close(): Promise<{ readonly syncs: number | undefined }>
}

export interface RingboltOptions {
  readonly syncDelayMs?: number
  /** Release segments while the load runs, as a database does that checkpoints. Default: keep all. */
  readonly truncates?: boolean
}

const TRUNCATE_EVERY_MS = 200

export function ringbolt(name: string, options: RingboltOptions = {}): Candidate {
  return {
    name,
    acknowledged: 'synced',
    contextOnly: false,
    async prepare(folder) {
      const { syncDelayMs = 0, truncates = false } = options
      const log = await openLog(join(folder, 'log'), { syncDelayMs })
      const stopTruncating = truncates ? keepTruncating(log) : undefined
      return {
        target: { kind: 'ringbolt', handle: log.share() },
        async close() {
          await stopTruncating?.()
          const { syncs } = await log.stats()
          await log.close()
          return { syncs }
        },
      }
    },
  }
}

function keepTruncating(log: Log): () => Promise<void> {
  let last = Promise.resolve()
  const timer = setInterval(() => {
    last = last.then(() => log.truncateBefore(log.durableLsn))
  }, TRUNCATE_EVERY_MS)
  return async () => {
    clearInterval(timer)
    await last
  }
}

const MAP_BYTES = 16 * 2 ** 30

/** `overlappingSync: false` makes the flush a part of the commit that a put's promise waits for. */
export function lmdb(name: string, acknowledged: Candidate['acknowledged']): Candidate {
  return {
    name,
    acknowledged,
    contextOnly: acknowledged !== 'synced',
    async prepare(folder, shape) {
      const options: LmdbOptions = {
        path: join(folder, 'lmdb'),
        encoding: 'binary',
        keyEncoding: 'uint32',
        mapSize: MAP_BYTES,
        ...(acknowledged === 'synced' ? { overlappingSync: false } : {}),
      }
      // Made, and held open, by one thread: the load threads only attach.
      const database = loadLmdb().open(options)
      const form: LmdbForm = shape.blocking ? 'put-sync' : 'put'
      return {
        target: { kind: 'lmdb', options, form },
        async close() {
          await database.close()
          return { syncs: undefined }
        },
      }
    },
  }
}

export function sqlite(name: string, rowsPerTransaction: number): Candidate {
  return {
    name,
    acknowledged: 'synced',
    contextOnly: rowsPerTransaction !== 1,
    async prepare(folder) {
      const Database = loadSqlite()
      const path = join(folder, 'sqlite.db')
      const database = new Database(path)
      database.pragma('journal_mode = WAL')
      database.exec('CREATE TABLE record (id INTEGER PRIMARY KEY, body BLOB NOT NULL)')
      return {
        target: { kind: 'sqlite', path, rowsPerTransaction },
        async close() {
          database.close()
          return { syncs: undefined }
        },
      }
    },
  }
}

/** Runs with a folder of its own under the one given, removed afterwards. */
export async function withFolder<T>(
  under: string,
  use: (folder: string) => Promise<T>,
): Promise<T> {
  const folder = mkdtempSync(join(under, 'ringbolt-bench-'))
  try {
    return await use(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
