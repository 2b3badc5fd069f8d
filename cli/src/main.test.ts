/** The command as it is run: the built file, in a process of its own. */
import { execFileSync } from 'node:child_process'
import {
  copyFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Database, defineCollection, open } from 'ringbolt'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { ringbolt } from './testing/command.ts'
import { copyAsCrashed } from './testing/crashed-copy.ts'

interface User {
  readonly id: number
  readonly email: string
  readonly born: Date
}

const users = defineCollection<User>()({
  name: 'users',
  version: 3,
  indexes: { email: { on: 'email', unique: true } },
})
const things = defineCollection<{ id: string; data: unknown }>()({ name: 'things' })

let sound: string
let folder: string
let path: string

async function fill(db: Database): Promise<void> {
  const people = Array.from({ length: 300 }, (_, at) => ({
    id: at + 1,
    email: `user${at + 1}@example.org`,
    born: new Date(at * 86_400_000),
  }))
  await db.collection(users).insertMany(people)
  await db
    .collection(things)
    .insert({ id: 'a', data: { big: 12n, set: new Set([1]), not: Number.NaN } })
}

beforeAll(async () => {
  sound = mkdtempSync(join(tmpdir(), 'ringbolt-command-sound-'))
  const db = await open(join(sound, 'app.db'), { collections: [users, things] })
  await fill(db)
  await db.close()
})

afterAll(() => rmSync(sound, { recursive: true }))

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ringbolt-command-'))
  path = join(folder, 'app.db')
  copyFileSync(join(sound, 'app.db'), path)
})

afterEach(() => rmSync(folder, { recursive: true }))

/** The database as a crash leaves it: with a log. */
async function crashed(): Promise<void> {
  const source = join(folder, 'other.db')
  const db = await open(source, { collections: [users, things], segmentBytes: 8192 })
  await fill(db)
  for (let id = 400; id < 460; id++)
    await db.collection(users).insert({ id, email: `u${id}`, born: new Date(0) })
  copyAsCrashed(source, path)
  await db.close()
}

function damage(file: string, position: number): void {
  const content = readFileSync(file)
  content[position]! ^= 8
  writeFileSync(file, content)
}

describe('M10: help and usage', () => {
  test('all commands are listed, with exit codes and examples', async () => {
    const { code, stdout } = await ringbolt('--help')
    expect(code).toBe(0)
    for (const text of [
      'check',
      'stat',
      'dump',
      'wal',
      'backup',
      'restore',
      'compact',
      'top',
      'stress',
      'Exit codes: 0 fine',
      'Examples:',
    ]) {
      expect(stdout).toContain(text)
    }
  })

  test.each(['check', 'stat', 'dump', 'wal', 'backup', 'restore', 'compact', 'top'])(
    '%s --help has examples, --json, exit codes',
    async (command) => {
      const { code, stdout } = await ringbolt(command, '--help')
      expect(code).toBe(0)
      for (const text of [`$ ringbolt ${command}`, '--json', 'Exit codes: 0 fine'])
        expect(stdout).toContain(text)
    },
  )

  test.each([
    [[], ''],
    [['shake'], 'unknown command'],
    [['check'], 'missing required argument'],
    [['check', 'a', 'b'], 'too many arguments'],
    [['stat', 'a', '--pretty'], 'unknown option'],
    [['dump', 'a', '--limit', 'few'], 'a whole number'],
    [['backup', 'a'], 'missing required argument'],
    [['backup', 'a', 'b', '--since', 'c', '--verify'], 'cannot be used with'],
    [['backup', 'a', 'b', '--busy-timeout', '-1'], 'a whole number'],
    [['restore', 'a', 'b', '--to-sequence', '1.5'], 'a whole number'],
    [['restore', 'a', 'b', '--to-time', '2026-01-31T14:05:00'], 'with its zone'],
    [['restore', 'a', 'b', '--to-time', '2026-13-31T14:05:00Z'], 'with its zone'],
    [
      ['restore', 'a', 'b', '--to-sequence', '1', '--to-time', '2026-01-31T14:05:00Z'],
      'cannot be used with',
    ],
    [['top', 'a', '--interval', '0'], 'a number of seconds'],
  ])('%j is a usage error: 2', async (args, message) => {
    const { code, stderr } = await ringbolt(...args)
    expect(stderr).toContain(message)
    expect(code).toBe(2)
  })

  test('--version', async () => {
    expect(await ringbolt('--version')).toMatchObject({ code: 0, stdout: '0.1.0\n' })
  })

  test.each([
    ['RINGBOLT_NOT_FOUND', 'check'],
    ['RINGBOLT_NOT_FOUND', 'check', '--apply-log'],
    ['RINGBOLT_NOT_FOUND', 'stat'],
    ['RINGBOLT_NOT_FOUND', 'dump'],
    ['RINGBOLT_NOT_FOUND', 'wal'],
    ['RINGBOLT_NOT_FOUND', 'top'],
    ['RINGBOLT_NOT_FOUND', 'compact'],
    ['RINGBOLT_NOT_FOUND', 'backup', 'target'],
    ['RINGBOLT_IO', 'restore', 'target'],
  ])("no file, and another program's: 3, %s: %s", async (missingCode, command, ...targets) => {
    const rest = targets.map((name) => (name.startsWith('-') ? name : join(folder, name)))
    const missing = await ringbolt(command, join(folder, 'missing.db'), ...rest)
    expect(missing).toMatchObject({ code: 3, stdout: '' })
    expect(missing.stderr).toContain(`${missingCode}: `)
    expect(missing.stderr).toContain('missing.db')
    writeFileSync(path, 'a letter to somebody\n'.repeat(1000))
    const foreign = await ringbolt(command, path, ...rest)
    expect(foreign).toMatchObject({ code: 3, stdout: '' })
    expect(foreign.stderr).toContain('RINGBOLT_FOREIGN')
    expect(readdirSync(folder)).toEqual(['app.db'])
  })
})

describe('M10: check', () => {
  test('of a sound database: 0, and nothing is changed', async () => {
    const before = readFileSync(path)
    const { code, stdout, stderr } = await ringbolt('check', path)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toContain(`${path} is sound`)
    expect(stdout).toContain('301 documents, 300 index entries')
    expect(readFileSync(path).equals(before)).toBe(true)
    expect(readdirSync(folder)).toEqual(['app.db'])
  })

  test('of a damaged one: 1, and where', async () => {
    const page = Math.floor(readFileSync(path).indexOf('user7@example.org') / 8192)
    damage(path, page * 8192 + 4000)
    const { code, stdout } = await ringbolt('check', path)
    expect(code).toBe(1)
    expect(stdout).toContain(`${path} is damaged: 1 finding`)
    expect(stdout).toContain(`checksum: ${path} at byte ${page * 8192}`)
    const json = await ringbolt('check', path, '--json')
    expect(json.code).toBe(1)
    expect(JSON.parse(json.stdout)).toMatchObject({
      verdict: 'damaged',
      findings: [{ kind: 'checksum', pageId: page, offset: page * 8192, what: 'page checksum' }],
    })
  })

  test('of one that is cut off: 1', async () => {
    truncateSync(path, 3 * 8192)
    const { code, stdout } = await ringbolt('check', path)
    expect(code).toBe(1)
    expect(stdout).toContain('meta: ')
  })

  test('of one that was not closed: as of the checkpoint, or with its log', async () => {
    await crashed()
    const asItIs = await ringbolt('check', path, '--json')
    expect(JSON.parse(asItIs.stdout)).toMatchObject({ verdict: 'sound', findings: [] })
    const applied = await ringbolt('check', path, '--json', '--apply-log')
    expect(JSON.parse(applied.stdout)).toMatchObject({
      verdict: 'sound',
      documents: 361,
      notes: [],
    })
  })

  test('of one that is in use, in another process', async () => {
    const db = await open(path, { collections: [users, things] })
    await db.collection(users).insert({ id: 900, email: 'new', born: new Date(0) })
    await db.checkpoint()
    expect(await ringbolt('check', path)).toMatchObject({ code: 0 })
    expect(JSON.parse((await ringbolt('stat', path, '--json')).stdout)).toMatchObject({
      clean: false,
      collections: [
        { name: 'things', documents: 1 },
        { name: 'users', documents: 301 },
      ],
    })
    await db.close()
  })
})

test('M10: stat: figures, in words and as JSON', async () => {
  const { code, stdout } = await ringbolt('stat', path)
  expect(code).toBe(0)
  for (const text of [
    'closed cleanly',
    'users',
    'version 3',
    'on email, unique',
    'log          none',
  ]) {
    expect(stdout).toContain(text)
  }
  const json = JSON.parse((await ringbolt('stat', path, '--json')).stdout)
  expect(json).toMatchObject({
    clean: true,
    pageBytes: 8192,
    collections: [
      { name: 'things', version: 1, documents: 1, indexes: [] },
      { name: 'users', version: 3, documents: 300, indexes: [{ name: 'email', entries: 300 }] },
    ],
  })
  expect(json).not.toHaveProperty('log')
  await crashed()
  const open = JSON.parse((await ringbolt('stat', path, '--json')).stdout)
  expect(open.clean).toBe(false)
  expect(open.lastSequence).toBeGreaterThan(open.checkpointSequence)
  expect(open.log.records).toBe(open.lastSequence - open.checkpointSequence)
})

describe('M10: dump', () => {
  test('lines of JSON, with tags', async () => {
    const { code, stdout } = await ringbolt('dump', path)
    expect(code).toBe(0)
    const lines = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown)
    expect(lines).toHaveLength(301)
    const data = { big: { $bigint: '12' }, set: { $set: [1] }, not: { $number: 'NaN' } }
    expect(lines[0]).toEqual({ collection: 'things', document: { id: 'a', data } })
    const born = { $date: '1970-01-02T00:00:00.000Z' }
    expect(lines[2]).toEqual({
      collection: 'users',
      document: { id: 2, email: 'user2@example.org', born },
    })
  })

  test('some of one collection, the log applied; an unknown collection: 3', async () => {
    await crashed()
    const some = await ringbolt('dump', path, '-c', 'users', '--limit', '2')
    expect(some.stdout.trimEnd().split('\n')).toHaveLength(2)
    const all = await ringbolt('dump', path, '--collection', 'users', '--json')
    expect(all.stdout.trimEnd().split('\n')).toHaveLength(360)
    const unknown = await ringbolt('dump', path, '--collection', 'nobody')
    expect(unknown).toMatchObject({ code: 3, stdout: '' })
    expect(unknown.stderr).toContain('RINGBOLT_UNKNOWN_COLLECTION')
  })

  test('into a reader that has seen enough', () => {
    const main = fileURLToPath(new URL('./main.js', import.meta.url))
    const command = `"${process.execPath}" "${main}" dump "${path}" | head -n 1`
    expect(execFileSync('sh', ['-c', command], { encoding: 'utf8' })).toContain('"things"')
  })
})

describe('M10: wal', () => {
  test('segments, groups, records; of the folder and of the database', async () => {
    await crashed()
    const text = await ringbolt('wal', path)
    expect(text).toMatchObject({ code: 0, stderr: '' })
    expect(text.stdout).toContain(`${path}-wal: the log`)
    expect(text.stdout).toContain('is whole')
    expect(text.stdout).toContain('0000000000000001.seg')
    const log = JSON.parse((await ringbolt('wal', `${path}-wal`, '--json')).stdout)
    const records = await ringbolt('wal', path, '--records', '--json')
    const sequences = records.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line).sequence)
    expect(sequences).toEqual(sequences.map((_, at) => at + 1))
    expect(log.segments.at(-1).endSequence).toBe(sequences.length + 1)
    const groups = await ringbolt('wal', path, '--groups')
    expect(groups.stdout).toMatch(/^group 1: records 1 to \d+, LSN 0, /)
  })

  test('a damaged group: 1', async () => {
    await crashed()
    damage(join(`${path}-wal`, '0000000000000001.seg'), 4096 + 120)
    const { code, stdout } = await ringbolt('wal', path)
    expect(code).toBe(1)
    expect(stdout).toContain('log-chain: ')
    expect(await ringbolt('check', path)).toMatchObject({ code: 1 })
  })

  test('none after a clean close: 0; no log at all: 3', async () => {
    expect(await ringbolt('wal', path)).toMatchObject({
      code: 0,
      stdout: `${path} was closed cleanly: it has no log\n`,
    })
    expect(await ringbolt('wal', folder)).toMatchObject({ code: 3, stdout: '' })
  })
})

describe('M10: stress', () => {
  test('hands its options to the harness, and its exit code back', async () => {
    const help = await ringbolt('stress', 'documents', '--help')
    expect(help).toMatchObject({ code: 0 })
    expect(help.stdout).toContain('--workers <n>')
    const run = await ringbolt('stress', 'simulate', '--of', 'log', '--count', '2', '--json')
    expect(run.code).toBe(0)
    expect(JSON.parse(run.stdout)).toBeTypeOf('object')
    expect(await ringbolt('stress', 'shake')).toMatchObject({ code: 2 })
  })
})
