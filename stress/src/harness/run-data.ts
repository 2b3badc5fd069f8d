/**
 * The figures of a run as a file, `<report>.json`, beside the page that shows them. A program that reads it looks at
 * `format` and `version` first; a field is never given another meaning within a version, new ones may come.
 * Times of the run are seconds since the load began; all arrays of `samples` are as long as `atS`; null: nothing was
 * measured then.
 */
import type { KillKind } from '../load.ts'
import type { Figure } from '../report.ts'
import type { Verdict } from '../verdicts.ts'

export const RUN_DATA_FORMAT = 'ringbolt-run'
export const RUN_DATA_VERSION = 1

export interface RunData {
  readonly format: typeof RUN_DATA_FORMAT
  readonly version: typeof RUN_DATA_VERSION
  readonly run: RunFacts
  readonly proved: boolean
  readonly verdicts: readonly Verdict[]
  readonly findings: readonly string[]
  /** What the report prints as text. */
  readonly figures: readonly Figure[]
  readonly totals: RunTotals
  /** Of all acknowledgements of the run. */
  readonly latencyMs: readonly LatencyRow[]
  /** In the order of time, each over the time since the one before. */
  readonly samples: Samples
  /** In the order of time. */
  readonly events: readonly RunEvent[]
  readonly processes: readonly ProcessTotals[]
}

interface RunFacts {
  /** In words. */
  readonly description: string
  readonly seed: number
  /** The command that repeats it. */
  readonly replay: string
  /** ISO 8601. */
  readonly startedAt: string
  /** How long the load lasted. */
  readonly seconds: number
  readonly processes: number
  /** Of each process. */
  readonly workers: number
  readonly inFlight: number
  readonly sync: string
  readonly node: string
  readonly cpus: number
  readonly platform: string
}

export interface RunTotals {
  readonly operations: number
  readonly reads: number
  readonly operationsPerS: number
  readonly commitsPerSync: number
  readonly workersKilled: number
  readonly processesKilled: number
  readonly backups: number
  readonly freshnessChecks: number
  readonly documentsCompared: number
}

export interface LatencyRow {
  readonly percentile: number
  readonly ms: number
}

export interface Samples {
  readonly atS: readonly number[]
  readonly operationsPerS: readonly number[]
  readonly readsPerS: readonly number[]
  /** Acknowledgement latencies. */
  readonly p50Ms: readonly (number | null)[]
  readonly p90Ms: readonly (number | null)[]
  readonly p99Ms: readonly (number | null)[]
  readonly p999Ms: readonly (number | null)[]
  readonly commitsPerSync: readonly (number | null)[]
  readonly syncsPerS: readonly number[]
  /** Mean of a sync of the log. */
  readonly syncMs: readonly (number | null)[]
  readonly refusalsPerS: readonly number[]
  /** Hand-overs of the writer lock. */
  readonly turnsPerS: readonly number[]
  /** Mean of what a process waited for one. */
  readonly turnWaitMs: readonly (number | null)[]
  readonly freshnessChecksPerS: readonly number[]
  readonly logMiB: readonly (number | null)[]
  readonly fileMiB: readonly (number | null)[]
  /** One of each process; null while it is down. */
  readonly byProcess: readonly ProcessSamples[]
}

export interface ProcessSamples {
  readonly operationsPerS: readonly (number | null)[]
  /** The longest time without any acknowledgement: with several processes, mostly a wait for the writer lock. */
  readonly silenceMs: readonly (number | null)[]
  readonly rssMiB: readonly (number | null)[]
}

export type RunEvent =
  | {
      readonly kind: 'worker-killed'
      readonly atS: number
      readonly process: number
      readonly how: KillKind
      readonly incarnation: number
      /** From the kill to the end of its thread, and from there to the next acknowledgement of another. */
      readonly detectedMs: number
      readonly progressMs: number
    }
  | {
      readonly kind: 'process-killed'
      readonly atS: number
      readonly process: number
      readonly pid: number
    }
  | {
      /** The one that took a killed one's place has had something acknowledged to each of its workers. */
      readonly kind: 'process-back'
      readonly atS: number
      readonly process: number
      /** From its start: recovery, threads and all. */
      readonly afterMs: number
      /** Of it, opening the database. */
      readonly openMs: number
    }
  | {
      readonly kind: 'backup'
      readonly atS: number
      /** Of the process that made it. */
      readonly process: number
      readonly seconds: number
      readonly bytes: number
      readonly documents: number
      /** Null: its process was killed meanwhile. */
      readonly sound: boolean | null
    }

export interface ProcessTotals {
  readonly process: number
  readonly starts: number
  readonly operations: number
  readonly reads: number
  readonly freshnessChecks: number
  readonly longestSilenceMs: number
  readonly rssMaxMiB: number
  /** All figures of its database, `db.stats()`, as they were last in its last life. */
  readonly stats: object | null
}
