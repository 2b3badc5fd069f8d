/** A thread of a test: attaches, does its job, detaches. */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import { errorToPlain } from '@ringbolt/ring'
import { attach } from '../open.ts'
import { runJob } from './jobs.ts'
import type { ThreadMessage, ThreadWork } from './threads.ts'

async function main(port: MessagePort, { handle, job, input }: ThreadWork): Promise<void> {
  const send = (message: ThreadMessage): void => port.postMessage(message)
  try {
    const db = attach(handle)
    const result = await runJob(job, db, input, (what) => send({ kind: 'told', what }))
    await db.close()
    send({ kind: 'done', result })
  } catch (error) {
    send({ kind: 'failed', error: errorToPlain(error) })
  }
}

if (parentPort === null) throw new Error('thread.js is started by a test, as a worker')
await main(parentPort, workerData)
