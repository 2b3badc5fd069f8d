/** The files by which processes know of each other, taken away under them: nobody writes beside another, all hear why. */
import { rmSync } from 'node:fs'
import { METHOD_NAMES } from '@ringbolt/locks'
import { describe, expect, onTestFinished, test } from 'vitest'
import { checkFile } from './check-file.ts'
import { type Database, open } from './open.ts'
import type { OpenOptions } from './options.ts'
import { cells } from './testing/collections.ts'
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

function poisonedBy(...codes: string[]): unknown {
  const anyOf = expect.stringMatching(new RegExp(`^(${codes.join('|')})$`))
  return expect.objectContaining({
    code: 'RINGBOLT_POISONED',
    cause: expect.objectContaining({ code: anyOf }),
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
  test('M1 L4: the lock file is deleted: who comes then is refused, who was there is told and stops', async () => {
    const path = `${makeFolder()}/app.db`
    const db = await opened(path, { lockMethod })
    await db.collection(cells).insert({ id: 1, group: 1, value: 1 })
    rmSync(`${path}-lock`)
    await expect(opened(path, { busyTimeout: 0 })).rejects.toMatchObject({
      code: 'RINGBOLT_LOCK_REPLACED',
      facts: { pid: process.pid, path: `${path}-lock` },
    })
    const { acknowledged, error } = await writeUntilRefused(db, 2)
    expect(error).toEqual(poisonedBy('RINGBOLT_LOCK_DELETED', 'RINGBOLT_LOCK_REPLACED'))
    expect(db.collection(cells).get(1)?.value).toBe(1)
    await expect(db.close()).rejects.toThrow(`${path}-lock was`)
    await expectAllThere(path, [1, ...acknowledged])
  })

  test('M1 L4: the same, of two who share: both are told, and both close', async () => {
    const path = `${makeFolder()}/app.db`
    const handles = [await opened(path, { lockMethod }), await opened(path)]
    await handles[0]!.collection(cells).insert({ id: 1, group: 1, value: 1 })
    rmSync(`${path}-lock`)
    const outcomes = await Promise.all(
      handles.map((db, at) => writeUntilRefused(db, (at + 1) * 100_000)),
    )
    for (const { error } of outcomes) {
      expect(error).toEqual(poisonedBy('RINGBOLT_LOCK_DELETED', 'RINGBOLT_LOCK_REPLACED'))
    }
    for (const db of handles) await expect(db.close()).rejects.toThrow(`${path}-lock was`)
    await expectAllThere(path, [1, ...outcomes.flatMap(({ acknowledged }) => acknowledged)])
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
