/** Bugs that the simulation has found, each told and shown by itself. */
import { expect, test } from 'vitest'
import { SegmentedLog } from '../segmented-log.ts'
import type { CrashOdds } from './disk-plans.ts'
import { Random } from './random.ts'
import { SimulatedDisk } from './simulated-disk.ts'

const NOTHING_KEPT: CrashOdds = {
  kept: 0,
  torn: 0,
  entryKept: 0,
  entriesInOrder: false,
  unwritten: 'zeros',
}

function openLog(disk: SimulatedDisk): SegmentedLog {
  const logId = new Uint8Array(16).fill(1)
  return SegmentedLog.open(disk, { create: true, logId, segmentBytes: 8192 })
}

/**
 * Opening did not sync the folder. A process was killed after a segment had got its name and before the
 * folder was synced; the next one appended to that segment, synced it and acknowledged; the power failed,
 * and the segment with all its records was gone.
 */
test('records in a segment that a killed process has named survive a power failure', () => {
  const first = new SimulatedDisk({ random: new Random(1) })
  first.planCrash({ call: 'rename', nth: 1, phase: 'after', kind: 'kill' })
  expect(() => openLog(first)).toThrow('simulated crash')
  const second = first.reopen()
  expect(second.list().filter((name) => name.endsWith('.seg'))).toHaveLength(1)
  openLog(second).appendAndSync(new Uint8Array([7]))
  second.crash('power')
  const records = [...openLog(second.reopen(NOTHING_KEPT)).read()]
  expect(records.map(({ record }) => record[0])).toEqual([7])
})
