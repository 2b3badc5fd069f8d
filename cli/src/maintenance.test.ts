/** Backups, restoring and compaction by the command, of databases that are in use elsewhere, too. */
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { checkFile, type Database, describeFile, open } from 'ringbolt'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Outcome, ringbolt, start } from './testing/command.ts'
import { copyAsCrashed } from './testing/crashed-copy.ts'
import { notes, startWriter, type WriterProcess } from './testing/notes.ts'

let folder: string
let path: string
const closers: (() => Promise<void>)[] = []

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ringbolt-command-'))
  path = join(folder, 'app.db')
})

afterEach(async () => {
  for (const close of closers.splice(0)) await close()
  rmSync(folder, { recursive: true })
})

function at(name: string): string {
  return join(folder, name)
}

async function opened(options: { readonly archive?: string } = {}): Promise<Database> {
  const db = await open(path, { collections: [notes], segmentBytes: 8192, ...options })
  closers.push(() => db.close())
  return db
}

async function insert(db: Database, first: number, count: number, text = 'text'): Promise<void> {
  for (let id = first; id < first + count; id++) await db.collection(notes).insert({ id, text })
}

/** In a process of its own. */
async function writing(archive?: string): Promise<WriterProcess> {
  const writer = await startWriter(path, archive)
  closers.push(() => writer.end())
  return writer
}

function documentsIn(file: string): number | undefined {
  return describeFile(file).collections.find(({ name }) => name === 'notes')?.documents
}

function jsonOf({ code, stdout, stderr }: Outcome): Record<string, unknown> {
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return JSON.parse(stdout)
}

describe('M10: backup', () => {
  test('M5: of a database that another process writes to without pause: sound, and so is the source', async () => {
    const writer = await writing()
    await writer.tell('insert 500')
    await writer.tell('flow')
    const text = await ringbolt('backup', path, at('full.db'), '--verify')
    expect(text).toMatchObject({ code: 0, stderr: '' })
    expect(text.stdout).toContain(`${at('full.db')}: up to commit `)
    expect(text.stdout).toContain('checked and sound')
    const json = jsonOf(
      await ringbolt('backup', path, at('more'), '--since', at('full.db'), '--json'),
    )
    expect(json).toMatchObject({ path: at('more'), verified: false })
    await writer.end()
    expect(checkFile(at('full.db')).findings).toEqual([])
    expect(documentsIn(at('full.db'))).toBeGreaterThanOrEqual(500)
    expect(checkFile(path).findings).toEqual([])
    const restored = jsonOf(
      await ringbolt('restore', at('full.db'), at('new.db'), '--increment', at('more'), '--json'),
    )
    expect(restored).toMatchObject({ path: at('new.db'), sequence: json['sequence'], time: null })
  })

  test('of a closed one: as it is, closed again', async () => {
    const db = await opened()
    await insert(db, 1, 20)
    await db.close()
    const { sequence } = jsonOf(await ringbolt('backup', path, at('full.db'), '--json'))
    expect(sequence).toBe(describeFile(path).lastSequence)
    expect(describeFile(path).clean).toBe(true)
    expect(readdirSync(folder).toSorted()).toEqual(['app.db', 'app.db-lock', 'full.db'])
  })

  test('M1: while another has a write transaction open: RINGBOLT_BUSY, and no file', async () => {
    const db = await opened()
    await db.transaction(async (tx) => {
      await tx.collection(notes).insert({ id: 1, text: '' })
      const busy = await ringbolt('backup', path, at('full.db'), '--busy-timeout', '200')
      expect(busy).toMatchObject({ code: 3, stdout: '' })
      expect(busy.stderr).toContain('RINGBOLT_BUSY')
      expect(busy.stderr).toContain(`process ${process.pid}`)
      expect(readdirSync(folder)).not.toContain('full.db')
    })
    expect(await ringbolt('backup', path, at('full.db'))).toMatchObject({ code: 0 })
    expect(documentsIn(at('full.db'))).toBe(1)
  })

  test('onto something, into nothing, onto itself, since a foreign one: 3, and nothing is changed', async () => {
    const db = await opened()
    await insert(db, 1, 5)
    writeFileSync(at('taken'), 'a letter')
    const targets = [
      ['taken', 'RINGBOLT_EXISTS'],
      ['nowhere/full.db', 'RINGBOLT_NOT_FOUND'],
      ['app.db', 'the database itself'],
    ] as const
    for (const [name, message] of targets) {
      const refused = await ringbolt('backup', path, at(name))
      expect(refused).toMatchObject({ code: 3, stdout: '' })
      expect(refused.stderr).toContain(message)
    }
    expect(readFileSync(at('taken'), 'utf8')).toBe('a letter')
    const since = await ringbolt('backup', path, at('more'), '--since', at('taken'))
    expect(since).toMatchObject({ code: 3, stdout: '' })
    expect(readdirSync(folder).filter((name) => !name.startsWith('app.db'))).toEqual(['taken'])
  })

  test('Ctrl-C: 3, and no file is left, whether it copies or checks', async () => {
    const db = await opened()
    await db
      .collection(notes)
      .insertMany(
        Array.from({ length: 1500 }, (_, at) => ({ id: at + 1, text: 'x'.repeat(30_000) })),
      )
    const outcome = await interruptedOnce('backup', path, at('full.db'), '--verify')
    expect(outcome.stderr).toContain('interrupted')
    expect(db.collection(notes).count()).toBe(1500)
    await db.close()
    copyFileSync(path, at('source.db'))
    const restored = await interruptedOnce('restore', at('source.db'), at('full.db'))
    expect(restored.stderr).toContain('interrupted')
  })

  /** As soon as the unfinished file is there. One that was too quick is made again. */
  async function interruptedOnce(...args: string[]): Promise<Outcome> {
    for (;;) {
      const { child, outcome } = start(...args)
      while (!readdirSync(folder).some((name) => /\.part$|^full/.test(name))) await delay(1)
      child.kill('SIGINT')
      const ended = await outcome
      // Done before the signal, or ended by it with nothing left to do: then the file is whole.
      if (ended.code === 0 || ended.code === null) {
        expect(checkFile(at('full.db')).findings).toEqual([])
        rmSync(at('full.db'))
        continue
      }
      expect(ended).toMatchObject({ code: 3, stdout: '' })
      expect(readdirSync(folder).filter((name) => /\.part$|^full/.test(name))).toEqual([])
      return ended
    }
  }
})

describe('M8 M10: restore', () => {
  test('to a commit, to a time, to the end, with the archive and what is left of the log', async () => {
    const archive = at('archive')
    const db = await opened({ archive })
    await insert(db, 1, 10)
    const full = jsonOf(
      await ringbolt('backup', path, at('full.db'), '--archive', archive, '--json'),
    )
    await insert(db, 11, 60, 'x'.repeat(500))
    await delay(20)
    const between = new Date().toISOString()
    await delay(20)
    await insert(db, 71, 30)
    await ringbolt('backup', path, at('other.db'), '--archive', archive)
    await insert(db, 101, 7)
    // As a crash leaves it.
    copyAsCrashed(path, at('damaged.db'))

    const first = Number(full['sequence'])
    const log = ['--archive', archive, '--live', at('damaged.db'), '--json']
    const toCommit = ['--to-sequence', String(first + 25)]
    const restored = jsonOf(
      await ringbolt('restore', at('full.db'), at('a.db'), ...toCommit, ...log),
    )
    expect(restored).toMatchObject({ path: at('a.db'), sequence: first + 25 })
    expect(documentsIn(at('a.db'))).toBe(35)

    const toTime = ['--to-time', between]
    const timed = jsonOf(await ringbolt('restore', at('full.db'), at('b.db'), ...toTime, ...log))
    expect(documentsIn(at('b.db'))).toBe(70)
    expect(Date.parse(String(timed['time']))).toBeLessThanOrEqual(Date.parse(between))

    jsonOf(await ringbolt('restore', at('full.db'), at('c.db'), ...log))
    expect(documentsIn(at('c.db'))).toBe(107)
    const text = await ringbolt('restore', at('other.db'), at('d.db'))
    expect(text.stdout).toContain(`${at('d.db')}: up to commit `)
    expect(documentsIn(at('d.db'))).toBe(100)
  })

  test('to a moment that there is not, of a damaged backup: 3, and no file', async () => {
    const db = await opened()
    await insert(db, 1, 50)
    await ringbolt('backup', path, at('full.db'))
    const late = await ringbolt('restore', at('full.db'), at('new.db'), '--to-sequence', '9999')
    expect(late).toMatchObject({ code: 3, stdout: '' })
    expect(late.stderr).toContain('RINGBOLT_RESTORE_POINT')
    const content = readFileSync(at('full.db'))
    content[content.length - 100]! ^= 1
    writeFileSync(at('full.db'), content)
    const damaged = await ringbolt('restore', at('full.db'), at('new.db'))
    expect(damaged).toMatchObject({ code: 3, stdout: '' })
    expect(damaged.stderr).toContain('RINGBOLT_CORRUPT')
    expect(existsSync(at('new.db'))).toBe(false)
  })
})

describe('M10: compact', () => {
  test('shorter, and sound', async () => {
    const db = await opened()
    await insert(db, 1, 300, 'x'.repeat(3000))
    await db.checkpoint()
    for (let id = 1; id <= 290; id++) await db.collection(notes).delete(id)
    await db.close()
    const json = jsonOf(await ringbolt('compact', path, '--json'))
    expect(Number(json['bytesAfter'])).toBeLessThan(Number(json['bytesBefore']))
    expect(readFileSync(path)).toHaveLength(Number(json['bytesAfter']))
    expect(documentsIn(path)).toBe(10)
    expect(checkFile(path).findings).toEqual([])
    expect((await ringbolt('compact', path)).stdout).toContain('the next backup must be a full one')
  })

  test('of one that another process has open: RINGBOLT_BUSY, and nothing is changed', async () => {
    const writer = await writing()
    await writer.tell('insert 5')
    const busy = await ringbolt('compact', path, '--busy-timeout', '100')
    expect(busy).toMatchObject({ code: 3, stdout: '' })
    expect(busy.stderr).toContain(`process ${writer.pid}`)
    await writer.tell('insert 5')
    await writer.end()
    expect(documentsIn(path)).toBe(10)
  })
})
