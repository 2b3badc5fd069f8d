import { Piscina } from 'piscina'
import type { Database, StoreHandle } from 'ringbolt'
import type { PoolOptions } from './pool-options.ts'

/** What a worker of such a pool finds in its `workerData`. */
export interface StoreWorkerData {
  readonly ringboltStore: StoreHandle
}

/**
 * Makes a pool whose workers reach the database by `attached()`. Close the pool before the database.
 *
 * `atomics` defaults to `async`: Piscina's own default blocks an idle worker in `Atomics.wait`, which
 * freezes its timers and the acknowledgements that it still waits for.
 */
export function createPool(db: Database, options: PoolOptions): Piscina {
  const workerData: StoreWorkerData = { ...options.workerData, ringboltStore: db.share() }
  return new Piscina({ atomics: 'async', ...options, workerData })
}
