/** From open to close: real files, real threads. */
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { attach, type Database, open } from './open.ts'
import { cells, notes } from './testing/collections.ts'
import { testFolders } from './testing/folders.ts'
import { inThreads, startThread } from './testing/threads.ts'

const folderOf = testFolders('life')
const MIB = 1024 * 1024
const SMALL = {
  collections: [cells, notes],
  cacheBytes: 8 * MIB,
  segmentBytes: MIB,
  busyTimeout: 50,
}

function pathOf(): string {
  return join(folderOf(), 'app.db')
}

describe('open and close', () => {
  test('S8: what was written is there after closing and opening, in one file', async () => {
    const path = pathOf()
    for (let round = 1; round <= 3; round++) {
      const db = await open(path, SMALL)
      const collection = db.collection(cells)
      expect(collection.count()).toBe(round - 1)
      expect(existsSync(`${path}-wal`)).toBe(true)
      await collection.insert({ id: round, group: round, value: round * 10 })
      expect([...collection.all()].map(({ value }) => value)).toEqual([10, 20, 30].slice(0, round))
      await db.close()
      expect(existsSync(`${path}-wal`)).toBe(false)
      expect(readdirSync(join(path, '..')).filter((name) => !name.endsWith('-lock'))).toEqual([
        'app.db',
      ])
    }
  })

  test('S8: opening and closing again and again leaves the file as long as it was', async () => {
    const path = pathOf()
    const sizes = new Set<number>()
    for (let round = 0; round < 8; round++) {
      const db = await open(path, SMALL)
      await db.collection(cells).upsert({ id: 1, group: 1, value: round })
      await db.close()
      if (round > 1) sizes.add(statSync(path).size)
    }
    expect(sizes.size).toBeLessThanOrEqual(3)
    expect(Math.max(...sizes)).toBeLessThan(32 * 8192)
  })

  test('closing lets go of every descriptor, those of attachments and of a failed open too', async () => {
    const folder = folderOf()
    const path = join(folder, 'app.db')
    for (let round = 0; round < 3; round++) {
      const db = await open(path, { collections: [notes] })
      const other = attach(db.share())
      await other.collection(notes).insert({ writer: 1, text: 'x' })
      await other.close()
      await expect(open(path, { busyTimeout: 0 })).rejects.toMatchObject({ code: 'RINGBOLT_BUSY' })
      await db.close()
    }
    const descriptors = readdirSync('/proc/self/fd').flatMap((fd) => {
      try {
        return [readlinkSync(`/proc/self/fd/${fd}`)]
      } catch {
        // The descriptor of the listing itself is gone by now.
        return []
      }
    })
    expect(descriptors.length).toBeGreaterThan(3)
    expect(descriptors.filter((target) => target.startsWith(folder))).toEqual([])
  })

  test('without create, what is not there is not made', async () => {
    const path = pathOf()
    await expect(open(path, { ...SMALL, create: false })).rejects.toMatchObject({
      code: 'RINGBOLT_NOT_FOUND',
    })
    await expect(open(path, { readOnly: true })).rejects.toMatchObject({
      code: 'RINGBOLT_NOT_FOUND',
    })
    expect(existsSync(path)).toBe(false)
    expect(existsSync(`${path}-wal`)).toBe(false)
  })

  test('a folder that is missing is a typed error', async () => {
    const folder = folderOf()
    await expect(open(join(folder, 'no', 'app.db'), SMALL)).rejects.toMatchObject({
      code: expect.stringMatching(/^RINGBOLT_/),
    })
    expect(readdirSync(folder)).toEqual([])
  })

  test.each([
    { cacheBytes: 1000 },
    { ringBytes: 12 },
    { ringBytes: 100_000 },
    { threadsMax: 0 },
    { threadsMax: 1.5 },
    { snapshotsMax: 0 },
    { segmentBytes: 1 },
    { segmentBytes: Number.NaN },
    { maxWaitMs: -1 },
    { syncDelayMs: -1 },
    { busyTimeout: -1 },
  ])('options that cannot be are refused, and nothing is made: %o', async (options) => {
    const folder = folderOf()
    await expect(open(join(folder, 'app.db'), { ...SMALL, ...options })).rejects.toThrow(RangeError)
    expect(readdirSync(folder)).toEqual([])
  })

  test('after closing, everything is refused by a typed error; closing twice is fine', async () => {
    const db = await open(pathOf(), SMALL)
    const collection = db.collection(cells)
    await collection.insert({ id: 1, group: 1, value: 1 })
    const snapshot = db.snapshot()
    const iterator = collection.all()
    iterator.next()
    await Promise.all([db.close(), db.close()])
    const closed = { code: 'RINGBOLT_CLOSED' }
    expect(() => collection.get(1)).toThrow(expect.objectContaining(closed))
    expect(() => collection.count()).toThrow(expect.objectContaining(closed))
    expect(() => iterator.next()).toThrow(expect.objectContaining(closed))
    expect(() => snapshot.collection(cells)).toThrow(expect.objectContaining(closed))
    expect(() => db.snapshot()).toThrow(expect.objectContaining(closed))
    expect(() => collection.find({}).toArray()).toThrow(expect.objectContaining(closed))
    await expect(collection.insert({ id: 2, group: 1, value: 1 })).rejects.toMatchObject(closed)
    await expect(db.transaction(() => 1)).rejects.toMatchObject(closed)
    expect(() => collection.sync.delete(1)).toThrow(expect.objectContaining(closed))
    await expect(db.checkpoint()).rejects.toMatchObject(closed)
    expect(() => attach(db.share())).toThrow(expect.objectContaining(closed))
    expect(() => snapshot.close()).not.toThrow()
    expect(db.stats().commits).toBeGreaterThan(0)
  })

  test('S9: closing with commits under way: each is acknowledged and there, or refused and not', async () => {
    const path = pathOf()
    const db = await open(path, SMALL)
    const collection = db.collection(cells)
    const outcomes = Promise.allSettled(
      Array.from({ length: 500 }, (_, at) =>
        collection.insert({ id: at + 1, group: 1, value: at }),
      ),
    )
    await db.close()
    const acknowledged = (await outcomes).flatMap((outcome) =>
      outcome.status === 'fulfilled' ? [outcome.value] : [],
    )
    for (const outcome of await outcomes) {
      if (outcome.status === 'fulfilled') continue
      expect(outcome.reason).toMatchObject({ code: 'RINGBOLT_CLOSED' })
    }
    const again = await open(path, SMALL)
    const ids = [...again.collection(cells).all()].map(({ id }) => id)
    expect(ids).toEqual(acknowledged)
    await again.close()
  })

  test('S11: closing while four threads write: they are told, what they were promised is there', async () => {
    const path = pathOf()
    const db = await open(path, SMALL)
    const threads = [1, 2, 3, 4].map((writer) =>
      startThread(db.share(), 'insertForEver', { writer, length: 100 }),
    )
    await Promise.all(threads.map((thread) => thread.hasTold()))
    await db.close()
    for (const { result } of threads) {
      await expect(result).rejects.toMatchObject({ code: 'RINGBOLT_CLOSED' })
    }
    await Promise.all(threads.map(({ exited }) => exited))
    const again = await open(path, SMALL)
    expect(again.collection(notes).count()).toBeGreaterThan(4)
    await again.close()
  })
})

describe('one owner', () => {
  test('L1: a second handle in the process shares the database; so does one for reading', async () => {
    const path = pathOf()
    const db = await open(path, SMALL)
    await db.collection(cells).insert({ id: 1, group: 1, value: 1 })
    const other = await open(path, SMALL)
    const reader = await open(path, { ...SMALL, readOnly: true })
    await db.collection(cells).insert({ id: 2, group: 1, value: 1 })
    expect(other.collection(cells).count()).toBe(2)
    // The state at which it was opened.
    expect(reader.collection(cells).count()).toBe(1)
    await db.close()
    await other.close()
    expect(reader.collection(cells).count()).toBe(1)
    await reader.close()
    const again = await open(path, SMALL)
    expect(again.collection(cells).count()).toBe(2)
    await again.close()
  })

  test('M3: another process is refused with BusyError while this one writes, and nothing is changed', async () => {
    const path = pathOf()
    const db = await open(path, { ...SMALL, collections: [cells] })
    await db.transaction(async (tx) => {
      await tx.collection(cells).insert({ id: 1, group: 1, value: 1 })
      const before = readFileSync(path)
      expect(openElsewhere(path)).toBe('RINGBOLT_BUSY')
      expect(readFileSync(path).equals(before)).toBe(true)
    })
    expect(openElsewhere(path)).toBe('opened')
    await db.close()
    expect(openElsewhere(path)).toBe('opened')
  })

  test('a process that waits long enough is served', async () => {
    const path = pathOf()
    const first = await open(path, SMALL)
    const second = open(path, { ...SMALL, busyTimeout: 30_000 })
    await first.collection(cells).insert({ id: 1, group: 1, value: 1 })
    await first.close()
    const db = await second
    expect(db.collection(cells).count()).toBe(1)
    await db.close()
  })

  test('crossProcessLock false makes no lock file', async () => {
    const path = pathOf()
    const db = await open(path, { ...SMALL, crossProcessLock: false })
    await db.collection(cells).insert({ id: 1, group: 1, value: 1 })
    await db.close()
    expect(readdirSync(join(path, '..'))).toEqual(['app.db'])
  })
})

function openElsewhere(path: string): string {
  const program = `
    import { open } from ${JSON.stringify(new URL('../index.js', import.meta.url).href)}
    try {
      const db = await open(${JSON.stringify(path)}, { busyTimeout: 50 })
      await db.close()
      process.stdout.write('opened')
    } catch (error) { process.stdout.write(error.code) }`
  const { stdout, stderr } = spawnSync(
    process.execPath,
    ['--input-type=module', '--eval', program],
    { encoding: 'utf8' },
  )
  expect(stderr).toBe('')
  return stdout
}

describe(':memory:', () => {
  test('S8: one database for the threads of the process, gone when it is closed', async () => {
    const db = await open(':memory:', { ...SMALL, cacheBytes: 32 * 1024 * 1024 })
    const ids = await inThreads(
      db.share(),
      'insertNotes',
      [1, 2, 3, 4].map((writer) => ({ writer, count: 500 })),
    )
    expect(new Set(ids.flat()).size).toBe(2000)
    expect(db.collection(notes).count()).toBe(2000)
    expect(db.collection(notes).find({ writer: 3 }).count()).toBe(500)
    await db.checkpoint()
    await db.close()
    const other = await open(':memory:', SMALL)
    expect(other.collection(notes).count()).toBe(0)
    await other.close()
    expect(existsSync(':memory:')).toBe(false)
  })

  test('S10: when it is full, writes are refused, nothing is changed, and deleting makes room', async () => {
    const db = await open(':memory:', { ...SMALL, cacheBytes: 1024 * 1024 })
    const collection = db.collection(notes)
    let count = 0
    const fill = async (): Promise<void> => {
      for (;;) {
        await collection.insert({ id: count + 1, writer: 1, text: 'x'.repeat(1500) })
        count++
      }
    }
    await expect(fill()).rejects.toMatchObject({ code: 'RINGBOLT_FULL' })
    expect(count).toBeGreaterThan(50)
    expect(collection.count()).toBe(count)
    expect(collection.find({ writer: 1 }).count()).toBe(count)
    await expect(
      collection.insert({ id: count + 1, writer: 1, text: 'x'.repeat(500_000) }),
    ).rejects.toMatchObject({ code: 'RINGBOLT_FULL' })
    for (let id = 1; id <= 20; id++) expect(await collection.delete(id)).toBe(true)
    await collection.insert({ id: 1, writer: 2, text: 'again' })
    expect(collection.count()).toBe(count - 19)
    await db.close()
  })
})

describe('attach', () => {
  test('S11: many threads come and go; all see one database', async () => {
    const db = await open(pathOf(), { ...SMALL, threadsMax: 6 })
    for (let round = 0; round < 5; round++) {
      await inThreads(
        db.share(),
        'insertNotes',
        [0, 1, 2, 3].map((at) => ({ writer: round * 4 + at, count: 50 })),
      )
    }
    expect(db.collection(notes).count()).toBe(1000)
    expect(db.collection(notes).find({ writer: 13 }).count()).toBe(50)
    await db.close()
  })

  test('a thread may detach and attach again, and have several attachments', async () => {
    const db = await open(pathOf(), { ...SMALL, threadsMax: 4 })
    for (let round = 0; round < 20; round++) {
      const [one, other] = [attach(db.share()), attach(db.share())]
      await one.collection(cells).upsert({ id: 1, group: 1, value: round })
      expect(other.collection(cells).get(1)).toMatchObject({ value: round })
      await one.close()
      expect(() => one.collection(cells)).toThrow(/closed/)
      expect(other.collection(cells).count()).toBe(1)
      await other.close()
    }
    await db.close()
  })

  test('more than threadsMax: a typed error, and the rest go on', async () => {
    const db = await open(pathOf(), { ...SMALL, threadsMax: 3 })
    const attached = [attach(db.share()), attach(db.share())]
    for (let round = 0; round < 5; round++) {
      expect(() => attach(db.share())).toThrow(expect.objectContaining({ code: 'RINGBOLT_SLOTS' }))
    }
    await attached.pop()?.close()
    const one = attach(db.share())
    await one.collection(cells).insert({ id: 1, group: 1, value: 1 })
    expect(db.collection(cells).count()).toBe(1)
    await one.close()
    await attached.pop()?.close()
    await db.close()
  })

  test('a handle that is none is a typed error', () => {
    // oxlint-disable-next-line no-unsafe-type-assertion
    expect(() => attach({} as ReturnType<Database['share']>)).toThrow()
  })

  test('S5: more snapshots than snapshotsMax: a typed error, and closing one makes room', async () => {
    const db = await open(pathOf(), { ...SMALL, snapshotsMax: 10 })
    const snapshots = Array.from({ length: 10 }, () => db.snapshot())
    expect(() => db.snapshot()).toThrow(expect.objectContaining({ code: 'RINGBOLT_FULL' }))
    snapshots.pop()?.close()
    db.snapshot().close()
    for (const snapshot of snapshots) snapshot.close()
    expect(db.stats().snapshots.open).toBeLessThanOrEqual(10)
    await db.close()
  })
})
