/**
 * The soak: a load on a real log, workers killed on the way; then a process doing the same is killed
 * as a whole, and its log recovered. One oracle reads it all.
 */

import { Random } from '@ringbolt/wal/simulation'
import { killFigures, memoryFigures, recoveryFigures, throughputFigures } from './figures.ts'
import { type KillRound, killRound } from './kill-round.ts'
import { type LivePhaseResult, livePhase } from './live-phase.ts'
import { runLock } from './lock.ts'
import { mix } from './mix.ts'
import { describeFinding, type OracleResult } from './oracle.ts'
import { failureOf, outcomeOf } from './outcome.ts'
import { tryOpenElsewhere } from './processes.ts'
import type { ProgressView } from './progress.ts'
import { type Report, thousands } from './report.ts'
import type { RunFolder } from './run-folder.ts'
import type { Settings } from './settings.ts'
import { createSideFile, readSideFile } from './side-file.ts'
import { SoakDriver } from './soak-driver.ts'
import {
  abortedVerdict,
  failuresVerdict,
  flatVerdict,
  killsVerdict,
  LOG_HEAP_GROWTH_MAX_BYTES,
  oracleVerdict,
  RSS_GROWTH_MAX_BYTES,
  refusedVerdict,
  slotsVerdict,
  type Verdict,
} from './verdicts.ts'
import { Verifier } from './verifier.ts'

export interface SoakOptions {
  readonly settings: Settings
  readonly seconds: number
  readonly kills: number
  readonly checkpointSeconds: number
}

/** Workers that the process which is killed as a whole ends before. */
const CHILD_KILLS = 2
const CHILD_MS_MAX = 5000

export async function soak(
  options: SoakOptions,
  folder: RunFolder,
  progress: ProgressView,
): Promise<Omit<Report, 'replay' | 'folder'>> {
  const { settings, kills } = options
  const liveEnd = settings.workers + kills
  const incarnations = liveEnd + settings.workers + CHILD_KILLS
  createSideFile(folder.sideFile, incarnations)
  const { workload } = settings
  const verifier = new Verifier({ logFolder: folder.log, workload, incarnations })
  const driver = new SoakDriver({
    seed: workload.seed,
    seconds: options.seconds,
    kills,
    progress,
    tryElsewhere: () => tryOpenElsewhere('./second-opener.js', [folder.log, folder.lock]),
  })
  try {
    const live = await livePhase({
      settings,
      logFolder: folder.log,
      lock: runLock(folder.lock),
      verifier,
      checkpointMs: options.checkpointSeconds * 1000,
      incarnationFirst: 0,
      incarnationEnd: liveEnd,
      progress,
      share: () => driver.share,
      drive: (load) => driver.drive(load),
    })
    // A log that has failed stays as it is; what was acknowledged before must be there all the same.
    const goesOn = live.failures.length === 0
    if (goesOn) progress.note('a process doing the same is killed, and its log recovered')
    const killing = goesOn
      ? await outcomeOf(killProcess(options, folder, verifier, liveEnd, incarnations))
      : undefined
    const failures = [...live.failures]
    if (killing?.ok === false) failures.push(String(killing.error))
    if (killing?.ok !== true) {
      const unread = await failureOf(verifier.readClosed('torn-tail'))
      if (unread !== undefined) failures.push(String(unread))
    }
    const acknowledged = readSideFile(folder.sideFile).map(
      (count, incarnation) => count + (live.acknowledged[incarnation] ?? 0),
    )
    const result = await verifier.finish(acknowledged, settings.inFlightMax)
    const round = killing?.ok === true ? killing.value : undefined
    return reportOf({ options, driver, live, round, failures, acknowledged, result })
  } finally {
    await verifier.close()
  }
}

function killProcess(
  { settings, seconds }: SoakOptions,
  folder: RunFolder,
  verifier: Verifier,
  incarnationFirst: number,
  incarnationEnd: number,
): Promise<KillRound> {
  return killRound({
    settings,
    folder,
    lock: runLock(folder.lock),
    verifier,
    // Not the moments of the phase before.
    random: new Random(mix(settings.workload.seed, incarnationFirst, incarnationEnd)),
    incarnationFirst,
    incarnationEnd,
    moment: 'load',
    delayMaxMs: Math.min(CHILD_MS_MAX, seconds * 250),
    truncate: false,
  })
}

interface Evidence {
  readonly options: SoakOptions
  readonly driver: SoakDriver
  readonly live: LivePhaseResult
  readonly round: KillRound | undefined
  readonly failures: readonly string[]
  readonly acknowledged: readonly number[]
  readonly result: OracleResult
}

function reportOf(evidence: Evidence): Omit<Report, 'replay' | 'folder'> {
  const { options, driver, live, round, failures, result } = evidence
  const meanRecordBytes = result.recordBytes / Math.max(1, result.records)
  return {
    run: describeRun(options),
    seed: options.settings.workload.seed,
    figures: [
      ...throughputFigures(live, meanRecordBytes),
      ...killFigures(driver.kills),
      ...recoveryFigures(round === undefined ? [] : [round]),
      ...memoryFigures(live),
    ],
    verdicts: verdictsOn(evidence),
    findings: [...failures, ...result.findings.map(describeFinding)],
  }
}

function verdictsOn(evidence: Evidence): Verdict[] {
  const { options, driver, live, round, failures, acknowledged, result } = evidence
  const total = acknowledged.reduce((sum, count) => sum + count, 0)
  const rssBytes = live.memory.map((sample) => sample.rssBytes)
  const logHeapBytes = live.memory.map((sample) => sample.logHeapBytes)
  return [
    oracleVerdict(result, total),
    failuresVerdict(failures),
    killsVerdict(driver.kills, options.kills),
    processVerdict(round),
    abortedVerdict(live.stats.aborted, options.kills),
    slotsVerdict(live.stats.threadsAttached),
    refusedVerdict(driver.refusal),
    flatVerdict('the process does not grow', rssBytes, RSS_GROWTH_MAX_BYTES),
    flatVerdict("the log's thread does not grow", logHeapBytes, LOG_HEAP_GROWTH_MAX_BYTES),
  ]
}

function processVerdict(round: KillRound | undefined): Verdict {
  return {
    name: 'the killed process gave its lock back and left a log that opens',
    ok: round !== undefined && round.recovery.leftOut.length === 0,
    detail:
      round === undefined
        ? 'the run did not get there'
        : `opened in ${round.recoveryMs.toFixed(0)} ms, ${thousands(round.acknowledged)} records acknowledged by it`,
  }
}

function describeRun({ settings, seconds, kills }: SoakOptions): string {
  const { workers, inFlightMax, blocking, sync, workload } = settings
  const each = blocking ? 'blocking' : `${inFlightMax} in flight`
  return `${workers} workers, ${each}, ${workload.recordBytesMin} to ${workload.recordBytesMax} B, sync ${sync}, ${seconds} s, ${kills} killed`
}
