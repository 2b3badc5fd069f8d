/** The files by which processes know of each other, taken away under them: nobody writes beside another, all hear why. */
import { rmSync } from 'node:fs'
import { METHOD_NAMES } from '@ringbolt/locks'
import { describe, expect, onTestFinished, test } from 'vitest'
import { checkFile } from './check-file.ts'
import { type Database, open } from './open.ts'
import type { OpenOptions } from './options.ts'
import { cells } from './testing/collections.ts'
import { deferred } from './testing/deferred.ts'
import { testFolders } from './testing/folders.ts'

const makeFolder = testFolders('lock-faults')
const SMALL = { cacheBytes: 8 * 1024 * 1024, ringBytes: 256 * 1024, segmentBytes: 64 * 1024 }

async function opened(path: string, options: OpenOptions = {}): Promise<Database> {
  const db = await open(path, { ...SMALL, collections: [cells], ...options })
  // Closing again says what closing has said.
  onTestFinished(() => void Promise.allSettled([db.close()]))
  return db
}

/** Writes until it is told why it may not. @returns how much was acknowledged, and why not more */
async function writeUntilRefused(
  db: Database,
  first: number,
): Promise<{ acknowledged: number[]; error: unknown }> {
  const acknowledged: number[] = []
  for (let id = first; ; id++) {
    try {
      await db.collection(cells).insert({ id, group: 1, value: id })
      acknowledged.push(id)
    } catch (error) {
      return { acknowledged, error }
    }
  }
}

function poisonedBy(code: string): unknown {
  return expect.objectContaining({
    code: 'RINGBOLT_POISONED',
    cause: expect.objectContaining({ code }),
  })
}

async function expectAllThere(path: string, ids: readonly number[]): Promise<void> {
  const db = await opened(path)
  for (const id of ids) expect(db.collection(cells).get(id)?.value).toBe(id)
  await db.collection(cells).insert({ id: 900_000, group: 1, value: 1 })
  await db.close()
  expect(checkFile(path).findings).toEqual([])
}

describe.each(METHOD_NAMES)('lock method %s', (lockMethod) => {
  test('M3 L4: the lock file is deleted under two who share: each commits what it has begun, and is told when it needs the lock again', async () => {
    const path = `${makeFolder()}/app.db`
    const [first, second] = [await opened(path, { lockMethod }), await opened(path)]
    await second.collection(cells).insert({ id: 1, group: 1, value: 1 })
    // It keeps the turn for as long as it has a transaction open that has begun to write.
    const { promise: mayEnd, resolve: end } = deferred()
    const { promise: hasBegun, resolve: begun } = deferred()
    const transaction = second.transaction(async (tx) => {
      await tx.collection(cells).insert({ id: 2, group: 1, value: 2 })
      begun()
      await mayEnd
    })
    await hasBegun
    rmSync(`${path}-lock`)
    const { acknowledged, error } = await writeUntilRefused(first, 100_000)
    expect(acknowledged).toEqual([])
    expect(error).toEqual(poisonedBy('RINGBOLT_LOCK_DELETED'))
    // It is read from until others have written.
    expect(first.collection(cells).get(1)?.value).toBe(1)
    end()
    await transaction
    expect(() => first.collection(cells).get(2)).toThrow('was deleted')
    await expect(first.close()).rejects.toThrow(`${path}-lock was deleted`)
    const { acknowledged: later, error: why } = await writeUntilRefused(second, 3)
    expect(why).toEqual(poisonedBy('RINGBOLT_LOCK_DELETED'))
    await expect(second.close()).rejects.toThrow(`${path}-lock was deleted`)
    await expectAllThere(path, [1, 2, ...later])
  })

  test('M1 L4: the folder of the processes is deleted: who writes is told, and stops', async () => {
    const path = `${makeFolder()}/app.db`
    const db = await opened(path, { lockMethod })
    await db.collection(cells).insert({ id: 1, group: 1, value: 1 })
    rmSync(`${path}-processes`, { recursive: true })
    const { acknowledged, error } = await writeUntilRefused(db, 2)
    expect(error).toEqual(poisonedBy('RINGBOLT_LOCK_FOLDER_MISSING'))
    await expect(db.close()).rejects.toThrow('deleted')
    await expectAllThere(path, [1, ...acknowledged])
  })
})
