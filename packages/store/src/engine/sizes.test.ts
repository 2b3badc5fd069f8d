/** Databases larger than their cache, documents as long as there may be, reading from cold. */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { checkFile } from './check-file.ts'
import { type Database, open } from './open.ts'
import { blobs, notes, textOf } from './testing/collections.ts'
import { testFolders } from './testing/folders.ts'
import { startThread } from './testing/threads.ts'

const folderOf = testFolders('sizes')
const MIB = 1024 * 1024
const collections = [notes, blobs]

async function fill(db: Database, documents: number, length: number): Promise<void> {
  for (let first = 1; first <= documents; first += 500) {
    await db.collection(notes).insertMany(
      Array.from({ length: Math.min(500, documents - first + 1) }, (_, at) => {
        const id = first + at
        return { id, writer: id % 97, text: textOf(id, 0, length) }
      }),
    )
  }
}

test('S10: a database ten times its cache: by id, by index both ways, by scan, after reopening too', async () => {
  const path = join(folderOf(), 'app.db')
  const documents = 25_000
  const options = { collections, cacheBytes: 4 * MIB, checkpointLogBytes: 8 * MIB }
  let db = await open(path, options)
  await fill(db, documents, 1700)
  expect(db.stats().file.pages * 8192).toBeGreaterThan(10 * options.cacheBytes)
  for (let time = 0; time < 2; time++) {
    const collection = db.collection(notes)
    for (let id = 1; id <= documents; id += 7) {
      expect(collection.get(id)?.text).toBe(textOf(id, 0, 1700))
    }
    for (const reverse of [false, true]) {
      const found = [...collection.range('writer', { gte: 40, lt: 43, reverse })]
      const expected = Array.from({ length: documents }, (_, at) => at + 1)
        .filter((id) => id % 97 >= 40 && id % 97 < 43)
        .toSorted((a, b) => (a % 97) - (b % 97) || a - b)
      expect(found.map(({ id }) => id)).toEqual(reverse ? expected.toReversed() : expected)
      for (const { id, text } of found) expect(text).toBe(textOf(id, 0, 1700))
    }
    expect(collection.count()).toBe(documents)
    let scanned = 0
    for (const { id } of collection.all()) expect(id).toBe(++scanned)
    expect(scanned).toBe(documents)
    await db.close()
    expect(checkFile(path).findings).toEqual([])
    db = await open(path, options)
  }
  await db.close()
})

test('S10: what one thread reads from cold comes into memory, though nobody writes', async () => {
  const path = join(folderOf(), 'app.db')
  const options = { collections, cacheBytes: 16 * MIB }
  const filled = await open(path, options)
  await fill(filled, 4000, 1000)
  await filled.close()
  // The sequencer slept until its next timer while readers went to the file for each page, for ever.
  const db = await open(path, options)
  const admitted = (): number => db.stats().cache.admissions
  for (let pass = 0; pass < 100 && admitted() < 300; pass++) {
    for (let id = 1; id <= 4000; id++) expect(db.collection(notes).get(id)?.writer).toBe(id % 97)
    await sleep(10)
  }
  expect(db.stats().cache.misses).toBeGreaterThanOrEqual(300)
  expect(admitted()).toBeGreaterThanOrEqual(300)
  await db.close()
})

test('S4: a range that was begun goes on in its own state while all of it is deleted', async () => {
  const path = join(folderOf(), 'app.db')
  const db = await open(path, { collections })
  await fill(db, 300, 100)
  const iterator = db.collection(notes).range('writer', { gte: 0 })[Symbol.iterator]()
  const ids: number[] = []
  for (let step = 0; step < 150; step++) {
    const { value, done } = iterator.next()
    if (done !== true) ids.push(value.id)
  }
  // Deleted meanwhile: the walk has its own state.
  for (let id = 1; id <= 300; id++) await db.collection(notes).delete(id)
  for (let { value, done } = iterator.next(); done !== true; { value, done } = iterator.next()) {
    ids.push(value.id)
  }
  expect(ids.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 300 }, (_, at) => at + 1))
  expect([...db.collection(notes).range('writer', {})]).toEqual([])
  await db.close()
})

test('S6: documents of 64 MiB less what they are written with, from two threads; longer ones are refused', async () => {
  const path = join(folderOf(), 'app.db')
  const db = await open(path, { collections, cacheBytes: 160 * MIB })
  const collection = db.collection(blobs)
  const bytes = new Uint8Array(64 * MIB - 4096)
  for (let at = 0; at < bytes.length; at += 997) bytes[at] = at % 251
  await collection.insert({ id: 'long', bytes })
  const isThere = (database: Database): boolean =>
    Buffer.compare(database.collection(blobs).get('long')?.bytes ?? new Uint8Array(), bytes) === 0
  expect(isThere(db)).toBe(true)
  const tooLong = { id: 'longer', bytes: new Uint8Array(64 * MIB) }
  await expect(collection.insert(tooLong)).rejects.toMatchObject({ code: 'RINGBOLT_TOO_LARGE' })
  expect(() => collection.sync.insert(tooLong)).toThrow(
    expect.objectContaining({ code: 'RINGBOLT_TOO_LARGE' }),
  )
  const writer = startThread(db.share(), 'insertForEver', { writer: 3, length: 100 })
  await writer.hasTold()
  collection.sync.upsert({ id: 'long', bytes: bytes.subarray(1) })
  await collection.upsert({ id: 'long', bytes })
  await writer.terminate()
  expect(collection.get('longer')).toBeUndefined()
  await db.close()
  const again = await open(path, { collections, cacheBytes: 8 * MIB })
  expect(isThere(again)).toBe(true)
  await again.close()
  expect(checkFile(path).findings).toEqual([])
})
