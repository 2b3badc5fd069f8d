/** A wall clock that is set while several processes have a database open: nothing but what people read goes by it. */
import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { METHOD_NAMES } from '@ringbolt/locks'
import { expect, test } from 'vitest'
import { checkFile } from './check-file.ts'
import { open } from './open.ts'
import { type RestoreOptions, restore } from './restore.ts'
import { cells } from './testing/collections.ts'
import { elsewhere } from './testing/elsewhere.ts'
import { testFolders } from './testing/folders.ts'

const makeFolder = testFolders('clock')
const HOUR_MS = 3_600_000
/** Of a machine that is busy. */
const SLACK_MS = 60_000

/** The clock of those that are started with it, in all of their threads. */
class TestClock {
  readonly env: { readonly NODE_OPTIONS: string }
  readonly #path: string

  constructor(folder: string) {
    this.#path = join(folder, 'clock')
    this.set(0)
    const program = `
      import { readFileSync } from 'node:fs'
      const real = Date.now
      Date.now = () => real() + Number(readFileSync(${JSON.stringify(this.#path)}, 'utf8'))`
    this.env = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(program)}` }
  }

  /** At once, for all of them. */
  set(shiftMs: number): void {
    writeFileSync(`${this.#path}.new`, String(shiftMs))
    renameSync(`${this.#path}.new`, this.#path)
  }
}

/** Says each id with the time after its acknowledgement, until it is told to end. */
const WRITER = (writer: number): string => `
  const collection = db.collection(cells)
  let isOver = false
  const snapshot = db.snapshot()
  const write = async () => {
    for (let id = ${writer} * 1_000_000; !isOver; id++) {
      await collection.insert({ id, group: ${writer}, value: id })
      say(id + ' ' + Date.now())
    }
  }
  const written = failure(write())
  await told()
  say('backup ' + (await failure(db.backup('COPY${writer}'))))
  isOver = true
  say('ended ' + (await written))
  say('snapshot ' + snapshot.collection(cells).count())
  say('uptime ' + (db.stats().uptimeMs > 0 && db.stats().uptimeMs < 1_000_000))
  snapshot.close()`

test.each(METHOD_NAMES)(
  'M3 M4 M5 L3: it jumps ahead and back: two processes write on in turns, snapshots and backups are kept: %s',
  async (lockMethod) => {
    const folder = makeFolder()
    const path = join(folder, 'app.db')
    const clock = new TestClock(folder)
    const options = { checkpointLogBytes: 100_000, lockMethod }
    const body = (writer: number): string =>
      WRITER(writer).replaceAll('COPY', join(folder, 'copy-'))
    const processes = [1, 2].map((writer) =>
      elsewhere(path, body(writer), { options, env: clock.env }),
    )
    const acknowledged: number[] = []
    for (const shiftMs of [0, HOUR_MS, -HOUR_MS, 0]) {
      clock.set(shiftMs)
      const from = Date.now() + shiftMs - SLACK_MS
      const until = Date.now() + shiftMs + SLACK_MS
      await Promise.all(
        processes.map(async (process) => {
          for (let count = 0; count < 30; ) {
            const line = await process.next()
            expect(line).toMatch(/^\d+ \d+$/)
            const [id = 0, timeMs = 0] = line.split(' ').map(Number)
            acknowledged.push(id)
            if (timeMs > from && timeMs < until) count++
          }
        }),
      )
    }
    clock.set(-HOUR_MS)
    const last = await Promise.all(
      processes.map(async (process) => {
        process.tell()
        const said: string[] = []
        for (let line = await process.next(); line !== 'closed'; line = await process.next()) {
          expect(line).not.toBe('undefined')
          const id = /^(\d+) /.exec(line)?.[1]
          if (id === undefined) said.push(line)
          else acknowledged.push(Number(id))
        }
        return said
      }),
    )
    for (const said of last) {
      expect(said).toEqual([
        'backup none',
        'ended none',
        expect.stringMatching(/^snapshot \d+$/),
        'uptime true',
      ])
    }
    const db = await open(path, { collections: [cells] })
    const collection = db.collection(cells)
    expect(acknowledged.filter((id) => collection.get(id)?.value !== id)).toEqual([])
    expect(collection.count()).toBe(acknowledged.length)
    await db.close()
    for (const name of ['app.db', 'copy-1', 'copy-2']) {
      expect(checkFile(join(folder, name)).findings).toEqual([])
    }
  },
)

test('M3 L3: whoever waits is refused when its time is over, however the clock is set; since when is the clock of then', async () => {
  const folder = makeFolder()
  const path = join(folder, 'app.db')
  const clock = new TestClock(folder)
  const { env } = clock
  const timeoutMs = 1000
  const holder = elsewhere(
    path,
    `say('open')
     await told()
     await db.transaction(async (tx) => {
       await tx.collection(cells).insert({ id: 1, group: 1, value: 1 })
       say('writing')
       await told()
     })`,
    { env },
  )
  expect(await holder.next()).toBe('open')
  const waiter = elsewhere(
    path,
    `say('open')
     for (let id = 2; id <= 3; id++) {
       await told()
       const begunMs = performance.now()
       const inserted = db.collection(cells).insert({ id, group: 1, value: id })
       say('waiting')
       const error = await inserted.catch((reason) => reason)
       say(JSON.stringify({ code: error.code, ...error.facts, tookMs: performance.now() - begunMs }))
     }`,
    { env, options: { busyTimeout: timeoutMs } },
  )
  expect(await waiter.next()).toBe('open')
  holder.tell()
  expect(await holder.next()).toBe('writing')
  const heldMs = Date.now()
  for (const shiftMs of [HOUR_MS, -HOUR_MS]) {
    waiter.tell()
    expect(await waiter.next()).toBe('waiting')
    clock.set(shiftMs)
    const busy = JSON.parse(await waiter.next())
    expect(busy).toMatchObject({ code: 'RINGBOLT_BUSY', holderPid: holder.child.pid, timeoutMs })
    for (const durationMs of [busy.waitedMs, busy.tookMs]) {
      expect(durationMs).toBeGreaterThanOrEqual(timeoutMs - 1)
      expect(durationMs).toBeLessThan(SLACK_MS)
    }
    expect(Math.abs(busy.holderSinceMs - heldMs)).toBeLessThan(SLACK_MS)
  }
  holder.tell()
  for (const process of [holder, waiter]) {
    expect(await process.next()).toBe('closed')
    await process.ended()
  }
  const db = await open(path, { collections: [cells] })
  expect(Array.from(db.collection(cells).all(), ({ id }) => id)).toEqual([1])
  await db.close()
})

test('M8: a clock that was set back: a restore to a time ends before the first commit of a later time', async () => {
  const folder = makeFolder()
  const path = join(folder, 'app.db')
  const full = join(folder, 'full.db')
  const archive = join(folder, 'archive')
  const clock = new TestClock(folder)
  const { next, tell, ended } = elsewhere(
    path,
    `await db.backup(${JSON.stringify(full)})
     for (let id = 1; id <= 3; id++) {
       await db.collection(cells).insert({ id, group: 1, value: id })
       say(String(db.stats().sequence))
       await told()
     }`,
    { env: clock.env, options: { archive } },
  )
  const sequences: number[] = []
  const begunMs = Date.now()
  for (const shiftMs of [HOUR_MS, 0, 0]) {
    sequences.push(Number(await next()))
    clock.set(shiftMs)
    tell()
  }
  expect(await next()).toBe('closed')
  await ended()
  const idsAt = async (name: string, to: RestoreOptions['to']): Promise<unknown[]> => {
    const target = join(folder, name)
    await restore({ from: full, archive, target, ...(to && { to }) })
    const db = await open(target, { collections: [cells] })
    const ids = Array.from(db.collection(cells).all(), ({ id }) => id)
    await db.close()
    return ids
  }
  expect(await idsAt('half', { time: begunMs + HOUR_MS / 2 })).toEqual([1])
  for (const [at, sequence] of sequences.entries()) {
    const ids = [1, 2, 3].slice(0, at + 1)
    expect(await idsAt(`commit-${sequence}`, { sequence })).toEqual(ids)
  }
  await expect(idsAt('late', { time: begunMs + 2 * HOUR_MS })).rejects.toMatchObject({
    code: 'RINGBOLT_RESTORE_POINT',
  })
  expect(await idsAt('end', undefined)).toEqual([1, 2, 3])
})
