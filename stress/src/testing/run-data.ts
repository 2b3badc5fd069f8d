/** The figures of a run that never was: two processes, a kill of each kind, a backup. */
import type { RunData } from '../harness/run-data.ts'
import { RUN_DATA_FORMAT, RUN_DATA_VERSION } from '../harness/run-data.ts'
import { mix } from '../mix.ts'

const SECONDS = 40
const DOWN_FROM = 21
const DOWN_TO = 24

/** From 0 to 1, the same each time. */
function wobble(at: number, what: number): number {
  return mix(at, what, 7) / 2 ** 32
}

function column(of: (at: number) => number): number[] {
  return Array.from({ length: SECONDS }, (_, at) => of(at))
}

function isDown(process: number, at: number): boolean {
  return process === 1 && at >= DOWN_FROM && at < DOWN_TO
}

function columnOf(process: number, of: (at: number) => number): (number | null)[] {
  return column(of).map((value, at) => (isDown(process, at) ? null : value))
}

export function exampleRunData(changes: Partial<RunData> = {}): RunData {
  const operations = [0, 1].map((process) =>
    columnOf(process, (at) => 14_000 + 3000 * wobble(at, process) + (isDown(1, at) ? 9000 : 0)),
  )
  const total = column((at) => (operations[0]?.[at] ?? 0) + (operations[1]?.[at] ?? 0))
  return {
    format: RUN_DATA_FORMAT,
    version: RUN_DATA_VERSION,
    run: {
      description: 'an example: 2 processes × 2 workers',
      seed: 42,
      replay: 'pnpm stress documents --seed 42',
      startedAt: '2026-01-02T03:04:05.678Z',
      seconds: SECONDS,
      processes: 2,
      workers: 2,
      inFlight: 64,
      sync: 'full',
      node: 'v20.0.0',
      cpus: 2,
      platform: 'linux',
    },
    proved: true,
    verdicts: [
      { name: 'every acknowledged operation is there', ok: true, detail: '1 of 1 <operations>' },
      { name: 'the closed file is sound', ok: true, detail: '0 findings' },
    ],
    findings: [],
    figures: [],
    totals: {
      operations: 1_234_567,
      reads: 1_400_000,
      operationsPerS: 30_864.175,
      commitsPerSync: 61.25,
      workersKilled: 1,
      processesKilled: 1,
      backups: 1,
      freshnessChecks: 15_432,
      documentsCompared: 555_123,
    },
    latencyMs: [
      { percentile: 50, ms: 3.14 },
      { percentile: 99, ms: 17.5 },
      { percentile: 100, ms: 420 },
    ],
    samples: {
      atS: column((at) => at + 1),
      operationsPerS: total,
      readsPerS: column((at) => 40_000 + 5000 * wobble(at, 3)),
      p50Ms: column((at) => 3 + wobble(at, 4)),
      p90Ms: column((at) => 6 + 2 * wobble(at, 5)),
      p99Ms: column((at) => 15 + 8 * wobble(at, 6)),
      p999Ms: column((at) => 40 + 60 * wobble(at, 7)),
      commitsPerSync: column((at) => 55 + 12 * wobble(at, 8)),
      syncsPerS: column((at) => 400 + 50 * wobble(at, 9)),
      syncMs: column((at) => 0.8 + 0.4 * wobble(at, 10)),
      refusalsPerS: column(() => 0),
      turnsPerS: column((at) => 60 + 8 * wobble(at, 14)),
      turnWaitMs: column((at) => 11 + 3 * wobble(at, 15)),
      freshnessChecksPerS: column((at) => 380 + 40 * wobble(at, 11)),
      logMiB: column((at) => (at % 7) * 1.2),
      fileMiB: column((at) => 10 + at * 3),
      byProcess: [0, 1].map((process) => ({
        operationsPerS: operations[process] ?? [],
        silenceMs: columnOf(process, (at) => 12 + 30 * wobble(at, 12 + process)),
        rssMiB: columnOf(process, (at) => 180 + Math.min(60, at * 4) + process * 9),
      })),
    },
    events: [
      {
        kind: 'worker-killed',
        atS: 8.5,
        process: 0,
        how: 'memory',
        incarnation: 1,
        detectedMs: 310,
        progressMs: 1.4,
      },
      {
        kind: 'backup',
        atS: 14,
        process: 0,
        seconds: 2.5,
        bytes: 48 * 2 ** 20,
        documents: 210_000,
        sound: true,
      },
      { kind: 'process-killed', atS: DOWN_FROM, process: 1, pid: 4711 },
      { kind: 'process-back', atS: DOWN_TO, process: 1, afterMs: 2900, openMs: 610 },
    ],
    processes: [0, 1].map((process) => ({
      process,
      starts: process + 1,
      operations: 617_283,
      reads: 700_000,
      freshnessChecks: 7716,
      longestSilenceMs: 41.7,
      rssMaxMiB: 249.5,
      stats: { commits: 600_000 },
    })),
    ...changes,
  }
}
