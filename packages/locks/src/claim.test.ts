/** What a claim makes of a system that gives no locks, and of a write that fails midway. */
import { describe, expect, onTestFinished, test } from 'vitest'
import { type Claim, type DescriptorLocks, descriptorOpener } from './claim.ts'
import { makeLockFile } from './lock-file.ts'
import { nodePlatform } from './node-platform.ts'
import type { Files, OpenFile } from './platform.ts'
import { makeFolder } from './testing/peers.ts'

const { files } = nodePlatform

function makeLock(): string {
  const path = `${files.locateFolder(makeFolder())}/lock`
  makeLockFile(nodePlatform, path, 'ofd')
  return path
}

function openClaim(path: string, locks: DescriptorLocks, through: Files = files): Promise<Claim> {
  const identity = files.identity(path)
  if (identity === null) throw new TypeError(`${path} was just made`)
  const target = { path, identity, lockName: path, staleMs: 2_000 }
  return descriptorOpener(through, locks)(target, () => {})
}

function failing(errno: string): DescriptorLocks {
  const fail = (): never => {
    throw Object.assign(new Error(errno), { code: errno })
  }
  return { tryExclusive: fail, tryShared: fail, unlock: fail }
}

/** Files whose every write fails. */
const unwritable: Files = {
  ...files,
  open: (path): OpenFile | null => {
    const file = files.open(path)
    if (file === null) return null
    onTestFinished(() => file.close())
    return {
      path,
      descriptor: file.descriptor,
      identity: file.identity,
      length: () => file.length(),
      read: (position, target) => file.read(position, target),
      write: () => {
        throw new RangeError('no room')
      },
      sync: () => file.sync(),
      close: () => {},
    }
  },
}

describe('a claim on a descriptor', () => {
  test.each(['ENOLCK', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP'])(
    'a file system without locks says %s: a typed error that names the method that needs none',
    async (errno) => {
      const path = makeLock()
      const claim = await openClaim(path, failing(errno))
      for (const ask of [() => claim.tryLock(null), () => claim.probe()]) {
        await expect(ask()).rejects.toMatchObject({
          code: 'RINGBOLT_LOCK_METHOD_UNAVAILABLE',
          message: expect.stringContaining('method lockfile needs none'),
          facts: { path, errno },
        })
      }
      await claim.close()
    },
  )

  test('any other failure names the file and what the system said', async () => {
    const path = makeLock()
    const claim = await openClaim(path, failing('EIO'))
    await expect(claim.tryLock(null)).rejects.toMatchObject({
      code: 'RINGBOLT_LOCK_IO',
      facts: { path, doing: 'locking', errno: 'EIO' },
    })
    await claim.close()
  })

  test('L2: a record that cannot be written gives the lock back', async () => {
    const calls: string[] = []
    const locks: DescriptorLocks = {
      tryExclusive: () => calls.push('lock') > 0,
      tryShared: () => true,
      unlock: () => void calls.push('unlock'),
    }
    const claim = await openClaim(makeLock(), locks, unwritable)
    await expect(claim.tryLock(new Uint8Array(64))).rejects.toThrow('no room')
    expect(calls).toEqual(['lock', 'unlock'])
  })
})
