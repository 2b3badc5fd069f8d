/** Several processes that have the same database open: how their writes share it, and how long each waits. */
import { withFolder } from '../log-candidates.ts'
import type { BenchOptions } from '../options.ts'
import type { Benchmark } from '../program.ts'
import type { Row, Table } from '../report.ts'
import { interleave, type Series } from '../rounds.ts'
import { percentile } from '../statistics.ts'
import { type Member, type MemberResult, measureMembers, operationsPerSecond } from './member.ts'
import { loadStore, verifyClosed } from './runs.ts'
import type { Candidate } from './store.ts'
import { settingsOf } from './tables.ts'
import { INSERTS_ONLY, writeJobs } from './write-benchmarks.ts'

/** So many processes of so many threads. */
interface Entrant {
  readonly candidate: Candidate
  readonly processes: number
  readonly threads: number
}

const IN_FLIGHT = 64
const IN_FLIGHT_REMARK = `${IN_FLIGHT} in flight a thread; one where writes are blocking`

/** The one that all others are set in relation to stands first. */
function entrantsOf(candidates: readonly Candidate[]): readonly Entrant[] {
  return candidates.flatMap((candidate, index) => [
    { candidate, processes: 2, threads: 2 },
    { candidate, processes: 1, threads: 4 },
    ...(index === 0 ? [{ candidate, processes: 1, threads: 2 }] : []),
  ])
}

async function measureShared(
  { candidate, processes, threads }: Entrant,
  { folder: under, cacheBytes, documents, window }: BenchOptions,
): Promise<readonly MemberResult[]> {
  return await withFolder(under, async (folder) => {
    const setup = { indexed: false, cacheBytes }
    const made = await loadStore(candidate, folder, 0, setup)
    await made.store.close()
    const shape = { threads: processes * threads, inFlight: IN_FLIGHT, blocking: false }
    const jobs = writeJobs(made, shape, INSERTS_ONLY, documents, true)
    const members = Array.from({ length: processes }, (_, index): Member => {
      const first = index * threads
      const own = jobs.slice(first, first + threads)
      return { candidate: candidate.name, folder, setup, jobs: own, firstThread: 1 + first }
    })
    const measured = await measureMembers(members, window)
    await verifyClosed(
      made,
      measured.flatMap(({ results }) => results),
    )
    return measured
  })
}

type Shares = Series<Entrant, readonly MemberResult[]>

const WORST = 'of the process that fared worst'

function nameOf({ candidate, processes, threads }: Entrant): string {
  return `${candidate.name}, ${processes} × ${threads} threads`
}

function rowOf(
  { candidate, figures }: Shares,
  remark: string,
  valueOf: (members: readonly MemberResult[]) => number,
): Row {
  return { name: nameOf(candidate), remark, values: figures.map(valueOf) }
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}

/** Nobody waited: 0. */
function percentileOf(values: readonly Float64Array[], fraction: number): number {
  const sorted = Float64Array.from(values.flatMap((some) => [...some])).toSorted()
  return sorted.length === 0 ? 0 : percentile(sorted, fraction)
}

function latenciesOf({ results }: MemberResult): readonly Float64Array[] {
  return results.map(({ latenciesMs }) => latenciesMs)
}

/** Of the process that fared worst. */
function worst(
  members: readonly MemberResult[],
  valueOf: (member: MemberResult) => number,
): number {
  return Math.max(...members.map(valueOf))
}

/** What each process waits, whose figures say so, while another writes too. */
function turnTables(all: readonly Shares[]): readonly Table[] {
  const sharing = all.filter(
    ({ candidate: { processes }, figures }) =>
      processes > 1 && figures.every((members) => members.every(({ turnWaitsMs }) => turnWaitsMs)),
  )
  return sharing.map((shares) => {
    const row = (name: string, valueOf: (waitsMs: Float64Array) => number): Row => ({
      ...rowOf(shares, WORST, (members) =>
        worst(members, ({ turnWaitsMs = new Float64Array() }) => valueOf(turnWaitsMs)),
      ),
      name,
    })
    return {
      title: `wait for a turn to write, ${nameOf(shares.candidate)}`,
      unit: 'ms',
      base: undefined,
      rows: [
        row('mean', (waitsMs) => sum([...waitsMs]) / Math.max(1, waitsMs.length)),
        row('p99', (waitsMs) => percentileOf([waitsMs], 0.99)),
        row('longest', (waitsMs) => Math.max(0, ...waitsMs)),
      ],
    }
  })
}

/** @param candidates that several processes may have open, Ringbolt first */
export function sharedInserts(candidates: readonly Candidate[]): Benchmark {
  const title = 'insert by processes that share a database'
  return {
    title,
    settings: settingsOf(candidates),
    async run(options) {
      const all = await interleave(
        entrantsOf(candidates),
        options.rounds,
        async (entrant) => await measureShared(entrant, options),
      )
      const throughput = all.map((shares) =>
        rowOf(shares, IN_FLIGHT_REMARK, (members) => sum(members.map(operationsPerSecond))),
      )
      const commits = all.map((shares) =>
        rowOf(shares, WORST, (members) =>
          worst(members, (member) => percentileOf(latenciesOf(member), 0.99)),
        ),
      )
      return [
        { title, unit: 'documents/s', base: throughput[0]?.name, rows: throughput },
        { title: `${title}: time of a commit, p99`, unit: 'ms', base: undefined, rows: commits },
        ...turnTables(all),
      ]
    },
  }
}
