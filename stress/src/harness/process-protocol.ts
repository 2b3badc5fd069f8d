/** What a process of the harness and the one that directs it say to each other, as JSON over Node's channel. */

import type { DocumentOracleResult } from '../documents/document-oracle.ts'
import type { DocumentSettings } from '../documents/document-settings.ts'
import type { Kill, KillKind } from '../load.ts'
import type { BackupResult } from './backup.ts'
import type { DatabaseCounters } from './database-counters.ts'

/** How a process is started. */
export interface ProcessWork {
  readonly settings: DocumentSettings
  readonly path: string
  readonly sideFilePath: string
  /** Its workers take their numbers from here, up to `incarnationEnd`. */
  readonly incarnationFirst: number
  readonly incarnationEnd: number
  readonly seed: number
}

/** What happened since the question before, but where it says otherwise. */
export interface ProcessSample {
  readonly elapsedMs: number
  /** Since its start. */
  readonly operations: number
  /** Since its start. */
  readonly reads: number
  /** Acknowledgements: counts of a `Latencies`. */
  readonly latencies: readonly number[]
  /** The longest time in which nothing was acknowledged to any of its workers. */
  readonly silenceMs: number
  /** Now. */
  readonly rssBytes: number
  readonly eventLoopDelayP99Ms: number
  readonly counters: DatabaseCounters
  /** All figures of its database, `db.stats()`. */
  readonly stats: object
  /** Documents of other processes that were looked at, since its start. */
  readonly freshnessChecks: number
  /** The first that were behind, since its start. */
  readonly freshnessFindings: readonly string[]
  /** Every worker has had something acknowledged. */
  readonly underWay: boolean
}

/** By the kind of the question: what it says besides, and what the answer is. */
export interface Questions {
  readonly sample: { readonly asked: object; readonly answer: ProcessSample }
  /** Null: the load was stopped before a worker was killed. */
  readonly killWorker: {
    readonly asked: { readonly kill: KillKind }
    readonly answer: Kill | null
  }
  readonly backup: { readonly asked: { readonly target: string }; readonly answer: BackupResult }
  readonly checkpoint: { readonly asked: object; readonly answer: null }
  /** The newest state, compared with all that was acknowledged to anybody, while all write on. */
  readonly prove: { readonly asked: object; readonly answer: DocumentOracleResult }
  /** Whose acknowledgements this process is to look for in the database. */
  readonly watch: {
    readonly asked: { readonly incarnations: readonly number[] }
    readonly answer: null
  }
  /** The workers finish what is in flight, the database is closed; then the process ends. */
  readonly stop: { readonly asked: object; readonly answer: ProcessSample }
}

export type QuestionKind = keyof Questions

export type Question = {
  readonly [K in QuestionKind]: { readonly id: number; readonly kind: K } & Questions[K]['asked']
}[QuestionKind]

export type ProcessMessage =
  | { readonly kind: 'opened'; readonly openMs: number }
  | { readonly kind: 'answer'; readonly id: number; readonly answer: unknown }
  | { readonly kind: 'refused'; readonly id: number; readonly reason: string }
  /** Nothing follows but its end. */
  | { readonly kind: 'failed'; readonly reason: string }
