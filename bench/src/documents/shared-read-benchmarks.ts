/** Random gets of one thread in a process of its own, by what another process does meanwhile. */
import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { withFolder } from '../log-candidates.ts'
import type { BenchOptions } from '../options.ts'
import type { Benchmark } from '../program.ts'
import type { Row } from '../report.ts'
import { interleave, type Series } from '../rounds.ts'
import { median } from '../statistics.ts'
import { variants } from './candidates.ts'
import { type Member, measureMembers, operationsPerSecond } from './member.ts'
import { type Loaded, loadStore, verifyClosed } from './runs.ts'
import type { Candidate, Setup } from './store.ts'
import { settingsOf, withDigits } from './tables.ts'
import { INSERTS_ONLY, writeJobs } from './write-benchmarks.ts'

type Neighbour = 'nobody' | 'idle' | 'writer' | 'writer elsewhere'

const NEIGHBOURS: Readonly<Record<Neighbour, string>> = {
  nobody: 'alone',
  idle: 'beside an idle process',
  writer: 'beside a writer',
  'writer elsewhere': 'beside a writer to another database',
}

/** Closed, with all documents in it; each measurement has a copy. */
type Template = Omit<Loaded, 'store'>

interface Entrant {
  readonly template: Template
  /** How the reader opens it. */
  readonly reader: Candidate
  readonly neighbour: Neighbour
}

interface Figures {
  readonly gets: number
  /** Undefined where nobody writes. */
  readonly writes: number | undefined
}

const WRITER = { threads: 1, inFlight: 64, blocking: false }

/** Ringbolt stands first, alone. */
function entrantsOf(templates: readonly Template[]): readonly Entrant[] {
  return templates.flatMap((template, index) => {
    const reader = template.candidate
    const of = (...neighbours: readonly Neighbour[]): Entrant[] =>
      neighbours.map((neighbour) => ({ template, reader, neighbour }))
    if (index > 0) return of('nobody', 'writer')
    return [
      ...of('nobody', 'idle', 'writer'),
      { template, reader: variants.lagging, neighbour: 'writer' },
      ...of('writer elsewhere'),
    ]
  })
}

/** The process beside the reader: none, one that does nothing, or one that writes. */
function neighbourOf(
  { template: { candidate, documents, ids, setup }, neighbour }: Entrant,
  folder: string,
): readonly Member[] {
  if (neighbour === 'nobody') return []
  const jobs =
    neighbour === 'idle' ? [] : writeJobs({ documents: 0, ids }, WRITER, INSERTS_ONLY, documents)
  return [{ candidate: candidate.name, folder, setup, jobs, firstThread: 2 }]
}

async function makeEmpty(candidate: Candidate, folder: string, setup: Setup): Promise<Template> {
  const made = await loadStore(candidate, folder, 0, setup)
  await made.store.close()
  return made
}

async function measureGets(
  entrant: Entrant,
  round: number,
  { folder: under, window }: BenchOptions,
): Promise<Figures> {
  const { template, reader, neighbour } = entrant
  const { candidate, documents, ids, setup } = template
  return await withFolder(under, async (folder) => {
    const shared = join(folder, 'shared')
    cpSync(template.folder, shared, { recursive: true })
    const elsewhere =
      neighbour === 'writer elsewhere'
        ? await makeEmpty(candidate, join(folder, 'elsewhere'), setup)
        : undefined
    const [first, second] = await measureMembers(
      [
        {
          candidate: reader.name,
          folder: shared,
          setup,
          jobs: [{ kind: 'get', documents, ids, seed: round }],
          firstThread: 1,
        },
        ...neighbourOf(entrant, elsewhere?.folder ?? shared),
      ],
      window,
    )
    if (first === undefined) throw new Error('the reader has no result')
    const written = second?.results ?? []
    await verifyClosed({ ...template, folder: shared }, elsewhere === undefined ? written : [])
    if (elsewhere !== undefined) await verifyClosed(elsewhere, written)
    const writes =
      second !== undefined && written.length > 0 ? operationsPerSecond(second) : undefined
    return { gets: operationsPerSecond(first), writes }
  })
}

async function makeTemplate(
  candidate: Candidate,
  folder: string,
  { documents, cacheBytes }: BenchOptions,
): Promise<Template> {
  const loaded = await loadStore(candidate, folder, documents, { indexed: false, cacheBytes })
  await loaded.store.close()
  await verifyClosed(loaded, [])
  return loaded
}

type Gets = Series<Entrant, Figures>

function rowOf({ candidate: { reader, neighbour }, figures }: Gets): Row {
  const writes = figures.map((one) => one.writes).filter((one) => one !== undefined)
  return {
    name: `${reader.name}, ${NEIGHBOURS[neighbour]}`,
    remark:
      writes.length === 0 ? '' : `${withDigits(Math.round(median(writes)))} inserts/s beside it`,
    values: figures.map((one) => one.gets),
  }
}

/** Of the rate that the same store has alone, round by round. */
function sharesOf(all: readonly Gets[]): readonly Row[] {
  return all.flatMap((series) => {
    const { template, neighbour } = series.candidate
    if (neighbour === 'nobody') return []
    const alone = all.find(
      ({ candidate }) => candidate.template === template && candidate.neighbour === 'nobody',
    )
    const values = series.figures.map((one, round) => one.gets / alone!.figures[round]!.gets)
    return [{ ...rowOf(series), values }]
  })
}

/** @param candidates that several processes may have open, Ringbolt first */
export function getsBeside(candidates: readonly Candidate[]): Benchmark {
  const title = 'get beside another process'
  return {
    title,
    settings: settingsOf([...candidates, variants.lagging]),
    async run(options) {
      return await withFolder(options.folder, async (folder) => {
        const templates: Template[] = []
        for (const [index, candidate] of candidates.entries()) {
          templates.push(await makeTemplate(candidate, join(folder, `${index}`), options))
        }
        const all = await interleave(
          entrantsOf(templates),
          options.rounds,
          async (entrant, round) => await measureGets(entrant, round, options),
        )
        const rows = all.map(rowOf)
        return [
          { title: `${title}, one thread`, unit: 'documents/s', base: rows[0]?.name, rows },
          {
            title: `${title}: share of the rate alone`,
            unit: '×',
            base: undefined,
            rows: sharesOf(all),
          },
        ]
      })
    },
  }
}
