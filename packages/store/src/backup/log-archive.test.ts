/** The archive on a disk that crashes and fails at any call: together with the log it always has every commit, once. */
import { isRingboltError } from '@ringbolt/ring'
import { FaultStore, MemoryStore, SegmentedLog } from '@ringbolt/wal'
import { Random, SimulatedDisk } from '@ringbolt/wal/simulation'
import { describe, expect, test } from 'vitest'
import { isArchiveName } from './archive-format.ts'
import { KeptLog } from './archived-log.ts'
import { LogArchive } from './log-archive.ts'

const databaseId = new Uint8Array(16).fill(5)
const logId = new Uint8Array(16).fill(6)
const SEGMENT_BYTES = 8192
const BASE = 1000

function openLog(store: SimulatedDisk | MemoryStore | FaultStore): SegmentedLog {
  return SegmentedLog.open(store, { create: true, logId, segmentBytes: SEGMENT_BYTES })
}

function recordOf(ordinal: number): Uint8Array {
  return new Uint8Array(Buffer.from(`${ordinal} `.repeat(1 + ((ordinal * 37) % 300))))
}

/** Ordinals of all commits that are kept, in the order in which they come. */
function keptIn(store: SimulatedDisk | MemoryStore, after = BASE): number[] {
  const kept = new KeptLog(databaseId, 'the disk')
  kept.addArchive(store)
  kept.addLive({ store, owner: { databaseId, logId, baseSequence: BASE } })
  const ordinals: number[] = []
  for (const { group, firstCommit, lastCommit } of kept.groupsAfter(after)) {
    for (let commit = firstCommit; commit <= lastCommit; commit++) ordinals.push(commit - BASE)
    const [first] = Buffer.from(group.body.subarray(4)).toString('latin1').split(' ')
    expect(Number(first)).toBe(firstCommit - BASE)
  }
  return ordinals
}

interface Life {
  /** Ordinal of the last record that was synced. */
  durable: number
  archived: number
}

function live(disk: SimulatedDisk, random: Random, life: Life): void {
  const log = openLog(disk)
  const archive = new LogArchive(
    disk,
    () => log,
    { databaseId, baseSequence: BASE },
    () => 0,
  )
  life.durable = log.nextSequence - 1
  for (let turn = random.between(20, 200); turn > 0; turn--) {
    for (let records = random.between(1, 4); records > 0; records--) {
      log.append(recordOf(log.nextSequence))
    }
    log.sync()
    life.durable = log.nextSequence - 1
    // Up to a checkpoint of some time ago.
    if (random.chance(0.5)) archive.step(Math.max(0, log.durableLsn - random.below(20_000)))
    if (random.chance(0.02)) archive.finish()
  }
  life.archived += archive.segments
  archive.close()
  log.close()
}

function runSeed(seed: number): number {
  const random = new Random(seed)
  const sectorBytes = random.pick([512, 4096])
  let disk = new SimulatedDisk({ random: random.fork('disk'), sectorBytes, evictChance: 0.2 })
  const life = { durable: 0, archived: 0 }
  for (let round = 0; round < 4; round++) {
    const phase = random.pick(['before', 'middle', 'after'] as const)
    const kind = random.chance(0.7) ? 'power' : 'kill'
    if (random.chance(0.8)) disk.planCrash({ call: 'any', nth: 1 + random.below(900), phase, kind })
    else disk.setCapacity(disk.lengthBytes + random.below(12) * SEGMENT_BYTES)
    try {
      live(disk, random, life)
      disk.crash(random.pick(['power', 'kill']))
    } catch (error) {
      const expected = [
        'RINGBOLT_SIMULATED_CRASH',
        'RINGBOLT_IO',
        'RINGBOLT_POISONED',
        'RINGBOLT_ARCHIVE',
      ]
      if (!isRingboltError(error) || !expected.includes(error.code)) throw error
      if (disk.crashed === undefined) disk.crash('power')
    }
    disk = disk.reopen()
    disk.setCapacity(Number.POSITIVE_INFINITY)
    openLog(disk).close()
    const ordinals = keptIn(disk)
    expect(ordinals).toEqual(ordinals.map((_, at) => at + 1))
    expect(ordinals.length).toBeGreaterThanOrEqual(life.durable)
    const names = disk.list().filter((name) => isArchiveName(name, databaseId))
    expect(new Set(names).size).toBe(names.length)
  }
  return life.archived
}

describe('M8: crashes and faults at any call, over several lives', () => {
  const first = Number(process.env['RINGBOLT_SEED'] ?? 1)
  const count = Number(process.env['RINGBOLT_SEEDS'] ?? 60)

  test(`nothing is lost and nothing comes twice (seeds from ${first})`, () => {
    let archived = 0
    for (let seed = first; seed < first + count; seed++) {
      try {
        archived += runSeed(seed)
      } catch (error) {
        throw new Error(`seed ${seed}: replay with RINGBOLT_SEED=${seed} RINGBOLT_SEEDS=1`, {
          cause: error,
        })
      }
    }
    expect(archived).toBeGreaterThan(count)
  })
})

describe('M8: a failing archive', () => {
  function filled(): { store: MemoryStore; log: SegmentedLog } {
    const store = new MemoryStore()
    const log = openLog(store)
    for (let ordinal = 1; ordinal <= 100; ordinal++) log.appendAndSync(recordOf(ordinal))
    return { store, log }
  }

  test.each(['create', 'write', 'sync', 'rename', 'syncFolder'] as const)(
    'holds the log back when %s fails, and goes on once it works',
    (call) => {
      const { store, log } = filled()
      const faults = new FaultStore(store)
      let nowMs = 0
      const archive = new LogArchive(
        faults,
        () => log,
        { databaseId, baseSequence: BASE },
        () => nowMs,
      )
      const segments = log.segments.length
      faults.setFault({ call, nth: 1, forever: true, errno: 'ENOSPC' })
      for (let round = 0; round < 20; round++) archive.step(log.durableLsn)
      // Tried again after a while only.
      expect(archive.failures).toBe(1)
      expect(log.segments.length).toBe(segments)
      nowMs += 60_000
      archive.step(log.durableLsn)
      expect(archive.failures).toBe(2)
      expect(() => archive.finish()).toThrow(/ENOSPC/)
      expect(keptIn(store)).toHaveLength(100)
      faults.setFault(undefined)
      nowMs += 60_000
      while (archive.step(log.durableLsn)) nowMs++
      expect(log.segments.length).toBe(1)
      archive.finish()
      // Nothing twice, however often it is asked.
      const made = archive.segments
      archive.finish()
      expect(archive.segments).toBe(made)
      log.close()
      expect(keptIn(store)).toHaveLength(100)
      expect(keptIn(store, BASE + 42)[0]).toBeLessThanOrEqual(43)
      expect(store.list().filter((name) => name.endsWith('.part'))).toEqual([])
    },
  )
})
