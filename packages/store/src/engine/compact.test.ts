/** Compaction: what is left of a file, and what a crash leaves. */
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { isRingboltError } from '@ringbolt/ring'
import { MemoryStore } from '@ringbolt/wal'
import { Random, SimulatedDisk } from '@ringbolt/wal/simulation'
import { describe, expect, test } from 'vitest'
import { PAGE_BYTES } from '../page/page.ts'
import { MainFile } from '../space/main-file.ts'
import { checkFile } from './check-file.ts'
import { compact } from './compact.ts'
import { compactFile } from './compact-file.ts'
import { structureProblems } from './file-structure.ts'
import { type Database, open } from './open.ts'
import { restore } from './restore.ts'
import { blobs, cells, notes, textOf } from './testing/collections.ts'
import { testFolders } from './testing/folders.ts'

const folderOf = testFolders('compact')
const MIB = 1024 * 1024
const OPTIONS = { collections: [cells, notes, blobs], cacheBytes: 8 * MIB, segmentBytes: MIB }

function allOf(db: Database): unknown {
  return {
    cells: [...db.collection(cells).all()],
    notes: [...db.collection(notes).all()],
    blobs: [...db.collection(blobs).all()],
  }
}

/** Much written, most of it deleted. */
async function makeHoles(path: string, count: number): Promise<unknown> {
  const db = await open(path, OPTIONS)
  const collection = db.collection(notes)
  const insert = (id: number): Promise<number> =>
    collection.insert({ id, writer: id % 7, text: textOf(id, 0, 1000) })
  await Promise.all(Array.from({ length: count }, (_, at) => insert(at + 1)))
  await db.collection(blobs).insert({ id: 'long', bytes: new Uint8Array(100_000).fill(7) })
  await db.collection(cells).insert({ id: 1, group: 2, value: 3 })
  await db.checkpoint()
  for (let id = 1; id <= count; id++) if (id % 10 > 0) collection.sync.delete(id)
  const content = allOf(db)
  await db.close()
  return content
}

describe('compaction', () => {
  test('M10: gives back what is free; everything is as it was, and goes on', async () => {
    const folder = folderOf()
    const path = join(folder, 'app.db')
    const content = await makeHoles(path, 1500)
    const before = statSync(path).size
    const progress: number[] = []
    const result = await compact(path, { onProgress: ({ bytesDone }) => progress.push(bytesDone) })
    expect(result).toMatchObject({ path, bytesBefore: before, bytesAfter: statSync(path).size })
    expect(result.bytesAfter).toBeLessThan(before / 2)
    expect(result.pages * PAGE_BYTES).toBe(result.bytesAfter)
    expect(checkFile(path).findings).toEqual([])
    expect(statSync(path).mode & 0o777).toBe(0o600)
    const db = await open(path, OPTIONS)
    expect(allOf(db)).toEqual(content)
    await db.collection(notes).insert({ id: 1, writer: 1, text: 'new' })
    await db.close()
    expect(checkFile(path).findings).toEqual([])
    const again = await compact(path)
    expect(again.bytesAfter).toBeLessThanOrEqual(again.bytesBefore)
    expect(readdirSync(folder).toSorted()).toEqual(['app.db', 'app.db-lock'])
  })

  test('M10: of a database that crashed: its log is applied first', async () => {
    const folder = folderOf()
    const path = join(folder, 'app.db')
    const archive = join(folder, 'archive')
    const db = await open(path, { ...OPTIONS, archive })
    await db.collection(notes).insert({ id: 5, writer: 1, text: 'in the log only' })
    const busy = expect(compact(path, { busyTimeout: 0 })).rejects
    await busy.toMatchObject({ code: 'RINGBOLT_BUSY' })
    // Cannot close cleanly, since the rest of its log cannot be kept.
    rmSync(archive, { recursive: true })
    await expect(db.close()).rejects.toMatchObject({ code: 'RINGBOLT_ARCHIVE' })
    expect(readdirSync(folder)).toContain('app.db-wal')
    await compact(path)
    const again = await open(path, OPTIONS)
    expect(again.collection(notes).get(5)?.text).toBe('in the log only')
    await again.close()
  })

  test('M10: while it waits for a process that has the database open, that one writes and closes', async () => {
    const path = join(folderOf(), 'app.db')
    const db = await open(path, OPTIONS)
    const compacted = compact(path, { busyTimeout: 30_000 })
    for (let id = 1; id <= 20; id++) {
      await db.collection(cells).insert({ id, group: 1, value: id })
      await delay(20)
    }
    await db.close()
    expect(await compacted).toMatchObject({ path })
    const again = await open(path, OPTIONS)
    expect(again.collection(cells).count()).toBe(20)
    await again.close()
  })

  test('M10: what is none, or is damaged, is refused and left as it is', async () => {
    const folder = folderOf()
    const path = join(folder, 'app.db')
    await expect(compact(path)).rejects.toMatchObject({ code: 'RINGBOLT_NOT_FOUND' })
    expect(existsSync(path)).toBe(false)
    await makeHoles(path, 200)
    const bytes = readFileSync(path)
    // In a page that is in use: the last one, which trimming has left.
    const at = bytes.length - PAGE_BYTES / 2
    bytes[at] = (bytes[at] ?? 0) ^ 1
    writeFileSync(path, bytes)
    await expect(compact(path)).rejects.toMatchObject({ code: 'RINGBOLT_CORRUPT' })
    expect(readdirSync(folder).toSorted()).toEqual(['app.db', 'app.db-lock'])
    expect(statSync(path).size).toBe(bytes.length)
  })

  test('M8: backups begin anew: an increment of before cannot be continued', async () => {
    const folder = folderOf()
    const path = join(folder, 'app.db')
    await makeHoles(path, 300)
    const since = join(folder, 'full.db')
    let db = await open(path, OPTIONS)
    await db.backup(since)
    await db.close()
    await compact(path)
    db = await open(path, OPTIONS)
    const refused = expect(db.backup(join(folder, 'x'), { since })).rejects
    await refused.toThrow(/begin with a full backup/)
    const anew = join(folder, 'anew.db')
    await db.backup(anew)
    await db.collection(notes).insert({ id: 1, writer: 1, text: 'new' })
    await db.backup(join(folder, 'increment'), { since: anew })
    const content = allOf(db)
    await db.close()
    const target = join(folder, 'restored.db')
    await restore({ from: anew, increments: [join(folder, 'increment')], target })
    db = await open(target, OPTIONS)
    expect(allOf(db)).toEqual(content)
    await db.close()
  })
})

const SEED = Number(process.env['RINGBOLT_SEED'] ?? 1)
const SEEDS = Number(process.env['RINGBOLT_SEEDS'] ?? 80)
const NAME = 'app.db'

test(`M10: a crash or a failing disk at any call leaves the old file or the new one, whole (seeds from ${SEED})`, async () => {
  const path = join(folderOf(), NAME)
  await makeHoles(path, 60)
  const image = readFileSync(path)
  const outcomes = new Set<string>()
  for (let seed = SEED; seed < SEED + SEEDS; seed++) {
    const random = new Random(seed)
    let disk = new SimulatedDisk({
      random: random.fork('disk'),
      sectorBytes: 512,
      evictChance: 0.2,
    })
    const file = disk.create(NAME)
    file.writeAt(0, [image])
    file.sync()
    file.close()
    disk.syncFolder()
    const phase = random.pick(['before', 'middle', 'after'] as const)
    const call = random.pick(['any', 'write', 'sync', 'rename', 'syncFolder'] as const)
    const nth = call === 'any' ? 1 + random.below(60) : 1
    if (random.chance(0.7)) disk.planCrash({ call, nth, phase, kind: 'power' })
    else disk.setCapacity(image.length + random.below(80) * PAGE_BYTES)
    let isDone = false
    try {
      compactFile(disk, NAME, new Uint8Array(16).fill(9))
      isDone = true
    } catch (error) {
      if (disk.crashed === undefined && !isRingboltError(error)) throw error
    }
    const isCrashed = disk.crashed !== undefined
    if (isCrashed) disk = disk.reopen()
    else disk.setCapacity(Number.POSITIVE_INFINITY)
    const main = MainFile.open(disk, NAME)
    const isNew = main.meta.databaseId.every((byte) => byte === 9)
    expect(structureProblems(main, MIB)).toEqual([])
    main.close()
    if (isDone) expect(isNew).toBe(true)
    if (!isDone && !isCrashed) expect(isNew).toBe(false)
    expect(disk.list()).toEqual([NAME])
    outcomes.add(
      `${isNew ? 'new' : 'old'} after a ${isCrashed ? 'crash' : isDone ? 'run' : 'failure'}`,
    )
  }
  expect(outcomes).toContain('old after a crash')
  expect(outcomes).toContain('new after a crash')
  expect(outcomes).toContain('old after a failure')
})

test('M10: pages stand in the order of their keys', async () => {
  const path = join(folderOf(), NAME)
  await makeHoles(path, 500)
  const store = new MemoryStore()
  const file = store.create(NAME)
  file.writeAt(0, [readFileSync(path)])
  file.close()
  const { pages } = compactFile(store, NAME, new Uint8Array(16))
  const main = MainFile.open(store, NAME, { readOnly: true })
  expect(main.meta).toMatchObject({ pageCount: pages, freeCount: 0 })
  // Written after all that it leads to: the directory is the last.
  expect(main.meta.directory[0]?.pageId).toBe(pages - 1)
  main.close()
})
