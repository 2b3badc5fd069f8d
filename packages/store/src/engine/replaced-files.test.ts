/** Files that are renamed, replaced or deleted while a database is open: typed errors, and nothing lost or mixed. */
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { type MethodName, openLock } from '@ringbolt/locks'
import { isRingboltError } from '@ringbolt/ring'
import { describe, expect, test } from 'vitest'
import { checkFile } from './check-file.ts'
import { type Database, open } from './open.ts'
import type { OpenOptions } from './options.ts'
import { notes, textOf } from './testing/collections.ts'
import { testFolders } from './testing/folders.ts'

const folderOf = testFolders('replaced')
const OPTIONS = {
  collections: [notes],
  cacheBytes: 4 * 1024 * 1024,
  segmentBytes: 16 * 1024,
  busyTimeout: 2_000,
}

const opened = (path: string, options: OpenOptions = {}): Promise<Database> =>
  open(path, { ...OPTIONS, ...options })

/** @returns the code of a typed error; undefined: it went well */
async function codeOf(work: () => Promise<unknown>): Promise<string | undefined> {
  try {
    await work()
    return undefined
  } catch (error) {
    if (!isRingboltError(error)) throw error
    return error.code
  }
}

/** Writes one after another, and keeps in mind what was acknowledged. */
class Writer {
  readonly acknowledged: number[] = []
  readonly db: Database
  readonly #name: number
  #next = 1

  constructor(db: Database, name: number) {
    this.db = db
    this.#name = name
  }

  async write(count: number): Promise<void> {
    const from = this.#next
    for (let id = from; id < from + count; id++) {
      const text = textOf(id, this.#name, 2000)
      await this.db.collection(notes).insert({ id, writer: this.#name, text })
      this.acknowledged.push(id)
      this.#next = id + 1
    }
  }
}

/** @returns who wrote the documents, each of which is whole */
function writersIn(db: Database): number[] {
  const writers = new Set<number>()
  for (const { id, writer, text } of db.collection(notes).all()) {
    expect(text).toBe(textOf(id, writer, 2000))
    writers.add(writer)
  }
  return [...writers]
}

const PARTS = { main: '', log: '-wal', lock: '-lock', presences: '-processes' } as const
type Part = keyof typeof PARTS

function swap(paths: readonly [string, string], parts: readonly Part[]): void {
  for (const part of parts) {
    const [one, two] = [paths[0] + PARTS[part], paths[1] + PARTS[part]]
    const isThere = existsSync(one)
    if (isThere) renameSync(one, `${one}.aside`)
    if (existsSync(two)) renameSync(two, one)
    if (isThere) renameSync(`${one}.aside`, two)
  }
}

/**
 * With the logs' folders swapped each process took the other's segments for its own, and with the lock files swapped a
 * third one wrote into a log that was being written.
 */
describe('two databases change names while they are open', () => {
  async function typedOrFine(work: () => Promise<unknown>): Promise<void> {
    const code = await codeOf(work)
    if (code !== undefined)
      expect(code).toMatch(/^RINGBOLT_(REPLACED|POISONED|WRONG_LOG|LOCK_REPLACED)$/)
  }

  test.each<[readonly Part[], number]>([
    [['main'], 1],
    [['log'], 1],
    [['lock'], 1],
    [['main', 'log'], 1],
    [['main', 'log', 'lock', 'presences'], 1],
    [['main', 'log'], 2],
  ])(
    'S9 M3: %j, %i handles each: typed errors or the right files; with their names again both are whole',
    async (parts, handles) => {
      const folder = folderOf()
      const paths = [join(folder, 'one.db'), join(folder, 'two.db')] as const
      const writers: Writer[] = []
      const others: Database[] = []
      for (const [at, path] of paths.entries()) {
        writers.push(new Writer(await opened(path), at + 1))
        for (let handle = 1; handle < handles; handle++) others.push(await opened(path))
      }
      for (const writer of writers) await writer.write(20)
      swap(paths, parts)
      for (const writer of writers) {
        // Some by the files that are open, the rest with new segments.
        for (const count of [2, 20]) await typedOrFine(() => writer.write(count))
        await typedOrFine(() => writer.db.checkpoint())
        expect(writersIn(writer.db)).toEqual([writers.indexOf(writer) + 1])
      }
      await typedOrFine(async () => {
        await using db = await opened(paths[0])
        const [name = 0, ...rest] = writersIn(db)
        expect(rest).toEqual([])
        for (let id = 1001; id <= 1030; id++) {
          await db.collection(notes).insert({ id, writer: name, text: textOf(id, name, 2000) })
          writers[name - 1]?.acknowledged.push(id)
        }
      })
      await typedOrFine(() => writers[0]!.write(2))
      for (const db of [...others, ...writers.map((writer) => writer.db)]) {
        await typedOrFine(() => db.close())
      }
      swap(paths, parts)
      for (const [at, path] of paths.entries()) {
        const db = await opened(path)
        const ids = Array.from(db.collection(notes).all(), ({ id }) => id)
        expect(writersIn(db)).toEqual([at + 1])
        expect(ids).toEqual(expect.arrayContaining(writers[at]!.acknowledged))
        await db.close()
        expect(checkFile(path).findings).toEqual([])
      }
    },
  )
})

describe('whoever comes while a database is open', () => {
  async function refused(path: string, code: string, options: OpenOptions = {}): Promise<void> {
    const before = existsSync(path) ? readFileSync(path) : undefined
    await expect(opened(path, options)).rejects.toMatchObject({ code })
    expect(existsSync(path) ? readFileSync(path) : undefined).toEqual(before)
  }

  /** Another one whose lock is of that method. */
  async function makeLock(path: string, method: MethodName): Promise<void> {
    await (await openLock(path, { method })).close()
  }

  test.each<[string, (lockPath: string) => Promise<void> | void]>([
    ['deleted', (lock) => rmSync(lock)],
    [
      'replaced by a copy of itself',
      (lock) => {
        copyFileSync(lock, `${lock}.copy`)
        renameSync(`${lock}.copy`, lock)
      },
    ],
    [
      'replaced by one of another method',
      async (lock) => {
        await makeLock(`${lock}.other`, 'lockfile')
        renameSync(`${lock}.other`, lock)
      },
    ],
  ])('L4 M3: the lock file was %s: refused, and who has it open goes on', async (_, harm) => {
    const path = join(folderOf(), 'app.db')
    const writer = new Writer(await opened(path, { lockMethod: 'flock' }), 1)
    await writer.write(5)
    await harm(`${path}-lock`)
    await refused(path, 'RINGBOLT_REPLACED')
    await refused(path, 'RINGBOLT_REPLACED', { readOnly: true })
    await writer.write(30)
    await writer.db.backup(`${path}-copy`)
    await writer.db.close()
    expect(checkFile(path).findings).toEqual([])
    expect(checkFile(`${path}-copy`).findings).toEqual([])
    const again = await opened(path)
    expect(again.collection(notes).count()).toBe(35)
    await again.close()
  })

  test('L5: asks for another method than the lock file records: refused, open or closed', async () => {
    const path = join(folderOf(), 'app.db')
    const writer = new Writer(await opened(path, { lockMethod: 'flock' }), 1)
    await writer.write(5)
    await refused(path, 'RINGBOLT_LOCK_METHOD_MISMATCH', { lockMethod: 'lockfile' })
    await writer.db.close()
    await refused(path, 'RINGBOLT_LOCK_METHOD_MISMATCH', { lockMethod: 'ofd' })
    await (await opened(path, { lockMethod: 'flock' })).close()
  })

  test.each<[string, string, (lockPath: string) => void]>([
    ['a text', 'RINGBOLT_LOCK_NOT_A_LOCK_FILE', (lock) => writeFileSync(lock, 'x'.repeat(4096))],
    ['a folder', 'RINGBOLT_LOCK_NOT_A_FILE', (lock) => mkdirSync(lock)],
    ['a symbolic link', 'RINGBOLT_LOCK_NOT_A_FILE', (lock) => symlinkSync('elsewhere', lock)],
  ])(
    'L4: instead of the lock file there is %s: refused, and left as it is',
    async (_, code, put) => {
      const folder = folderOf()
      const path = join(folder, 'app.db')
      await (await opened(path)).close()
      rmSync(`${path}-lock`)
      put(`${path}-lock`)
      await refused(path, code)
      expect(readdirSync(folder).toSorted()).toEqual(['app.db', 'app.db-lock'])
    },
  )

  test('S9: the main file, or the log, is gone: refused, nothing is made, and with its name again all is there', async () => {
    const path = join(folderOf(), 'app.db')
    const writer = new Writer(await opened(path), 1)
    await writer.write(5)
    renameSync(path, `${path}.aside`)
    await refused(path, 'RINGBOLT_NOT_FOUND')
    renameSync(`${path}.aside`, path)
    await writer.write(5)
    renameSync(`${path}-wal`, `${path}.aside`)
    await refused(path, 'RINGBOLT_CORRUPT')
    expect(existsSync(`${path}-wal`)).toBe(false)
    renameSync(`${path}.aside`, `${path}-wal`)
    // Who has it open may have looked for its log meanwhile, and stopped.
    await Promise.allSettled([writer.db.close()])
    const again = await opened(path)
    expect(again.collection(notes).count()).toBe(10)
    await again.close()
    expect(checkFile(path).findings).toEqual([])
  })

  test('S9: a closed copy was put in the place of the main file: refused, and nothing is changed', async () => {
    const path = join(folderOf(), 'app.db')
    const writer = new Writer(await opened(path), 1)
    await writer.write(5)
    await writer.db.backup(`${path}-copy`)
    await writer.write(5)
    renameSync(path, `${path}.aside`)
    copyFileSync(`${path}-copy`, path)
    await refused(path, 'RINGBOLT_REPLACED')
    await writer.write(5)
    renameSync(`${path}.aside`, path)
    await writer.db.close()
    const again = await opened(path)
    expect(again.collection(notes).count()).toBe(15)
    await again.close()
  })
})
