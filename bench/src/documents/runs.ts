/** Jobs in threads of their own, and databases that live as long as a benchmark needs them. */
import { mkdirSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { PHASE_MEASURE, Phases } from '../phases.ts'
import {
  type LoadThread,
  type MeasuredLoad,
  measureLoadDuring,
  startThread,
  type Window,
} from '../threads.ts'
import type { DocumentWork, Job, JobResult, SharedIds } from './job.ts'
import type { Candidate, Setup, Store, StoreTarget } from './store.ts'

export type Measured = MeasuredLoad<JobResult>

/** Started, and waiting for the phases. */
export function startJobs(
  target: StoreTarget,
  jobs: readonly Job[],
  firstThread: number,
  phases: Phases,
): LoadThread<JobResult>[] {
  const file = new URL('./thread.js', import.meta.url)
  return jobs.map((job, index) => {
    const work: DocumentWork = {
      target,
      threadIndex: firstThread + index,
      job,
      phases: phases.shared,
    }
    return startThread<JobResult>(file, work)
  })
}

/** Loads a store for a time. */
export async function runFor(
  { warmUpMs, measureMs }: Window,
  store: Store,
  jobs: readonly Job[],
): Promise<Measured> {
  return await runDuring(store, jobs, warmUpMs, async () => await sleep(measureMs))
}

/** Loads a store for as long as something takes. */
export async function runDuring(
  store: Store,
  jobs: readonly Job[],
  warmUpMs: number,
  during: () => Promise<unknown>,
): Promise<Measured> {
  const phases = new Phases()
  // The thread that loaded the store was the one before.
  const threads = startJobs(store.target, jobs, 1, phases)
  return await measureLoadDuring(threads, phases, warmUpMs, during)
}

/** One job to its end, after `whileReady` once its thread is. */
async function runToEnd(store: Store, job: Job): Promise<Measured> {
  const phases = new Phases()
  const [thread] = startJobs(store.target, [job], 0, phases)
  if (thread === undefined) throw new Error('one job has one thread')
  await thread.ready
  const startedMs = performance.now()
  phases.enter(PHASE_MEASURE)
  const results = [await thread.result]
  const elapsedMs = performance.now() - startedMs
  await thread.ended
  return { results, elapsedMs }
}

export function perSecond({ results, elapsedMs }: Measured): number {
  return (results.reduce((sum, { operations }) => sum + operations, 0) / elapsedMs) * 1000
}

/** A store in a folder of its own, with documents in it. */
export interface Loaded {
  readonly candidate: Candidate
  readonly folder: string
  readonly setup: Setup
  readonly documents: number
  readonly ids: SharedIds
  readonly store: Store
  readonly load: Measured
}

const DOCUMENTS_PER_TRANSACTION = 1000

/** @param folder empty, or not there yet */
export async function loadStore(
  candidate: Candidate,
  folder: string,
  documents: number,
  setup: Setup,
): Promise<Loaded> {
  mkdirSync(folder, { recursive: true })
  const store = await candidate.open(folder, setup)
  const ids = new Float64Array(new SharedArrayBuffer(documents * Float64Array.BYTES_PER_ELEMENT))
  if (documents === 0) {
    return { candidate, folder, setup, documents, ids, store, load: { results: [], elapsedMs: 0 } }
  }
  const perTransaction = DOCUMENTS_PER_TRANSACTION
  const load = await runToEnd(store, { kind: 'load', documents, perTransaction, ids })
  return { candidate, folder, setup, documents, ids, store, load }
}

/** Closes the store, and looks whether all is there. */
export async function closeAndVerify(loaded: Loaded, written: readonly JobResult[]): Promise<void> {
  await loaded.store.close()
  await verifyClosed(loaded, written)
}

/** Opens a store again, and compares what is there with what all writers had acknowledged. */
export async function verifyClosed(
  { candidate, folder, setup, documents, load }: Omit<Loaded, 'store'>,
  written: readonly JobResult[],
): Promise<void> {
  const again = await candidate.open(folder, setup)
  const all = [...load.results, ...written]
  // What was loaded has changed since then where others have written.
  const samples = written.length === 0 ? all : written
  await runToEnd(again, {
    kind: 'verify',
    documents,
    count: all.reduce((count, { countChange }) => count + countChange, 0),
    present: samples.flatMap(({ present }) => present),
    absent: samples.flatMap(({ absent }) => absent),
    indexed: setup.indexed,
  })
  await again.close()
}

/** Of everything that a store has made there. */
export function fileBytesOf(folder: string): number {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, { parentPath, name }) => sum + statSync(join(parentPath, name)).size, 0)
}
