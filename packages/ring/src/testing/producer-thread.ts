/** A worker thread that appends numbered records of a seeded size; see `threads.test.ts`. */
import { parentPort, workerData } from 'node:worker_threads'
import { attachProducer } from '../shared-ring.ts'
import { numberedRecord } from './records.ts'

export interface ProducerWork {
  readonly ring: SharedArrayBuffer
  readonly producerId: number
  readonly records: number
  readonly recordLengthMaxBytes: number
  readonly wait: 'blocking' | 'async'
}

const work: ProducerWork = workerData
const producer = attachProducer(work.ring)
for (let ordinal = 0; ordinal < work.records; ordinal++) {
  const record = numberedRecord(work.producerId, ordinal, work.recordLengthMaxBytes)
  if (work.wait === 'blocking') producer.append(record)
  else await producer.appendAsync(record)
}
producer.detach()
parentPort?.postMessage('done')
