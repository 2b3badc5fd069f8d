/** Databases that are only read: closed ones, and copies of such that are being written. */
import { chmodSync, cpSync, existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { attach, type Database, open } from './open.ts'
import { cells, notes, textOf } from './testing/collections.ts'
import { testFolders } from './testing/folders.ts'

const folderOf = testFolders('read-only')
const MIB = 1024 * 1024
const OPTIONS = { collections: [cells, notes], cacheBytes: 8 * MIB, segmentBytes: MIB }
const NOTES = 300

/** Closed cleanly. */
let closed: string
/** As a crash would leave it: copied while it was open, with commits after its last checkpoint. */
let crashed: string

beforeAll(async () => {
  const folder = folderOf()
  const path = join(folder, 'app.db')
  const db = await open(path, OPTIONS)
  const collection = db.collection(notes)
  const insert = (id: number): Promise<number> =>
    collection.insert({ id, writer: id % 7, text: textOf(id, 0, 100) })
  await Promise.all(Array.from({ length: NOTES - 100 }, (_, at) => insert(at + 1)))
  await db.checkpoint()
  await Promise.all(Array.from({ length: 100 }, (_, at) => insert(at + NOTES - 99)))
  crashed = join(folderOf(), 'app.db')
  copy(path, crashed)
  await db.close()
  closed = path
})

function copy(from: string, to: string): void {
  cpSync(from, to)
  if (existsSync(`${from}-wal`)) cpSync(`${from}-wal`, `${to}-wal`, { recursive: true })
}

/** Names and contents of everything in the database's folder. */
function filesOf(path: string): Map<string, string> {
  const files = readdirSync(join(path, '..'), { recursive: true, withFileTypes: true })
  return new Map(
    files
      .filter((entry) => entry.isFile() && !entry.name.endsWith('-lock'))
      .map(({ parentPath, name }) => [name, readFileSync(join(parentPath, name), 'base64')]),
  )
}

function expectAll(db: Database): void {
  const collection = db.collection(notes)
  expect(collection.count()).toBe(NOTES)
  for (const { id, writer, text } of collection.all()) {
    expect(writer).toBe(id % 7)
    expect(text).toBe(textOf(id, 0, 100))
  }
  expect(collection.find({ writer: 3 }).count()).toBe(Math.ceil((NOTES - 2) / 7))
  expect(collection.get(NOTES)).toMatchObject({ id: NOTES })
}

describe.each(['closed', 'crashed'] as const)('a database that was %s', (state) => {
  const pathOf = (): string => (state === 'closed' ? closed : crashed)

  test('S8: is read as it is, by several threads, and nothing of it is changed', async () => {
    const path = pathOf()
    const before = filesOf(path)
    for (let round = 0; round < 2; round++) {
      const db = await open(path, { ...OPTIONS, readOnly: true })
      expectAll(db)
      const other = attach(db.share())
      expectAll(other)
      const snapshot = other.snapshot()
      expect(snapshot.collection(notes).count()).toBe(NOTES)
      expect(await db.transaction((tx) => tx.collection(notes).count())).toBe(NOTES)
      await db.checkpoint()
      await other.close()
      await db.close()
    }
    expect(filesOf(path)).toEqual(before)
  })

  test('S8: refuses every write with a typed error, and reads on', async () => {
    const path = pathOf()
    const before = filesOf(path)
    const db = await open(path, { ...OPTIONS, readOnly: true })
    const other = attach(db.share())
    const refused = { code: 'RINGBOLT_READ_ONLY' }
    for (const one of [db, other]) {
      const collection = one.collection(notes)
      const note = { id: 1, writer: 1, text: 'no' }
      await expect(collection.insert({ writer: 1, text: 'no' })).rejects.toMatchObject(refused)
      await expect(collection.insertMany([{ writer: 1, text: 'no' }])).rejects.toMatchObject(
        refused,
      )
      await expect(collection.upsert(note)).rejects.toMatchObject(refused)
      await expect(collection.update(1, () => note)).rejects.toMatchObject(refused)
      await expect(collection.delete(1)).rejects.toMatchObject(refused)
      expect(() => collection.sync.delete(1)).toThrow(expect.objectContaining(refused))
      expect(() => collection.sync.insert(note)).toThrow(expect.objectContaining(refused))
      await expect(
        one.transaction((tx) => tx.collection(notes).sync.delete(2)),
      ).rejects.toMatchObject(refused)
      await expect(one.dropCollection('notes')).rejects.toMatchObject(refused)
      await expect(one.dropIndex('notes', 'writer')).rejects.toMatchObject(refused)
      expectAll(one)
    }
    await other.close()
    await db.close()
    expect(filesOf(path)).toEqual(before)
  })
})

test('S8: a file that may only be read is opened read-only', async () => {
  const path = join(folderOf(), 'app.db')
  copy(closed, path)
  chmodSync(path, 0o400)
  const db = await open(path, { ...OPTIONS, readOnly: true })
  expectAll(db)
  await db.close()
})

test('S9: what was not closed cleanly is there when it is opened for writing', async () => {
  const path = join(folderOf(), 'app.db')
  copy(crashed, path)
  const db = await open(path, OPTIONS)
  expectAll(db)
  await db.collection(notes).insert({ id: NOTES + 1, writer: 1, text: 'more' })
  await db.close()
  const again = await open(path, { ...OPTIONS, readOnly: true })
  expect(again.collection(notes).count()).toBe(NOTES + 1)
  await again.close()
})
