import { workerData } from 'node:worker_threads'
import { attach, type Database } from 'ringbolt'
import type { StoreWorkerData } from './store-pool.ts'

let database: Database | undefined

/**
 * The database that this worker's pool was made with. Attached once per worker, however often it is asked
 * for; the worker's end detaches it, however it ends.
 * @throws TypeError outside a pool made by `createPool`
 */
export function attached(): Database {
  database ??= attach(handleOf(workerData))
  return database
}

function handleOf(data: unknown): StoreWorkerData['ringboltStore'] {
  if (!isStoreWorkerData(data)) {
    throw new TypeError('attached: this thread was not started by a pool of createPool')
  }
  return data.ringboltStore
}

function isStoreWorkerData(data: unknown): data is StoreWorkerData {
  return typeof data === 'object' && data !== null && 'ringboltStore' in data
}
