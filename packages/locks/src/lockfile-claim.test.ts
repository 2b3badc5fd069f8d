/** The `lockfile` method where its library alone would go wrong. */
import { existsSync, mkdirSync, rmdirSync, utimesSync } from 'node:fs'
import { describe, expect, onTestFinished, test } from 'vitest'
import { encodeHolder } from './holder-record.ts'
import { HOLDER_OFFSET } from './layout.ts'
import { makeLockFile } from './lock-file.ts'
import { LockfileClaim } from './lockfile-claim.ts'
import { nodePlatform } from './node-platform.ts'
import type { Platform } from './platform.ts'
import { makeFolder } from './testing/peers.ts'

const STALE_MS = 2_000
const { files } = nodePlatform

function makeLock(): string {
  const path = `${files.locateFolder(makeFolder())}/lock`
  makeLockFile(nodePlatform, path, 'lockfile')
  return path
}

function openClaim(
  path: string,
  onLost: (reason: string) => void,
  platform: Platform = nodePlatform,
): LockfileClaim {
  const identity = files.identity(path)
  if (identity === null) throw new TypeError(`${path} is not there`)
  const target = { path, identity, lockName: path, staleMs: STALE_MS }
  const claim = new LockfileClaim(platform, target, onLost)
  // A test may leave a claim without its lock: closing it says so, and closes.
  onTestFinished(async () => void (await Promise.allSettled([claim.close()])))
  return claim
}

/** What the folder looks like when its owner has stood still for a minute, or for as long as that. */
function age(folder: string, forMs = 60_000): void {
  const then = new Date(Date.now() - forMs)
  utimesSync(folder, then, then)
}

describe('a folder of another process, by the clocks', () => {
  const LIVING = 1001
  let monotonicMs = 0
  const platform: Platform = {
    ...nodePlatform,
    clock: { ...nodePlatform.clock, monotonicMs: () => monotonicMs },
    threads: { ...nodePlatform.threads, isProcessAlive: (pid) => pid === LIVING },
  }

  /** As it stands in the lock file. */
  function heldBy(path: string, pid: number): LockfileClaim {
    const file = files.open(path)
    file?.write(HOLDER_OFFSET, encodeHolder({ ...nodePlatform.threads, pid }, Date.now()))
    file?.close()
    mkdirSync(`${path}.lock`)
    return openClaim(path, () => {}, platform)
  }

  test('L1: a wall clock that is set ahead takes no lock from a living process', async () => {
    const path = makeLock()
    const claim = heldBy(path, LIVING)
    age(`${path}.lock`)
    expect(await claim.probe()).toBe(true)
    expect(await claim.tryLock(null)).toBe(false)
    // It refreshes the folder.
    monotonicMs += STALE_MS
    age(`${path}.lock`, 50_000)
    expect(await claim.tryLock(null)).toBe(false)
    monotonicMs += STALE_MS
    expect(await claim.tryLock(null)).toBe(false)
    // It has not for too long: it stands still.
    monotonicMs += 1
    expect(await claim.probe()).toBe(false)
    expect(await claim.tryLock(null)).toBe(true)
  })

  test('L1: one who has made its folder, and has yet to say who it is, is watched like a living one', async () => {
    const path = makeLock()
    mkdirSync(`${path}.lock`)
    const claim = openClaim(path, () => {}, platform)
    age(`${path}.lock`)
    expect(await claim.tryLock(null)).toBe(false)
    monotonicMs += STALE_MS + 1
    expect(await claim.tryLock(null)).toBe(true)
  })

  test('L2: the folder of a dead process is free by its age, at once', async () => {
    const path = makeLock()
    const claim = heldBy(path, LIVING + 1)
    expect(await claim.tryLock(null)).toBe(false)
    age(`${path}.lock`)
    expect(await claim.probe()).toBe(false)
    expect(await claim.tryLock(null)).toBe(true)
  })

  test('L2: a wall clock that is set back keeps no lock of a dead process for longer', async () => {
    const path = makeLock()
    const claim = heldBy(path, LIVING + 1)
    age(`${path}.lock`, -3_600_000)
    expect(await claim.tryLock(null)).toBe(false)
    monotonicMs += STALE_MS + 1
    expect(await claim.tryLock(null)).toBe(true)
  })
})

describe('lockfile', () => {
  test('L1: a process that stood still does not take the lock from itself', async () => {
    const path = makeLock()
    let loss: string | undefined
    let lost = (): void => {}
    const losing = new Promise<void>((resolve) => {
      lost = resolve
    })
    const one = openClaim(path, (reason) => {
      loss = reason
      lost()
    })
    const other = openClaim(path, () => {})
    expect(await one.tryLock(encodeHolder(nodePlatform.threads, Date.now()))).toBe(true)
    age(`${path}.lock`)
    // The library would find the folder stale and hand it out a second time.
    expect(await other.tryLock(null)).toBe(false)
    expect(loss).toBeUndefined()
    // Its next refresh finds a time that it did not set, and gives up: only now it is free for others.
    await losing
    expect(loss).toMatch(/unable to update lock/i)
    expect(await other.tryLock(null)).toBe(true)
    await one.unlock()
    expect(await one.tryLock(null)).toBe(false)
  })

  test("L2: giving back a lock that was lost leaves the new owner's folder alone", async () => {
    const path = makeLock()
    const claim = openClaim(path, () => {})
    expect(await claim.tryLock(null)).toBe(true)
    // Another process took it over, after the old folder's inode had gone to a third.
    rmdirSync(`${path}.lock`)
    mkdirSync(`${path}.other`)
    mkdirSync(`${path}.lock`)
    await expect(claim.unlock()).rejects.toMatchObject({ code: 'RINGBOLT_LOCK_COMPROMISED' })
    expect(existsSync(`${path}.lock`)).toBe(true)
  })

  test('a lock that could not be had does not stand in the way of the next try', async () => {
    const path = makeLock()
    const one = openClaim(path, () => {})
    const other = openClaim(path, () => {})
    mkdirSync(`${path}.lock`)
    expect(await one.tryLock(null)).toBe(false)
    rmdirSync(`${path}.lock`)
    expect(await other.tryLock(null)).toBe(true)
    await other.unlock()
    expect(await one.tryLock(null)).toBe(true)
  })
})
