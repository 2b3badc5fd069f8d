/** The integrity check of open databases, beside their writers: damage is found, and nothing else ever. */
import { closeSync, copyFileSync, openSync, readSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { Random } from '@ringbolt/wal/simulation'
import { describe, expect, test } from 'vitest'
import { defineCollection } from '../client/define-collection.ts'
import { PAGE_BYTES, PageKind } from '../page/page.ts'
import { checkFile } from './check-file.ts'
import type { IntegrityReport } from './integrity-report.ts'
import { type Database, open } from './open.ts'
import type { OpenOptions } from './options.ts'
import { DamageKit } from './testing/damage-kit.ts'
import { testFolders } from './testing/folders.ts'

const folderOf = testFolders('integrity-live')
const MIB = 1024 * 1024
const SEED = Number(process.env['RINGBOLT_SEED'] ?? 1)
const SEEDS = Number(process.env['RINGBOLT_SEEDS'] ?? 4)

interface Item {
  readonly id: number
  readonly code: string
  readonly group: number
  readonly tags: readonly string[]
  readonly text: string
}

const items = defineCollection<Item>()({
  name: 'items',
  version: 1,
  indexes: {
    code: { on: 'code', unique: true },
    group: { on: 'group' },
    tags: { on: 'tags', each: true },
    both: { on: ['group', 'code'] },
  },
})

/** A collection that is made and dropped again and again, as its index is. */
const passing = defineCollection<{ readonly id: number; readonly word: string }>()({
  name: 'passing',
  indexes: { word: { on: 'word' } },
})

const IDS = 2000
/** A cache that does not hold it all, checkpoints all the time, segments that come and go. */
const RESTLESS: OpenOptions = {
  cacheBytes: MIB,
  ringBytes: 256 * 1024,
  sync: 'normal',
  segmentBytes: 64 * 1024,
  checkpointLogBytes: 256 * 1024,
  checkpointIntervalMs: 20,
}

function itemOf(id: number, random: Random): Item {
  const length = random.chance(0.02) ? random.below(30_000) : random.below(120)
  const tags = Array.from({ length: random.below(4) }, () => `tag ${random.below(9)}`)
  return {
    id,
    code: `${id}:${random.below(1000)}`,
    group: random.below(50),
    tags,
    text: 'abcdefgh'.repeat(Math.ceil(length / 8)).slice(0, length),
  }
}

/** One transaction of some inserts, updates and deletions. */
async function change(db: Database, random: Random): Promise<void> {
  await db.transaction(async (tx) => {
    const collection = tx.collection(items)
    for (let count = random.between(1, 12); count > 0; count--) {
      const id = random.between(1, IDS)
      if (random.chance(0.25)) await collection.delete(id)
      else await collection.upsert(itemOf(id, random))
    }
  })
}

async function changeUntil(db: Database, random: Random, isOver: () => boolean): Promise<number> {
  let changes = 0
  for (; !isOver(); changes++) await change(db, random)
  return changes
}

/** Indexes are built and dropped, and whole collections. */
async function redefineUntil(db: Database, random: Random, isOver: () => boolean): Promise<number> {
  let rounds = 0
  for (; !isOver() || rounds === 0; rounds++) {
    await db.define([passing])
    const collection = db.collection(passing)
    for (let batch = 0; batch < 3; batch++) {
      await collection.insertMany(
        Array.from({ length: 50 }, () => ({ word: 'w'.repeat(random.below(40)) })),
      )
    }
    await db.dropIndex('passing', 'word')
    if (random.chance(0.7)) await db.define([passing])
    if (random.chance(0.7)) await db.dropCollection('passing')
  }
  return rounds
}

function expectSound(report: IntegrityReport, seed: number): void {
  expect(report.findings, `seed ${seed}`).toEqual([])
  expect(report.pages, `seed ${seed}`).toBeGreaterThan(0)
}

describe('M7: no false alarm', () => {
  for (let seed = SEED; seed < SEED + SEEDS; seed++) {
    test(`beside writers, after each reopening, and of the file: seed ${seed}`, async () => {
      const random = new Random(seed)
      const path = join(folderOf(), 'app.db')
      for (let round = 0; round < 3; round++) {
        const db = await open(path, { collections: [items], ...RESTLESS })
        let isOver = false
        const writers = [random.below(2 ** 30), random.below(2 ** 30)].map((own) =>
          changeUntil(db, new Random(own), () => isOver),
        )
        writers.push(redefineUntil(db, new Random(seed + round), () => isOver))
        try {
          for (let check = 0; check < 6; check++) {
            expectSound(await db.integrityCheck(), seed)
            // What somebody else sees, who reads the file meanwhile.
            if (check % 3 === 0) expect(lookFromOutside(path), `seed ${seed}`).toEqual([])
          }
        } finally {
          isOver = true
        }
        const changes = await Promise.all(writers)
        expect(Math.min(...changes)).toBeGreaterThan(0)
        expectSound(await db.integrityCheck(), seed)
        await db.close()
        expectSound(checkFile(path), seed)
        const reader = await open(path, { readOnly: true })
        expectSound(await reader.integrityCheck(), seed)
        await reader.close()
      }
    })
  }
})

/** The file may change too fast for it, which it says; it never says anything else. */
function lookFromOutside(path: string): readonly unknown[] {
  try {
    return checkFile(path).findings
  } catch (error) {
    expect(error).toMatchObject({ code: 'RINGBOLT_BUSY' })
    return []
  }
}

async function filled(
  options: OpenOptions = {},
  path = join(folderOf(), 'app.db'),
): Promise<Database> {
  const random = new Random(7)
  const db = await open(path, { collections: [items], ...options })
  for (let first = 1; first <= IDS; first += 100) {
    const batch = Array.from({ length: 100 }, (_, at) => itemOf(first + at, random))
    await db.collection(items).insertMany(batch)
  }
  return db
}

function flip(path: string, position: number): void {
  const file = openSync(path, 'r+')
  const byte = Buffer.alloc(1)
  readSync(file, byte, 0, 1, position)
  byte[0]! ^= 0x40
  writeSync(file, byte, 0, 1, position)
  closeSync(file)
}

test('M7: damage to the file below an open database is found, though all of it is in memory', async () => {
  const path = join(folderOf(), 'app.db')
  const db = await filled({}, path)
  await db.checkpoint()
  copyFileSync(path, `${path}.copy`)
  const leaf = new DamageKit(`${path}.copy`).pagesOf(1, PageKind.leaf)[4]!
  expect((await db.integrityCheck()).findings).toEqual([])
  flip(path, leaf * PAGE_BYTES + 4000)
  const { findings } = await db.integrityCheck()
  expect(findings).toMatchObject([
    { kind: 'checksum', pageId: leaf, offset: leaf * PAGE_BYTES, file: path },
  ])
  flip(path, leaf * PAGE_BYTES + 4000)
  expect((await db.integrityCheck()).findings).toEqual([])
  await db.close()
})

test('M7: damage to the log below an open database is found', async () => {
  const path = join(folderOf(), 'app.db')
  const db = await filled({ segmentBytes: 64 * 1024 }, path)
  expect((await db.integrityCheck()).findings).toEqual([])
  flip(`${path}-wal/0000000000000001.seg`, 4096 + 200)
  const { findings } = await db.integrityCheck()
  expect(findings[0]).toMatchObject({ kind: 'log-chain' })
  await db.close()
})

test('M7: it tells how far it is, and lets others have their turn', async () => {
  const db = await filled()
  let turns = 0
  let isOver = false
  const others = (async () => {
    for (; !isOver; turns++) await turn()
  })()
  const told: number[] = []
  const report = await db.integrityCheck({ onProgress: ({ pages }) => told.push(pages) })
  isOver = true
  await others
  expect(turns).toBeGreaterThan(1)
  expect(told.at(-1)).toBe(report.pages)
  expect(told).toEqual(told.toSorted((a, b) => a - b))
  await db.close()
})

test('M7: it is ended by a signal, and by the end of the database', async () => {
  const db = await filled()
  await expect(
    db.integrityCheck({ signal: AbortSignal.abort(new Error('enough')) }),
  ).rejects.toThrow('enough')
  const controller = new AbortController()
  const onProgress = (): void => controller.abort(new Error('later'))
  await expect(db.integrityCheck({ signal: controller.signal, onProgress })).rejects.toThrow(
    'later',
  )
  await change(db, new Random(1))
  await expect.poll(() => db.stats().snapshots.open).toBe(0)
  const ended = db.integrityCheck()
  const closing = db.close()
  await expect(ended).rejects.toMatchObject({ code: 'RINGBOLT_CLOSED' })
  await closing
  await expect(db.integrityCheck()).rejects.toMatchObject({ code: 'RINGBOLT_CLOSED' })
})

test('M7: in memory there are pages and documents, no file and no log', async () => {
  const db = await filled({}, ':memory:')
  expect(await db.integrityCheck()).toMatchObject({ documents: IDS, findings: [], notes: [] })
  await db.close()
})
