import type { Log, LogHandle } from '@ringbolt/wal'
import { Piscina } from 'piscina'
import type { PoolOptions } from './pool-options.ts'

/** What a worker of such a pool finds in its `workerData`. */
export interface LogWorkerData {
  readonly ringboltLog: LogHandle
}

/**
 * Makes a pool whose workers reach the log by `attachedLog()`. Close the pool before the log.
 *
 * `atomics` defaults to `async`: Piscina's own default blocks an idle worker in `Atomics.wait`, which
 * freezes its timers and the acknowledgements that it still waits for.
 */
export function createLogPool(log: Log, options: PoolOptions): Piscina {
  const workerData: LogWorkerData = { ...options.workerData, ringboltLog: log.share() }
  return new Piscina({ atomics: 'async', ...options, workerData })
}
