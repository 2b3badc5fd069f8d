import type { Log, LogHandle } from '@ringbolt/wal'
import { Piscina } from 'piscina'

type PiscinaOptions = NonNullable<ConstructorParameters<typeof Piscina>[0]>

export type LogPoolOptions = Omit<PiscinaOptions, 'workerData' | 'filename'> & {
  /** The task module: a path or a `file:` URL. */
  readonly filename: string
  /** Handed to each worker beside the log; tasks find it in Piscina's `workerData`. */
  readonly workerData?: Readonly<Record<string, unknown>>
}

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
export function createLogPool(log: Log, options: LogPoolOptions): Piscina {
  const workerData: LogWorkerData = { ...options.workerData, ringboltLog: log.share() }
  return new Piscina({ atomics: 'async', ...options, workerData })
}
