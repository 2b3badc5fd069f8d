import { describe, expect, test } from 'vitest'
import { LogIoError } from '../errors.ts'
import { logStoreContract } from '../log-store-contract.ts'
import type { CrashOdds, FaultPlan } from './disk-plans.ts'
import { Random } from './random.ts'
import { SimulatedCrashError, SimulatedDisk, type SimulatedDiskOptions } from './simulated-disk.ts'

const SECTOR = 512
const NOTHING_KEPT: CrashOdds = {
  kept: 0,
  torn: 0,
  entryKept: 0,
  entriesInOrder: false,
  unwritten: 'zeros',
}
const ALL_KEPT: CrashOdds = { ...NOTHING_KEPT, kept: 1, entryKept: 1 }

function makeDisk(seed = 1, options: Partial<SimulatedDiskOptions> = {}): SimulatedDisk {
  return new SimulatedDisk({ random: new Random(seed), sectorBytes: SECTOR, ...options })
}

function filled(value: number, sectors = 1): Uint8Array {
  return new Uint8Array(sectors * SECTOR).fill(value)
}

/** A disk with one durable file `a` of so many sectors of ones. */
function diskWithFile(sectors: number, seed = 1): SimulatedDisk {
  const disk = makeDisk(seed)
  const file = disk.create('a')
  file.writeAt(0, [filled(1, sectors)])
  file.sync()
  disk.syncFolder()
  return disk
}

function powerCycle(disk: SimulatedDisk, odds: CrashOdds): SimulatedDisk {
  disk.crash('power')
  return disk.reopen(odds)
}

function errnoOf(call: () => unknown): unknown {
  try {
    call()
  } catch (error) {
    return error instanceof LogIoError ? error.facts['errno'] : error
  }
  return 'nothing thrown'
}

logStoreContract('simulated disk', () => makeDisk())

describe('a power failure', () => {
  test('keeps what was synced', () => {
    const disk = powerCycle(diskWithFile(3), NOTHING_KEPT)
    expect(disk.list()).toEqual(['a'])
    expect(disk.contentOf('a')).toEqual(filled(1, 3))
  })

  test('drops or keeps each unsynced sector on its own, in any order', () => {
    const seen = new Set<string>()
    for (let seed = 0; seed < 200; seed++) {
      const disk = diskWithFile(3, seed)
      const file = disk.open('a')
      for (let sector = 0; sector < 3; sector++) file.writeAt(sector * SECTOR, [filled(2)])
      const after = powerCycle(disk, { ...NOTHING_KEPT, kept: 0.5 }).contentOf('a')
      seen.add([0, 1, 2].map((sector) => after[sector * SECTOR]).join(''))
    }
    expect([...seen].sort()).toEqual(['111', '112', '121', '122', '211', '212', '221', '222'])
  })

  test('tears a sector by bytes, and never touches a byte that was not written anew', () => {
    let mixtures = 0
    for (let seed = 0; seed < 50; seed++) {
      const disk = diskWithFile(1, seed)
      disk.open('a').writeAt(100, [filled(2).subarray(0, 200)])
      const after = powerCycle(disk, { ...NOTHING_KEPT, torn: 1 }).contentOf('a')
      const written = after.subarray(100, 300)
      if (written.includes(1) && written.includes(2)) mixtures++
      expect(new Set([...after.subarray(0, 100), ...after.subarray(300)])).toEqual(new Set([1]))
      expect([...written].every((byte) => byte === 1 || byte === 2)).toBe(true)
    }
    expect(mixtures).toBeGreaterThan(20)
  })

  test('may leave an older version of a sector that was written twice', () => {
    const seen = new Set<number | undefined>()
    for (let seed = 0; seed < 100; seed++) {
      const disk = diskWithFile(1, seed)
      const file = disk.open('a')
      file.writeAt(0, [filled(2)])
      file.writeAt(0, [filled(3)])
      seen.add(powerCycle(disk, { ...NOTHING_KEPT, kept: 0.5 }).contentOf('a')[0])
    }
    expect([...seen].map(Number).toSorted((a, b) => a - b)).toEqual([1, 2, 3])
  })

  test('loses an unsynced length, or keeps it over zeros, garbage or old blocks', () => {
    const lengths = new Set<number>()
    const unwritten = new Set<string>()
    for (let seed = 0; seed < 200; seed++) {
      const disk = diskWithFile(1, seed)
      disk.open('a').writeAt(SECTOR, [filled(2, 2)])
      const mode = new Random(seed).pick(['zeros', 'garbage', 'stale'] as const)
      const after = powerCycle(disk, { ...NOTHING_KEPT, unwritten: mode }).contentOf('a')
      lengths.add(after.length)
      expect(after.subarray(0, SECTOR)).toEqual(filled(1))
      if (after.length < 3 * SECTOR) continue
      const values = new Set(after.subarray(SECTOR))
      unwritten.add(`${mode} ${values.size > 10 ? 'many' : [...values].join(' ')}`)
    }
    expect(Math.min(...lengths)).toBe(SECTOR)
    expect(Math.max(...lengths)).toBe(3 * SECTOR)
    expect(lengths.size).toBeGreaterThan(10)
    expect(unwritten).toContain('zeros 0')
    expect(unwritten).toContain('garbage many')
    expect([...unwritten].some((text) => text.startsWith('stale 1'))).toBe(true)
  })

  test('loses a name that the folder was not synced for, though the file was', () => {
    const disk = makeDisk()
    const file = disk.create('a')
    file.writeAt(0, [filled(1)])
    file.sync()
    expect(powerCycle(disk, NOTHING_KEPT).list()).toEqual([])
  })

  test('leaves a renamed file under one of its names, and a replaced one until then', () => {
    const seen = new Set<string>()
    for (let seed = 0; seed < 50; seed++) {
      const disk = diskWithFile(1, seed)
      disk.create('b').writeAt(0, [filled(2)])
      disk.open('b').sync()
      disk.syncFolder()
      disk.rename('a', 'b')
      disk.rename('b', 'c')
      const after = powerCycle(disk, { ...NOTHING_KEPT, entryKept: 0.5 })
      const names = after.list().sort()
      seen.add(names.map((name) => `${name}${after.contentOf(name)[0]}`).join(' '))
    }
    // Where only the second rename survives, the file it did not know keeps its name.
    expect([...seen].sort()).toEqual(['a1 b2', 'b1', 'b2 c1', 'c1'])
  })

  test('with a journal, keeps changes of the folder up to some point', () => {
    const seen = new Set<string>()
    for (let seed = 0; seed < 50; seed++) {
      const disk = makeDisk(seed)
      for (const name of ['a', 'b', 'c']) disk.create(name)
      seen.add(
        powerCycle(disk, { ...ALL_KEPT, entriesInOrder: true })
          .list()
          .join(''),
      )
    }
    expect([...seen].sort()).toEqual(['', 'a', 'ab', 'abc'])
  })
})

describe('a killed process', () => {
  test('leaves everything visible, and uncertain for a later power failure', () => {
    const disk = diskWithFile(1)
    disk.open('a').writeAt(0, [filled(2)])
    disk.create('b')
    disk.crash('kill')
    const after = disk.reopen()
    expect(after.list()).toEqual(['a', 'b'])
    expect(after.contentOf('a')).toEqual(filled(2))
    const later = powerCycle(after, NOTHING_KEPT)
    expect(later.list()).toEqual(['a'])
    expect(later.contentOf('a')).toEqual(filled(1))
  })
})

describe('a planned crash', () => {
  test.each([
    ['before', 1],
    ['after', 2],
  ] as const)('%s the second write', (phase, value) => {
    const disk = diskWithFile(1)
    const file = disk.open('a')
    disk.planCrash({ call: 'write', nth: 2, phase, kind: 'kill' })
    file.writeAt(0, [new Uint8Array(1)])
    expect(() => file.writeAt(1, [filled(2).subarray(1)])).toThrow(SimulatedCrashError)
    expect(disk.crashed).toEqual({ kind: 'kill', phase, call: 'write', name: 'a' })
    expect(() => disk.list()).toThrow(SimulatedCrashError)
    expect(() => file.sync()).toThrow(SimulatedCrashError)
    file.close()
    expect(disk.reopen().contentOf('a')[1]).toBe(value)
  })

  test('in the middle of a write takes a first part of it', () => {
    const taken = new Set<number>()
    for (let seed = 0; seed < 50; seed++) {
      const disk = diskWithFile(1, seed)
      disk.planCrash({ call: 'write', nth: 1, phase: 'middle', kind: 'kill' })
      const parts = [filled(2).subarray(0, 5), filled(2).subarray(5)]
      expect(() => disk.open('a').writeAt(0, parts)).toThrow(SimulatedCrashError)
      const after = disk.reopen().contentOf('a')
      const end = after.indexOf(1) < 0 ? SECTOR : after.indexOf(1)
      expect(new Set(after.subarray(end)).has(2)).toBe(false)
      taken.add(end)
    }
    expect(taken.size).toBeGreaterThan(20)
  })
})

describe('faults', () => {
  const fault: FaultPlan = {
    call: 'sync',
    nth: 2,
    forever: false,
    errno: 'EIO',
    syncLoss: 'lost',
  }

  test('the Nth call of a kind fails once, or for ever', () => {
    const outcomes = (forever: boolean): unknown[] => {
      const disk = makeDisk()
      disk.planFaults([{ ...fault, forever }])
      const file = disk.create('a')
      return [1, 2, 3].map(() => errnoOf(() => file.sync()))
    }
    expect(outcomes(false)).toEqual(['nothing thrown', 'EIO', 'nothing thrown'])
    expect(outcomes(true)).toEqual(['nothing thrown', 'EIO', 'EIO'])
  })

  test('after a failed sync that lost the bytes, a second one succeeds and saves nothing', () => {
    const lost = new Set<number | undefined>()
    for (let seed = 0; seed < 20; seed++) {
      const disk = diskWithFile(1, seed)
      const file = disk.open('a')
      file.writeAt(0, [filled(2)])
      disk.planFaults([{ ...fault, nth: 1 }])
      expect(errnoOf(() => file.sync())).toBe('EIO')
      expect(disk.contentOf('a')).toEqual(filled(2))
      file.sync()
      lost.add(powerCycle(disk, ALL_KEPT).contentOf('a')[0])
    }
    expect([...lost].map(Number).toSorted((a, b) => a - b)).toEqual([1, 2])
  })

  test('bytes that a failed sync lost are saved when they are written again', () => {
    const disk = diskWithFile(1, 3)
    const file = disk.open('a')
    file.writeAt(0, [filled(2)])
    disk.planFaults([{ ...fault, nth: 1 }])
    expect(errnoOf(() => file.sync())).toBe('EIO')
    file.writeAt(0, [filled(2)])
    file.sync()
    expect(powerCycle(disk, NOTHING_KEPT).contentOf('a')).toEqual(filled(2))
  })

  test('a lost sector shows its old bytes once its page is evicted', () => {
    let evicted = 0
    for (let seed = 0; seed < 20; seed++) {
      const disk = makeDisk(seed, { evictChance: 1 })
      const file = disk.create('a')
      file.writeAt(0, [filled(1)])
      file.sync()
      file.writeAt(0, [filled(2)])
      disk.planFaults([{ ...fault, nth: 1 }])
      expect(errnoOf(() => file.sync())).toBe('EIO')
      disk.open('a')
      if (disk.contentOf('a')[0] === 1) evicted++
    }
    expect(evicted).toBeGreaterThan(5)
  })

  test.each([
    ['reverted', 1],
    ['kept', 2],
  ] as const)('a failed sync whose bytes are %s', (syncLoss, visible) => {
    const seen = new Set<number | undefined>()
    for (let seed = 0; seed < 20; seed++) {
      const disk = diskWithFile(1, seed)
      const file = disk.open('a')
      file.writeAt(0, [filled(2)])
      disk.planFaults([{ ...fault, nth: 1, syncLoss }])
      expect(errnoOf(() => file.sync())).toBe('EIO')
      seen.add(disk.contentOf('a')[0])
    }
    expect(seen).toContain(visible)
    if (syncLoss === 'kept') expect(seen).not.toContain(1)
  })

  test('a full disk takes what fits, says so, and lets files be overwritten', () => {
    const disk = makeDisk(1, { capacityBytes: 1_000 })
    const file = disk.create('a')
    expect(errnoOf(() => file.writeAt(0, [filled(1, 3)]))).toBe('ENOSPC')
    expect(file.length()).toBe(1_000)
    file.writeAt(0, [filled(2)])
    expect(errnoOf(() => file.writeAt(1_000, [new Uint8Array(1)]))).toBe('ENOSPC')
    disk.setCapacity(2_000)
    file.writeAt(1_000, [new Uint8Array(1_000)])
    expect(disk.faultsHit).toBe(2)
    expect(disk.events.get('disk full')).toBe(2)
  })

  test('damage changes a durable byte for good', () => {
    const disk = diskWithFile(1)
    expect(disk.damage('a', 7, 0xff)).toBe(1)
    expect(powerCycle(disk, NOTHING_KEPT).contentOf('a')[7]).toBe(0xfe)
    expect(() => diskWithFile(1).damage('a', SECTOR, 1)).toThrow(RangeError)
  })
})

test('the same seed gives the same disk', () => {
  const run = (): Uint8Array => {
    const disk = diskWithFile(8, 42)
    disk.open('a').writeAt(10, [filled(2, 7)])
    disk.crash('power')
    return disk.reopen().contentOf('a')
  }
  expect(run()).toEqual(run())
})
