/** Random gets by one thread and by two, and ranges through a secondary index. */
import { join } from 'node:path'
import { withFolder } from '../log-candidates.ts'
import type { BenchOptions } from '../options.ts'
import type { Benchmark } from '../program.ts'
import { interleave } from '../rounds.ts'
import type { Job } from './job.ts'
import { closeAndVerify, type Loaded, loadStore, perSecond, runFor } from './runs.ts'
import type { Candidate } from './store.ts'
import { type Figures, settingsOf, tableOf } from './tables.ts'

/** Loads every store once, measures them in turn, and looks at the end whether all is still there. */
async function measureLoaded<Figure>(
  candidates: readonly Candidate[],
  indexed: boolean,
  options: BenchOptions,
  measure: (loaded: Loaded, round: number) => Promise<Figure>,
): Promise<readonly Figures<Figure>[]> {
  return await withFolder(options.folder, async (folder) => {
    const setup = { indexed, cacheBytes: options.cacheBytes }
    const stores: Loaded[] = []
    for (const [index, candidate] of candidates.entries()) {
      stores.push(await loadStore(candidate, join(folder, `${index}`), options.documents, setup))
    }
    const figures = await interleave(stores, options.rounds, measure)
    for (const store of stores) await closeAndVerify(store, [])
    return figures
  })
}

/** A seed for each thread of each round, the same for every candidate. */
function seedOf(round: number, thread: number): number {
  return round * 16 + thread
}

interface GetFigures {
  readonly one: number
  readonly two: number | undefined
}

async function measureGets(
  { candidate, store, documents, ids }: Loaded,
  round: number,
  { window }: BenchOptions,
): Promise<GetFigures> {
  const jobs = [0, 1].map(
    (thread): Job => ({ kind: 'get', documents, ids, seed: seedOf(round, thread) }),
  )
  const one = perSecond(await runFor(window, store, jobs.slice(0, 1)))
  const two = async (): Promise<number> => perSecond(await runFor(window, store, jobs))
  return { one, two: candidate.oneThreadOnly === undefined ? await two() : undefined }
}

/** @param under what the title begins with: which comparison it belongs to */
export function gets(candidates: readonly Candidate[], under = ''): Benchmark {
  // Readers do not see what an acknowledgement promises: one lmdb-js will do.
  const readers = candidates.filter(({ acknowledged }) => acknowledged === 'synced')
  const title = `${under}get, random, by id`
  return {
    title,
    settings: settingsOf(readers),
    async run(options) {
      const all = await measureLoaded(readers, false, options, async (loaded, round) =>
        measureGets(loaded, round, options),
      )
      return [
        tableOf(`${title}, one thread`, 'documents/s', all, ({ one }) => one),
        tableOf(`${title}, two threads`, 'documents/s', all, ({ two }) => two),
        {
          ...tableOf(`${title}, two threads to one`, '×', all, ({ one, two }) =>
            two === undefined ? undefined : two / one,
          ),
          base: undefined,
        },
      ]
    },
  }
}

const DOCUMENTS_PER_RANGE = 100

export function ranges(candidates: readonly Candidate[]): Benchmark {
  const readers = candidates.filter(({ acknowledged }) => acknowledged === 'synced')
  const title = `range of ${DOCUMENTS_PER_RANGE} documents through a secondary index`
  return {
    title,
    settings: settingsOf(readers),
    async run(options) {
      const all = await measureLoaded(readers, true, options, async (loaded, round) => {
        const { documents, store } = loaded
        const documentsPerRange = DOCUMENTS_PER_RANGE
        const seed = seedOf(round, 0)
        const job: Job = { kind: 'range', documents, documentsPerRange, seed }
        return perSecond(await runFor(options.window, store, [job]))
      })
      return [tableOf(title, 'ranges/s', all, (figure) => figure)]
    },
  }
}
