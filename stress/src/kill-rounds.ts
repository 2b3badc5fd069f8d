/**
 * SIGKILL again and again on one log: each round's process goes on where the one before was killed,
 * so that later generations of records stand on recovered ones.
 */

import { Random } from '@ringbolt/wal/simulation'
import { recoveryFigures } from './figures.ts'
import { type KillRound, killRound } from './kill-round.ts'
import { runLock } from './lock.ts'
import { describeFinding } from './oracle.ts'
import { failureOf, outcomeOf } from './outcome.ts'
import type { ProgressView } from './progress.ts'
import type { Report } from './report.ts'
import type { RunFolder } from './run-folder.ts'
import type { Settings } from './settings.ts'
import { createSideFile, readSideFile } from './side-file.ts'
import { abortedVerdict, oracleVerdict, type Verdict } from './verdicts.ts'
import { Verifier } from './verifier.ts'

export interface KillRoundsOptions {
  readonly settings: Settings
  readonly rounds: number
}

/** Workers that each process ends before it is killed itself. */
const CHILD_KILLS = 4
/** Every so many rounds the process is killed while it starts: opening, recovering, attaching. */
const START_EVERY = 4
const START_DELAY_MAX_MS = 500
const LOAD_DELAY_MAX_MS = 1000
/** Every so many rounds what was verified is let go of. */
const TRUNCATE_EVERY = 5

export async function killRounds(
  { settings, rounds }: KillRoundsOptions,
  folder: RunFolder,
  progress: ProgressView,
): Promise<Omit<Report, 'replay' | 'folder'>> {
  const { seed } = settings.workload
  const each = settings.workers + CHILD_KILLS
  createSideFile(folder.sideFile, rounds * each)
  const verifier = new Verifier({
    logFolder: folder.log,
    workload: settings.workload,
    incarnations: rounds * each,
  })
  const random = new Random(seed)
  const done: KillRound[] = []
  const failures: string[] = []
  try {
    for (let round = 0; round < rounds; round++) {
      const moment = round % START_EVERY === START_EVERY - 1 ? 'start' : 'load'
      const outcome = await outcomeOf(
        killRound({
          settings,
          folder,
          lock: runLock(folder.lock),
          verifier,
          random,
          incarnationFirst: round * each,
          incarnationEnd: (round + 1) * each,
          moment,
          delayMaxMs: moment === 'start' ? START_DELAY_MAX_MS : LOAD_DELAY_MAX_MS,
          truncate: round % TRUNCATE_EVERY === TRUNCATE_EVERY - 1,
        }),
      )
      if (!outcome.ok) {
        failures.push(String(outcome.error), ...(await unread(verifier)))
        break
      }
      const result = outcome.value
      done.push(result)
      progress.note(describeRound(round + 1, rounds, result))
      if (result.verified.findingCount > 0) break
    }
    const acknowledged = readSideFile(folder.sideFile)
    const oracle = await verifier.finish(acknowledged, settings.inFlightMax)
    const total = acknowledged.reduce((sum, count) => sum + count, 0)
    const aborted = done.at(-1)?.verified.aborted ?? 0
    return {
      run: `${rounds} processes killed in mid-flight on one log, ${settings.workers} workers each, sync ${settings.sync}`,
      seed,
      figures: recoveryFigures(done),
      verdicts: [
        oracleVerdict(oracle, total),
        abortedVerdict(aborted, rounds * CHILD_KILLS),
        roundsVerdict(done, rounds),
      ],
      findings: [...failures, ...oracle.findings.map(describeFinding)],
    }
  } finally {
    await verifier.close()
  }
}

/** After a round that failed: what was acknowledged in it must be there all the same. */
async function unread(verifier: Verifier): Promise<string[]> {
  const failure = await failureOf(verifier.readClosed('torn-tail'))
  return failure === undefined ? [] : [String(failure)]
}

function roundsVerdict(done: readonly KillRound[], rounds: number): Verdict {
  const sum = done.reduce((total, { recovery }) => total + recovery.leftOut.length, 0)
  return {
    name: 'each killed process gave its lock back and left a log that opens',
    ok: done.length === rounds && sum === 0,
    detail: `${done.length} of ${rounds} reopened, ${sum} ranges left out`,
  }
}

function describeRound(
  ordinal: number,
  rounds: number,
  { moment, delayMs, acknowledged, recovery, recoveryMs, verified }: KillRound,
): string {
  const when = moment === 'load' ? 'under load' : 'at start'
  return `round ${ordinal} of ${rounds}: killed ${when} after ${delayMs} ms, ${acknowledged} acknowledged; recovered ${recovery.records} records in ${recoveryMs.toFixed(0)} ms, ${recovery.droppedBytes} bytes dropped (${recovery.reason}); ${verified.findingCount} findings`
}
