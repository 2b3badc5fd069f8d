import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { FileStore, type Log, openLog, SegmentedLog } from '@ringbolt/wal'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { attachedLog, createLogPool, type PoolOptions } from './index.ts'
import type { AppendTask } from './testing/append-task.ts'

const filename = new URL('./testing/append-task.js', import.meta.url).href

/** Far more than a worker's imports take. */
const IMPORTS_MS = 700

let folder: string
let log: Log
let pool: ReturnType<typeof createLogPool> | undefined

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'ringbolt-workers-'))
  log = await openLog(join(folder, 'log'), { threadsMax: 8 })
})

afterEach(async () => {
  // Node 20 aborts the process (v8::Module::IsGraphAsync) when a worker is terminated in the middle of
  // its imports; once in some runs `destroy` met a replacement that had just been started.
  await setTimeout(IMPORTS_MS)
  await pool?.destroy()
  pool = undefined
  await log.close()
  rmSync(folder, { recursive: true })
})

function makePool(options: Omit<PoolOptions, 'filename'>): ReturnType<typeof createLogPool> {
  pool = createLogPool(log, { filename, ...options })
  return pool
}

/** All records, as text, as a later reader finds them. */
async function logged(): Promise<string[]> {
  await log.flush()
  const reader = SegmentedLog.open(new FileStore(join(folder, 'log'), { readOnly: true }), {
    readOnly: true,
  })
  try {
    return Array.from(reader.read(), ({ record }) => Buffer.from(record).toString())
  } finally {
    reader.close()
  }
}

test('W3: workers of a pool append to one log, awaiting or blocking', async () => {
  const workers = makePool({ minThreads: 3, maxThreads: 3 })
  const tasks: AppendTask[] = ['a', 'b', 'c', 'd'].map((text, at) => ({
    text,
    count: 200,
    blocking: at % 2 === 1,
  }))
  const lsns: number[][] = await Promise.all(tasks.map((task) => workers.run(task)))
  const records = await logged()
  for (const [at, { text, count }] of tasks.entries()) {
    const own = records.filter((record) => record.startsWith(`${text} `))
    expect(own).toEqual(Array.from({ length: count }, (_, ordinal) => `${text} ${ordinal}`))
    expect(lsns[at]).toEqual(lsns[at]?.toSorted((x, y) => x - y))
  }
  expect(new Set(lsns.flat()).size).toBe(800)
})

test('R4: a worker attaches once, however often it asks', async () => {
  const workers = makePool({ minThreads: 1, maxThreads: 1 })
  for (let at = 0; at < 20; at++) {
    expect(await workers.run(undefined, { name: 'isSameClient' })).toBe(true)
  }
  // The opener is one of them.
  expect((await log.stats()).threadsAttached).toBeLessThanOrEqual(3)
})

test('W3: an idle worker still hears of its acknowledgements', async () => {
  const workers = makePool({ minThreads: 1, maxThreads: 1 })
  const settled = new Int32Array(new SharedArrayBuffer(4))
  await workers.run(settled, { name: 'appendAndLeave' })
  const wait = Atomics.waitAsync(settled, 0, 0, 10_000)
  expect(await wait.value).not.toBe('timed-out')
  expect(settled[0]).toBe(1)
})

test('R9: aborted workers give their places back, more of them than there are places', async () => {
  const workers = makePool({ minThreads: 1, maxThreads: 1 })
  for (let at = 0; at < 20; at++) {
    const running = new Int32Array(new SharedArrayBuffer(4))
    const abort = new AbortController()
    const task = workers.run(running, { name: 'appendForever', signal: abort.signal })
    await Atomics.waitAsync(running, 0, 0).value
    abort.abort()
    await expect(task).rejects.toThrow('aborted')
  }
  const task: AppendTask = { text: 'after', count: 1, blocking: false }
  await workers.run(task)
  expect((await logged()).filter((record) => record === 'after 0')).toHaveLength(1)
})

test('a task finds its own workerData beside the log', async () => {
  const workers = makePool({ workerData: { own: { answer: 42 } }, maxThreads: 1 })
  expect(await workers.run(undefined, { name: 'ownData' })).toEqual({ answer: 42 })
})

test('attachedLog outside a pool says where it was to be called', () => {
  expect(() => attachedLog()).toThrow(
    new TypeError('attachedLog: this thread was not started by a pool of createLogPool'),
  )
})
