/** The load of the runs on documents: workers whose lanes insert, update, delete and read. */
import { createPool } from '@ringbolt/workers'
import type { Database } from 'ringbolt'
import { Load } from '../load.ts'
import { type DocumentSettings, lanesOf } from './document-settings.ts'
import type { DocumentTask } from './document-task.ts'

export interface DocumentLoadSpec {
  readonly settings: DocumentSettings
  readonly incarnationFirst: number
  readonly incarnationEnd: number
  readonly sideFilePath: string
}

export function startDocumentLoad(db: Database, spec: DocumentLoadSpec): Load {
  const { settings, incarnationFirst, incarnationEnd, sideFilePath } = spec
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
      rules: lanesOf(settings),
      blocking: settings.blocking,
      sideFilePath,
    }),
  })
}
