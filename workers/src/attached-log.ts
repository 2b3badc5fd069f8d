import { workerData } from 'node:worker_threads'
import { attachLog, type LogClient } from '@ringbolt/wal'
import type { LogWorkerData } from './log-pool.ts'

let client: LogClient | undefined

/**
 * The log that this worker's pool was made with. One client per worker, however often it is asked for.
 * @throws TypeError outside a pool made by `createLogPool`
 */
export function attachedLog(): LogClient {
  client ??= attachLog(handleOf(workerData))
  return client
}

function handleOf(data: unknown): LogWorkerData['ringboltLog'] {
  if (!isLogWorkerData(data)) {
    throw new TypeError('attachedLog: this thread was not started by a pool of createLogPool')
  }
  return data.ringboltLog
}

function isLogWorkerData(data: unknown): data is LogWorkerData {
  return typeof data === 'object' && data !== null && 'ringboltLog' in data
}
