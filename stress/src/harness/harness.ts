/**
 * The harness (M4, M5, M6): processes with pools insert, update, delete and read documents of one database; workers and
 * whole processes are killed and replaced; hot backups are taken and each one is opened. An oracle that knows the
 * seed and what was acknowledged compares every document, and a walk of the closed file checks its structure.
 */
import { cpus, platform } from 'node:os'
import { Random } from '@ringbolt/wal/simulation'
import type { DocumentSettings } from '../documents/document-settings.ts'
import { figuresIn, latencyRows } from '../figures.ts'
import { outcomeOf } from '../outcome.ts'
import type { ProgressView } from '../progress.ts'
import { type Figure, isProved, type Report } from '../report.ts'
import type { RunFolder } from '../run-folder.ts'
import { createSideFile, readSideFile } from '../side-file.ts'
import { Coordinator } from './coordinator.ts'
import { DatabaseProcess } from './database-process.ts'
import { byIncarnation, writeOperationLog } from './operation-log.ts'
import { prove } from './proof.ts'
import { RUN_DATA_FORMAT, RUN_DATA_VERSION, type RunData, type RunTotals } from './run-data.ts'
import { type Evidence, eventsOf, verdictsOn } from './run-verdicts.ts'

export interface HarnessOptions {
  readonly settings: DocumentSettings
  readonly processes: number
  readonly seconds: number
  readonly killSeconds: number
  readonly backupSeconds: number
  readonly heartbeatSeconds: number
  /** The command that does the same again. */
  readonly replay: string
}

export interface HarnessResult {
  readonly report: Omit<Report, 'replay' | 'folder'>
  readonly data: RunData
}

const MIB = 1024 * 1024

/** How many processes share a database unless told otherwise. */
export const PROCESSES_DEFAULT = 2

export async function runHarness(
  options: HarnessOptions,
  folder: RunFolder,
  progress: ProgressView,
): Promise<HarnessResult> {
  const { settings } = options
  createSideFile(folder.sideFile, 0)
  const coordinator = new Coordinator({
    ...options,
    database: folder.database,
    sideFile: folder.sideFile,
    backupOf: (ordinal) => folder.backup(ordinal),
    start: (work) => new DatabaseProcess(work),
    random: new Random(settings.seed),
    progress,
  })
  await coordinator.run()
  const failures = [...coordinator.failures]
  const acknowledged = readSideFile(folder.sideFile)
  progress.note('every acknowledged document is compared, then the file is walked')
  const proof = await outcomeOf(prove(settings, folder.database, acknowledged))
  if (!proof.ok) failures.push(String(proof.error))
  const evidence: Evidence = {
    settings,
    killed: options.killSeconds > 0,
    backedUp: options.backupSeconds > 0,
    processes: options.processes,
    acknowledged: acknowledged.reduce((sum, count) => sum + count, 0),
    proof: proof.ok ? proof.value : undefined,
    failures,
    staleReads: [...coordinator.staleReads],
    freshnessChecks: coordinator.timeline.freshnessChecks,
    events: coordinator.events,
    rssBytes: coordinator.timeline.rssBytesOfLongestLife(),
  }
  const findings = [
    ...failures,
    ...coordinator.staleReads,
    ...coordinator.backupFindings,
    ...(evidence.proof?.result.findings ?? []),
    ...(evidence.proof?.structure ?? []),
  ]
  const report = {
    run: describeRun(options),
    seed: settings.seed,
    figures: figuresOf(coordinator, evidence),
    verdicts: verdictsOn(evidence),
    findings,
  }
  const proved = isProved({ ...report, replay: '', folder: null })
  if (!proved) {
    writeOperationLog(folder.operationLog, {
      settings,
      processes: options.processes,
      events: coordinator.events,
      acknowledged: byIncarnation(acknowledged, settings.lanes),
      findings,
    })
  }
  return { report, data: dataOf(options, coordinator, evidence, { ...report, proved }) }
}

function totalsOf(coordinator: Coordinator, evidence: Evidence): RunTotals {
  const { timeline, events, durationMs } = coordinator
  const seconds = Math.max(1e-3, durationMs / 1000)
  return {
    operations: evidence.acknowledged,
    reads: timeline.reads,
    operationsPerS: timeline.operations / seconds,
    commitsPerSync: timeline.commitsPerSync,
    workersKilled: eventsOf(events, 'worker-killed').length,
    processesKilled: eventsOf(events, 'process-killed').length,
    backups: eventsOf(events, 'backup').length,
    freshnessChecks: timeline.freshnessChecks,
    documentsCompared: evidence.proof?.result.documents ?? 0,
  }
}

function figuresOf(coordinator: Coordinator, evidence: Evidence): Figure[] {
  const { timeline, events, durationMs } = coordinator
  const totals = totalsOf(coordinator, evidence)
  const processes = timeline.processTotals()
  const back = eventsOf(events, 'process-back').map(({ afterMs }) => afterMs)
  const longest = Math.max(0, ...processes.map(({ longestSilenceMs }) => longestSilenceMs))
  return [
    ...figuresIn('Throughput', [
      ['acknowledged', totals.operations, 'operations'],
      ['in', durationMs / 1000, 's'],
      ['operations', totals.operationsPerS, '/s'],
      ['reads verified', totals.reads, ''],
      ...latencyRows(timeline.latencies),
      ['longest silence of a process', longest, 'ms'],
      ['commits per sync', totals.commitsPerSync, ''],
    ]),
    ...figuresIn('Killed', [
      ['workers', totals.workersKilled, ''],
      ['processes', totals.processesKilled, ''],
      ['process back at work, longest', Math.max(0, ...back) / 1000, 's'],
    ]),
    ...figuresIn('Backups', totals.backups === 0 ? [] : [['taken', totals.backups, '']]),
    ...figuresIn('Memory', [
      ['a process, most', Math.max(0, ...processes.map(({ rssMaxMiB }) => rssMaxMiB)), 'MiB'],
    ]),
    ...figuresIn('Proof', [
      ['reads of others’ writes', totals.freshnessChecks, ''],
      ['documents compared', totals.documentsCompared, ''],
      [
        'under way, and committed',
        evidence.proof?.result.unacknowledgedCommitted ?? 0,
        'operations',
      ],
      ['opening at the end', evidence.proof?.openMs ?? 0, 'ms'],
    ]),
  ]
}

function dataOf(
  options: HarnessOptions,
  coordinator: Coordinator,
  evidence: Evidence,
  report: Pick<Report, 'run' | 'figures' | 'verdicts' | 'findings'> & { readonly proved: boolean },
): RunData {
  const { settings, processes, replay } = options
  const { timeline, events, startedAt, durationMs } = coordinator
  const { figures, verdicts, findings, proved } = report
  return {
    format: RUN_DATA_FORMAT,
    version: RUN_DATA_VERSION,
    run: {
      description: report.run,
      seed: settings.seed,
      replay,
      startedAt: startedAt.toISOString(),
      seconds: durationMs / 1000,
      processes,
      workers: settings.workers,
      inFlight: settings.lanes,
      sync: settings.sync,
      node: process.version,
      cpus: cpus().length,
      platform: platform(),
    },
    proved,
    verdicts,
    findings,
    figures,
    totals: totalsOf(coordinator, evidence),
    latencyMs: timeline.latencyTable(),
    samples: timeline.samples(),
    events: [...events].sort((a, b) => a.atS - b.atS),
    processes: timeline.processTotals(),
  }
}

function describeRun(options: HarnessOptions): string {
  const { settings, processes, seconds, killSeconds, backupSeconds } = options
  const { workers, lanes, blocking, sync, cacheBytes } = settings
  const who = processes === 1 ? '1 process' : `${processes} processes`
  const each = blocking ? 'blocking' : `${lanes} in flight`
  const parts = [
    `60/25/15 on documents with four indexes: ${who} × ${workers} workers, ${each}`,
    `sync ${sync}`,
    `cache ${cacheBytes / MIB} MiB`,
    `${seconds} s`,
  ]
  if (killSeconds > 0) parts.push(`a kill every ${killSeconds} s`)
  if (backupSeconds > 0) parts.push(`a backup every ${backupSeconds} s`)
  return parts.join(', ')
}
