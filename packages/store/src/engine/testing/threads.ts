/** Threads of a test, attached to its database, each with a job of `jobs.ts`. */
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { errorFromPlain, type PlainError } from '@ringbolt/ring'
import type { StoreHandle } from '../attachment.ts'
import type { JobInput, JobName, JobResult } from './jobs.ts'

export interface ThreadWork {
  readonly handle: StoreHandle
  readonly job: JobName
  readonly input: unknown
}

export type ThreadMessage =
  /** The job has got to where it was to say so. */
  | { readonly kind: 'told'; readonly what: unknown }
  | { readonly kind: 'done'; readonly result: unknown }
  | { readonly kind: 'failed'; readonly error: PlainError }

export class Thread<Result> {
  readonly worker: Worker
  /** What the job returned; rejects with what it threw. */
  readonly result: Promise<Result>
  /** When the thread is gone, and its database has been told. */
  readonly exited: Promise<unknown>
  /** What the job has told, in order. */
  readonly told: unknown[] = []
  #onTold: (() => void) | undefined

  constructor(work: ThreadWork) {
    this.worker = new Worker(new URL('./thread.js', import.meta.url), { workerData: work })
    this.exited = once(this.worker, 'exit')
    this.result = new Promise((resolve, reject) => {
      this.worker.on('message', (message: ThreadMessage) => {
        if (message.kind === 'told') this.#tell(message.what)
        else if (message.kind === 'failed') reject(errorFromPlain(message.error))
        // The job's own result, by the name that it was started with.
        // oxlint-disable-next-line no-unsafe-type-assertion
        else resolve(message.result as Result)
      })
      this.worker.once('error', reject)
      this.worker.once('exit', () => reject(new Error('the thread ended before its job')))
    })
    // Whoever awaits the result is told; a thread that is ended on purpose is awaited by nobody.
    this.result.catch(() => undefined)
  }

  /** Resolves when the job has told `count` times. */
  async hasTold(count = 1): Promise<void> {
    while (this.told.length < count) {
      const next = new Promise<void>((resolve) => {
        this.#onTold = resolve
      })
      await Promise.race([next, this.result])
    }
  }

  /** Ends it wherever it is. */
  async terminate(): Promise<void> {
    await this.worker.terminate()
    await this.exited
  }

  #tell(what: unknown): void {
    this.told.push(what)
    this.#onTold?.()
  }
}

export function startThread<Name extends JobName>(
  handle: StoreHandle,
  job: Name,
  input: JobInput<Name>,
): Thread<JobResult<Name>> {
  return new Thread({ handle, job, input })
}

/** The same job in several threads. @returns their results, when all are gone */
export async function inThreads<Name extends JobName>(
  handle: StoreHandle,
  job: Name,
  inputs: readonly JobInput<Name>[],
): Promise<JobResult<Name>[]> {
  const threads = inputs.map((input) => startThread(handle, job, input))
  const results = await Promise.all(threads.map(({ result }) => result))
  await Promise.all(threads.map(({ exited }) => exited))
  return results
}
