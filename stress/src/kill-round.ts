/**
 * One round of SIGKILL: a process runs a load on the log and is killed at a random moment; this one
 * recovers the log and lets the oracle read on.
 */
import { type LogLock, lsnOf, openLog, type RecoveryReport } from '@ringbolt/wal'
import type { Random } from '@ringbolt/wal/simulation'
import type { KillChildWork } from './kill-child.ts'
import { KillChild } from './processes.ts'
import type { RunFolder } from './run-folder.ts'
import { logOptionsOf, type Settings } from './settings.ts'
import { readSideFile } from './side-file.ts'
import type { Verifier } from './verifier.ts'
import type { Verified } from './verifier-thread.ts'

export interface KillRoundOptions {
  readonly settings: Settings
  readonly folder: RunFolder
  readonly lock: LogLock
  readonly verifier: Verifier
  readonly random: Random
  readonly incarnationFirst: number
  readonly incarnationEnd: number
  /** `load`: while it appends. `start`: anywhere from the start of the process on. */
  readonly moment: 'load' | 'start'
  readonly delayMaxMs: number
  /** Let go of what was verified before this round: later rounds then start from a cut log. */
  readonly truncate: boolean
}

export interface KillRound {
  readonly moment: 'load' | 'start'
  readonly delayMs: number
  /** In this round, by the side file. */
  readonly acknowledged: number
  readonly recovery: RecoveryReport
  /** Opening the log, its lock included. */
  readonly recoveryMs: number
  readonly verified: Verified
}

export async function killRound(options: KillRoundOptions): Promise<KillRound> {
  const { folder, settings, random, moment } = options
  const work: KillChildWork = {
    settings,
    logFolder: folder.log,
    lockPath: folder.lock,
    sideFilePath: folder.sideFile,
    incarnationFirst: options.incarnationFirst,
    incarnationEnd: options.incarnationEnd,
    seed: random.uint32(),
  }
  const child = new KillChild('./kill-child.js', work)
  if (moment === 'load') await child.underWay()
  const delayMs = random.between(0, options.delayMaxMs)
  await new Promise((resolve) => setTimeout(resolve, delayMs))
  await child.kill()
  const acknowledged = readSideFile(folder.sideFile)
    .slice(options.incarnationFirst, options.incarnationEnd)
    .reduce((sum, count) => sum + count, 0)
  return { moment, delayMs, acknowledged, ...(await recoverAndVerify(options)) }
}

async function recoverAndVerify(
  options: KillRoundOptions,
): Promise<Pick<KillRound, 'recovery' | 'recoveryMs' | 'verified'>> {
  const { folder, lock, verifier, truncate } = options
  const startedMs = performance.now()
  await using log = await openLog(folder.log, { ...logOptionsOf(options.settings), lock })
  const recoveryMs = performance.now() - startedMs
  const verified = await verifier.readClosed('strict')
  if (truncate) await log.truncateBefore(lsnOf(verified.lsn))
  return { recovery: log.recovery, recoveryMs, verified }
}
