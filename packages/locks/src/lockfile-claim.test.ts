/** The `lockfile` method where its library alone would go wrong. */
import { existsSync, mkdirSync, rmdirSync, utimesSync } from 'node:fs'
import { describe, expect, onTestFinished, test } from 'vitest'
import { makeLockFile } from './lock-file.ts'
import { LockfileClaim } from './lockfile-claim.ts'
import { nodePlatform } from './node-platform.ts'
import { makeFolder } from './testing/peers.ts'

const STALE_MS = 2_000
const { files } = nodePlatform

function makeLock(): string {
  const path = `${files.locateFolder(makeFolder())}/lock`
  makeLockFile(nodePlatform, path, 'lockfile')
  return path
}

function openClaim(path: string, onLost: (reason: string) => void): LockfileClaim {
  const identity = files.identity(path)
  if (identity === null) throw new TypeError(`${path} is not there`)
  const target = { path, identity, lockName: path, staleMs: STALE_MS }
  const claim = new LockfileClaim(files, target, onLost)
  // A test may leave a claim without its lock: closing it says so, and closes.
  onTestFinished(async () => void (await Promise.allSettled([claim.close()])))
  return claim
}

/** What the folder looks like when its owner has stood still for a minute. */
function age(folder: string): void {
  const then = new Date(Date.now() - 60_000)
  utimesSync(folder, then, then)
}

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
    expect(await one.tryLock(null)).toBe(true)
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
