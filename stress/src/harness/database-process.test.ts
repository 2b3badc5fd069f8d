/** Real processes, and what is said between them and the one that directs them. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { checkFile, open } from 'ringbolt'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { itemsOf } from '../documents/collection.ts'
import { DocumentOracle } from '../documents/document-oracle.ts'
import {
  DOCUMENT_SETTINGS_DEFAULT,
  type DocumentSettings,
  lanesOf,
  openOptionsOf,
} from '../documents/document-settings.ts'
import { createSideFile, readSideFile } from '../side-file.ts'
import { DatabaseProcess } from './database-process.ts'
import type { ProcessSample, ProcessWork } from './process-protocol.ts'

const settings: DocumentSettings = { ...DOCUMENT_SETTINGS_DEFAULT, seed: 21, workers: 2, lanes: 4 }

let folder: string
let work: ProcessWork
let started: DatabaseProcess[]

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ringbolt-process-'))
  work = {
    settings,
    path: join(folder, 'app.db'),
    sideFilePath: join(folder, 'acknowledged'),
    incarnationFirst: 0,
    incarnationEnd: 4,
    seed: 3,
  }
  createSideFile(work.sideFilePath, 0)
  started = []
})

afterEach(async () => {
  await Promise.all(started.map((process) => process.kill()))
  rmSync(folder, { recursive: true })
})

function start(changes: Partial<ProcessWork> = {}): DatabaseProcess {
  const process = new DatabaseProcess({ ...work, ...changes })
  started.push(process)
  return process
}

async function underWay(process: DatabaseProcess): Promise<ProcessSample> {
  for (;;) {
    const sample = await process.ask('sample', {})
    if (sample.underWay) return sample
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/** What the oracle finds in the database, by what the side file says. */
async function findings(): Promise<readonly string[]> {
  const db = await open(work.path, openOptionsOf(settings))
  const oracle = new DocumentOracle(itemsOf(db), lanesOf(settings))
  const result = await oracle.prove(readSideFile(work.sideFilePath))
  await db.close()
  expect(result.operations).toBeGreaterThan(0)
  return [...result.findings, ...checkFile(work.path).findings.map(({ message }) => message)]
}

test('M6 S11: a process says how it is, loses a worker, looks for what was written, and ends', async () => {
  const process = start()
  expect(await process.opened).toBeGreaterThan(0)
  await process.ask('watch', { incarnations: [0, 1] })
  const first = await underWay(process)
  expect(first.operations).toBeGreaterThan(0)
  expect(await process.ask('killWorker', { kill: 'terminate' })).toMatchObject({
    kind: 'terminate',
  })
  const last = await process.ask('stop', {})
  expect(last.operations).toBeGreaterThan(first.operations)
  expect(last.reads).toBeGreaterThan(0)
  expect(last.counters.commits).toBeGreaterThan(0)
  expect(last.freshnessChecks).toBeGreaterThan(0)
  expect(last.freshnessFindings).toEqual([])
  expect(await process.ended).toMatchObject({ exitCode: 0 })
  const acknowledged = readSideFile(work.sideFilePath).reduce((sum, count) => sum + count, 0)
  expect(acknowledged).toBe(last.operations)
  expect(await findings()).toEqual([])
})

test('M6 S9: one is killed, the next goes on with its database', async () => {
  const first = start()
  await underWay(first)
  expect(await first.kill()).toMatchObject({ signal: 'SIGKILL' })
  const second = start({ incarnationFirst: 4, incarnationEnd: 8 })
  await second.ask('watch', { incarnations: [0, 1] })
  await underWay(second)
  expect(await second.ask('stop', {})).toMatchObject({ freshnessFindings: [] })
  expect(await findings()).toEqual([])
})

test('a question to one that ends before it has answered fails, and so does one after', async () => {
  const silent = start()
  await underWay(silent)
  process.kill(silent.pid!, 'SIGSTOP')
  const pending = silent.ask('sample', {})
  void silent.kill()
  await expect(pending).rejects.toMatchObject({ code: 'RINGBOLT_CHILD' })
  await silent.ended
  await expect(silent.ask('sample', {})).rejects.toMatchObject({ code: 'RINGBOLT_CHILD' })
})

test('one that cannot open its database says why', async () => {
  const { exitCode, reason } = await start({ path: join(folder, 'missing', 'app.db') }).ended
  expect(exitCode).toBe(1)
  expect(reason).toContain('missing')
})
