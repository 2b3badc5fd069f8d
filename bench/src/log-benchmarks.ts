/** The log under load: side by side with others, and its blocking appends against the disk. */
import type { LoadShape } from './append-work.ts'
import { medianFdatasyncMs } from './disk.ts'
import { type Candidate, ringbolt } from './log-candidates.ts'
import { type LoadFigures, loadCandidate } from './log-load.ts'
import type { BenchOptions } from './options.ts'
import type { Benchmark } from './program.ts'
import type { Table } from './report.ts'
import { interleave, type Series } from './rounds.ts'

const RECORD_BYTES = 160

function titleOf({ threads, inFlight, blocking }: LoadShape): string {
  return blocking ? `${threads} threads, blocking` : `${threads} threads × ${inFlight} in flight`
}

type Loads = Series<Candidate, LoadFigures>[]

async function loadAll(
  candidates: readonly Candidate[],
  shape: LoadShape,
  timed: boolean,
  options: BenchOptions,
): Promise<Loads> {
  const { window, folder, rounds } = options
  const setting = { shape, recordBytes: RECORD_BYTES, timed, window, folder }
  return await interleave(
    candidates,
    rounds,
    async (candidate) => await loadCandidate(candidate, setting),
  )
}

function throughputTable(title: string, base: string | undefined, loads: Loads): Table {
  return {
    title,
    unit: 'records/s',
    base,
    rows: loads.map(({ candidate, figures }) => ({
      name: candidate.name,
      remark: remarkOf(candidate),
      values: figures.map(({ recordsPerSecond }) => recordsPerSecond),
    })),
  }
}

function remarkOf({ acknowledged, contextOnly }: Candidate): string {
  return contextOnly ? `context: acknowledged ${acknowledged}` : `acknowledged ${acknowledged}`
}

/** Candidates next to each other, the first being what the others are measured against. */
export function sideBySide(shape: LoadShape, candidates: readonly Candidate[]): Benchmark {
  const title = `log, ${titleOf(shape)}, ${RECORD_BYTES} B`
  return {
    title,
    async run(options) {
      const loads = await loadAll(candidates, shape, false, options)
      return [throughputTable(title, candidates[0]?.name, loads)]
    },
  }
}

const FDATASYNCS_A_ROUND = 300

/** p50 and p99 of blocking appends against the disk's median sync, round by round. */
export function blockingLatency(threads: number): Benchmark {
  const title = `log, ${threads} threads, blocking: time of an append`
  return {
    title,
    async run(options) {
      const shape: LoadShape = { threads, inFlight: 1, blocking: true }
      const syncs = options.quick ? 5 : FDATASYNCS_A_ROUND
      const fdatasync: number[] = []
      const p50: number[] = []
      const p99: number[] = []
      for (let round = 0; round < options.rounds; round++) {
        const before = medianFdatasyncMs(options.folder, syncs)
        const [load] = await loadAll([ringbolt('ringbolt')], shape, true, { ...options, rounds: 1 })
        const latency = load?.figures[0]?.latencyMs
        if (latency === undefined) throw new Error('a timed load has times')
        fdatasync.push((before + medianFdatasyncMs(options.folder, syncs)) / 2)
        p50.push(latency.p50)
        p99.push(latency.p99)
      }
      const row = (name: string, values: number[]) => ({ name, remark: '', values })
      const base = 'p99'
      const rows = [row(base, p99), row('p50', p50), row('fdatasync, median', fdatasync)]
      return [{ title, unit: 'ms', base, rows }]
    },
  }
}

/** What an injected delay of each sync costs: groups grow, throughput should not fall by half. */
export function slowerDisk(syncDelayMs: number): Benchmark {
  const shape: LoadShape = { threads: 4, inFlight: 256, blocking: false }
  const delayed = `${syncDelayMs} ms added to each sync`
  return {
    title: `log, ${titleOf(shape)}, slower disk`,
    async run(options) {
      const candidates = [ringbolt('ringbolt'), ringbolt(delayed, { syncDelayMs })]
      const loads = await loadAll(candidates, shape, false, options)
      return [throughputTable(this.title, 'ringbolt', loads)]
    },
  }
}
