/** The load of the log's runs: workers that append records. */
import type { Log } from '@ringbolt/wal'
import { createLogPool } from '@ringbolt/workers'
import type { AppendTask } from './append-task.ts'
import { Load } from './load.ts'
import type { Settings } from './settings.ts'

export interface LogLoadSpec {
  readonly settings: Settings
  readonly incarnationFirst: number
  readonly incarnationEnd: number
  readonly sideFilePath: string | undefined
}

export function startLogLoad(log: Log, spec: LogLoadSpec): Load {
  const { settings, incarnationFirst, incarnationEnd, sideFilePath } = spec
  const { workload, inFlightMax, blocking } = settings
  return new Load({
    workers: settings.workers,
    incarnationFirst,
    incarnationEnd,
    makePool: (options) =>
      createLogPool(log, {
        ...options,
        filename: new URL('./append-task.js', import.meta.url).href,
      }),
    taskOf: (incarnation, shared): AppendTask => ({
      ...shared,
      incarnation,
      workload,
      inFlightMax,
      blocking,
      sideFilePath,
    }),
  })
}
