/** A thread's first words with the host. */
import { expect, test } from 'vitest'
import { fromErrno } from './errors.ts'
import { createLocks } from './index.ts'
import { nodePlatform } from './node-platform.ts'
import type { Platform } from './platform.ts'
import { makeFolder } from './testing/peers.ts'

test('L6: a thread that could not be identified says why, and is served when it can be', async () => {
  let isFailing = true
  const platform: Platform = {
    ...nodePlatform,
    threads: {
      ...nodePlatform.threads,
      osThread: () => {
        if (!isFailing) return nodePlatform.threads.osThread()
        throw fromErrno(Object.assign(new Error(), { code: 'EMFILE' }), 'identifying in', '/proc')
      },
    },
  }
  const path = `${makeFolder()}/lock`
  const locks = createLocks(platform)
  for (let asked = 0; asked < 2; asked++) {
    await expect(locks.openLock(path, { method: 'flock' })).rejects.toMatchObject({
      code: 'RINGBOLT_LOCK_TOO_MANY_FILES',
    })
  }
  isFailing = false
  const lock = await locks.openLock(path, { method: 'flock' })
  await (await lock.acquire()).release()
  await lock.close()
})

test('L6: a worker that cannot be told from a later one is not hosted, and ofd serves it', async () => {
  const platform: Platform = {
    ...nodePlatform,
    threads: { ...nodePlatform.threads, isMain: false, osThread: () => null },
  }
  const path = `${makeFolder()}/lock`
  const locks = createLocks(platform)
  for (const method of ['flock', 'lockfile'] as const) {
    await expect(locks.openLock(path, { method })).rejects.toMatchObject({
      code: 'RINGBOLT_LOCK_METHOD_UNAVAILABLE',
      facts: { method },
    })
  }
  const lock = await locks.openLock(path)
  expect(lock.method).toBe('ofd')
  await lock.close()
})
