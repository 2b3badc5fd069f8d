/** A thread of the document benchmarks: opens its client, does its job, tells what came of it. */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import { Phases } from '../phases.ts'
import type { LoadMessage } from '../threads.ts'
import { openClient } from './clients.ts'
import type { DocumentWork, Job, JobResult } from './job.ts'
import { prepareGets, readRanges, verify } from './read-jobs.ts'
import type { StoreClient } from './store.ts'
import { load, write } from './write-jobs.ts'

/** Everything that is not measured is done before the start. */
function prepare(
  client: StoreClient,
  job: Job,
  phases: Phases,
): () => JobResult | Promise<JobResult> {
  switch (job.kind) {
    case 'load':
      return async () => await load(client, job)
    case 'get': {
      const getAll = prepareGets(client, job)
      return () => getAll(phases)
    }
    case 'range':
      return async () => await readRanges(client, job, phases)
    case 'write':
      return async () => await write(client, job, phases)
    case 'verify':
      return async () => await verify(client, job)
  }
}

async function main(port: MessagePort, work: DocumentWork): Promise<void> {
  const post = (message: LoadMessage<JobResult>): void => port.postMessage(message)
  const phases = new Phases(work.phases)
  const client = await openClient(work.target, work.threadIndex)
  const run = prepare(client, work.job, phases)
  post({ kind: 'ready' })
  phases.waitForStart()
  const result = await run()
  // Told before it closes: the time of closing is not in the figure.
  post({ kind: 'result', result })
  await client.close()
}

if (parentPort === null) throw new Error('thread.js is started by a benchmark, as a worker')
await main(parentPort, workerData)
