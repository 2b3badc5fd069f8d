/** Presence: statements of the living, files of the dead. */
import {
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { describe, expect, onTestFinished, test } from 'vitest'
import {
  cleanPresence,
  listPresence,
  METHOD_NAMES,
  openLock,
  openPresence,
  type PresenceEntry,
} from './index.ts'
import { makeFolder, Peer } from './testing/peers.ts'

const STALE_MS = 2_000

function list(folder: string): Promise<PresenceEntry[]> {
  return listPresence(folder, { staleMs: STALE_MS })
}

function clean(folder: string): Promise<number> {
  return cleanPresence(folder, { staleMs: STALE_MS })
}

async function deadIn(folder: string): Promise<number> {
  return (await list(folder)).filter(({ state }) => state === 'dead').length
}

describe.each(METHOD_NAMES)('presence by %s', (method) => {
  test('what the living state is read by others, changes in place, and goes with them', async () => {
    const folder = makeFolder()
    const own = await openPresence(folder, { method, oldestNeeded: 5n, staleMs: STALE_MS })
    onTestFinished(() => own.close())
    const peer = new Peer()
    const id = await peer.must({ does: 'present', path: folder, method, value: 7 })
    const seen = await list(folder)
    expect(seen).toHaveLength(2)
    expect(seen.find((entry) => entry.state !== 'unreadable' && entry.id === id)).toMatchObject({
      state: 'live',
      method,
      statement: { oldestNeeded: 7n, pid: peer.pid, updates: 0n },
    })
    const inode = lstatSync(own.path).ino
    expect(lstatSync(own.path).mode & 0o777).toBe(0o600)
    own.update(2n ** 64n - 1n)
    expect(lstatSync(own.path).ino).toBe(inode)
    expect(await list(folder)).toContainEqual({
      state: 'live',
      id: own.id,
      path: own.path,
      method,
      statement: { ...own.statement, oldestNeeded: 2n ** 64n - 1n, updates: 1n },
    })
    expect(() => own.update(-1n)).toThrow(TypeError)
    expect(await clean(folder)).toBe(0)
    await own.close()
    expect(() => own.update(1n)).toThrow(/closed/)
    await peer.end()
    expect(readdirSync(folder)).toEqual([])
  })

  test('L2: SIGKILL makes it dead; cleaning removes the dead and never the living', async () => {
    const folder = makeFolder()
    const own = await openPresence(folder, { method, staleMs: STALE_MS })
    onTestFinished(() => own.close())
    const peers = [new Peer(), new Peer()]
    for (const peer of peers) await peer.must({ does: 'present', path: folder, method, value: 3 })
    for (const peer of peers) await peer.kill('SIGKILL')
    writeFileSync(`${folder}/${'0'.repeat(32)}.presence.tmp`, 'left by a crash')
    utimesSync(`${folder}/${'0'.repeat(32)}.presence.tmp`, 1, 1)
    writeFileSync(`${folder}/${'1'.repeat(32)}.presence.tmp`, 'just being made')
    // At once, but for `lockfile`: after `staleMs`.
    while ((await deadIn(folder)) < 2) await new Promise((tick) => setTimeout(tick, 50))
    const removed = await Promise.all([clean(folder), clean(folder)])
    expect((removed[0] ?? 0) + (removed[1] ?? 0)).toBe(3)
    expect(await list(folder)).toMatchObject([{ state: 'live', id: own.id }])
  })

  test('starting and cleaning at once: nobody loses a file, nothing is left', async () => {
    const folder = makeFolder()
    let cleaning = true
    const clear = async (): Promise<void> => {
      while (cleaning) {
        await clean(folder)
        await new Promise((tick) => setImmediate(tick))
      }
    }
    const come = async (): Promise<void> => {
      for (let round = 0; round < 10; round++) {
        const presence = await openPresence(folder, { method, staleMs: STALE_MS })
        await new Promise((tick) => setTimeout(tick, 2))
        expect(existsSync(presence.path)).toBe(true)
        expect(presence.lost.aborted).toBe(false)
        await presence.close()
      }
    }
    const cleaners = [clear(), clear()]
    await Promise.all([come(), come(), come()]).finally(() => {
      cleaning = false
    })
    await Promise.all(cleaners)
    expect(readdirSync(folder)).toEqual([])
  })
})

describe('what crashes leave', () => {
  test('a lock folder without its presence goes once it is old; a fresh one and others stay', async () => {
    const folder = makeFolder()
    const then = new Date(Date.now() - 120_000)
    const make = (name: string, isOld: boolean): string => {
      mkdirSync(`${folder}/${name}`)
      if (isOld) utimesSync(`${folder}/${name}`, then, then)
      return name
    }
    make(`${'0'.repeat(32)}.presence.lock`, true)
    const full = make(`${'1'.repeat(32)}.presence.lock`, false)
    writeFileSync(`${folder}/${full}/what`, '')
    utimesSync(`${folder}/${full}`, then, then)
    const fresh = make(`${'2'.repeat(32)}.presence.lock`, false)
    const foreign = make('other.lock', true)
    const file = `${'3'.repeat(32)}.presence.lock`
    writeFileSync(`${folder}/${file}`, '')
    utimesSync(`${folder}/${file}`, then, then)
    await clean(folder)
    expect(readdirSync(folder).toSorted()).toEqual([full, fresh, file, foreign])
  })

  test('the lock folder of a presence that is there is not taken for left over', async () => {
    const folder = makeFolder()
    const presence = await openPresence(folder, { method: 'lockfile', staleMs: 3_600_000 })
    const then = new Date(Date.now() - 120_000)
    utimesSync(`${presence.path}.lock`, then, then)
    expect(await cleanPresence(folder, { staleMs: 3_600_000 })).toBe(0)
    expect(existsSync(`${presence.path}.lock`)).toBe(true)
    await presence.close()
  })
})

describe('hostile presence folders', () => {
  test('L4: what is not a presence file is told apart, left alone and never followed', async () => {
    const folder = makeFolder()
    const lock = await openLock(`${folder}/lock`, { method: 'ofd' })
    onTestFinished(() => lock.close())
    copyFileSync(lock.path, `${folder}/${'1'.repeat(32)}.presence`)
    symlinkSync(lock.path, `${folder}/${'2'.repeat(32)}.presence`)
    writeFileSync(`${folder}/${'3'.repeat(32)}.presence`, 'ringlock')
    writeFileSync(`${folder}/unrelated`, '')
    const names = readdirSync(folder).toSorted()
    expect(await list(folder)).toMatchObject([
      { state: 'unreadable', error: { code: 'RINGBOLT_LOCK_NOT_A_LOCK_FILE' } },
      { state: 'unreadable', error: { code: 'RINGBOLT_LOCK_NOT_A_FILE' } },
      { state: 'unreadable', error: { code: 'RINGBOLT_LOCK_TRUNCATED' } },
    ])
    expect(await clean(folder)).toBe(0)
    expect(readdirSync(folder).toSorted()).toEqual(names)
  })

  test('a damaged statement is unknown, not guessed', async () => {
    const folder = makeFolder()
    const presence = await openPresence(folder, { method: 'ofd', oldestNeeded: 9n })
    onTestFinished(() => presence.close())
    const { open } = await import('node:fs/promises')
    const file = await open(presence.path, 'r+')
    await file.write(Buffer.alloc(8, 0xff), 0, 8, 64)
    await file.close()
    expect(await list(folder)).toMatchObject([{ state: 'live', statement: null }])
  })

  test('a missing folder', async () => {
    const folder = `${makeFolder()}/none`
    for (const work of [openPresence(folder, { method: 'ofd' }), list(folder), clean(folder)]) {
      await expect(work).rejects.toMatchObject({ code: 'RINGBOLT_LOCK_FOLDER_MISSING' })
    }
  })
})
