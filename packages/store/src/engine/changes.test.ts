/** Changes of whole databases: real files, real threads. */
import { cpSync, existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { errorToPlain, type PlainError } from '@ringbolt/ring'
import { Random } from '@ringbolt/wal/simulation'
import { describe, expect, test } from 'vitest'
import type { Changes, CommittedChanges } from '../client/changes.ts'
import { defineCollection } from '../client/define-collection.ts'
import { checkFile } from './check-file.ts'
import { attach, type Database, open } from './open.ts'
import { blobs, cells, notes, textOf } from './testing/collections.ts'
import { testFolders } from './testing/folders.ts'
import { inThreads, startThread } from './testing/threads.ts'

const folderOf = testFolders('changes')
const MIB = 1024 * 1024
const SMALL = {
  collections: [cells, notes, blobs],
  cacheBytes: 8 * MIB,
  segmentBytes: 64 * 1024,
  busyTimeout: 50,
}
const seed = Number(process.env['RINGBOLT_SEED'] ?? 4711)

function pathOf(): string {
  return join(folderOf(), 'app.db')
}

/** All that there is by now. */
async function read(db: Database, from: number): Promise<CommittedChanges[]> {
  const found: CommittedChanges[] = []
  const changes = db.changes({ from })
  // Waits for nothing: the end mark is a commit of its own.
  const end = { id: `end at ${db.stats().sequence}`, bytes: new Uint8Array(1) }
  const mark = await db.collection(blobs).upsert(end)
  for await (const commit of changes) {
    if (commit.changes.some(({ id }) => id === mark)) break
    found.push(commit)
  }
  return found
}

/** What documents there must be after these changes. */
function replay(commits: readonly CommittedChanges[]): Map<string, unknown> {
  const documents = new Map<string, unknown>()
  let last = 0
  for (const { sequence, changes } of commits) {
    expect(sequence).toBeGreaterThan(last)
    last = sequence
    for (const change of changes) {
      const key = `${change.collection} ${change.id}`
      if (change.kind === 'insert') expect(documents.has(key)).toBe(false)
      if (change.kind === 'update' || change.kind === 'delete') {
        expect(documents.has(key)).toBe(true)
      }
      if (change.kind === 'delete') documents.delete(key)
      else documents.set(key, change.document)
    }
  }
  return documents
}

function stored(db: Database): Map<string, unknown> {
  const documents = new Map<string, unknown>()
  for (const document of db.collection(cells).all()) {
    documents.set(`cells ${document.id}`, document)
  }
  for (const document of db.collection(notes).all()) {
    documents.set(`notes ${document.id}`, document)
  }
  return documents
}

async function failureOf(changes: Changes): Promise<PlainError> {
  const error = await changes.next().then(() => undefined, errorToPlain)
  return error ?? expect.unreachable('it went on')
}

function oldestOf({ facts }: PlainError): number {
  return Number(facts['oldest'])
}

describe('every commit, each once', () => {
  test('M9: what several threads wrote, transaction by transaction', async () => {
    await using db = await open(pathOf(), SMALL)
    const following = startThread(db.share(), 'followForEver', { from: 0, stopAfter: 600 })
    await inThreads(
      db.share(),
      'writeBothWays',
      [1, 2, 3].map((writer) => ({ writer, count: 200 })),
    )
    await following.hasTold()
    const commits = await read(db, 0)
    expect(replay(commits)).toEqual(stored(db))
    // A transaction is one commit.
    expect(commits.length).toBe(600)
    expect(commits.every(({ changes }) => changes.length === 2)).toBe(true)
    await db.close()
    const seen = await following.result
    expect(seen.slice(0, 600)).toEqual(commits.map(({ sequence }) => sequence))
  })

  test(`M9: resumed at any place, over checkpoints (seed ${seed})`, async () => {
    const random = new Random(seed)
    await using db = await open(pathOf(), SMALL)
    const writers = [1, 2].map((writer) => ({ writer, count: 400 }))
    const written = inThreads(db.share(), 'writeBothWays', writers)
    // Keeps its place for the others, which come and go.
    const keeper = db.changes({ from: 0 })
    const commits: CommittedChanges[] = []
    let checkpoints = 0
    while (commits.length < 800) {
      let left = random.between(1, 60)
      for await (const commit of db.changes({ from: commits.at(-1)?.sequence ?? 0 })) {
        commits.push(commit)
        if (--left === 0 || commits.length === 800) break
      }
      if (random.chance(0.3)) {
        await db.checkpoint()
        checkpoints++
      }
    }
    await written
    keeper.close()
    expect(checkpoints).toBeGreaterThan(2)
    expect(replay(commits)).toEqual(stored(db))
    expect(await read(db, commits.at(-1)?.sequence ?? 0)).toEqual([])
  })

  test('M9: resumed after a crash', async () => {
    const path = pathOf()
    const db = await open(path, SMALL)
    await inThreads(db.share(), 'writeBothWays', [{ writer: 1, count: 50 }])
    const [first, ...others] = await read(db, 0)
    // The files as a killed process leaves them.
    const copy = join(folderOf(), 'app.db')
    cpSync(path, copy)
    cpSync(`${path}-wal`, `${copy}-wal`, { recursive: true })
    await db.close()
    {
      // To look at only: the log is there, and stays.
      await using look = await open(copy, { ...SMALL, readOnly: true })
      const seen: CommittedChanges[] = []
      for await (const commit of look.changes({ from: 0, collections: [cells, notes] })) {
        seen.push(commit)
        if (seen.length === others.length + 1) break
      }
      expect(seen).toEqual([first, ...others])
    }
    await using again = await open(copy, SMALL)
    await inThreads(again.share(), 'writeBothWays', [{ writer: 2, count: 50 }])
    const rest = (await read(again, first?.sequence ?? -1)).filter(({ changes }) =>
      changes.every(({ collection }) => collection !== 'blobs'),
    )
    expect(rest.slice(0, others.length)).toEqual(others)
    expect(first && replay([first, ...rest])).toEqual(stored(again))
  })

  test('M9: what a clean close has let go of is named; what was seen to the end goes on', async () => {
    const path = pathOf()
    let last: number
    {
      await using db = await open(path, SMALL)
      await db.collection(cells).insert({ id: 1, group: 1, value: 1 })
      last = db.stats().sequence
    }
    await using db = await open(path, SMALL)
    const gone = db.changes({ from: last - 1 })
    await expect(gone.next()).rejects.toMatchObject({
      code: 'RINGBOLT_CHANGES_GONE',
      facts: { from: last - 1, oldest: last },
    })
    expect(await gone.next()).toEqual({ done: true, value: undefined })
    await db.collection(cells).insert({ id: 2, group: 1, value: 2 })
    const { value } = await db.changes({ from: last }).next()
    expect(Math.abs(Date.now() - (value?.timeMs ?? 0))).toBeLessThan(60_000)
    expect(value?.changes).toEqual([
      {
        kind: 'insert',
        collection: 'cells',
        id: 2,
        document: { id: 2, group: 1, value: 2 },
        version: 1,
      },
    ])
  })

  test('M9: whoever is behind when the database is closed finds his place when it is open again', async () => {
    const path = pathOf()
    let from: number
    {
      await using db = await open(path, SMALL)
      const changes = db.changes()
      for (let id = 1; id <= 20; id++)
        await db.collection(cells).insert({ id, group: 1, value: id })
      for (let id = 1; id <= 7; id++) await changes.next()
      from = changes.sequence
    }
    expect(existsSync(`${path}-wal`)).toBe(true)
    for (let round = 0; round < 2; round++) {
      await using db = await open(path, SMALL)
      expect(db.collection(cells).count()).toBe(20)
      const changes = db.changes({ from })
      const { value } = await changes.next()
      expect(value?.changes[0]?.id).toBe(8 + round)
      from = changes.sequence
    }
    {
      await using db = await open(path, SMALL)
      expect((await read(db, from)).length).toBe(20 - 9)
    }
    expect(existsSync(`${path}-wal`)).toBe(false)
    expect(checkFile(path).findings).toEqual([])
  })

  test('M9: kinds say what is known; system commits only move the sequence', async () => {
    const plain = defineCollection<{ id: number; n: number }>()({ name: 'plain' })
    await using db = await open(pathOf(), { ...SMALL, collections: [cells, plain, blobs] })
    const changes = db.changes()
    const begin = changes.sequence
    await db.collection(cells).insert({ id: 1, group: 1, value: 1 })
    await db.collection(cells).update(1, (cell) => void cell.value++)
    await db.collection(cells).upsert({ id: 1, group: 1, value: 3 })
    await db.collection(plain).upsert({ id: 5, n: 1 })
    await db.collection(cells).delete(1)
    const id = await db.collection(plain).insert({ n: 2 })
    const found: CommittedChanges[] = []
    while (found.length < 6) {
      const { value } = await changes.next()
      if (value !== undefined) found.push(value)
    }
    expect(found.flatMap((commit) => commit.changes.map(({ kind, id: of }) => [kind, of]))).toEqual(
      [
        ['insert', 1],
        ['update', 1],
        ['update', 1],
        ['put', 5],
        ['delete', 1],
        ['insert', id],
      ],
    )
    // A lease of ids went before the last one.
    expect(changes.sequence - begin).toBeGreaterThan(6)
    changes.close()
    const some = await db.changes({ from: begin, collections: ['plain'] }).next()
    expect(some.value?.changes[0]?.collection).toBe('plain')
    const same = await db.changes({ from: begin, collections: [plain] }).next()
    expect(same).toEqual(some)
  })

  test('M9: documents of collections that are dropped, and made again, by then', async () => {
    await using db = await open(pathOf(), SMALL)
    const old = db.collection(notes)
    for (let id = 1; id <= 9; id++) await old.insert({ id, writer: 1, text: textOf(id, 0, 30) })
    await db.dropCollection('notes')
    await db.define([notes])
    await db.collection(notes).insert({ id: 1, writer: 2, text: 'again' })
    const commits = (await read(db, 0)).flatMap(({ changes }) => changes)
    expect(commits.map(({ id }) => id)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 1])
    expect(commits.every(({ collection }) => collection === 'notes')).toBe(true)
    expect(commits.at(8)).toMatchObject({ document: { id: 9, text: textOf(9, 0, 30) } })
    expect(commits.at(9)).toMatchObject({ document: { text: 'again' } })
  })

  test('M9: of collections dropped long ago nothing is known: that is named, not passed over', async () => {
    await using db = await open(pathOf(), SMALL)
    const forgotten = defineCollection<{ id: number }>()({ name: 'forgotten' })
    await db.define([forgotten])
    await db.collection(forgotten).insert({ id: 1 })
    for (let round = 0; round < 257; round++) {
      await db.dropCollection('forgotten')
      await db.define([forgotten])
    }
    const error = await failureOf(db.changes({ from: 0 }))
    expect(error).toMatchObject({ code: 'RINGBOLT_CHANGES_GONE' })
    const oldest = oldestOf(error)
    await db.collection(forgotten).insert({ id: 2 })
    const { value } = await db.changes({ from: oldest }).next()
    expect(value?.changes).toMatchObject([{ kind: 'insert', id: 2 }])
  })
})

describe('waiting and ending', () => {
  test('M9: without `from` only new commits come, as soon as they are there', async () => {
    await using db = await open(pathOf(), SMALL)
    await db.collection(cells).insert({ id: 1, group: 1, value: 1 })
    const changes = db.changes()
    const next = changes.next()
    await db.collection(cells).insert({ id: 2, group: 1, value: 1 })
    expect((await next).value?.changes[0]?.id).toBe(2)
    // Asked for twice at once: one after the other.
    const both = [changes.next(), changes.next()]
    await db.collection(cells).insert({ id: 3, group: 1, value: 1 })
    await db.collection(cells).insert({ id: 4, group: 1, value: 1 })
    const found = await Promise.all(both)
    expect(found.map(({ value }) => value?.changes[0]?.id)).toEqual([3, 4])
  })

  test('M9: closing ends a wait, in the thread that closes and in others', async () => {
    const db = await open(pathOf(), SMALL)
    const other = attach(db.share())
    const detached = attach(db.share())
    const own = db.changes().next()
    const others = other.changes().next()
    const left = detached.changes().next()
    await detached.close()
    expect(await left).toEqual({ done: true, value: undefined })
    await db.close()
    expect(await own).toEqual({ done: true, value: undefined })
    expect(await others).toEqual({ done: true, value: undefined })
    await other.close()
    expect(() => db.changes()).toThrow(expect.objectContaining({ code: 'RINGBOLT_CLOSED' }))
  })

  test('M9: a signal ends a wait with its reason; return ends it quietly', async () => {
    await using db = await open(pathOf(), SMALL)
    const controller = new AbortController()
    const changes = db.changes({ signal: controller.signal })
    const next = changes.next()
    const reason = new Error('enough')
    controller.abort(reason)
    await expect(next).rejects.toBe(reason)
    expect(await changes.next()).toEqual({ done: true, value: undefined })
    await expect(db.changes({ signal: controller.signal }).next()).rejects.toBe(reason)
    const waiting = db.changes()
    const last = waiting.next()
    await waiting.return()
    expect(await last).toEqual({ done: true, value: undefined })
  })

  test('M9: what cannot be asked for is refused', async () => {
    await using db = await open(pathOf(), SMALL)
    const { sequence } = db.stats()
    for (const from of [-1, 1.5, Number.NaN]) {
      expect(() => db.changes({ from })).toThrow(
        expect.objectContaining({ code: 'RINGBOLT_VALIDATION' }),
      )
    }
    expect(() => db.changes({ from: sequence + 1 })).toThrow(
      expect.objectContaining({
        code: 'RINGBOLT_CHANGES_GONE',
        facts: { from: sequence + 1, oldest: sequence },
      }),
    )
    await using memory = await open(':memory:')
    expect(() => memory.changes()).toThrow(
      expect.objectContaining({ code: 'RINGBOLT_CHANGES_UNAVAILABLE' }),
    )
  })
})

describe('keeping the log', () => {
  async function write(db: Database, rounds: number): Promise<void> {
    for (let round = 0; round < rounds; round++) {
      const bytes = new Uint8Array(20_000)
      await db.collection(blobs).upsert({ id: `${round}`, bytes })
      if (round % 5 === 0) await db.checkpoint()
    }
    await db.checkpoint()
  }

  test('M9: a slow reader keeps its place over checkpoints, and lets go of it', async () => {
    await using db = await open(pathOf(), SMALL)
    const changes = db.changes()
    await write(db, 40)
    // The figures may be some milliseconds old.
    await expect.poll(() => db.stats().log.bytes).toBeGreaterThan(700_000)
    for (let round = 0; round < 40; round++) {
      expect((await changes.next()).value?.changes[0]?.id).toBe(`${round}`)
    }
    changes.close()
    await write(db, 10)
    await expect.poll(() => db.stats().log.bytes).toBeLessThan(400_000)
  })

  test('M9: beyond keepLogBytes it loses its place, and is told so', async () => {
    await using db = await open(pathOf(), { ...SMALL, keepLogBytes: 100_000 })
    const changes = db.changes()
    const begin = changes.sequence
    await write(db, 40)
    await expect.poll(() => db.stats().log.bytes).toBeLessThan(400_000)
    const error = await failureOf(changes)
    expect(error).toMatchObject({ code: 'RINGBOLT_CHANGES_GONE', facts: { from: begin } })
    const oldest = oldestOf(error)
    expect(oldest).toBeGreaterThan(begin)
    const { value } = await db.changes({ from: oldest }).next()
    expect(value?.sequence).toBeGreaterThan(oldest)
  })

  test('M9: a thread that dies lets go of its place', async () => {
    await using db = await open(pathOf(), SMALL)
    const following = startThread(db.share(), 'followForEver', { from: 0, stopAfter: 1 })
    await write(db, 1)
    await following.hasTold()
    await following.terminate()
    await write(db, 40)
    await expect.poll(() => db.stats().log.bytes).toBeLessThan(400_000)
  })

  test('M9: as many readers at once as there is room for', async () => {
    await using db = await open(pathOf(), SMALL)
    const open256 = Array.from({ length: 256 }, () => db.changes())
    expect(() => db.changes()).toThrow(expect.objectContaining({ code: 'RINGBOLT_FULL' }))
    for (const changes of open256) changes.close()
    db.changes().close()
    expect(readdirSync(`/proc/self/fd`).length).toBeLessThan(200)
  })
})
