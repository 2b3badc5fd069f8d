/** What the lock file withstands: makers at once, other things at its path, hostile bytes (L4). */
import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'
import { fromErrno } from './errors.ts'
import {
  createLocks,
  isLockError,
  type Lock,
  type LockError,
  METHOD_NAMES,
  type MethodName,
  nodePlatform,
  openLock,
  type Platform,
} from './index.ts'
import {
  checksumOf,
  HEADER_BYTES,
  HEADER_CHECKSUM_OFFSET,
  HEADER_KIND_OFFSET,
  HEADER_METHOD_OFFSET,
  HEADER_VERSION_OFFSET,
  LOCK_FILE_BYTES,
  SLOTS_OFFSET,
} from './layout.ts'
import { makeFolder, Peer } from './testing/peers.ts'

const root = process.getuid?.() === 0

async function refusal(work: Promise<unknown>): Promise<LockError> {
  const error: unknown = await work.then(
    () => null,
    (reason: unknown) => reason,
  )
  if (!isLockError(error)) throw new TypeError(`expected a LockError, found ${String(error)}`)
  return error
}

async function opened(path: string, method: MethodName = 'ofd'): Promise<Lock> {
  const lock = await openLock(path, { method, staleMs: 2_000 })
  onTestFinished(async () => {
    await Promise.allSettled([lock.close()])
  })
  return lock
}

/** A whole lock file's bytes, with a change and a checksum that fits it. */
async function forged(path: string, offset: number, value: number): Promise<void> {
  await (await openLock(path, { method: 'ofd' })).close()
  const bytes = readFileSync(path)
  bytes.writeUInt32LE(value, offset)
  bytes.writeUInt32LE(checksumOf(bytes, 0, HEADER_CHECKSUM_OFFSET), HEADER_CHECKSUM_OFFSET)
  writeFileSync(path, bytes)
}

describe('making', () => {
  test('L4: a lock file is 0600 whatever the umask, whole, and alone in its folder', async () => {
    const folder = makeFolder()
    const before = process.umask(0)
    onTestFinished(() => {
      process.umask(before)
    })
    const lock = await opened(`${folder}/lock`)
    const status = lstatSync(lock.path)
    expect(status.mode & 0o777).toBe(0o600)
    expect(status.size).toBe(LOCK_FILE_BYTES)
    expect(status.nlink).toBe(1)
    expect(readdirSync(folder)).toEqual(['lock'])
  })

  test('L4: of makers in several processes at once exactly one makes the file', async () => {
    const folder = makeFolder()
    const peers = [1, 2, 3, 4].map(() => new Peer())
    for (let round = 0; round < 25; round++) {
      const path = `${folder}/${round}`
      const openings = await Promise.all(peers.map((peer) => peer.must({ does: 'open', path })))
      await Promise.all(peers.map((peer) => peer.must({ does: 'close' })))
      expect(new Set(openings.map((opening) => JSON.stringify(opening))).size).toBe(1)
    }
    expect(readdirSync(folder)).toHaveLength(25)
  })

  test('L4: holding, releasing and closing never truncate or unlink the file', async () => {
    const folder = makeFolder()
    for (const method of METHOD_NAMES) {
      const lock = await opened(`${folder}/${method}`, method)
      const inode = lstatSync(lock.path).ino
      for (let turn = 0; turn < 3; turn++) await (await lock.acquire()).release()
      await lock.close()
      expect(lstatSync(lock.path)).toMatchObject({ ino: inode, size: LOCK_FILE_BYTES })
    }
    expect(readdirSync(folder).toSorted()).toEqual(['flock', 'lockfile', 'ofd'])
  })

  test('L5: a new file takes the first method that loads', async () => {
    const lock = await openLock(`${makeFolder()}/lock`)
    expect(lock.method).toBe('ofd')
    await lock.close()
  })

  test('L5: without native modules: flock and ofd say so, a new file takes lockfile', async () => {
    // The built package in a folder where only proper-lockfile can be found.
    const folder = makeFolder()
    const dist = fileURLToPath(new URL('.', import.meta.url))
    cpSync(dist, `${folder}/dist`, { recursive: true })
    writeFileSync(`${folder}/package.json`, '{ "type": "module" }')
    mkdirSync(`${folder}/node_modules`)
    const real = dirname(createRequire(import.meta.url).resolve('proper-lockfile/package.json'))
    symlinkSync(real, `${folder}/node_modules/proper-lockfile`)
    // Package managers' wrappers name their own folders here.
    const { NODE_PATH: _, ...env } = process.env
    const peer = new Peer({ env }, `${folder}/dist/testing/peer.js`)
    for (const [method, module] of [
      ['flock', 'fs-ext'],
      ['ofd', 'fs-native-extensions'],
    ] as const) {
      const path = `${folder}/asked`
      const { code, facts, message } = await peer.ask({ does: 'open', path, method })
      expect(code, message).toBe('RINGBOLT_LOCK_METHOD_UNAVAILABLE')
      expect(facts).toMatchObject({ method })
      expect(message).toContain(`${module} does not load`)
      expect(existsSync(path)).toBe(false)
    }
    expect(await peer.must({ does: 'open', path: `${folder}/new` })).toMatchObject({
      method: 'lockfile',
    })
    const recorded = await opened(`${folder}/recorded`, 'flock')
    await recorded.close()
    const outcome = await peer.ask({ does: 'open', path: recorded.path })
    expect(outcome.code).toBe('RINGBOLT_LOCK_METHOD_UNAVAILABLE')
    expect(outcome.message).toContain(`${recorded.path} records it`)
  })

  test('L5: no method at all: an error with every reason, and no file', async () => {
    const folder = makeFolder()
    const platform: Platform = {
      ...nodePlatform,
      threads: { ...nodePlatform.threads, isMain: false, osThread: () => null },
      loadNative: (name) => {
        throw new TypeError(`no ${name} today`)
      },
    }
    const error = await refusal(createLocks(platform).openLock(`${folder}/lock`))
    expect(error.code).toBe('RINGBOLT_LOCK_METHOD_UNAVAILABLE')
    for (const part of ['method flock', 'no fs-native-extensions today', 'method lockfile']) {
      expect(error.message).toContain(part)
    }
    expect(readdirSync(folder)).toEqual([])
  })
})

describe('replacing', () => {
  test.each(METHOD_NAMES)('L4: a replaced or deleted file is noticed: %s', async (method) => {
    const path = `${makeFolder()}/lock`
    const lock = await opened(path, method)
    const held = await lock.acquire()
    held.verify()
    copyFileSync(path, `${path}.copy`)
    renameSync(`${path}.copy`, path)
    expect(() => held.verify()).toThrow(/was replaced/)
    const other = await opened(path, method)
    await held.release()
    const replaced = await refusal(lock.acquire({ timeoutMs: 1_000 }))
    expect(replaced.code).toBe('RINGBOLT_LOCK_REPLACED')
    expect(replaced.facts['expected']).not.toBe(replaced.facts['found'])
    unlinkSync(path)
    for (const handle of [lock, other]) {
      const deleted = await refusal(handle.tryAcquire())
      expect(deleted).toMatchObject({ code: 'RINGBOLT_LOCK_DELETED', facts: { path, found: null } })
    }
  })

  test('L4: a file replaced while one waits ends the wait', async () => {
    const path = `${makeFolder()}/lock`
    const lock = await opened(path)
    const held = await (await opened(path)).acquire()
    const wait = refusal(lock.acquire({ timeoutMs: 20_000 }))
    while (!held.contended()) await new Promise((tick) => setTimeout(tick, 1))
    copyFileSync(path, `${path}.copy`)
    renameSync(`${path}.copy`, path)
    await held.release()
    expect((await wait).code).toBe('RINGBOLT_LOCK_REPLACED')
  })
})

describe('hostile paths', () => {
  test('L4: other things at the path are refused and left as they are', async () => {
    const folder = makeFolder()
    mkdirSync(`${folder}/folder`)
    execFileSync('mkfifo', [`${folder}/fifo`])
    const target = await opened(`${folder}/target`)
    symlinkSync(target.path, `${folder}/link`)
    symlinkSync(`${folder}/nowhere`, `${folder}/dangling`)
    const names = readdirSync(folder).toSorted()
    for (const [name, found] of [
      ['folder', 'a folder'],
      ['fifo', 'a FIFO'],
      ['link', 'a symbolic link'],
      ['dangling', 'a symbolic link'],
    ] as const) {
      const error = await refusal(openLock(`${folder}/${name}`, { method: 'ofd' }))
      expect(error.code).toBe('RINGBOLT_LOCK_NOT_A_FILE')
      expect(error.message).toContain(`${folder}/${name}`)
      expect(error.message).toContain(`found ${found}`)
    }
    expect(readdirSync(folder).toSorted()).toEqual(names)
  })

  test('a missing folder, and a file where the folder should be', async () => {
    const folder = makeFolder()
    writeFileSync(`${folder}/file`, '')
    for (const path of [`${folder}/none/lock`, `${folder}/file/lock`]) {
      const error = await refusal(openLock(path, { method: 'ofd' }))
      expect(error).toMatchObject({ code: 'RINGBOLT_LOCK_FOLDER_MISSING', facts: { path } })
    }
    expect(readdirSync(folder)).toEqual(['file'])
  })

  test('a read-only folder', async () => {
    const folder = makeFolder()
    chmodSync(folder, 0o555)
    // Root may write everywhere: the peer is nobody.
    const peer = new Peer(root ? { uid: 65_534, gid: 65_534 } : {})
    const outcome = await peer.ask({ does: 'open', path: `${folder}/lock`, method: 'ofd' })
    expect(outcome).toMatchObject({ code: 'RINGBOLT_LOCK_DENIED', facts: { errno: 'EACCES' } })
    expect(readdirSync(folder)).toEqual([])
    chmodSync(folder, 0o755)
    if (!root) return
    const lock = await opened(`${folder}/lock`)
    const denied = await peer.ask({ does: 'open', path: lock.path, method: 'ofd' })
    expect(denied).toMatchObject({ code: 'RINGBOLT_LOCK_DENIED', facts: { path: lock.path } })
  })

  test('a full disk at each write leaves no file', async () => {
    const folder = makeFolder()
    const noSpace = Object.assign(new Error('no space'), { code: 'ENOSPC' })
    const full: Platform = {
      ...nodePlatform,
      files: {
        ...nodePlatform.files,
        create: (path) => {
          const file = nodePlatform.files.create(path)
          if (file === null) return null
          return {
            path,
            descriptor: file.descriptor,
            identity: file.identity,
            length: () => file.length(),
            read: (position, target) => file.read(position, target),
            write: () => {
              throw fromErrno(noSpace, 'writing', path)
            },
            sync: () => file.sync(),
            close: () => file.close(),
          }
        },
      },
    }
    const locks = createLocks(full)
    const lock = await refusal(locks.openLock(`${folder}/lock`, { method: 'ofd' }))
    expect(lock).toMatchObject({ code: 'RINGBOLT_LOCK_NO_SPACE', facts: { errno: 'ENOSPC' } })
    const presence = await refusal(locks.openPresence(folder, { method: 'ofd' }))
    expect(presence.code).toBe('RINGBOLT_LOCK_NO_SPACE')
    expect(readdirSync(folder)).toEqual([])
  })

  test('a disk that the kernel calls full', async () => {
    const folder = makeFolder()
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8k', 'tmpfs', folder], { stdio: 'pipe' })
    } catch (error) {
      console.log(`not tried: a small tmpfs cannot be mounted here (${String(error)})`)
      return
    }
    try {
      writeFileSync(`${folder}/filler`, Buffer.alloc(8_192))
      const error = await refusal(openLock(`${folder}/lock`, { method: 'ofd' }))
      expect(error).toMatchObject({ code: 'RINGBOLT_LOCK_NO_SPACE', facts: { errno: 'ENOSPC' } })
      expect(readdirSync(folder)).toEqual(['filler'])
    } finally {
      execFileSync('umount', [folder])
    }
  })

  test.each(METHOD_NAMES)('too many descriptors, and none leaked: %s', async (method) => {
    const folder = makeFolder()
    const peer = new Peer()
    await peer.must({ does: 'open', path: `${folder}/first`, method })
    await peer.must({ does: 'acquire' })
    await peer.must({ does: 'release' })
    const before = await peer.must({ does: 'descriptors' })
    const outcome = await peer.ask({ does: 'exhaust', path: `${folder}/second`, method })
    expect(outcome.code).toBe('RINGBOLT_LOCK_TOO_MANY_FILES')
    expect(await peer.must({ does: 'descriptors' })).toBe(before)
    expect(readdirSync(folder)).toEqual(['first'])
    await peer.must({ does: 'acquire' })
    await peer.must({ does: 'close' })
    await peer.must({ does: 'open', path: `${folder}/second`, method })
  })
})

describe('hostile bytes', () => {
  test("another program's file is refused and not changed", async () => {
    const path = `${makeFolder()}/lock`
    for (const content of ['#!/bin/sh\necho hello\n', 'x'.repeat(5_000), 'ringloc']) {
      writeFileSync(path, content)
      const error = await refusal(openLock(path))
      expect(['RINGBOLT_LOCK_NOT_A_LOCK_FILE', 'RINGBOLT_LOCK_TRUNCATED']).toContain(error.code)
      expect(error.facts).toHaveProperty('expected')
      expect(error.facts).toHaveProperty('found')
      expect(readFileSync(path, 'utf8')).toBe(content)
    }
  })

  test('every length short of the whole says truncated', async () => {
    const path = `${makeFolder()}/lock`
    await (await openLock(path, { method: 'ofd' })).close()
    for (let lengthBytes = LOCK_FILE_BYTES - 1; lengthBytes >= 0; lengthBytes -= 13) {
      truncateSync(path, lengthBytes)
      expect(await refusal(openLock(path))).toMatchObject({
        code: 'RINGBOLT_LOCK_TRUNCATED',
        facts: { path, expected: LOCK_FILE_BYTES, found: lengthBytes },
      })
    }
  })

  test('a newer version, an unknown method, another kind: each its own error', async () => {
    const path = `${makeFolder()}/lock`
    await forged(path, HEADER_VERSION_OFFSET, 2)
    expect(await refusal(openLock(path))).toMatchObject({
      code: 'RINGBOLT_LOCK_VERSION_NEWER',
      facts: { offset: HEADER_VERSION_OFFSET, expected: 1, found: 2 },
    })
    rmSync(path)
    await forged(path, HEADER_METHOD_OFFSET, 9)
    expect(await refusal(openLock(path))).toMatchObject({
      code: 'RINGBOLT_LOCK_METHOD_UNKNOWN',
      facts: { offset: HEADER_METHOD_OFFSET, found: 9 },
    })
    rmSync(path)
    await forged(path, HEADER_KIND_OFFSET, 2)
    expect(await refusal(openLock(path))).toMatchObject({
      code: 'RINGBOLT_LOCK_NOT_A_LOCK_FILE',
      facts: { offset: HEADER_KIND_OFFSET, expected: 1, found: 2 },
    })
    rmSync(path)
    await forged(path, HEADER_VERSION_OFFSET, 0)
    expect((await refusal(openLock(path))).code).toBe('RINGBOLT_LOCK_CORRUPT')
  })

  test('every flipped byte of the header is refused', async () => {
    const path = `${makeFolder()}/lock`
    await (await openLock(path, { method: 'ofd' })).close()
    const whole = readFileSync(path)
    for (let offset = 0; offset < HEADER_BYTES; offset++) {
      const bytes = Buffer.from(whole)
      bytes[offset] = (bytes[offset] ?? 0) ^ 0x55
      writeFileSync(path, bytes)
      const error = await refusal(openLock(path))
      expect(error.code).toMatch(/^RINGBOLT_LOCK_(NOT_A_LOCK_FILE|VERSION_NEWER|CORRUPT)$/)
      expect(error.facts['path']).toBe(path)
    }
  })

  test('rubbish in the record and the slots makes nobody wait and nobody holder', async () => {
    const path = `${makeFolder()}/lock`
    const lock = await opened(path)
    const bytes = readFileSync(path)
    for (const filler of [0xff, 0x01, 0x41]) {
      bytes.fill(filler, HEADER_BYTES)
      writeFileSync(path, bytes)
      expect(lock.waiters()).toBe(0)
      expect(await lock.holder()).toBeNull()
      await (await lock.acquire({ timeoutMs: 1_000 })).release()
    }
    // Cut down by somebody while it is open: held all the same, and told to who opens it.
    truncateSync(path, SLOTS_OFFSET)
    await (await lock.acquire({ timeoutMs: 1_000 })).release()
    expect((await refusal(openLock(join(path)))).code).toBe('RINGBOLT_LOCK_TRUNCATED')
  })

  test('misuse is a TypeError', async () => {
    const lock = await opened(`${makeFolder()}/lock`)
    await expect(lock.acquire({ timeoutMs: -1 })).rejects.toThrow(TypeError)
    await expect(lock.acquire({ timeoutMs: Number.NaN })).rejects.toThrow(TypeError)
    await expect(openLock(lock.path, { staleMs: 5 })).rejects.toThrow(TypeError)
  })
})
