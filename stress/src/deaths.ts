/** Workers killed one after the other, sometimes two at once, while the others append. */

import { Random } from '@ringbolt/wal/simulation'
import { deathFigures, memoryFigures, throughputFigures } from './figures.ts'
import { livePhase } from './live-phase.ts'
import { KILL_KINDS, type Kill, type Load } from './load.ts'
import { runLock } from './lock.ts'
import { describeFinding } from './oracle.ts'
import { failureOf } from './outcome.ts'
import type { ProgressView } from './progress.ts'
import type { Report } from './report.ts'
import type { RunFolder } from './run-folder.ts'
import type { Settings } from './settings.ts'
import {
  abortedVerdict,
  failuresVerdict,
  flatVerdict,
  killsVerdict,
  oracleVerdict,
  RSS_GROWTH_MAX_BYTES,
  slotsVerdict,
} from './verdicts.ts'
import { Verifier } from './verifier.ts'

export interface DeathsOptions {
  readonly settings: Settings
  /** How many are killed. */
  readonly deaths: number
}

const PAUSE_MAX_MS = 50
const CHECKPOINT_MS = 3000

export async function deaths(
  options: DeathsOptions,
  folder: RunFolder,
  progress: ProgressView,
): Promise<Omit<Report, 'replay' | 'folder'>> {
  const { settings } = options
  const { seed } = settings.workload
  const incarnations = settings.workers + options.deaths
  const verifier = new Verifier({
    logFolder: folder.log,
    workload: settings.workload,
    incarnations,
  })
  const kills: Kill[] = []
  try {
    const phase = await livePhase({
      settings,
      logFolder: folder.log,
      lock: runLock(folder.lock),
      verifier,
      checkpointMs: CHECKPOINT_MS,
      incarnationFirst: 0,
      incarnationEnd: incarnations,
      progress,
      share: () => kills.length / options.deaths,
      drive: (load) => killAll(load, options.deaths, new Random(seed), kills),
    })
    const unread = await failureOf(
      verifier.readClosed(phase.failures.length === 0 ? 'strict' : 'torn-tail'),
    )
    const result = await verifier.finish(phase.acknowledged, settings.inFlightMax)
    const failures = [...phase.failures, ...(unread === undefined ? [] : [String(unread)])]
    const meanRecordBytes = result.recordBytes / Math.max(1, result.records)
    return {
      run: `${options.deaths} workers killed under load, ${settings.workers} at a time, sync ${settings.sync}`,
      seed,
      figures: [
        ...deathFigures(kills),
        ...throughputFigures(phase, meanRecordBytes),
        ...memoryFigures(phase),
      ],
      verdicts: [
        oracleVerdict(result, phase.acknowledgedTotal),
        failuresVerdict(failures),
        killsVerdict(kills, options.deaths),
        abortedVerdict(phase.stats.aborted, options.deaths),
        slotsVerdict(phase.stats.threadsAttached),
        flatVerdict(
          'the process does not grow',
          phase.memory.map(({ rssBytes }) => rssBytes),
          RSS_GROWTH_MAX_BYTES,
        ),
      ],
      findings: [...failures, ...result.findings.map(describeFinding)],
    }
  } finally {
    await verifier.close()
  }
}

async function killAll(load: Load, count: number, random: Random, kills: Kill[]): Promise<void> {
  await load.started()
  while (kills.length < count) {
    await new Promise((resolve) => setTimeout(resolve, random.between(0, PAUSE_MAX_MS)))
    const together = Math.min(random.between(1, 2), count - kills.length)
    const done = await Promise.all(
      Array.from({ length: together }, () => load.kill(random.pick(KILL_KINDS), random)),
    )
    for (const kill of done) {
      if (kill === undefined) return
      kills.push(kill)
    }
  }
}
