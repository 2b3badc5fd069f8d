import fs, {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { FileStore } from './file-store.ts'
import { logStoreContract } from './log-store-contract.ts'
import { SegmentedLog } from './segmented-log.ts'

const root = mkdtempSync(join(tmpdir(), 'ringbolt-file-store-'))
let folders = 0
afterAll(() => rmSync(root, { recursive: true, force: true }))

function freshFolder(): string {
  const folder = join(root, `${folders++}`)
  mkdirSync(folder)
  return folder
}

const io = (errno: string): unknown =>
  expect.objectContaining({ code: 'RINGBOLT_IO', facts: expect.objectContaining({ errno }) })
const logId = Buffer.alloc(16, 5)
const SMALL = { create: true, logId, segmentBytes: 8192 } as const

logStoreContract('file store', () => new FileStore(freshFolder()))

test('W6: files are for their owner only', () => {
  const folder = join(freshFolder(), 'wal')
  const log = SegmentedLog.open(new FileStore(folder, { createFolder: true }), SMALL)
  log.appendAndSync(Buffer.from('one'))
  log.close()
  expect(statSync(folder).mode & 0o777).toBe(0o700)
  for (const name of readdirSync(folder))
    expect(statSync(join(folder, name)).mode & 0o777).toBe(0o600)
})

test('W6: a folder that is missing, a file, or a symbolic link is a typed error that names it', () => {
  const folder = freshFolder()
  expect(() => new FileStore(join(folder, 'none'))).toThrow(io('ENOENT'))
  expect(() => new FileStore(join(folder, 'no', 'parent'), { createFolder: true })).toThrow(
    io('ENOENT'),
  )
  writeFileSync(join(folder, 'file'), 'x')
  expect(() => new FileStore(join(folder, 'file'))).toThrow(io('ENOTDIR'))
  expect(() => new FileStore(join(folder, 'file'), { createFolder: true })).toThrow(io('ENOTDIR'))
  mkdirSync(join(folder, 'real'))
  symlinkSync(join(folder, 'real'), join(folder, 'link'))
  expect(() => new FileStore(join(folder, 'link'))).toThrow(io('ENOTDIR'))
  expect(() => new FileStore(join(folder, 'link'), { createFolder: true })).toThrow(
    join(folder, 'link'),
  )
  expect(readdirSync(folder).sort()).toEqual(['file', 'link', 'real'])
})

test('W6: a segment that is a symbolic link or a folder is not followed, and its target untouched', () => {
  const folder = freshFolder()
  const target = join(freshFolder(), 'precious')
  writeFileSync(target, 'precious')
  symlinkSync(target, join(folder, '0000000000000001.seg'))
  expect(() => SegmentedLog.open(new FileStore(folder), SMALL)).toThrow(io('ELOOP'))
  expect(readFileSync(target, 'utf8')).toBe('precious')
  rmSync(join(folder, '0000000000000001.seg'))
  mkdirSync(join(folder, '0000000000000001.seg'))
  expect(() => SegmentedLog.open(new FileStore(folder), SMALL)).toThrow(
    expect.objectContaining({ code: 'RINGBOLT_IO' }),
  )
})

test("W6: another program's files are left alone; one with a segment's name is refused by name", () => {
  const folder = freshFolder()
  writeFileSync(join(folder, 'notes.txt'), 'mine')
  writeFileSync(join(folder, '1.seg'), 'mine')
  const log = SegmentedLog.open(new FileStore(folder), SMALL)
  log.appendAndSync(Buffer.from('one'))
  log.close()
  expect(readFileSync(join(folder, 'notes.txt'), 'utf8')).toBe('mine')
  expect(readFileSync(join(folder, '1.seg'), 'utf8')).toBe('mine')
  writeFileSync(join(folder, '0000000000000002.seg'), Buffer.alloc(8192, 'mine'))
  expect(() => SegmentedLog.open(new FileStore(folder), SMALL)).toThrow(
    expect.objectContaining({ code: 'RINGBOLT_FOREIGN' }),
  )
  expect(readFileSync(join(folder, '0000000000000002.seg'), 'utf8')).toContain('minemine')
})

/**
 * Two databases' folders changed names while both were open. Each log took spare segments of the other's, and turned
 * segments that the other still needed into spares: acknowledged records were gone.
 */
test('W6: folders that change names under their logs: refused, and each file stays where it was', () => {
  const folders = [join(freshFolder(), 'one'), join(freshFolder(), 'two')] as const
  const logs = folders.map((folder, at) => {
    const store = new FileStore(folder, { createFolder: true })
    return SegmentedLog.open(store, { ...SMALL, logId: Buffer.alloc(16, at + 1) })
  })
  for (const log of logs) {
    for (let n = 0; n < 30; n++) log.appendAndSync(Buffer.alloc(1000, n))
    while (log.prepareStep());
  }
  const content = (folder: string): [string, string][] =>
    readdirSync(folder)
      .toSorted()
      .map((name) => [name, readFileSync(join(folder, name)).toString('hex')])
  renameSync(folders[0], `${folders[0]}-aside`)
  renameSync(folders[1], folders[0])
  renameSync(`${folders[0]}-aside`, folders[1])
  const before = folders.map(content)
  const replaced = expect.objectContaining({ code: 'RINGBOLT_REPLACED' })
  for (const [at, log] of logs.entries()) {
    expect(() => log.truncateBefore(log.endLsn)).toThrow(
      expect.objectContaining({ code: 'RINGBOLT_POISONED', cause: replaced }),
    )
    expect(() => log.close()).not.toThrow()
    expect(content(folders[at]!)).toEqual(before[at])
  }
})

test('W6: a folder with none of the files that are open is not used; one that has them is, whatever its inode', () => {
  const folder = join(freshFolder(), 'wal')
  const store = new FileStore(folder, { createFolder: true })
  const file = store.create('open')
  store.create('closed').close()
  renameSync(folder, `${folder}-moved`)
  expect(() => store.list()).toThrow(io('ENOENT'))
  mkdirSync(folder)
  writeFileSync(join(folder, 'open'), 'another')
  const replaced = expect.objectContaining({ code: 'RINGBOLT_REPLACED' })
  for (const use of ['list', 'syncFolder'] as const) expect(() => store[use]()).toThrow(replaced)
  for (const use of ['open', 'create', 'remove'] as const) {
    expect(() => store[use]('name')).toThrow(replaced)
  }
  expect(() => store.rename('a', 'b')).toThrow(replaced)
  file.writeAt(0, [Buffer.from('mine')])
  expect(readFileSync(join(folder, 'open'), 'utf8')).toBe('another')
  expect(readFileSync(join(`${folder}-moved`, 'open'), 'utf8')).toBe('mine')
  rmSync(join(folder, 'open'))
  renameSync(join(`${folder}-moved`, 'open'), join(folder, 'open'))
  expect(store.list()).toEqual(['open'])
  file.close()
})

test.skipIf(process.getuid?.() === 0)('W6: a folder that cannot be written', () => {
  const folder = freshFolder()
  chmodSync(folder, 0o500)
  expect(() => SegmentedLog.open(new FileStore(folder), SMALL)).toThrow('EACCES')
  expect(readdirSync(folder)).toEqual([])
})

test('W5: a read-only store and log read, refuse changes, and change nothing', () => {
  const folder = freshFolder()
  const log = SegmentedLog.open(new FileStore(folder), SMALL)
  log.appendAndSync(Buffer.from('one'))
  log.close()
  const before = readdirSync(folder).map((name) => readFileSync(join(folder, name)).toString('hex'))
  const reader = SegmentedLog.open(new FileStore(folder, { readOnly: true }), { readOnly: true })
  expect([...reader.read()].map(({ record }) => Buffer.from(record).toString())).toEqual(['one'])
  expect(() => reader.append(Buffer.from('x'))).toThrow(
    expect.objectContaining({ code: 'RINGBOLT_READ_ONLY' }),
  )
  reader.close()
  const after = readdirSync(folder).map((name) => readFileSync(join(folder, name)).toString('hex'))
  expect(after).toEqual(before)
})

/**
 * A process was killed after it had made the log's folder and before it had synced the parent. The next one
 * found the folder, took it for certain, and acknowledged records in it; the power failed, and the folder was
 * gone with them.
 */
test('a folder that is there already is made certain too', () => {
  const folder = join(freshFolder(), 'wal')
  mkdirSync(folder)
  const { fsyncSync } = fs
  const synced: number[] = []
  fs.fsyncSync = (descriptor) => {
    synced.push(fs.fstatSync(descriptor).ino)
    fsyncSync(descriptor)
  }
  syncBuiltinESMExports()
  try {
    expect(new FileStore(folder, { createFolder: true }).location).toBe(folder)
  } finally {
    fs.fsyncSync = fsyncSync
    syncBuiltinESMExports()
  }
  expect(synced).toEqual([statSync(join(folder, '..')).ino])
})
