/** Restoring to a time: by whatever says when a group was written. */
import { writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { FileStore } from '@ringbolt/wal'
import { beforeAll, expect, test } from 'vitest'
import { KeptLog } from '../backup/archived-log.ts'
import { openFullBackup } from './backup-state.ts'
import { checkFile } from './check-file.ts'
import { open } from './open.ts'
import { type RestoredState, type RestorePoint, restoreFile } from './restore-file.ts'
import { notes } from './testing/collections.ts'
import { testFolders } from './testing/folders.ts'

const folderOf = testFolders('restore')
const DOCUMENTS = 10
let folder: string
let full: string
let begin: number
/** Last commits of the groups after the backup: now and then two commits share one. */
let ends: number[]

beforeAll(async () => {
  folder = folderOf()
  const archive = join(folder, 'archive')
  const db = await open(join(folder, 'app.db'), { collections: [notes], archive })
  await db.collection(notes).upsert({ id: 99, writer: 1, text: 'before' })
  const backup = await db.backup(join(folder, 'full.db'))
  full = backup.path
  begin = backup.sequence
  for (let id = 1; id <= DOCUMENTS; id++) {
    await db.collection(notes).upsert({ id, writer: 1, text: 'x' })
  }
  await db.close()
  const main = openFullBackup(new FileStore(folder), 'full.db')
  const kept = new KeptLog(main.meta.databaseId, archive)
  main.close()
  kept.addArchive(new FileStore(archive))
  ends = [...kept.groupsAfter(begin)].map(({ lastCommit }) => lastCommit)
  expect(ends.length).toBeGreaterThan(DOCUMENTS / 2)
})

let made = 0

/** The first group that the backup does not hold was written at 1000 ms, the next at 2000. */
function restoreTo(to: RestorePoint | undefined): RestoredState {
  const part = join(folder, `restored-${made++}`)
  writeFileSync(part, '')
  const main = openFullBackup(new FileStore(dirname(full)), basename(full))
  let groups = 0
  try {
    const restored = restoreFile(
      {
        full: main,
        increments: [],
        archive: new FileStore(join(folder, 'archive')),
        live: undefined,
      },
      {
        store: new FileStore(folder),
        name: basename(part),
        databaseId: new Uint8Array(16).fill(1),
      },
      to,
      { sleep: () => undefined, timeOf: () => ++groups * 1000, onProgress: () => undefined },
    )
    expect(checkFile(part).findings).toEqual([])
    return restored
  } finally {
    main.close()
  }
}

test('M8: a time takes what was written by then', () => {
  for (const [at, sequence] of ends.slice(0, -1).entries()) {
    const groupMs = (at + 1) * 1000
    for (const timeMs of [groupMs, groupMs + 999]) {
      expect(restoreTo({ timeMs })).toMatchObject({ sequence, timeMs: groupMs })
    }
  }
  const end = { sequence: ends.at(-1), timeMs: ends.length * 1000 }
  expect(restoreTo({ timeMs: ends.length * 1000 })).toMatchObject(end)
  expect(restoreTo(undefined)).toMatchObject(end)
  expect(restoreTo({ sequence: begin + 3 })).toMatchObject({ sequence: begin + 3 })
  expect(restoreTo({ sequence: begin })).toMatchObject({ sequence: begin })
})

test('M8: a time before the backup, or after the end of the log, is refused in plain words', () => {
  const point = { code: 'RINGBOLT_RESTORE_POINT' }
  const refused = (timeMs: number, text: RegExp): void => {
    expect(() => restoreTo({ timeMs })).toThrow(
      expect.objectContaining({ ...point, message: expect.stringMatching(text) }),
    )
  }
  refused(999, /1970-01-01T00:00:00.999Z is before 1970-01-01T00:00:01.000Z/)
  refused(ends.length * 1000 + 1, /is after the end of the log, 1970-01-01T00:00:[01]\d.000Z/)
})
