/** The ring alone next to `postMessage`, for so many producers and record lengths. */
import type { BenchOptions } from './options.ts'
import type { Benchmark } from './program.ts'
import type { Table } from './report.ts'
import { interleave } from './rounds.ts'
import { measureTransfer, type Transport } from './transfer.ts'

interface Entrant {
  readonly name: string
  readonly remark: string
  readonly transport: Transport
  /** So that each takes about as long. */
  readonly records: number
}

/** On a quiet machine the best of 64 KiB to 4 MiB at 64 B, 4 producers: 8.9 M/s; 256 KiB gave 8.2. */
const RING_BYTES = 1024 * 1024
const BATCH = 64
const RECORDS_QUICK = 2000

const entrants: readonly Entrant[] = [
  {
    name: 'ring',
    remark: `of ${RING_BYTES / 1024} KiB, drained in batches`,
    transport: { kind: 'ring', capacityBytes: RING_BYTES },
    records: 10_000_000,
  },
  {
    name: 'postMessage',
    remark: 'one record a message, no back-pressure',
    transport: { kind: 'post-message', recordsPerMessage: 1 },
    records: 400_000,
  },
  {
    name: `postMessage of ${BATCH}`,
    remark: `context: ${BATCH} records a message`,
    transport: { kind: 'post-message', recordsPerMessage: BATCH },
    records: 1_000_000,
  },
]

export function transferBenchmark(producers: number, recordBytes: number): Benchmark {
  const title = `to one consumer thread, ${producers} producers, ${recordBytes} B`
  return {
    title,
    run: async (options) => [await measureEntrants(title, producers, recordBytes, options)],
  }
}

async function measureEntrants(
  title: string,
  producers: number,
  recordBytes: number,
  options: BenchOptions,
): Promise<Table> {
  const series = await interleave(
    entrants,
    options.rounds,
    async ({ transport, records }) =>
      await measureTransfer({
        transport,
        producers,
        recordBytes,
        records: options.quick ? RECORDS_QUICK : records,
      }),
  )
  const rows = series.map(({ candidate: { name, remark }, figures }) => ({
    name,
    remark,
    values: figures,
  }))
  return { title, unit: 'records/s', base: 'ring', rows }
}
