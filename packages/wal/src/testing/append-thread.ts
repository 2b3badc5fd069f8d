/** A worker thread that appends numbered records to a shared log; see `shared-log.test.ts`. */
import { parentPort, workerData } from 'node:worker_threads'
import { attachLog, type LogHandle } from '../shared-log.ts'

export interface AppendWork {
  readonly log: LogHandle
  readonly threadNumber: number
  readonly records: number
  readonly inFlight: number
  readonly how: 'await' | 'blocking' | 'submit-and-wait'
}

/** What the thread reports: LSNs in order of its ordinals; the lowest durable mark beside each. */
export interface AppendReport {
  readonly lsns: readonly number[]
  /** Acknowledgements that came before the durable mark had passed the record. */
  readonly early: number
}

export function appendedRecord(threadNumber: number, ordinal: number): Uint8Array {
  const record = new Uint8Array(16 + ((threadNumber * 7 + ordinal * 13) % 200)).fill(
    threadNumber + 1,
  )
  new DataView(record.buffer).setUint32(0, threadNumber, true)
  new DataView(record.buffer).setUint32(4, ordinal, true)
  return record
}

async function run(work: AppendWork): Promise<AppendReport> {
  const log = attachLog(work.log)
  const lsns: number[] = []
  let early = 0
  let next = 0
  const one = async (): Promise<void> => {
    while (next < work.records) {
      const ordinal = next++
      const record = appendedRecord(work.threadNumber, ordinal)
      const lsn = await append(log, record, work.how)
      if (log.durableLsn <= lsn) early++
      lsns[ordinal] = lsn
    }
  }
  await Promise.all(Array.from({ length: work.inFlight }, one))
  log.detach()
  return { lsns, early }
}

async function append(
  log: ReturnType<typeof attachLog>,
  record: Uint8Array,
  how: AppendWork['how'],
): Promise<number> {
  if (how === 'await') return await log.append(record)
  if (how === 'blocking') return log.appendSync(record)
  const lsn = log.submit(record)
  await log.waitFor(lsn)
  return lsn
}

if (parentPort !== null) parentPort.postMessage(await run(workerData))
