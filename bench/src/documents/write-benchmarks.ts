/** Acknowledged writes of several threads, a mix of them with an index, and bulk loads. */
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { withFolder } from '../log-candidates.ts'
import type { BenchOptions } from '../options.ts'
import type { Benchmark } from '../program.ts'
import { interleave } from '../rounds.ts'
import type { Mix, WriteJob, WriteShape } from './job.ts'
import { closeAndVerify, type Loaded, loadStore, perSecond, runDuring } from './runs.ts'
import type { Candidate } from './store.ts'
import { type Figures, settingsOf, tableOf, withDigits } from './tables.ts'

export interface ThreadsShape extends WriteShape {
  readonly threads: number
}

export const INSERTS_ONLY: Mix = { inserts: 100, updates: 0 }
const MIX: Mix = { inserts: 60, updates: 25 }
/** So that the ordinals of no two threads meet. */
const ORDINALS_PER_THREAD = 2 ** 28

/** The writers of a round; as many loaded documents for each. @param timed take the time of each write */
export function writeJobs(
  { documents, ids }: Pick<Loaded, 'documents' | 'ids'>,
  { threads, ...shape }: ThreadsShape,
  mix: Mix,
  ages: number,
  timed = false,
): WriteJob[] {
  return Array.from({ length: threads }, (_, thread): WriteJob => {
    const from = Math.floor((thread * documents) / threads)
    const to = Math.floor(((thread + 1) * documents) / threads)
    const own = documents === 0 ? undefined : { ids, documents, from, to }
    const seed = thread * ORDINALS_PER_THREAD
    return { kind: 'write', documents: ages, shape, mix, seed, timed, own }
  })
}

/** All that are in flight in the one thread that a store can be used from. */
function shapeFor({ oneThreadOnly }: Candidate, shape: ThreadsShape): ThreadsShape {
  if (oneThreadOnly === undefined) return shape
  return { ...shape, threads: 1, inFlight: shape.threads * shape.inFlight }
}

interface WriteFigures {
  readonly writesPerSecond: number
  readonly delayP99Ms: number
}

interface Setting {
  readonly shape: ThreadsShape
  readonly mix: Mix
  readonly indexed: boolean
  /** In the store beforehand. */
  readonly loaded: number
}

/** The event loop is looked at so often; a delay is what a look comes later than that. */
const DELAY_RESOLUTION_MS = 1

async function measureWrites(
  candidate: Candidate,
  setting: Setting,
  options: BenchOptions,
): Promise<WriteFigures> {
  return await withFolder(options.folder, async (folder) => {
    const { indexed, mix } = setting
    const setup = { indexed, cacheBytes: options.cacheBytes }
    const loaded = await loadStore(candidate, folder, setting.loaded, setup)
    const jobs = writeJobs(loaded, shapeFor(candidate, setting.shape), mix, options.documents)
    const delay = monitorEventLoopDelay({ resolution: DELAY_RESOLUTION_MS })
    const { warmUpMs, measureMs } = options.window
    const measured = await runDuring(loaded.store, jobs, warmUpMs, async () => {
      delay.enable()
      await sleep(measureMs)
      delay.disable()
    })
    await closeAndVerify(loaded, measured.results)
    const delayP99Ms = Math.max(0, delay.percentile(99) / 1e6 - DELAY_RESOLUTION_MS)
    return { writesPerSecond: perSecond(measured), delayP99Ms }
  })
}

async function measureAll(
  candidates: readonly Candidate[],
  setting: Setting,
  options: BenchOptions,
): Promise<readonly Figures<WriteFigures>[]> {
  const entrants = candidates.map((candidate) => ({ candidate }))
  return await interleave(
    entrants,
    options.rounds,
    async ({ candidate }) => await measureWrites(candidate, setting, options),
  )
}

function titleOf({ threads, inFlight, blocking }: ThreadsShape): string {
  return blocking ? `${threads} threads, blocking` : `${threads} threads × ${inFlight} in flight`
}

function promiseOf(shape: ThreadsShape) {
  return (_: unknown, candidate: Candidate): string => {
    const { acknowledged, oneThreadOnly } = candidate
    const promise =
      acknowledged === 'synced' ? 'acknowledged synced' : `context: acknowledged ${acknowledged}`
    if (oneThreadOnly === undefined) return promise
    const { inFlight } = shapeFor(candidate, shape)
    return `context: one thread × ${inFlight}, since ${oneThreadOnly}; ${promise}`
  }
}

/** @param under what the title begins with: which comparison it belongs to */
export function inserts(
  shape: ThreadsShape,
  candidates: readonly Candidate[],
  under = '',
): Benchmark {
  const title = `${under}insert, ${titleOf(shape)}`
  return {
    title,
    settings: settingsOf(candidates),
    async run(options) {
      const setting: Setting = { shape, mix: INSERTS_ONLY, indexed: false, loaded: 0 }
      const all = await measureAll(candidates, setting, options)
      const valueOf = ({ writesPerSecond }: WriteFigures): number => writesPerSecond
      return [tableOf(title, 'documents/s', all, valueOf, promiseOf(shape))]
    },
  }
}

/** A tenth of the documents is there already. */
const LOADED_SHARE = 0.1

export function mixed(shape: ThreadsShape, candidates: readonly Candidate[]): Benchmark {
  const title = `mix of 60 % inserts, 25 % updates, 15 % deletes, one secondary index, ${titleOf(shape)}`
  return {
    title,
    settings: settingsOf(candidates),
    async run(options) {
      const loaded = Math.floor(options.documents * LOADED_SHARE)
      const all = await measureAll(candidates, { shape, mix: MIX, indexed: true, loaded }, options)
      const valueOf = ({ writesPerSecond }: WriteFigures): number => writesPerSecond
      return [tableOf(title, 'operations/s', all, valueOf, promiseOf(shape))]
    },
  }
}

/** Of the main thread, which holds the store open and has nothing else to do. */
export function eventLoopDelay(shape: ThreadsShape, candidates: readonly Candidate[]): Benchmark {
  const title = `event loop delay of the main thread, p99, inserts of ${titleOf(shape)}`
  return {
    title,
    settings: settingsOf(candidates),
    async run(options) {
      const setting: Setting = { shape, mix: INSERTS_ONLY, indexed: false, loaded: 0 }
      const all = await measureAll(candidates, setting, options)
      const valueOf = ({ delayP99Ms }: WriteFigures): number => delayP99Ms
      const table = tableOf(title, 'ms', all, valueOf, promiseOf(shape))
      return [{ ...table, base: undefined }]
    },
  }
}

export function bulkLoad(candidates: readonly Candidate[]): Benchmark {
  const title = 'bulk load in transactions of 1,000'
  return {
    title,
    settings: settingsOf(candidates),
    async run(options) {
      const setup = { indexed: false, cacheBytes: options.cacheBytes }
      const entrants = candidates.map((candidate) => ({ candidate }))
      const all = await interleave(entrants, options.rounds, async ({ candidate }) => {
        return await withFolder(options.folder, async (folder) => {
          const loaded = await loadStore(candidate, join(folder, 'db'), options.documents, setup)
          await closeAndVerify(loaded, [])
          return perSecond(loaded.load)
        })
      })
      return [
        tableOf(
          `${title}, of ${withDigits(options.documents)} documents`,
          'documents/s',
          all,
          (figure) => figure,
          (_, { acknowledged }) =>
            `acknowledged ${acknowledged}; up to 4 at once where they are awaited`,
        ),
      ]
    },
  }
}
