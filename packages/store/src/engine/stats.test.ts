/** What `stats()` says, against what was done. */
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { attach, type Database, open } from './open.ts'
import type { StoreStats } from './stats.ts'
import { blobs, cells, notes } from './testing/collections.ts'
import { testFolders } from './testing/folders.ts'

const folderOf = testFolders('stats')
const MIB = 1024 * 1024
const OPTIONS = { collections: [blobs, cells, notes], cacheBytes: 8 * MIB, segmentBytes: MIB }

/** Figures come some milliseconds late. */
async function until(db: Database, isSo: (stats: StoreStats) => boolean): Promise<StoreStats> {
  for (;;) {
    const stats = db.stats()
    if (isSo(stats)) return stats
    await setTimeout(2)
  }
}

test('commits, groups, syncs, the log', async () => {
  await using db = await open(join(folderOf(), 'app.db'), { ...OPTIONS, syncDelayMs: 3 })
  const before = db.stats()
  for (let id = 1; id <= 20; id++) await db.collection(cells).insert({ id, group: 1, value: id })
  const after = await until(db, ({ commits }) => commits >= before.commits + 20)
  // The shape of the documents is a commit, too; figures from before may lack some commits.
  expect(after.sequence - before.sequence).toBeGreaterThanOrEqual(20)
  expect(after.sequence - before.sequence).toBeLessThanOrEqual(21)
  expect(after.log.groups - before.log.groups).toBeGreaterThanOrEqual(19)
  expect(after.log.groups).toBeLessThanOrEqual(after.commits)
  expect(after.log.bytes - before.log.bytes).toBe(after.log.bytesWritten - before.log.bytesWritten)
  expect(after.log.bytesWritten).toBeGreaterThan(before.log.bytesWritten + 20 * 40)
  expect(after.log.fileBytes).toBe(after.log.segments * MIB)
  const { syncs } = after.log
  expect(syncs.count).toBeGreaterThanOrEqual(20)
  expect(syncs.p50Ms).toBeGreaterThanOrEqual(3)
  expect(syncs.p50Ms).toBeLessThanOrEqual(syncs.p90Ms)
  expect(syncs.p90Ms).toBeLessThanOrEqual(syncs.p99Ms)
  expect(syncs.p99Ms).toBeLessThanOrEqual(syncs.maxMs)
  expect(syncs.totalMs).toBeGreaterThanOrEqual(3 * syncs.count)
  expect(after.log.commitsPerSync).toBeGreaterThan(0.8)
  expect(after.ring.bytes).toBe(4 * MIB)
  expect(after.ring.usedBytesMax).toBeGreaterThan(0)
  await until(db, ({ ring }) => ring.usedBytes === 0)
  expect(after.uptimeMs).toBeGreaterThan(60)
})

test('refusals, by their reasons', async () => {
  await using db = await open(':memory:', { ...OPTIONS, collections: [cells] })
  await db.collection(cells).insert({ id: 1, group: 1, value: 1 })
  await expect(db.collection(cells).insert({ id: 1, group: 1, value: 1 })).rejects.toThrow()
  await until(db, ({ refusals }) => refusals.conflict === 1)
  const other = attach(db.share())
  const known = other.collection(cells)
  await db.dropIndex('cells', 'group')
  await known.update(1, (cell) => void cell.value++)
  const { refusals } = await until(db, (stats) => stats.refusals.definition === 1)
  expect(refusals).toEqual({ conflict: 1, definition: 1, full: 0, malformed: 0 })
  await other.close()
})

test('pages, checkpoints, lookups', async () => {
  await using db = await open(join(folderOf(), 'app.db'), { ...OPTIONS, cacheBytes: MIB })
  const collection = db.collection(blobs)
  for (let id = 0; id < 300; id++) {
    await collection.insert({ id: `${id}`, bytes: new Uint8Array(9000) })
  }
  await db.checkpoint()
  const { checkpoints, file } = await until(db, (stats) => stats.checkpoints.count > 0)
  expect(checkpoints.lastMs).toBeGreaterThan(0)
  expect(file.bytes).toBe(file.pages * 8192)
  expect(file.pages).toBeGreaterThan(300)
  const before = db.stats().cache
  for (let id = 0; id < 300; id++) collection.get(`${id}`)
  const { cache } = await until(db, (stats) => stats.cache.lookups - before.lookups >= 900)
  expect(cache.frames).toBe(128)
  expect(cache.misses).toBeGreaterThan(before.misses + 100)
  expect(cache.hitRate).toBe(1 - cache.misses / cache.lookups)
  expect(cache.evictions).toBeGreaterThan(0)
})

test('snapshots, readers of changes, threads', async () => {
  await using db = await open(join(folderOf(), 'app.db'), OPTIONS)
  await db.collection(cells).insert({ id: 1, group: 1, value: 1 })
  const none = await until(db, ({ snapshots }) => snapshots.open === 0)
  expect(none.snapshots.oldestMs).toBe(0)
  expect(none.changes).toEqual({ readers: 0, behind: 0 })
  const snapshot = db.snapshot()
  const changes = db.changes()
  const other = attach(db.share())
  await setTimeout(30)
  for (let round = 0; round < 5; round++) {
    await db.collection(cells).update(1, (cell) => void cell.value++)
  }
  await setTimeout(30)
  await db.collection(cells).update(1, (cell) => void cell.value++)
  const some = await until(db, (stats) => stats.snapshots.oldestMs >= 30)
  expect(some.snapshots.open).toBe(1)
  expect(some.snapshots.oldestSequence).toBe(snapshot.sequence)
  expect(some.snapshots.retiredPages).toBeGreaterThan(0)
  expect(some.changes).toEqual({ readers: 1, behind: some.sequence - changes.sequence })
  expect(some.changes.behind).toBeGreaterThanOrEqual(6)
  expect(some.threads.attached).toBe(2)
  await other.close()
  snapshot.close()
  changes.close()
  await db.collection(cells).update(1, (cell) => void cell.value++)
  await until(db, ({ snapshots, threads, changes: { readers } }) => {
    return snapshots.open === 0 && readers === 0 && threads.attached === 1
  })
})

test('figures of a closed database are those of its end', async () => {
  const db = await open(':memory:', { ...OPTIONS, collections: [cells] })
  await db.collection(cells).insert({ id: 1, group: 1, value: 1 })
  const { sequence } = db.stats()
  await until(db, (stats) => stats.commits > 0)
  await db.close()
  expect(db.stats().sequence).toBe(sequence)
})
