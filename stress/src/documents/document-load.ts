/** The load of the runs on documents: workers whose lanes insert, update, delete and read. */
import { createPool } from '@ringbolt/workers'
import type { Database } from 'ringbolt'
import { Load } from '../load.ts'
import type { DocumentSettings } from './document-settings.ts'
import type { DocumentTask } from './document-task.ts'
import type { LaneRegion } from './lane-region.ts'

export interface DocumentLoadSpec {
  readonly settings: DocumentSettings
  readonly incarnationFirst: number
  readonly incarnationEnd: number
  readonly region: LaneRegion
  readonly sideFilePath: string | undefined
}

export function startDocumentLoad(db: Database, spec: DocumentLoadSpec): Load {
  const { settings, incarnationFirst, incarnationEnd, region, sideFilePath } = spec
  const { seed, lanes, blocking } = settings
  return new Load({
    workers: settings.workers,
    incarnationFirst,
    incarnationEnd,
    makePool: (options) =>
      createPool(db, {
        ...options,
        filename: new URL('./document-task.js', import.meta.url).href,
      }),
    taskOf: (incarnation, shared): DocumentTask => ({
      ...shared,
      incarnation,
      seed,
      lanes,
      laneRegion: region.buffer,
      blocking,
      sideFilePath,
    }),
  })
}
