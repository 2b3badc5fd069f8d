/** Hot backups, full and incremental: what is in the copy, and what is left when there is none. */
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  closeSync,
  copyFileSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { type FileHandle, open as openHandle } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Random } from '@ringbolt/wal/simulation'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { PAGE_BYTES } from '../page/page.ts'
import { checkFile } from './check-file.ts'
import { attach, type Database, open } from './open.ts'
import { restore } from './restore.ts'
import { blobs, cells, notes, textOf } from './testing/collections.ts'
import { testFolders } from './testing/folders.ts'
import { startThread } from './testing/threads.ts'

const folderOf = testFolders('backup')
const MIB = 1024 * 1024
const OPTIONS = {
  collections: [cells, notes, blobs],
  cacheBytes: 8 * MIB,
  segmentBytes: MIB,
  checkpointLogBytes: 2 * MIB,
}

async function insertNotes(db: Database, from: number, count: number, length = 200): Promise<void> {
  const collection = db.collection(notes)
  const inserts = Array.from({ length: count }, (_, at) => {
    const id = from + at
    return collection.insert({ id, writer: id % 7, text: textOf(id, 0, length) })
  })
  await Promise.all(inserts)
}

/** All documents of a database file, by collection. */
async function contentOf(path: string): Promise<Record<string, unknown[]>> {
  const db = await open(path, { ...OPTIONS, readOnly: true })
  try {
    return allOf(db)
  } finally {
    await db.close()
  }
}

function allOf(db: Database): Record<string, unknown[]> {
  return {
    cells: [...db.collection(cells).all()],
    notes: [...db.collection(notes).all()],
    blobs: [...db.collection(blobs).all()],
  }
}

/** Names of all that is not the database's own. */
function othersIn(folder: string): string[] {
  return readdirSync(folder).filter((name) => !name.startsWith('app.db'))
}

describe('a full backup', () => {
  test('M5: of a database that is written to without pause: the copies are whole, and each a state of it', async () => {
    const folder = folderOf()
    const db = await open(join(folder, 'app.db'), OPTIONS)
    await insertNotes(db, 1, 5000)
    const other = startThread(db.share(), 'insertForEver', { writer: 9, length: 100 })
    await other.hasTold()
    let isOver = false
    // Both documents of a pair are written by one transaction.
    const writing = (async () => {
      for (let value = 1; !isOver; value++) {
        await db.transaction((tx) => {
          tx.collection(cells).sync.upsert({ id: 1, group: 1, value })
          tx.collection(cells).sync.upsert({ id: 2, group: 1, value })
          tx.collection(notes).sync.delete(1 + (value % 5000))
        })
      }
    })()
    const results = []
    for (let round = 0; round < 4; round++) {
      const path = join(folder, `copy-${round}.db`)
      const before = db.stats().sequence
      const result = await db.backup(path, { verify: round === 3 })
      expect(result).toMatchObject({ path, pages: expect.any(Number), bytes: expect.any(Number) })
      expect(result.sequence).toBeGreaterThanOrEqual(before)
      results.push(result)
    }
    // Two at once.
    results.push(
      ...(await Promise.all([
        db.backup(join(folder, 'left.db')),
        db.backup(join(folder, 'right.db')),
      ])),
    )
    isOver = true
    await writing
    await other.terminate()
    await db.close()
    for (const { path, sequence, bytes } of results) {
      expect(checkFile(path).findings).toEqual([])
      expect(statSync(path).mode & 0o777).toBe(0o600)
      expect(bytes).toBeGreaterThan(100 * PAGE_BYTES)
      const copy = await open(path, { ...OPTIONS, readOnly: true })
      expect(copy.stats().sequence).toBe(sequence)
      const [one, two] = [...copy.collection(cells).all()]
      expect(one?.value).toBe(two?.value)
      for (const { id, writer, text } of copy.collection(notes).all()) {
        if (writer !== 9) expect(text).toBe(textOf(id, 0, 200))
      }
      await copy.close()
    }
    expect(checkFile(join(folder, 'app.db')).findings).toEqual([])
    expect(othersIn(folder).filter((name) => name.includes('part'))).toEqual([])
  })

  test('M5: a copy can be opened and written to; free pages are not copied', async () => {
    const folder = folderOf()
    const db = await open(join(folder, 'app.db'), OPTIONS)
    await insertNotes(db, 1, 4000, 1000)
    await db.checkpoint()
    for (let id = 1; id <= 3900; id++) db.collection(notes).sync.delete(id)
    await db.checkpoint()
    await db.checkpoint()
    const progress: number[] = []
    let total: number | undefined = 0
    const result = await db.backup(join(folder, 'copy.db'), {
      onProgress: ({ bytesDone, bytesTotal }) => {
        progress.push(bytesDone)
        total = bytesTotal
      },
    })
    expect(result.bytes).toBeLessThan(statSync(join(folder, 'app.db')).size / 4)
    expect(progress).toEqual(progress.toSorted((a, b) => a - b))
    expect(progress.at(-1)).toBe(total)
    expect(total).toBe(result.bytes)
    const content = allOf(db)
    await db.close()
    const copy = await open(result.path, OPTIONS)
    expect(allOf(copy)).toEqual(content)
    await insertNotes(copy, 10_000, 100)
    await copy.close()
    expect(checkFile(result.path).findings).toEqual([])
  })

  test('M1: what cannot be is refused in plain words, and nothing is touched', async () => {
    const folder = folderOf()
    const path = join(folder, 'app.db')
    const db = await open(path, OPTIONS)
    await insertNotes(db, 1, 10)
    writeFileSync(join(folder, 'other'), 'mine')
    mkdirSync(join(folder, 'folder'))
    symlinkSync(join(folder, 'nowhere'), join(folder, 'link'))
    const refused = async (target: string, code: string, text: RegExp): Promise<void> => {
      const failed = expect(db.backup(target)).rejects
      await failed.toMatchObject({ code, message: expect.stringMatching(text) })
    }
    await refused(path, 'RINGBOLT_EXISTS', /is the database itself/)
    await refused(join(folder, 'other'), 'RINGBOLT_EXISTS', /is a file already/)
    await refused(join(folder, 'folder'), 'RINGBOLT_EXISTS', /is a folder already/)
    await refused(join(folder, 'link'), 'RINGBOLT_EXISTS', /is a file already/)
    await refused(join(folder, 'none', 'b.db'), 'RINGBOLT_NOT_FOUND', /there is no folder/)
    await refused(join(folder, 'other', 'b.db'), 'RINGBOLT_NOT_FOUND', /there is no folder/)
    await expect(db.backup('')).rejects.toThrow(TypeError)
    const both = { since: path, verify: true }
    await expect(db.backup(join(folder, 'b.db'), both)).rejects.toThrow(TypeError)
    expect(othersIn(folder).toSorted()).toEqual(['folder', 'link', 'other'])
    expect(readFileSync(join(folder, 'other'), 'utf8')).toBe('mine')
    expect(lstatSync(join(folder, 'link')).isSymbolicLink()).toBe(true)
    await db.close()
    await expect(db.backup(join(folder, 'b.db'))).rejects.toMatchObject({ code: 'RINGBOLT_CLOSED' })

    const reading = await open(path, { ...OPTIONS, readOnly: true })
    const failed = expect(reading.backup(join(folder, 'b.db'))).rejects
    await failed.toMatchObject({ code: 'RINGBOLT_READ_ONLY' })
    await reading.close()
    const memory = await open(':memory:', OPTIONS)
    const inMemory = expect(memory.backup(join(folder, 'b.db'))).rejects
    await inMemory.toMatchObject({ code: 'RINGBOLT_IN_MEMORY' })
    await memory.close()
    expect(othersIn(folder).toSorted()).toEqual(['folder', 'link', 'other'])
  })

  test('M1: a name that somebody takes meanwhile is left to him', async () => {
    const folder = folderOf()
    const db = await open(join(folder, 'app.db'), OPTIONS)
    await insertNotes(db, 1, 2000, 1000)
    const target = join(folder, 'copy.db')
    const onProgress = (): void => writeFileSync(target, 'mine')
    const failed = expect(db.backup(target, { onProgress })).rejects
    await failed.toMatchObject({ code: 'RINGBOLT_EXISTS' })
    expect(readFileSync(target, 'utf8')).toBe('mine')
    expect(othersIn(folder)).toEqual(['copy.db'])
    await db.close()
  })

  test('M5: aborted, or ended by closing the database or by a callback that throws, it leaves no file', async () => {
    const folder = folderOf()
    const db = await open(join(folder, 'app.db'), OPTIONS)
    await insertNotes(db, 1, 3000, 1000)
    const target = join(folder, 'copy.db')
    const aborted = new AbortController()
    const onProgress = (): void => aborted.abort(new Error('enough'))
    await expect(db.backup(target, { onProgress, signal: aborted.signal })).rejects.toThrow(
      'enough',
    )
    await expect(db.backup(target, { signal: aborted.signal })).rejects.toThrow('enough')
    const thrower = (): never => {
      throw new Error('in the callback')
    }
    await expect(db.backup(target, { onProgress: thrower })).rejects.toThrow('in the callback')
    expect(othersIn(folder)).toEqual([])
    // From another attachment, which the first one's close takes the ground from.
    const other = attach(db.share())
    let closing: Promise<void> | undefined
    const close = (): void => {
      closing ??= db.close()
    }
    const closed = { code: 'RINGBOLT_CLOSED' }
    const settled = await Promise.allSettled([
      db.backup(target, { onProgress: close }),
      other.backup(`${target}2`, { onProgress: close }),
    ])
    await closing
    for (const one of settled) expect(one).toMatchObject({ status: 'rejected', reason: closed })
    expect(othersIn(folder)).toEqual([])
    await other.close()
    expect(checkFile(join(folder, 'app.db')).findings).toEqual([])
  })

  test('M5: from a thread that is attached; one that dies in the middle holds nothing up', async () => {
    const folder = folderOf()
    const db = await open(join(folder, 'app.db'), OPTIONS)
    await insertNotes(db, 1, 3000, 1000)
    const done = startThread(db.share(), 'backup', { target: join(folder, 'copy.db') })
    await done.result
    expect(checkFile(join(folder, 'copy.db')).findings).toEqual([])
    for (let round = 0; round < 20; round++) {
      const target = join(folder, `dead-${round}.db`)
      const dying = startThread(db.share(), 'backup', { target, stopAt: 1 })
      await dying.hasTold()
      await dying.terminate()
    }
    // Their holds are gone, all slots free: pages that were replaced are used again.
    await db.backup(join(folder, 'after.db'))
    for (let round = 0; round < 30; round++) {
      for (let id = 1; id <= 100; id++) {
        db.collection(notes).sync.upsert({ id, writer: round, text: textOf(id, round, 1000) })
      }
      await db.checkpoint()
    }
    expect(db.stats().file.pages).toBeLessThan(2000)
    expect(
      othersIn(folder)
        .filter((name) => !name.startsWith('.dead'))
        .toSorted(),
    ).toEqual(['after.db', 'copy.db'])
    await db.close()
  })

  test('M5: a damaged page is found on the way: typed, located, and no file', async () => {
    const folder = folderOf()
    const path = join(folder, 'app.db')
    const first = await open(path, OPTIONS)
    await insertNotes(first, 1, 2000, 1000)
    await first.close()
    const at = 100 * PAGE_BYTES
    const descriptor = openSync(path, 'r+')
    writeSync(descriptor, Buffer.from('damage'), 0, 6, at + 5000)
    closeSync(descriptor)
    const db = await open(path, OPTIONS)
    const target = join(folder, 'copy.db')
    await expect(db.backup(target)).rejects.toMatchObject({
      code: 'RINGBOLT_CORRUPT',
      facts: { file: path, offset: at, what: 'page checksum' },
    })
    expect(othersIn(folder)).toEqual([])
    await db.close()
  })
})

describe('a disk that is full: a small tmpfs', () => {
  let disk: string | undefined

  afterEach(() => {
    if (disk === undefined) return
    // Says EBUSY when a file is still open.
    expect(spawnSync('umount', [disk], { encoding: 'utf8' }).stderr).toBe('')
    rmSync(disk, { recursive: true, force: true })
    disk = undefined
  })

  test('M5: a sync on the way that fails ends it, whichever it is, though the last one would succeed', async () => {
    const folder = folderOf()
    const db = await open(join(folder, 'app.db'), OPTIONS)
    // Synced on the way each 32 MiB.
    for (let id = 0; id < 80; id++) {
      await db.collection(blobs).insert({ id: `${id}`, bytes: new Uint8Array(MIB).fill(id) })
    }
    const probe = await openHandle(join(folder, 'app.db'))
    const methods: FileHandle = Object.getPrototypeOf(probe)
    await probe.close()
    for (const failing of [1, 2]) {
      let syncs = 0
      const sync = vi.spyOn(methods, 'sync').mockImplementation(async () => {
        if (++syncs === failing) throw Object.assign(new Error('EIO'), { code: 'EIO' })
      })
      try {
        await expect(db.backup(join(folder, 'copy.db'))).rejects.toMatchObject({
          code: 'RINGBOLT_IO',
          facts: { operation: 'fsync', errno: 'EIO' },
        })
      } finally {
        sync.mockRestore()
      }
      expect(syncs).toBeGreaterThanOrEqual(failing)
      expect(readdirSync(folder).filter((name) => name.includes('copy'))).toEqual([])
    }
    await db.close()
  })

  test('M5: a backup that does not fit says so and leaves no file', async ({ skip }) => {
    const small = mkdtempSync(join(tmpdir(), 'ringbolt-small-'))
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', small])
    if (mounted.status !== 0) return skip('no right to mount a small file system')
    disk = small
    const db = await open(join(folderOf(), 'app.db'), OPTIONS)
    await insertNotes(db, 1, 3000, 1000)
    await expect(db.backup(join(small, 'copy.db'))).rejects.toMatchObject({
      code: 'RINGBOLT_IO',
      facts: { errno: 'ENOSPC' },
    })
    expect(readdirSync(small)).toEqual([])
    await db.collection(notes).insert({ writer: 1, text: 'it writes on' })
    await db.close()
  })
})

const SEED = Number(process.env['RINGBOLT_SEED'] ?? 20_261)

describe('incremental backups', () => {
  test(`M8: a chain of them gives each state again (seed ${SEED})`, async () => {
    const random = new Random(SEED)
    const folder = folderOf()
    let db = await open(join(folder, 'app.db'), { ...OPTIONS, cacheBytes: 2 * MIB })
    await insertNotes(db, 1, 2000)
    const full = join(folder, 'full.db')
    await db.backup(full)
    const increments: string[] = []
    const states: Record<string, unknown[]>[] = []
    let last = full
    for (let round = 0; round < 8; round++) {
      await change(db, random)
      if (random.chance(0.4)) await db.checkpoint()
      if (random.chance(0.3)) {
        await db.close()
        db = await open(join(folder, 'app.db'), { ...OPTIONS, cacheBytes: 2 * MIB })
        await change(db, random)
      }
      const target = join(folder, `increment-${round}`)
      const result = await db.backup(target, { since: last })
      using snapshot = db.snapshot()
      expect(result.sequence).toBe(snapshot.sequence)
      expect(statSync(target).size).toBe(result.bytes)
      increments.push(target)
      states.push(allOf(db))
      last = target
    }
    await db.close()
    for (const [at, state] of states.entries()) {
      const target = join(folder, `restored-${at}.db`)
      await restore({ from: full, increments: increments.slice(0, at + 1), target })
      expect(checkFile(target).findings).toEqual([])
      expect(await contentOf(target)).toEqual(state)
    }
  })

  async function change(db: Database, random: Random): Promise<void> {
    const collection = db.collection(notes)
    for (let turn = random.below(60); turn > 0; turn--) {
      const id = 1 + random.below(3000)
      if (random.chance(0.3)) await collection.delete(id)
      else await collection.upsert({ id, writer: turn % 7, text: textOf(id, turn, 300) })
    }
    if (random.chance(0.5)) {
      const bytes = new Uint8Array(random.below(60_000)).fill(random.below(256))
      await db.collection(blobs).upsert({ id: `blob ${random.below(4)}`, bytes })
    }
    // Trees that come, empty ones among them, and go in steps that are no commits.
    if (random.chance(0.4)) await db.dropCollection('cells')
    await db.define([cells])
    for (let turn = random.below(80); turn > 0; turn--) {
      await db.collection(cells).upsert({ id: turn, group: turn % 3, value: random.below(9) })
    }
  }

  test('M8: costs what changed, not what there is', async () => {
    const folder = folderOf()
    const db = await open(join(folder, 'app.db'), OPTIONS)
    await insertNotes(db, 1, 10_000, 1000)
    const full = await db.backup(join(folder, 'full.db'))
    const none = await db.backup(join(folder, 'none'), { since: full.path })
    expect(none.pages).toBeLessThan(10)
    await db.collection(notes).update(5000, (note) => {
      note.text = 'changed'
    })
    const one = await db.backup(join(folder, 'one'), { since: none.path })
    expect(one.pages).toBeLessThan(30)
    expect(one.bytes).toBeLessThan(full.bytes / 20)
    await db.close()
  })

  test('M8: what does not go together is refused in plain words, and damage is found', async () => {
    const folder = folderOf()
    const path = join(folder, 'app.db')
    const db = await open(path, OPTIONS)
    await insertNotes(db, 1, 500)
    const full = join(folder, 'full.db')
    await db.backup(full)
    await insertNotes(db, 501, 500)
    const first = join(folder, 'first')
    await db.backup(first, { since: full })
    await insertNotes(db, 1001, 500)
    const second = join(folder, 'second')
    await db.backup(second, { since: first })
    const stranger = await open(join(folder, 'app.db-stranger'), OPTIONS)
    await insertNotes(stranger, 1, 2000)
    const foreign = expect(stranger.backup(join(folder, 'x'), { since: full })).rejects
    await foreign.toThrow(/not a backup of this database/)
    const strange = join(folder, 'strange.db')
    await stranger.backup(strange)
    await stranger.close()
    const noBackup = expect(db.backup(join(folder, 'x'), { since: path })).rejects
    await noBackup.toThrow(/was not closed/)
    const missing = expect(db.backup(join(folder, 'x'), { since: join(folder, 'gone') })).rejects
    await missing.toMatchObject({ facts: { errno: 'ENOENT' } })
    await db.close()

    const target = join(folder, 'restored.db')
    const refused = async (from: string, increments: string[], text: RegExp): Promise<void> => {
      await expect(restore({ from, increments, target })).rejects.toThrow(text)
    }
    await refused(full, [second], /follows a backup of commit/)
    await refused(full, [second, first], /follows a backup of commit/)
    await refused(strange, [first], /another database/)
    await refused(full, [full], /not an incremental backup/)
    await refused(first, [], /is an incremental backup/)
    const size = statSync(second).size
    for (let round = 0; round < 24; round++) {
      const damaged = join(folder, 'damaged')
      copyFileSync(second, damaged)
      const at = round < 12 ? round * 5 : Math.floor(((round - 11) * size) / 14)
      const bytes = readFileSync(damaged)
      bytes[at] = (bytes[at] ?? 0) ^ 0x10
      writeFileSync(damaged, bytes)
      await expect(
        restore({ from: full, increments: [first, damaged], target }),
      ).rejects.toMatchObject({ code: expect.stringMatching(/^RINGBOLT_/) })
    }
    const cut = join(folder, 'cut')
    for (const length of [0, 7, 100, PAGE_BYTES, 2 * PAGE_BYTES + 5, size - 1]) {
      writeFileSync(cut, readFileSync(second).subarray(0, length))
      await expect(restore({ from: full, increments: [first, cut], target })).rejects.toMatchObject(
        { code: expect.stringMatching(/^RINGBOLT_/) },
      )
    }
    expect(othersIn(folder).filter((name) => /restored|part/.test(name))).toEqual([])
    await restore({ from: full, increments: [first, second], target })
    expect(await contentOf(target)).toEqual(await contentOf(path))
    chmodSync(target, 0o600)
    linkSync(target, `${target}-again`)
    const exists = expect(restore({ from: full, target })).rejects
    await exists.toMatchObject({ code: 'RINGBOLT_EXISTS' })
  }, 60_000)
})

describe('restoring from a full backup that is none, or damaged', () => {
  let folder: string
  let full: string
  let sound: Buffer
  let target: string

  beforeEach(async () => {
    folder = folderOf()
    full = join(folder, 'full.db')
    target = join(folder, 'restored.db')
    await using db = await open(join(folder, 'app.db'), OPTIONS)
    await insertNotes(db, 1, 200)
    await db.backup(full)
    sound = readFileSync(full)
  })

  async function refused(code: RegExp, from = full): Promise<void> {
    const before = statSync(from).isFile() ? readFileSync(from) : undefined
    const error: unknown = await restore({ from, target }).catch((cause: unknown) => cause)
    expect(error).toMatchObject({
      code: expect.stringMatching(code),
      message: expect.stringContaining(from),
    })
    if (before !== undefined) expect(readFileSync(from)).toEqual(before)
    expect(othersIn(folder).filter((name) => /restored|part/.test(name))).toEqual([])
  }

  test('M8: a byte changed in any page: a typed error, or of no account', async () => {
    const pages = sound.length / PAGE_BYTES
    let refusals = 0
    for (let page = 0; page < pages; page += page < 4 ? 1 : 3) {
      const damaged = Buffer.from(sound)
      damaged[page * PAGE_BYTES + 100]! ^= 0x10
      writeFileSync(full, damaged)
      const restored = await restore({ from: full, target }).catch((error: unknown) => error)
      if (restored instanceof Error) {
        refusals++
        expect(restored).toMatchObject({ code: expect.stringMatching(/^RINGBOLT_/) })
        expect(restored.message).toContain(full)
      } else {
        expect(await contentOf(target)).toEqual(await contentOf(join(folder, 'app.db')))
        rmSync(target)
        rmSync(`${target}-lock`, { force: true })
      }
      expect(othersIn(folder)).toEqual(['full.db'])
    }
    // All but one of the two metas, and what stands in no tree.
    expect(refusals).toBeGreaterThan(pages / 6)
  })

  test("M8: cut off, empty, another program's, a folder: typed errors, and nothing is made", async () => {
    for (const length of [100, PAGE_BYTES, 2 * PAGE_BYTES + 5, sound.length - PAGE_BYTES]) {
      writeFileSync(full, sound.subarray(0, length))
      await refused(/^RINGBOLT_(CORRUPT|FOREIGN)$/)
    }
    for (const content of [
      '',
      'id;name\n'.repeat(5000),
      `SQLite format 3\0${'x'.repeat(40_000)}`,
    ]) {
      writeFileSync(full, content)
      await refused(/^RINGBOLT_FOREIGN$/)
    }
    mkdirSync(join(folder, 'folder'))
    await refused(/^RINGBOLT_IO$/, join(folder, 'folder'))
  })

  test('M8: onto the backup itself, a file, a folder: refused, and they stay as they are', async () => {
    mkdirSync(join(folder, 'folder'))
    for (const taken of [full, join(folder, 'app.db'), join(folder, 'folder')]) {
      const failed = expect(restore({ from: full, target: taken })).rejects
      await failed.toMatchObject({ code: 'RINGBOLT_EXISTS' })
    }
    const nowhere = expect(restore({ from: full, target: join(folder, 'none', 'x.db') })).rejects
    await nowhere.toMatchObject({ code: 'RINGBOLT_NOT_FOUND' })
    expect(readFileSync(full)).toEqual(sound)
    expect(othersIn(folder).toSorted()).toEqual(['folder', 'full.db'])
  })
})
