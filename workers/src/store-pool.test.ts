import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { checkFile, type Database, open } from 'ringbolt'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { attached, createPool, type PoolOptions } from './index.ts'
import { notes, type WriteTask } from './testing/store-task.ts'

const filename = new URL('./testing/store-task.js', import.meta.url).href

/** Far more than a worker's imports take. */
const IMPORTS_MS = 700
const THREADS_MAX = 8

let folder: string
let path: string
let db: Database
let pool: ReturnType<typeof createPool> | undefined

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'ringbolt-workers-'))
  path = join(folder, 'app.db')
  db = await open(path, {
    collections: [notes],
    cacheBytes: 8 * 1024 * 1024,
    threadsMax: THREADS_MAX,
    snapshotsMax: 16,
  })
})

afterEach(async () => {
  // See log-pool.test.ts: Node 20 does not survive the end of a worker in the middle of its imports.
  await setTimeout(IMPORTS_MS)
  await pool?.destroy()
  pool = undefined
  await db.close()
  expect(checkFile(path).findings).toEqual([])
  expect(existsSync(`${path}-wal`)).toBe(false)
  rmSync(folder, { recursive: true })
})

function makePool(options: Omit<PoolOptions, 'filename'>): ReturnType<typeof createPool> {
  pool = createPool(db, { filename, ...options })
  return pool
}

function ordinals(count: number): number[] {
  return Array.from({ length: count }, (_, ordinal) => ordinal)
}

test('S11: workers of a pool write one database, awaiting or blocking, and read what others wrote', async () => {
  const workers = makePool({ minThreads: 3, maxThreads: 3 })
  const tasks: WriteTask[] = ['a', 'b', 'c', 'd'].map((text, at) => ({
    text,
    count: 100,
    blocking: at % 2 === 1,
  }))
  const ids: number[][] = await Promise.all(tasks.map((task) => workers.run(task)))
  expect(new Set(ids.flat()).size).toBe(400)
  expect(db.collection(notes).count()).toBe(400)
  for (const { text, count } of tasks) {
    const found: number[] = await workers.run(text, { name: 'read' })
    expect(found.toSorted((x, y) => x - y)).toEqual(ordinals(count))
  }
})

test('S2: transactions of several workers on one document lose no update', async () => {
  const workers = makePool({ minThreads: 3, maxThreads: 3 })
  const id = await db.collection(notes).insert({ text: 'counted', ordinal: 0 })
  const runs = Array.from({ length: 3 }, () => workers.run({ id, times: 30 }, { name: 'count' }))
  await Promise.all(runs)
  expect(db.collection(notes).get(id)?.ordinal).toBe(90)
})

test('S11: a worker attaches once, however often it asks', async () => {
  const workers = makePool({ minThreads: 1, maxThreads: 1 })
  // Each time anew, the threads' places would be used up.
  for (let at = 0; at < 2 * THREADS_MAX; at++) {
    expect(await workers.run(undefined, { name: 'isSameDatabase' })).toBe(true)
  }
})

test('S11 S5: aborted workers give back places, snapshots and iterations, more of them than there are', async () => {
  const workers = makePool({ minThreads: 1, maxThreads: 1 })
  await db.collection(notes).insert({ text: 'first', ordinal: 0 })
  for (let at = 0; at < 2 * THREADS_MAX + 4; at++) {
    const running = new Int32Array(new SharedArrayBuffer(4))
    const abort = new AbortController()
    const task = workers.run(running, { name: 'holdForever', signal: abort.signal })
    await Promise.race([task, Atomics.waitAsync(running, 0, 0).value])
    abort.abort()
    await expect(task).rejects.toThrow('aborted')
  }
  expect(await workers.run({ text: 'after', count: 1, blocking: false })).toHaveLength(1)
  await db.collection(notes).insert({ text: 'last', ordinal: 0 })
  expect(db.stats().snapshots.open).toBe(0)
})

test('S11: a worker that runs out of memory takes nobody with it', async () => {
  const workers = makePool({
    minThreads: 1,
    maxThreads: 1,
    resourceLimits: { maxOldGenerationSizeMb: 24 },
  })
  for (let at = 0; at < 3; at++) {
    await expect(workers.run(undefined, { name: 'exhaust' })).rejects.toThrow(/memory/)
    expect(await workers.run({ text: 'after', count: 2, blocking: true })).toHaveLength(2)
  }
  await db.collection(notes).insert({ text: 'last', ordinal: 0 })
  expect(db.stats().snapshots.open).toBe(0)
})

test('a task finds its own workerData beside the database', async () => {
  const workers = makePool({ workerData: { own: { answer: 42 } }, maxThreads: 1 })
  expect(await workers.run(undefined, { name: 'ownData' })).toEqual({ answer: 42 })
})

test('attached outside a pool says where it was to be called', () => {
  expect(() => attached()).toThrow(
    new TypeError('attached: this thread was not started by a pool of createPool'),
  )
})
