/** How several processes are directed, with processes that only say that they write. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Random } from '@ringbolt/wal/simulation'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { DOCUMENT_SETTINGS_DEFAULT, type DocumentSettings } from '../documents/document-settings.ts'
import { ChildEndedError } from '../errors.ts'
import { silentProgress } from '../progress.ts'
import { createSideFile, SideFile } from '../side-file.ts'
import { sampleOf } from '../testing/samples.ts'
import { Coordinator, type CoordinatorOptions } from './coordinator.ts'
import type { ProcessEnd, RunningProcess } from './database-process.ts'
import type { ProcessWork, QuestionKind, Questions } from './process-protocol.ts'
import { eventsOf } from './run-verdicts.ts'

const settings: DocumentSettings = {
  ...DOCUMENT_SETTINGS_DEFAULT,
  seed: 1,
  workers: 2,
  lanes: 1,
  silenceMaxMs: 400,
}

type Answers = {
  [K in QuestionKind]: (asked: Questions[K]['asked']) => Promise<Questions[K]['answer']>
}

class FakeProcess implements RunningProcess {
  readonly pid = 1
  readonly opened = Promise.resolve(5)
  readonly ended: Promise<ProcessEnd>
  readonly work: ProcessWork
  watched: readonly number[] = []
  stopped = false
  operations = 0
  answers: Answers = {
    sample: async () => sampleOf({ operations: (this.operations += 10), rssBytes: 1 }),
    killWorker: async ({ kill }) => ({
      kind: kill,
      incarnation: this.work.incarnationFirst,
      atMs: 0,
      detectedMs: 1,
      progressMs: 1,
      silenceMs: 1,
    }),
    backup: async () => await Promise.reject(new Error('a fake has none')),
    checkpoint: async () => null,
    prove: async () => await Promise.reject(new Error('a fake has nothing to compare')),
    watch: async ({ incarnations }) => {
      this.watched = incarnations
      return null
    },
    stop: async () => {
      this.stopped = true
      this.end({ exitCode: 0, signal: null, reason: '' })
      return sampleOf({ operations: this.operations })
    },
  }
  #end: (end: ProcessEnd) => void = () => undefined
  #isOver = false

  constructor(work: ProcessWork) {
    this.work = work
    this.ended = new Promise((resolve) => {
      this.#end = resolve
    })
  }

  async ask<K extends QuestionKind>(
    kind: K,
    asked: Questions[K]['asked'],
  ): Promise<Questions[K]['answer']> {
    if (this.#isOver) throw new ChildEndedError('a fake', null, null, '')
    return await this.answers[kind](asked)
  }

  async kill(): Promise<ProcessEnd> {
    this.end({ exitCode: null, signal: 'SIGKILL', reason: '' })
    return await this.ended
  }

  end(end: ProcessEnd): void {
    this.#isOver = true
    this.#end(end)
  }
}

let folder: string
let started: FakeProcess[]
let sideFile: SideFile

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ringbolt-coordinator-'))
  createSideFile(join(folder, 'acknowledged'), 0)
  sideFile = new SideFile(join(folder, 'acknowledged'))
  started = []
})

afterEach(() => {
  sideFile.close()
  rmSync(folder, { recursive: true })
})

function coordinatorOf(
  changes: Partial<CoordinatorOptions>,
  prepare: (process: FakeProcess, at: number) => void = () => undefined,
): Coordinator {
  return new Coordinator({
    settings,
    processes: 3,
    seconds: 2.2,
    killSeconds: 0,
    backupSeconds: 0,
    heartbeatSeconds: 0,
    database: join(folder, 'app.db'),
    sideFile: join(folder, 'acknowledged'),
    backupOf: (ordinal) => join(folder, `backup-${ordinal}.db`),
    start: (work) => {
      const process = new FakeProcess(work)
      prepare(process, started.length)
      started.push(process)
      return process
    },
    random: new Random(4),
    progress: silentProgress,
    ...changes,
  })
}

test('M6: all are asked each second, and stopped at the end', async () => {
  const coordinator = coordinatorOf({})
  await coordinator.run()
  expect(coordinator.failures).toEqual([])
  expect(started.map(({ stopped }) => stopped)).toEqual([true, true, true])
  const { byProcess, atS } = coordinator.timeline.samples()
  expect(byProcess).toHaveLength(3)
  expect(atS.length).toBeGreaterThanOrEqual(2)
  // Of each the first sample is of the time before the load.
  expect(coordinator.timeline.operations).toBe(3 * 10 * atS.length)
})

test('M6: no two incarnations share a number, in no life of no process', async () => {
  await coordinatorOf({ killSeconds: 0.15 }).run()
  const ranges = started.map(({ work }) => [work.incarnationFirst, work.incarnationEnd] as const)
  expect(ranges.length).toBeGreaterThan(3)
  for (const [at, [first]] of ranges.entries()) expect(first).toBe(ranges[at - 1]?.[1] ?? 0)
})

test('M4: each looks for what the others do, and for the dead', async () => {
  const coordinator = coordinatorOf({ processes: 2, killSeconds: 0.3 })
  await coordinator.run()
  const killed = eventsOf(coordinator.events, 'process-killed')
  expect(killed.length).toBeGreaterThan(0)
  expect(eventsOf(coordinator.events, 'process-back')).toHaveLength(killed.length)
  const living = started.filter(({ stopped }) => stopped)
  expect(living).toHaveLength(2)
  const dead = started.filter(({ stopped }) => !stopped).map(({ work }) => work.incarnationFirst)
  for (const process of living) {
    const other = living.find((one) => one !== process)
    expect(process.watched).toContain(other!.work.incarnationFirst)
    expect(process.watched).not.toContain(process.work.incarnationFirst)
    expect(process.watched).toContain(dead.at(-1))
  }
})

test('one that is alone looks for what its own threads do', async () => {
  await coordinatorOf({ processes: 1, seconds: 0.3 }).run()
  expect(started[0]?.watched).toEqual([0, 1])
})

test('M6: what a killed one did after it was last asked is counted by the side file', async () => {
  const coordinator = coordinatorOf(
    { processes: 1, killSeconds: 0.4, seconds: 1.5 },
    (process, at) => {
      // Of the first process only: 5,000 that nobody was told of.
      if (at === 0) sideFile.setAcknowledged(process.work.incarnationFirst, 5000)
    },
  )
  await coordinator.run()
  expect(eventsOf(coordinator.events, 'process-killed').length).toBeGreaterThan(0)
  expect(coordinator.timeline.operations).toBeGreaterThan(4900)
})

test('M6: one that ends by itself fails the run at once, and ends the others', async () => {
  const coordinator = coordinatorOf({ seconds: 600 }, (process, at) => {
    if (at !== 1) return
    process.answers.sample = async () => {
      process.end({ exitCode: 1, signal: null, reason: 'BusyError' })
      return sampleOf()
    }
  })
  await coordinator.run()
  expect(coordinator.failures).toEqual([
    'process 1 ended by itself, exit code 1, signal null: BusyError',
  ])
  for (const { ended } of started) await ended
})

test('M6: one that does not answer fails the run', async () => {
  const coordinator = coordinatorOf({ seconds: 600 }, (process, at) => {
    let asked = 0
    const { sample } = process.answers
    process.answers.sample = async (question) =>
      at === 2 && asked++ > 1 ? await new Promise(() => undefined) : await sample(question)
  })
  await coordinator.run()
  expect(coordinator.failures.join()).toMatch(/SilenceError: .* process 2 .* 400/)
})

test('M6: one that cannot end in order fails the run', async () => {
  const coordinator = coordinatorOf({ seconds: 0.3 }, (process, at) => {
    if (at === 1) process.answers.stop = async () => await Promise.reject(new Error('no'))
  })
  await coordinator.run()
  expect(coordinator.failures).toEqual(['Error: no'])
  for (const { ended } of started) await ended
})

test('M5: a backup that fails while its process lives fails the run', async () => {
  const coordinator = coordinatorOf({ backupSeconds: 0.2, seconds: 600 })
  await coordinator.run()
  expect(coordinator.failures).toEqual(['Error: a fake has none'])
})

test('M5: one whose process is killed meanwhile is told as such; one that gives no file is found', async () => {
  const coordinator = coordinatorOf(
    { processes: 1, backupSeconds: 0.1, killSeconds: 0.5 },
    (process, at) => {
      process.answers.backup = async ({ target }) => {
        if (at > 0) return { path: target, sequence: 1, bytes: 1, pages: 1, durationMs: 1 }
        await process.ended
        throw new ChildEndedError('a fake', null, 'SIGKILL', '')
      }
    },
  )
  await coordinator.run()
  expect(coordinator.failures).toEqual([])
  const [cut, ...unsound] = eventsOf(coordinator.events, 'backup')
  expect(cut?.sound).toBeNull()
  expect(unsound.length).toBeGreaterThan(0)
  expect(unsound.every(({ sound }) => sound === false)).toBe(true)
  expect(coordinator.backupFindings[0]).toMatch(/^backup .*: there is no /)
})

test('M4: what a process found behind is a finding of the run', async () => {
  const coordinator = coordinatorOf({ seconds: 0.5 }, (process) => {
    process.answers.sample = async () => sampleOf({ freshnessFindings: ['0.0.1 was acknowledged'] })
  })
  await coordinator.run()
  expect([...coordinator.staleReads]).toEqual(['0.0.1 was acknowledged'])
})
