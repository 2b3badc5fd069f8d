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

/**
 * Recovery wrote back bytes that it read a second time. A sync failed, the kernel called the pages clean;
 * recovery found the group sound in them, the pages were evicted, and what it then wrote back, synced and
 * called durable were the old bytes of the disk.
 */
test('a group that recovery calls durable is in the file, also when its pages are evicted meanwhile', () => {
  let kept = 0
  let dropped = 0
  for (let seed = 0; seed < 100; seed++) {
    const first = new SimulatedDisk({
      random: new Random(seed),
      sectorBytes: 512,
      evictChance: 0.02,
    })
    const log = openLog(first)
    log.appendAndSync(new Uint8Array(100).fill(1))
    first.planFaults([{ call: 'sync', nth: 1, forever: false, errno: 'EIO', syncLoss: 'lost' }])
    log.append(new Uint8Array(2_000).fill(2))
    expect(() => log.sync()).toThrow('EIO')
    const second = first.reopen()
    const { endLsn } = openLog(second)
    if (endLsn > 104) kept++
    else dropped++
    second.crash('power')
    const again = openLog(second.reopen(NOTHING_KEPT))
    expect(again.endLsn).toBe(endLsn)
    const values = [...again.read()].map(({ record }) => record[0])
    expect(values).toEqual(endLsn > 104 ? [1, 2] : [1])
  }
  expect(kept).toBeGreaterThan(10)
  expect(dropped).toBeGreaterThan(10)
})

/**
 * The report counted the records of a whole group though a cut had gone through it.
 */
test('the report of a log that was cut inside a group counts what is left', () => {
  const disk = new SimulatedDisk({ random: new Random(1) })
  const log = openLog(disk)
  log.append(new Uint8Array(75))
  const lsn = log.append(new Uint8Array(914))
  log.truncateAfter(lsn)
  log.close()
  const { recovery, nextSequence } = openLog(disk.reopen())
  expect(nextSequence).toBe(2)
  expect(recovery.records).toBe(1)
})

/**
 * An empty segment that marks a cut was replaced by a larger one without the mark, as the next group did not
 * fit: what had been cut off was in the way, and the log was refused as corrupt.
 */
test('a cut survives that its empty segment is replaced by a larger one', () => {
  const disk = new SimulatedDisk({ random: new Random(1) })
  const log = openLog(disk)
  log.appendAndSync(new Uint8Array(100).fill(1))
  const cut = log.appendAndSync(new Uint8Array(200).fill(2))
  log.truncateAfter(cut)
  log.appendAndSync(new Uint8Array(10_000).fill(3))
  log.close()
  const values = [...openLog(disk.reopen()).read()].map(({ record }) => record[0])
  expect(values).toEqual([1, 3])
})
