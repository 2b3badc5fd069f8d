/** Whether a copy is what a backup must be is judged without a backup: a closed database is a copy of itself. */
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { open } from 'ringbolt'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { itemsOf } from '../documents/collection.ts'
import {
  DOCUMENT_SETTINGS_DEFAULT,
  type DocumentSettings,
  lanesOf,
  openOptionsOf,
} from '../documents/document-settings.ts'
import { Contents, type Lane, laneAt } from '../documents/lane.ts'
import { LaneRunner } from '../documents/lane-runner.ts'
import { type BackupWork, compareBackup, compareBackupElsewhere } from './backup.ts'

const settings: DocumentSettings = { ...DOCUMENT_SETTINGS_DEFAULT, seed: 8, lanes: 1 }
const STEPS = 80

let folder: string
let work: BackupWork
/** Counts after each step. */
let counts: number[]

/** A lane's steps in one sitting, a copy of the file after half of them. */
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'ringbolt-backup-'))
  const path = join(folder, 'app.db')
  counts = []
  const lane = laneAt(lanesOf(settings), 0)
  await carryOut(path, lane, STEPS / 2)
  copyFileSync(path, join(folder, 'copy.db'))
  await carryOut(path, lane, STEPS / 2)
  work = { path: join(folder, 'copy.db'), settings, atLeast: [counts[30]!], atMost: [counts[50]!] }
})

afterEach(() => rmSync(folder, { recursive: true }))

async function carryOut(path: string, lane: Lane, steps: number): Promise<void> {
  const db = await open(path, openOptionsOf(settings))
  const runner = new LaneRunner(lane, {
    db,
    collection: itemsOf(db),
    contents: new Contents(settings.seed),
    onAcknowledged: (count) => counts.push(count),
    onRead: () => undefined,
  })
  for (let at = 0; at < steps; at++) runner.stepSync()
  runner.close()
  await db.close()
}

test('M5: a copy of a moment between beginning and end is what a backup must be', async () => {
  expect(await compareBackup(work)).toMatchObject({ findings: [] })
  expect((await compareBackupElsewhere(work)).documents).toBeGreaterThan(20)
})

test('M5: one that lacks what was acknowledged before it was begun is found', async () => {
  const { findings } = await compareBackup({
    ...work,
    atLeast: [counts[60]!],
    atMost: [counts[70]!],
  })
  expect(findings.join('\n')).toMatch(/: not in version |there in part/)
})

test('M5: one that has what came after its end is found', async () => {
  const { findings } = await compareBackup({ ...work, atLeast: [counts[5]!], atMost: [counts[8]!] })
  expect(findings.join('\n')).toMatch(/: not in version |are accounted for/)
})

test('M5: none at all is found', async () => {
  const { findings } = await compareBackup({ ...work, path: join(folder, 'none.db') })
  expect(findings).toEqual([expect.stringContaining('there is no')])
})

test('M5: one that cannot be opened fails the process that looks, with its words', async () => {
  copyFileSync(new URL(import.meta.url), work.path)
  await expect(compareBackupElsewhere(work)).rejects.toMatchObject({
    code: 'RINGBOLT_CHILD',
    message: expect.stringMatching(/opens a backup ended early.*Error/s),
  })
})
