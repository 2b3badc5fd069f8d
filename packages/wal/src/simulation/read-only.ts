/** Opening read-only and under the strict policy: what that must find, and that it changes nothing. */
import { LogCorruptError, LogNotFoundError } from '../errors.ts'
import type { RecoveryReport } from '../recovery-report.ts'
import { SegmentedLog } from '../segmented-log.ts'
import type { DiskCall } from './disk-plans.ts'
import { differ } from './oracle.ts'
import type { Simulation } from './simulation.ts'

/** What a read-only opening has seen. */
export interface Glimpse {
  readonly marks: string
  readonly report: RecoveryReport
}

const CHANGES: readonly DiskCall[] = [
  'create',
  'write',
  'sync',
  'truncate',
  'rename',
  'remove',
  'syncFolder',
]

export function marksOf(log: SegmentedLog): string {
  const { firstLsn, endLsn, nextEpoch, nextSequence } = log
  return `LSN ${firstLsn} to ${endLsn}, epoch ${nextEpoch}, sequence ${nextSequence}`
}

/** Looks at the log without changing it; undefined when there is none yet. */
export function look(simulation: Simulation): Glimpse | undefined {
  const { disk, coverage, logId } = simulation
  const before = changesOf(simulation)
  let glimpse: Glimpse
  try {
    const log = SegmentedLog.open(disk, { readOnly: true, logId })
    glimpse = { marks: marksOf(log), report: log.recovery }
    log.close()
  } catch (error) {
    if (!(error instanceof LogNotFoundError)) throw error
    return undefined
  }
  const clean = glimpse.report.reason === 'clean'
  const strictOpens = opensStrictly(simulation)
  simulation.fail(
    clean === strictOpens
      ? undefined
      : `strict ${strictOpens ? 'opens' : 'refuses'} what was found ${glimpse.report.reason}`,
  )
  simulation.fail(differ('changes by a read-only opening', before, changesOf(simulation)))
  coverage.add(clean ? 'opened read-only and strictly' : 'opened read-only, refused by strict')
  return glimpse
}

function opensStrictly({ disk, logId }: Simulation): boolean {
  try {
    SegmentedLog.open(disk, { readOnly: true, logId, recovery: 'strict' }).close()
    return true
  } catch (error) {
    if (error instanceof LogCorruptError) return false
    throw error
  }
}

function changesOf({ disk }: Simulation): number {
  let sum = 0
  for (const call of CHANGES) sum += disk.calls.get(call)
  return sum
}

/** The opening for writing that follows must see and report the same. */
export function checkGlimpse({ marks, report }: Glimpse, log: SegmentedLog): string | undefined {
  const { droppedBytes, droppedGroups, reason, records } = log.recovery
  return (
    differ('marks', marks, marksOf(log)) ??
    differ('reason', report.reason, reason) ??
    differ('records', report.records, records) ??
    differ('dropped bytes', report.droppedBytes, droppedBytes) ??
    differ('dropped groups', report.droppedGroups, droppedGroups)
  )
}
