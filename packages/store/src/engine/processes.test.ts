/** Several handles, and several processes, on one database: L1, M2, M3, M4. */
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { METHOD_NAMES } from '@ringbolt/locks'
import { isRingboltError } from '@ringbolt/ring'
import { Random } from '@ringbolt/wal/simulation'
import { describe, expect, onTestFinished, test } from 'vitest'
import { checkFile } from './check-file.ts'
import { attach, type Database, open } from './open.ts'
import type { OpenOptions } from './options.ts'
import { cells, notes, textOf } from './testing/collections.ts'
import { deferred } from './testing/deferred.ts'
import { type Elsewhere, elsewhere as startElsewhere } from './testing/elsewhere.ts'
import { testFolders } from './testing/folders.ts'

const makeFolder = testFolders('processes')
const SMALL = { cacheBytes: 8 * 1024 * 1024, ringBytes: 256 * 1024, segmentBytes: 64 * 1024 }

function pathOf(): string {
  return `${makeFolder()}/app.db`
}

async function opened(path: string, options: OpenOptions = {}): Promise<Database> {
  const db = await open(path, { ...SMALL, collections: [cells, notes], ...options })
  onTestFinished(() => db.close())
  return db
}

describe('two handles in one process', () => {
  test.each(METHOD_NAMES)(
    'L1 M4: each sees at once what the other has committed: %s',
    async (lockMethod) => {
      const path = pathOf()
      const handles = [await opened(path, { lockMethod }), await opened(path)]
      for (let id = 1; id <= 40; id++) {
        const [writer, reader] = id % 3 === 0 ? handles : handles.toReversed()
        await writer!.collection(cells).insert({ id, group: id % 5, value: id })
        expect(reader!.collection(cells).get(id)).toEqual({ id, group: id % 5, value: id })
        const group = reader!.collection(cells).range('group', { gte: id % 5, lte: id % 5 })
        expect([...group]).toHaveLength(Math.floor(id / 5) + (id % 5 === 0 ? 0 : 1))
      }
    },
  )

  test.each(METHOD_NAMES)(
    'M3: a second writer is told who writes, and is served afterwards: %s',
    async (lockMethod) => {
      const path = pathOf()
      const first = await opened(path, { lockMethod })
      const second = await opened(path, { busyTimeout: 600 })
      const { promise: mayEnd, resolve: end } = deferred()
      const { promise: hasBegun, resolve: begun } = deferred()
      const transaction = first.transaction(async (tx) => {
        await tx.collection(cells).insert({ id: 1, group: 1, value: 1 })
        begun()
        await mayEnd
      })
      await hasBegun
      const refused = {
        code: 'RINGBOLT_BUSY',
        facts: { holderPid: process.pid, timeoutMs: 600, path: `${path}-lock` },
      }
      await expect(
        second.collection(cells).insert({ id: 2, group: 1, value: 1 }),
      ).rejects.toMatchObject(refused)
      await expect(
        second.transaction((tx) => tx.collection(cells).sync.insert({ id: 3, group: 1, value: 1 })),
      ).rejects.toMatchObject(refused)
      expect(second.collection(cells).count()).toBe(0)
      end()
      await transaction
      expect(second.collection(cells).count()).toBe(1)
      await second.collection(cells).insert({ id: 2, group: 1, value: 1 })
      expect(first.collection(cells).count()).toBe(2)
    },
  )

  test('M2: a checkpoint is refused while another writes, and done afterwards', async () => {
    const path = pathOf()
    const first = await opened(path)
    const second = await opened(path, { busyTimeout: 100 })
    const { promise: mayEnd, resolve: end } = deferred()
    const transaction = first.transaction(async (tx) => {
      await tx.collection(cells).insert({ id: 1, group: 1, value: 1 })
      await expect(second.checkpoint()).rejects.toMatchObject({ code: 'RINGBOLT_BUSY' })
      end()
      await mayEnd
    })
    await transaction
    await second.checkpoint()
    await expect.poll(() => second.stats().checkpoints.count).toBe(1)
  })

  test('M3: who closes while another writes leaves no commit without an answer', async () => {
    const path = pathOf()
    const first = await opened(path)
    const second = await opened(path, { busyTimeout: 600 })
    const { promise: mayEnd, resolve: end } = deferred()
    const { promise: hasBegun, resolve: begun } = deferred()
    const transaction = first.transaction(async (tx) => {
      await tx.collection(cells).insert({ id: 1, group: 1, value: 1 })
      begun()
      await mayEnd
    })
    await hasBegun
    const attached = attach(second.share())
    const codes = new Set<string>()
    const write = async (lane: number): Promise<void> => {
      for (let id = 1000 * lane; !codes.has('RINGBOLT_CLOSED'); id++) {
        try {
          await attached.collection(cells).insert({ id, group: 1, value: id })
        } catch (error) {
          if (!isRingboltError(error)) throw error
          codes.add(error.code)
        }
      }
    }
    const writes = Promise.all([1, 2, 3, 4, 5, 6, 7, 8].map(write))
    await delay(300)
    await second.close()
    await writes
    expect([...codes].toSorted()).toEqual(['RINGBOLT_BUSY', 'RINGBOLT_CLOSED'])
    end()
    await transaction
    expect(first.collection(cells).count()).toBe(1)
  })

  test('M4: who is left alone has the turn to itself again, and knows how many there are', async () => {
    const path = pathOf()
    const first = await opened(path)
    const second = await opened(path)
    await second.collection(cells).insert({ id: 1, group: 1, value: 1 })
    await first.collection(cells).insert({ id: 2, group: 1, value: 2 })
    await second.collection(cells).insert({ id: 3, group: 1, value: 3 })
    await expect.poll(() => first.stats().processes.others, { timeout: 10_000 }).toBe(1)
    const { turns } = first.stats().processes
    await second.close()
    await expect.poll(() => first.stats().processes.others, { timeout: 10_000 }).toBe(0)
    await first.collection(cells).insert({ id: 4, group: 1, value: 4 })
    // It did not have to wait for it.
    expect(first.stats().processes.turns).toBe(turns)
  })

  test('M3: transactions of both, on the same documents, lose nothing', async () => {
    const path = pathOf()
    const handles = [await opened(path), await opened(path, { cacheBytes: 2 * 1024 * 1024 })]
    for (let id = 1; id <= 4; id++) {
      await handles[0]!.collection(cells).insert({ id, group: 1, value: 0 })
    }
    await Promise.all(
      handles.map(async (db) => {
        for (let round = 0; round < 30; round++) {
          await db.transaction(async (tx) => {
            const all = tx.collection(cells)
            const { value } = all.get(1 + (round % 4))!
            await Promise.resolve()
            await all.update(1 + (round % 4), (cell) => {
              cell.value = value + 1
            })
          })
        }
      }),
    )
    for (const db of handles) {
      const values = Array.from(db.collection(cells).all(), ({ value }) => value)
      expect(values.reduce((sum, value) => sum + value)).toBe(60)
    }
  })

  test('S8 M4: checkpoints of both, small caches, and the closed file is sound', async () => {
    const path = pathOf()
    const options = { cacheBytes: 1024 * 1024, checkpointLogBytes: 200_000 }
    const handles = [await opened(path, options), await opened(path, options)]
    const random = new Random(1)
    const expected = new Map<number, string>()
    for (let round = 0; round < 60; round++) {
      const [writer, reader] = random.fork(round).chance(0.5) ? handles : handles.toReversed()
      const ids = Array.from({ length: 40 }, (_, at) =>
        random.fork(round).fork(at).between(1, 2000),
      )
      await Promise.all(
        [...new Set(ids)].map(async (id) => {
          const text = textOf(id, round, 400)
          await writer!.collection(notes).upsert({ id, writer: round % 7, text })
          expected.set(id, text)
        }),
      )
      for (const id of ids) expect(reader!.collection(notes).get(id)?.text).toBe(expected.get(id))
      if (round % 9 === 0) await reader!.checkpoint()
    }
    await handles[0]!.close()
    for (const [id, text] of expected)
      expect(handles[1]!.collection(notes).get(id)?.text).toBe(text)
    await handles[1]!.close()
    expect(readdirSync(dirname(path)).toSorted()).toEqual(['app.db', 'app.db-lock'])
    expect(checkFile(path).findings).toEqual([])
  })
})

function elsewhere(path: string, body: string, under: readonly string[] = []): Elsewhere {
  return startElsewhere(path, body, { options: SMALL, under })
}

describe('several processes', () => {
  test.each(METHOD_NAMES)(
    'M3 M4: three count together, each after what it has read: %s',
    async (lockMethod) => {
      const path = pathOf()
      const db = await opened(path, { lockMethod })
      await db.collection(cells).insert({ id: 1, group: 1, value: 0 })
      const body = `
      for (let round = 0; round < 100; round++) {
        const seen = db.collection(cells).get(1).value
        await db.transaction((tx) => tx.collection(cells).update(1, (cell) => { cell.value += 1 }))
        if (db.collection(cells).get(1).value <= seen) console.log('went back')
      }`
      const others = [elsewhere(path, body), elsewhere(path, body)]
      let last = 0
      let isOver = false
      const over = Promise.all(others.map(({ next }) => next())).finally(() => {
        isOver = true
      })
      while (!isOver) {
        const { value } = db.collection(cells).get(1)!
        expect(value).toBeGreaterThanOrEqual(last)
        last = value
        await db.transaction((tx) =>
          tx.collection(cells).update(1, (cell) => {
            cell.group += 1
          }),
        )
        await delay(5)
      }
      expect(await over).toEqual(['closed', 'closed'])
      expect(db.collection(cells).get(1)?.value).toBe(200)
    },
  )

  test('M4 S9: whoever is killed in its turn loses nothing that it acknowledged, and the others go on', async () => {
    const path = pathOf()
    const db = await opened(path)
    for (let round = 0; round < 3; round++) {
      const { next, child } = elsewhere(
        path,
        `for (let id = ${round * 10_000 + 1}; ; id++) {
           await db.collection(cells).insert({ id, group: 1, value: id })
           console.log(id)
         }`,
      )
      let acknowledged = 0
      for (let count = 0; count < 30; count++) {
        acknowledged = Number(await next())
        expect(db.collection(cells).get(acknowledged)?.value).toBe(acknowledged)
      }
      child.kill('SIGKILL')
      await once(child, 'exit')
      await db.collection(cells).insert({ id: round * 10_000 + 9_999, group: 2, value: 0 })
      for (let id = round * 10_000 + 1; id <= acknowledged; id++) {
        expect(db.collection(cells).get(id)?.value).toBe(id)
      }
    }
    await db.close()
    expect(checkFile(path).findings).toEqual([])
  })

  test.each(METHOD_NAMES)(
    'M1 M2 M3 L3: a process that is stopped in its turn: writers are told who it is, readers go on: %s',
    async (lockMethod) => {
      const path = pathOf()
      const db = await opened(path, { busyTimeout: 300, lockMethod })
      await db.collection(cells).insert({ id: 1, group: 1, value: 1 })
      const { next, child } = elsewhere(
        path,
        `await db.transaction(async (tx) => {
         await tx.collection(cells).insert({ id: 2, group: 1, value: 2 })
         console.log('writing')
         await new Promise((resolve) => setTimeout(resolve, 60_000))
       })`,
      )
      expect(await next()).toBe('writing')
      child.kill('SIGSTOP')
      await expect(
        db.collection(cells).insert({ id: 3, group: 1, value: 3 }),
      ).rejects.toMatchObject({
        code: 'RINGBOLT_BUSY',
        facts: { holderPid: child.pid },
      })
      await expect(db.backup(join(dirname(path), 'copy.db'))).rejects.toMatchObject({
        code: 'RINGBOLT_BUSY',
      })
      await expect(db.checkpoint()).rejects.toMatchObject({ code: 'RINGBOLT_BUSY' })
      expect(readdirSync(dirname(path)).filter((name) => name.includes('copy'))).toEqual([])
      expect(Array.from(db.collection(cells).all(), ({ id }) => id)).toEqual([1])
      child.kill('SIGKILL')
      await once(child, 'exit')
      // A lock file of the third method is free when it is stale.
      const insert = (): Promise<unknown> =>
        db.collection(cells).insert({ id: 3, group: 1, value: 3 }).catch(String)
      await expect.poll(insert, { timeout: 30_000 }).toBe(3)
      expect(Array.from(db.collection(cells).all(), ({ id }) => id)).toEqual([1, 3])
    },
  )

  test('M4: changes are told in commit order, whichever process made them', async () => {
    const path = pathOf()
    const db = await opened(path)
    const { child } = elsewhere(
      path,
      `for (let id = 101; id <= 130; id++) await db.collection(cells).insert({ id, group: 2, value: id })`,
    )
    const seen: number[] = []
    const changes = db.changes({ from: 0 })
    const reading = (async (): Promise<void> => {
      let last = 0
      for await (const { sequence, changes: made } of changes) {
        expect(sequence).toBeGreaterThan(last)
        last = sequence
        for (const { id } of made) if (typeof id === 'number') seen.push(id)
        if (seen.length === 60) return
      }
    })()
    for (let id = 1; id <= 30; id++) await db.collection(cells).insert({ id, group: 1, value: id })
    if (child.exitCode === null) await once(child, 'exit')
    await reading
    expect(seen.filter((id) => id <= 30)).toEqual(Array.from({ length: 30 }, (_, at) => at + 1))
    expect(seen.filter((id) => id > 100)).toEqual(Array.from({ length: 30 }, (_, at) => at + 101))
  })

  test('M5 M7: a hot backup and an integrity check beside a process that writes', async () => {
    const path = pathOf()
    const db = await opened(path, { checkpointLogBytes: 500_000 })
    const { next, child } = elsewhere(
      path,
      `console.log('writing')
       for (let id = 1; ; id++) await db.collection(notes).upsert({ id: 1 + (id % 500), writer: id % 9, text: 'x'.repeat(id % 700) })`,
    )
    expect(await next()).toBe('writing')
    for (let round = 0; round < 3; round++) {
      const copy = join(dirname(path), `copy-${round}.db`)
      await db.backup(copy, { verify: true })
      expect(checkFile(copy).findings).toEqual([])
      expect((await db.integrityCheck()).findings).toEqual([])
      await db.collection(cells).insert({ id: round + 1, group: 1, value: 1 })
    }
    child.kill('SIGKILL')
    await once(child, 'exit')
    await db.close()
    expect(checkFile(path).findings).toEqual([])
  })

  test.skipIf(spawnSync('strace', ['-V']).status !== 0)(
    'S9 M4: a process whose sync fails is poisoned, and gives its turn up; what it had acknowledged is there',
    async () => {
      const path = pathOf()
      const db = await opened(path)
      const { next } = elsewhere(
        path,
        `try {
           for (let id = 1; ; id++) {
             await db.collection(cells).insert({ id, group: 1, value: id })
             console.log(id)
           }
         } catch (error) { console.log(error.code) }
         process.exit()`,
        ['strace', '-f', '-qq', '-o', '/dev/null', '-e', 'inject=fdatasync:error=EIO:when=40+'],
      )
      let last = 0
      for (let line = await next(); line !== 'RINGBOLT_POISONED'; line = await next()) {
        last = Number(line)
      }
      await db.collection(cells).insert({ id: 100_000, group: 2, value: 0 })
      for (let id = 1; id <= last; id++) expect(db.collection(cells).get(id)?.value).toBe(id)
      expect(db.collection(cells).count()).toBeLessThanOrEqual(last + 2)
    },
  )

  test.skipIf(spawnSync('strace', ['-V']).status !== 0)(
    'S9 M3: a process that is poisoned in the middle of a transaction lets the others write',
    async () => {
      const path = pathOf()
      const db = await opened(path, { busyTimeout: 20_000 })
      const { next } = elsewhere(
        path,
        `console.log(process.pid)
         void db.transaction(async (tx) => {
           await tx.collection(cells).insert({ id: 1, group: 1, value: 1 })
           console.log('writing')
           await new Promise(() => {})
         })
         try {
           for (let id = 2; ; id++) await db.collection(cells).insert({ id, group: 1, value: id })
         } catch (error) { console.log(error.code) }
         await new Promise((resolve) => setTimeout(resolve, 60_000))`,
        ['strace', '-f', '-qq', '-o', '/dev/null', '-e', 'inject=fdatasync:error=EIO:when=40+'],
      )
      const pid = Number(await next())
      // Who traces it is not it.
      onTestFinished(() => void process.kill(pid, 'SIGKILL'))
      expect(await next()).toBe('writing')
      expect(await next()).toBe('RINGBOLT_POISONED')
      await db.collection(cells).insert({ id: 100_000, group: 2, value: 0 })
      expect(db.collection(cells).get(1)).toBeUndefined()
      expect(db.collection(cells).get(2)?.value).toBe(2)
    },
  )
})
