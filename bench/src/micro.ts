/** What single steps cost in one thread: tinybench, each sample a batch so that the clock is not in the figure. */
import { attachConsumer, attachProducer, createRing } from '@ringbolt/ring'
import { MemoryStore, SegmentedLog } from '@ringbolt/wal'
import { Bench } from 'tinybench'
import type { BenchOptions } from './options.ts'
import type { Benchmark } from './program.ts'
import type { Row, Table } from './report.ts'

const RING_BYTES = 1024 * 1024
const RECORDS_A_SAMPLE = 1000
const GROUP_RECORDS = 256
const RECORD_BYTES = 160
const LOG_ID = new Uint8Array(16).fill(1)

interface Step {
  readonly name: string
  readonly recordsPerSample: number
  readonly remark: string
  run(): void
}

/** The ring is drained whenever a batch is in. */
function ringStep(recordBytes: number): Step {
  const ring = createRing({ capacityBytes: RING_BYTES })
  const producer = attachProducer(ring)
  const consumer = attachConsumer(ring)
  const record = new Uint8Array(recordBytes).fill(7)
  return {
    name: `append + fold + free, ${recordBytes} B`,
    recordsPerSample: RECORDS_A_SAMPLE,
    remark: 'ring, one thread in both roles',
    run() {
      for (let index = 0; index < RECORDS_A_SAMPLE; index++) producer.append(record)
      consumer.fold()
      consumer.free()
    },
  }
}

/** Fold and free alone; filling the ring anew for each sample is not in the figure. */
async function foldAndFree(recordBytes: number, options: BenchOptions): Promise<Row> {
  const ring = createRing({ capacityBytes: RING_BYTES })
  const producer = attachProducer(ring)
  const consumer = attachConsumer(ring)
  const record = new Uint8Array(recordBytes).fill(7)
  const fill = (): void => {
    for (let index = 0; index < RECORDS_A_SAMPLE; index++) producer.append(record)
  }
  const values: number[] = []
  for (let round = 0; round < options.rounds; round++) {
    const bench = new Bench({ time: options.window.measureMs / 4, warmup: !options.quick })
    bench.add(
      'fold + free',
      () => {
        consumer.fold()
        consumer.free()
      },
      { beforeEach: fill },
    )
    await bench.run()
    values.push(nanosecondsPerRecord(bench, RECORDS_A_SAMPLE))
  }
  return {
    name: `fold + free, ${recordBytes} B`,
    remark: `ring, ${RECORDS_A_SAMPLE} at a time`,
    values,
  }
}

function groupStep(): Step {
  const log = SegmentedLog.open(new MemoryStore(), { create: true, logId: LOG_ID })
  const ring = createRing({ capacityBytes: RING_BYTES })
  const producer = attachProducer(ring)
  const record = new Uint8Array(RECORD_BYTES).fill(7)
  for (let index = 0; index < GROUP_RECORDS; index++) producer.append(record)
  const consumer = attachConsumer(ring)
  consumer.fold()
  const runs: Uint8Array[] = []
  consumer.readCommitted((run) => runs.push(run))
  return {
    name: `group of ${GROUP_RECORDS} × ${RECORD_BYTES} B`,
    recordsPerSample: GROUP_RECORDS,
    remark: 'encode, checksum, write to memory, sync',
    run() {
      log.writeGroup(runs, GROUP_RECORDS, 0)
      log.sync()
      log.truncateBefore(log.durableLsn)
    },
  }
}

async function measureStep(step: Step, options: BenchOptions): Promise<Row> {
  const values: number[] = []
  for (let round = 0; round < options.rounds; round++) {
    const bench = new Bench({ time: options.window.measureMs / 4, warmup: !options.quick })
    bench.add(step.name, () => step.run())
    await bench.run()
    values.push(nanosecondsPerRecord(bench, step.recordsPerSample))
  }
  return { name: step.name, remark: step.remark, values }
}

function nanosecondsPerRecord(bench: Bench, recordsPerSample: number): number {
  const result = bench.tasks[0]?.result
  if (result?.state === 'errored') throw result.error
  if (result?.state !== 'completed') throw new Error(`a benchmark is ${result?.state}`)
  return (result.latency.p50 * 1e6) / recordsPerSample
}

export const micro: Benchmark = {
  title: 'single steps, one thread',
  async run(options): Promise<Table[]> {
    const rows: Row[] = []
    for (const recordBytes of [64, 256]) {
      rows.push(await measureStep(ringStep(recordBytes), options))
      rows.push(await foldAndFree(recordBytes, options))
    }
    rows.push(await measureStep(groupStep(), options))
    return [{ title: this.title, unit: 'ns', base: undefined, rows }]
  },
}
