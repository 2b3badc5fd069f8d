import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FaultStore, FileStore, type LogStore, MemoryStore } from '@ringbolt/wal'
import { Random, SimulatedCrashError, SimulatedDisk } from '@ringbolt/wal/simulation'
import { describe, expect, test } from 'vitest'
import { PAGE_BYTES } from '../page/page.ts'
import { MainFile } from './main-file.ts'

const NAME = 'app.db'
const databaseId = new Uint8Array(16).fill(3)
const created = { databaseId }

function newDatabase(): MemoryStore {
  const store = new MemoryStore('folder')
  MainFile.create(store, NAME, created).close()
  return store
}

function named(name: string, code: string, facts: Record<string, unknown>): unknown {
  const expected = { file: 'folder/app.db', ...facts }
  return expect.objectContaining({ name, code, facts: expect.objectContaining(expected) })
}

function written(bytes: Uint8Array): LogStore {
  const store = new MemoryStore('folder')
  store.create(NAME).writeAt(0, [bytes])
  return store
}

describe('S8: the main file', () => {
  test('is made empty, opens again, and is closed cleanly as it is', () => {
    const store = newDatabase()
    expect(store.list()).toEqual([NAME])
    const main = MainFile.open(store, NAME)
    expect(main.meta).toMatchObject({ clean: true, checkpoint: 1, pageCount: 2, freeCount: 0 })
    expect(main.meta.databaseId).toEqual(databaseId)
    expect(main.otherMeta).toBeUndefined()
    expect(main.pageIds.take(1)).toBe(2)
    main.close()
  })

  test('takes other facts in a new meta', () => {
    const store = newDatabase()
    const main = MainFile.open(store, NAME)
    const logId = new Uint8Array(16).fill(8)
    main.putMeta({ clean: false, logId, baseSequence: 12 })
    expect(main.meta).toMatchObject({ checkpoint: 2, clean: false, baseSequence: 12 })
    main.close()
    expect(MainFile.open(store, NAME).meta).toEqual(main.meta)
  })

  test('is refused where a file is already, or there is none', () => {
    const store = newDatabase()
    expect(() => MainFile.create(store, NAME, created)).toThrow(
      expect.objectContaining({ name: 'MainFileExistsError', code: 'RINGBOLT_EXISTS' }),
    )
    expect(() => MainFile.open(store, 'other.db')).toThrow(
      expect.objectContaining({ name: 'MainFileNotFoundError', code: 'RINGBOLT_NOT_FOUND' }),
    )
  })

  test('a read-only open writes nothing, leftovers included, and refuses to', () => {
    const inner = newDatabase()
    inner.create(`${NAME}.new`)
    const store = new FaultStore(inner)
    const main = MainFile.open(store, NAME, { readOnly: true })
    expect(() => main.putMeta({ clean: false })).toThrow('read-only')
    main.close()
    for (const call of ['write', 'sync', 'remove', 'syncFolder'] as const) {
      expect([call, store.count(call)]).toEqual([call, 0])
    }
    MainFile.open(inner, NAME).close()
    expect(inner.list()).toEqual([NAME])
  })

  test('every kind of wrong file is an error of its own, in plain words', () => {
    const sound = Buffer.alloc(2 * PAGE_BYTES)
    newDatabase().open(NAME).readAt(0, sound)
    const open = (bytes: Uint8Array) => () => MainFile.open(written(bytes), NAME)

    expect(open(Buffer.alloc(0))).toThrow(
      named('MainFileEmptyError', 'RINGBOLT_FOREIGN', { offset: 0, expected: 16384, actual: 0 }),
    )
    for (const length of [8, 100, PAGE_BYTES, 2 * PAGE_BYTES - 1]) {
      const facts = { offset: length, expected: 16384, actual: length }
      const cut = sound.subarray(0, length)
      expect(open(cut)).toThrow(named('MainFileTruncatedError', 'RINGBOLT_CORRUPT', facts))
    }
    const png = Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), Buffer.alloc(20_000)])
    for (const bytes of [png, png.subarray(0, 50), Buffer.alloc(3), Buffer.alloc(40_000)]) {
      const facts = { offset: 0, what: 'magic', expected: 'bytes 52494e47424f4c54' }
      expect(open(bytes)).toThrow(named('MainFileForeignError', 'RINGBOLT_FOREIGN', facts))
    }
    const damaged = Buffer.from(sound)
    damaged.writeUInt8(1, 40)
    damaged.writeUInt8(1, PAGE_BYTES + 40)
    const facts = { offset: 8, what: 'meta checksum' }
    expect(open(damaged)).toThrow(named('MainFileMetasError', 'RINGBOLT_CORRUPT', facts))
  })

  test('a file that is shorter than its pages is cut off', () => {
    const store = newDatabase()
    const main = MainFile.open(store, NAME)
    main.putMeta({ pageCount: 9 })
    main.close()
    expect(() => MainFile.open(store, NAME)).toThrow(
      named('MainFileTruncatedError', 'RINGBOLT_CORRUPT', { expected: 9 * PAGE_BYTES }),
    )
  })

  test('a torn newest meta: the one before is taken, and the other is named', () => {
    const store = newDatabase()
    const main = MainFile.open(store, NAME)
    main.putMeta({ clean: false })
    main.close()
    store.open(NAME).writeAt(30, [Buffer.from([255])])
    const again = MainFile.open(store, NAME)
    expect(again.meta).toMatchObject({ checkpoint: 1, clean: true })
    expect(again.otherMeta).toMatchObject({ offset: 8, what: 'meta checksum' })
    again.putMeta({ clean: false })
    again.close()
    expect(MainFile.open(store, NAME).otherMeta).toBeUndefined()
  })

  test('on a real disk: for its owner only, trimmed to its pages', () => {
    const folder = mkdtempSync(join(tmpdir(), 'ringbolt-main-'))
    try {
      const store = new FileStore(folder)
      const main = MainFile.create(store, NAME, created)
      main.pages.writePage(7, Buffer.alloc(PAGE_BYTES))
      main.trim()
      main.close()
      main.close()
      expect(statSync(join(folder, NAME)).mode & 0o777).toBe(0o600)
      expect(readFileSync(join(folder, NAME))).toHaveLength(2 * PAGE_BYTES)
      writeFileSync(join(folder, 'empty.db'), '')
      expect(() => MainFile.open(store, 'empty.db')).toThrow('is empty')
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})

describe('S8: a crash while the main file is made or opened', () => {
  const PHASES = ['before', 'middle', 'after'] as const

  test('leaves no database or a whole empty one, and nothing else behind', () => {
    const outcomes = new Map<string, number>()
    for (let seed = 0; seed < 600; seed++) {
      const disk = new SimulatedDisk({ random: new Random(seed), sectorBytes: 512 })
      const nth = 1 + (seed % 12)
      const phase = PHASES[seed % 3] ?? 'before'
      disk.planCrash({ call: 'any', nth, phase, kind: seed % 4 === 0 ? 'kill' : 'power' })
      expect(() => {
        MainFile.create(disk, NAME, created).close()
        disk.crash('power')
        disk.list()
      }).toThrow(SimulatedCrashError)
      const reopened = disk.reopen()
      const existed = MainFile.exists(reopened, NAME)
      const main = existed
        ? MainFile.open(reopened, NAME)
        : MainFile.create(reopened, NAME, created)
      expect(main.meta).toMatchObject({ clean: true, checkpoint: 1, pageCount: 2 })
      expect(reopened.list()).toEqual([NAME])
      outcomes.set(String(existed), (outcomes.get(String(existed)) ?? 0) + 1)
    }
    expect([...outcomes.keys()].toSorted()).toEqual(['false', 'true'])
  })

  /**
   * A meta whose sync fails may be read from the system's cache and yet not be on the disk. The next opener
   * takes it; it must not write over the one before until what it took is on the disk.
   */
  test('S9: a meta that was only in the cache is made durable before it is relied upon', () => {
    for (let seed = 0; seed < 300; seed++) {
      const disk = new SimulatedDisk({ random: new Random(seed), sectorBytes: 512 })
      const main = MainFile.create(disk, NAME, created)
      main.putMeta({ clean: false, sequence: 1 })
      const syncLoss = 'lost' as const
      disk.planFaults([{ call: 'sync', nth: 1, forever: false, errno: 'EIO', syncLoss }])
      expect(() => main.putMeta({ sequence: 2 })).toThrow()
      disk.planFaults([])
      const next = disk.reopen()
      const again = MainFile.open(next, NAME)
      const taken = again.meta.sequence
      expect([1, 2]).toContain(taken)
      next.planCrash({ call: 'sync', nth: 1, phase: 'middle', kind: 'power' })
      expect(() => again.putMeta({ sequence: 3 })).toThrow(SimulatedCrashError)
      expect([taken, 3]).toContain(MainFile.open(next.reopen(), NAME).meta.sequence)
    }
  })
})
