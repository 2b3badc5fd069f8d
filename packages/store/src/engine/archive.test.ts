/** The archive of the log, and restoring to a moment. */
import { spawnSync } from 'node:child_process'
import {
  copyFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { afterEach, describe, expect, test } from 'vitest'
import { checkFile } from './check-file.ts'
import { type Database, open } from './open.ts'
import { type RestoreOptions, restore } from './restore.ts'
import { blobs, cells, notes, textOf } from './testing/collections.ts'
import { testFolders } from './testing/folders.ts'

const folderOf = testFolders('archive')
const MIB = 1024 * 1024
const OPTIONS = {
  collections: [cells, notes, blobs],
  cacheBytes: 4 * MIB,
  segmentBytes: 16 * 1024,
  checkpointLogBytes: 32 * 1024,
}

function allOf(db: Database): unknown {
  return {
    cells: [...db.collection(cells).all()],
    notes: [...db.collection(notes).all()].map((note) => ({
      ...note,
      text: note.text.slice(0, 9),
    })),
    blobs: [...db.collection(blobs).all()].map(({ id, bytes }) => [id, bytes.length]),
  }
}

async function contentOf(path: string): Promise<unknown> {
  const db = await open(path, { ...OPTIONS, readOnly: true })
  try {
    return allOf(db)
  } finally {
    await db.close()
  }
}

/** Of the last commit; the figures of `stats` come a moment later. */
function sequenceOf(db: Database): number {
  using snapshot = db.snapshot()
  return snapshot.sequence
}

function record(db: Database, states: Map<number, unknown>): void {
  states.set(sequenceOf(db), allOf(db))
}

const ROUNDS = 5

/** Some commits, each recorded with what all collections hold after it. */
async function commitSome(db: Database, states: Map<number, unknown>, from: number): Promise<void> {
  for (let round = from; round < from + ROUNDS; round++) {
    await db
      .collection(notes)
      .upsert({ id: 1 + (round % 9), writer: round, text: textOf(round, 0, 900) })
    record(db, states)
    if (round % 3 === 0) await db.collection(notes).delete(1 + ((round + 4) % 9))
    record(db, states)
    if (round % 4 === 0) {
      await db.transaction((tx) => {
        tx.collection(cells).sync.upsert({ id: 1, group: 1, value: round })
        tx.collection(cells).sync.upsert({ id: 2, group: 1, value: round })
      })
      record(db, states)
    }
    if (round % 6 === 2) {
      // Its pages are given back between commits, which the log says, too.
      await db.dropCollection('cells')
      await db.define([cells])
      record(db, states)
    }
    if (round % 5 === 0) {
      await db.collection(blobs).upsert({ id: 'long', bytes: new Uint8Array(round * 1000) })
      record(db, states)
    }
  }
}

/** As a crash would leave it: closing cannot keep the rest of the log, and so leaves it where it is. */
async function leaveOpen(db: Database, archive: string): Promise<void> {
  renameSync(archive, `${archive}-away`)
  writeFileSync(archive, '')
  await expect(db.close()).rejects.toMatchObject({ code: 'RINGBOLT_ARCHIVE' })
  unlinkSync(archive)
  renameSync(`${archive}-away`, archive)
}

function filesOf(folder: string): string[] {
  return readdirSync(folder).toSorted()
}

describe('restoring to a moment', () => {
  test('M8: to every commit of a history, over restarts, from backup, increment, archive and live log', async () => {
    const folder = folderOf()
    const path = join(folder, 'app.db')
    const archive = join(folder, 'archive')
    const states = new Map<number, unknown>()
    let db = await open(path, { ...OPTIONS, archive })
    await commitSome(db, states, 0)
    const full = await db.backup(join(folder, 'full.db'))
    const begin = full.sequence
    await commitSome(db, states, 12)
    await db.close()
    db = await open(path, { ...OPTIONS, archive })
    await commitSome(db, states, 24)
    const increment = await db.backup(join(folder, 'increment'), { since: full.path })
    await commitSome(db, states, 36)
    await db.checkpoint()
    const end = sequenceOf(db)
    // What is not in the archive yet is in the log beside the database.
    await leaveOpen(db, archive)
    const live = join(folder, 'crashed.db')
    copyFileSync(path, live)
    cpSync(`${path}-wal`, `${live}-wal`, { recursive: true })
    const archived = join(folder, 'archive-then')
    cpSync(archive, archived, { recursive: true })
    db = await open(path, { ...OPTIONS, archive })
    await db.close()

    expect(end - begin).toBeGreaterThan(15)
    for (let sequence = begin; sequence <= end; sequence++) {
      const withIncrement = sequence % 2 === 0
      const target = join(folder, `at-${sequence}.db`)
      const options: RestoreOptions = {
        from: full.path,
        ...(withIncrement ? { increments: [increment.path] } : {}),
        ...(sequence % 3 === 0 ? { archive: archived, live } : { archive }),
        to: { sequence },
        target,
        verify: sequence % 4 === 0,
      }
      expect(await restore(options)).toMatchObject({ sequence })
      const state = states.get(sequence)
      // Leases of ids are commits, too: the documents are those of the commit before.
      if (state !== undefined) expect(await contentOf(target)).toEqual(state)
    }
    // All that there is, both ways.
    for (const from of [{ archive }, { archive: archived, live }]) {
      const target = join(folder, `all-${Object.keys(from).length}.db`)
      expect(await restore({ from: full.path, ...from, target })).toMatchObject({ sequence: end })
      expect(checkFile(target).findings).toEqual([])
      expect(await contentOf(target)).toEqual(states.get(end))
      const again = await open(target, OPTIONS)
      await again.collection(notes).insert({ writer: 1, text: 'a new history' })
      await again.close()
      expect(checkFile(target).findings).toEqual([])
    }
  }, 300_000)

  test('M8: to a time', async () => {
    const folder = folderOf()
    const archive = join(folder, 'archive')
    const states = new Map<number, unknown>()
    const db = await open(join(folder, 'app.db'), { ...OPTIONS, archive })
    const { path: from } = await db.backup(join(folder, 'full.db'))
    await commitSome(db, states, 0)
    const before = sequenceOf(db)
    await setTimeout(30)
    const time = new Date()
    await setTimeout(30)
    await commitSome(db, states, ROUNDS)
    await db.close()
    const target = join(folder, 'restored.db')
    const restored = await restore({ from, archive, to: { time }, target })
    expect(restored.sequence).toBe(before)
    expect(Number(restored.time)).toBeLessThan(Number(time))
    expect(Number(time) - Number(restored.time)).toBeLessThan(60_000)
    expect(await contentOf(target)).toEqual(states.get(before))
    const early = { from, archive, to: { time: new Date(5) }, target: `${target}-early` }
    await expect(restore(early)).rejects.toThrow(/1970-01-01T00:00:00.005Z is before/)
  })

  test('M8: what cannot be restored is refused in plain words, and nothing is left', async () => {
    const folder = folderOf()
    const path = join(folder, 'app.db')
    const archive = join(folder, 'archive')
    const states = new Map<number, unknown>()
    let db = await open(path, { ...OPTIONS, archive })
    await commitSome(db, states, 0)
    const first = (await db.backup(join(folder, 'first.db'))).path
    await commitSome(db, states, 12)
    const { path: second, sequence: middle } = await db.backup(join(folder, 'second.db'))
    await commitSome(db, states, 24)
    const end = sequenceOf(db)
    await db.close()
    const target = join(folder, 'target.db')
    const refused = async (
      options: Omit<RestoreOptions, 'target'>,
      code: string,
      text: RegExp,
    ): Promise<void> => {
      await expect(restore({ ...options, target })).rejects.toMatchObject({
        code,
        message: expect.stringMatching(text),
      })
    }
    const point = 'RINGBOLT_RESTORE_POINT'
    await refused(
      { from: second, archive, to: { sequence: middle - 1 } },
      point,
      /is before commit/,
    )
    await refused({ from: first, archive, to: { sequence: end + 1 } }, point, /is after the last/)
    await refused({ from: first, to: { sequence: end } }, point, /is after the last/)
    await refused(
      { from: first, archive, to: { time: new Date() } },
      point,
      /is after the end of the log/,
    )
    await refused({ from: first, to: { time: 5 } }, point, /give the archive/)
    await refused({ from: join(folder, 'gone'), archive }, 'RINGBOLT_IO', /ENOENT/)
    await refused({ from: first, archive: join(folder, 'gone') }, 'RINGBOLT_IO', /ENOENT/)
    await expect(restore({ from: first, to: { sequence: 1.5 }, target })).rejects.toThrow(
      RangeError,
    )
    await expect(restore({ from: first, to: { time: Number.NaN }, target })).rejects.toThrow(
      RangeError,
    )

    mkdirSync(`${target}-wal`)
    await refused({ from: first }, 'RINGBOLT_EXISTS', /target.db-wal is a folder already/)
    rmSync(`${target}-wal`, { recursive: true })

    // A file is missing in the middle.
    const names = filesOf(archive)
    const gone = names[Math.floor(names.length / 2)] ?? ''
    renameSync(join(archive, gone), join(folder, gone))
    await refused({ from: first, archive }, 'RINGBOLT_ARCHIVE_GAP', /lacks the log of commits/)
    renameSync(join(folder, gone), join(archive, gone))
    // Each byte of the header, and some of the rest.
    const bytes = readFileSync(join(archive, gone))
    for (let round = 0; round < 16; round++) {
      const damaged = Buffer.from(bytes)
      const at = round < 10 ? round * 12 : Math.floor((bytes.length * (round - 9)) / 8)
      damaged[at] = (damaged[at] ?? 0) ^ 4
      writeFileSync(join(archive, gone), damaged)
      await refused({ from: first, archive }, at < 8 ? 'RINGBOLT_FOREIGN' : 'RINGBOLT_CORRUPT', /./)
    }
    writeFileSync(join(archive, gone), bytes)
    truncateSync(join(archive, gone), bytes.length - 1)
    await refused({ from: first, archive }, 'RINGBOLT_CORRUPT', /file length/)
    writeFileSync(join(archive, gone), bytes)
    // Written to without its archive for a while.
    db = await open(path, OPTIONS)
    await commitSome(db, states, 36)
    await db.close()
    db = await open(path, { ...OPTIONS, archive })
    await commitSome(db, states, 48)
    await db.close()
    await refused({ from: second, archive }, 'RINGBOLT_ARCHIVE_GAP', /lacks the log of commits/)
    const before = await restore({ from: second, archive, to: { sequence: end }, target })
    expect(before.sequence).toBe(end)
    unlinkSync(target)
    // Two that go on from one backup, both into the archive.
    for (const name of ['one.db', 'two.db']) {
      copyFileSync(second, join(folder, name))
      const fork = await open(join(folder, name), { ...OPTIONS, archive: join(folder, 'forks') })
      await commitSome(fork, new Map(), 60)
      await fork.close()
    }
    const forks = join(folder, 'forks')
    await refused({ from: second, archive: forks }, 'RINGBOLT_ARCHIVE_FORK', /in 2 logs/)
    // A log of somebody else.
    const stranger = join(folder, 'stranger.db')
    db = await open(stranger, OPTIONS)
    await commitSome(db, new Map(), 0)
    await refused({ from: second, live: stranger }, 'RINGBOLT_BACKUP', /of another database/)
    await db.close()
    expect(filesOf(folder).filter((name) => /target|part/.test(name))).toEqual([])
  }, 60_000)

  test('M8: to a moment before the archive begins: refused with the commits that are missing', async () => {
    const folder = folderOf()
    const path = join(folder, 'app.db')
    const archive = join(folder, 'archive')
    const states = new Map<number, unknown>()
    let db = await open(path, OPTIONS)
    await commitSome(db, states, 0)
    const { path: from, sequence: first } = await db.backup(join(folder, 'first.db'))
    await setTimeout(5)
    const between = new Date()
    await setTimeout(5)
    await commitSome(db, states, 12)
    const last = sequenceOf(db)
    await db.close()
    db = await open(path, { ...OPTIONS, archive })
    await commitSome(db, states, 24)
    const end = sequenceOf(db)
    await db.close()
    const target = join(folder, 'target.db')
    const missing = { code: 'RINGBOLT_ARCHIVE_GAP', facts: { first: first + 1, last } }
    for (const to of [{ sequence: first + 1 }, { sequence: last + 1 }, { time: new Date() }]) {
      await expect(restore({ from, archive, to, target })).rejects.toMatchObject(missing)
    }
    await expect(restore({ from, archive, target })).rejects.toMatchObject(missing)
    // What was written by then may be in the part that is missing.
    const early = expect(restore({ from, archive, to: { time: between }, target })).rejects
    await early.toMatchObject(missing)
    expect(filesOf(folder).filter((name) => /target|part/.test(name))).toEqual([])
    const { sequence } = await restore({ from, archive, to: { sequence: first }, target })
    expect(sequence).toBe(first)
    expect(await contentOf(target)).toEqual(states.get(first))
    expect(end).toBeGreaterThan(last)
  })

  test('M8: of a log whose database is gone, the archive says which commits it holds', async () => {
    const folder = folderOf()
    const path = join(folder, 'app.db')
    const archive = join(folder, 'archive')
    const states = new Map<number, unknown>()
    const db = await open(path, { ...OPTIONS, archive })
    const { path: from } = await db.backup(join(folder, 'full.db'))
    for (let from = 0; from < 30; from += ROUNDS) await commitSome(db, states, from)
    await db.checkpoint()
    await commitSome(db, states, 12)
    const end = sequenceOf(db)
    await leaveOpen(db, archive)
    const live = join(folder, 'left.db')
    renameSync(`${path}-wal`, `${live}-wal`)
    const target = join(folder, 'restored.db')
    const which = expect(restore({ from, live, target })).rejects
    await which.toMatchObject({
      code: 'RINGBOLT_BACKUP',
      message: expect.stringMatching(/says which/),
    })
    await restore({ from, live, archive, target })
    expect(await contentOf(target)).toEqual(states.get(end))
  })
})

describe('an archive on a disk that is full: a small tmpfs', () => {
  let disk: string | undefined

  afterEach(() => {
    if (disk === undefined) return
    expect(spawnSync('umount', [disk], { encoding: 'utf8' }).stderr).toBe('')
    rmSync(disk, { recursive: true, force: true })
    disk = undefined
  })

  test('M8: the database goes on, its log stays, closing says why; with room it goes on where it was', async ({
    skip,
  }) => {
    const small = mkdtempSync(join(tmpdir(), 'ringbolt-small-'))
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', small])
    if (mounted.status !== 0) return skip('no right to mount a small file system')
    disk = small
    const folder = folderOf()
    const path = join(folder, 'app.db')
    const archive = join(small, 'archive')
    const states = new Map<number, unknown>()
    const db = await open(path, { ...OPTIONS, archive })
    const { path: from } = await db.backup(join(folder, 'full.db'))
    for (let round = 0; round < 8; round++) {
      await commitSome(db, states, round * 12)
      await db.checkpoint()
    }
    const end = sequenceOf(db)
    expect(db.stats().archive.failures).toBeGreaterThan(0)
    expect(filesOf(`${path}-wal`).filter((name) => name.endsWith('.seg')).length).toBeGreaterThan(5)
    await expect(db.close()).rejects.toMatchObject({
      code: 'RINGBOLT_ARCHIVE',
      message: expect.stringMatching(/ENOSPC/),
    })
    expect(filesOf(archive).filter((name) => name.endsWith('.part'))).toEqual([])
    spawnSync('mount', ['-o', 'remount,size=16m', small])
    const again = await open(path, { ...OPTIONS, archive })
    expect(allOf(again)).toEqual(states.get(end))
    await again.close()
    expect(filesOf(folder).filter((name) => name.endsWith('-wal'))).toEqual([])
    const target = join(folder, 'restored.db')
    await restore({ from, archive, to: { sequence: end }, target })
    expect(await contentOf(target)).toEqual(states.get(end))
    expect(statSync(target).mode & 0o777).toBe(0o600)
  })
})

test('an archive that cannot be is refused when the database is opened', async () => {
  const folder = folderOf()
  const path = join(folder, 'app.db')
  const refused = async (archive: string, text: RegExp): Promise<void> => {
    await expect(open(path, { ...OPTIONS, archive })).rejects.toThrow(text)
  }
  await refused(join(folder, 'none', 'archive'), /ENOENT/)
  await refused(`${path}-wal`, /the log's own folder/)
  writeFileSync(join(folder, 'file'), '')
  await refused(join(folder, 'file'), /ENOTDIR/)
  const db = await open(path, OPTIONS)
  await db.close()
})
