/** Threads that are terminated wherever they are: what they held is free again, and the rest go on. */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { checkFile } from './check-file.ts'
import { attach, type Database, open } from './open.ts'
import { blobs, cells, notes } from './testing/collections.ts'
import { testFolders } from './testing/folders.ts'
import type { JobInput, JobName } from './testing/jobs.ts'
import { inThreads, startThread, type Thread } from './testing/threads.ts'

const folderOf = testFolders('deaths')
const MIB = 1024 * 1024
/** Five deaths each; a hundred took 40 s on two busy cores. */
const ROUNDS = Number(process.env['RINGBOLT_DEATH_ROUNDS'] ?? 6)
const THREADS_MAX = 8

type Start<Name extends JobName = JobName> = readonly [Name, JobInput<Name>]

function startsOf(round: number): Start[] {
  return [
    ['readForEver', undefined],
    ['readForEver', undefined],
    ['transactForEver', { writer: round }],
    ['insertForEver', { writer: round, length: 200 }],
    ['longForEver', { id: `blob ${round % 3}` }],
  ]
}

test('S11: threads by the dozen terminated in reads, snapshots, transactions, long commands: nothing stays taken', async () => {
  const path = join(folderOf(), 'app.db')
  const db = await open(path, {
    collections: [cells, notes, blobs],
    cacheBytes: 24 * MIB,
    ringBytes: MIB,
    segmentBytes: 4 * MIB,
    checkpointLogBytes: 16 * MIB,
    threadsMax: THREADS_MAX,
    snapshotsMax: 128,
    sync: 'normal',
  })
  const own = db.collection(notes)
  for (let round = 0; round < ROUNDS; round++) {
    const threads: Thread<unknown>[] = startsOf(round).map(([job, input]) =>
      startThread(db.share(), job, input),
    )
    await Promise.all(threads.map((thread) => thread.hasTold()))
    await own.insert({ writer: -1, text: 'beside them' })
    await Promise.all(threads.map((thread) => thread.terminate()))
    await own.insert({ writer: -1, text: 'after them' })
  }
  expect(own.find({ writer: -1 }).count()).toBe(2 * ROUNDS)
  await expectNothingTaken(db)
  await db.close()
  expect(checkFile(path).findings).toEqual([])
})

async function expectNothingTaken(db: Database): Promise<void> {
  const attached = Array.from({ length: THREADS_MAX - 1 }, () => attach(db.share()))
  await Promise.all(attached.map((one) => one.close()))
  const snapshots = Array.from({ length: 128 }, () => db.snapshot())
  for (const snapshot of snapshots) snapshot.close()
  await inThreads(
    db.share(),
    'insertNotes',
    [1, 2, 3].map((writer) => ({ writer: 1000 + writer, count: 50 })),
  )
  for (let round = 0; round < 3; round++) {
    await db.collection(cells).upsert({ id: 1, group: 1, value: round })
    await db.checkpoint()
  }
  await db.collection(cells).upsert({ id: 1, group: 1, value: 4 })
  // The figures may be some milliseconds old.
  await expect.poll(() => db.stats().snapshots.open).toBe(0)
  await expect.poll(() => db.stats().snapshots.retiredPages).toBeLessThan(64)
}

test('S11: threads that end by themselves, without detaching, are told from those that live', async () => {
  const db = await open(':memory:', {
    collections: [cells, notes],
    cacheBytes: 16 * MIB,
    threadsMax: 4,
  })
  for (let round = 0; round < 4; round++) {
    const threads = [1, 2, 3].map(() => startThread(db.share(), 'leaveAttached', undefined))
    await Promise.all(threads.map(({ exited }) => exited))
  }
  await db.collection(cells).upsert({ id: 1, group: 1, value: 1 })
  // The figures may be some milliseconds old.
  await expect.poll(() => db.stats().snapshots.open).toBe(0)
  await db.close()
})
