/**
 * Long work on files that no open database is behind, in a thread of its own: checking, restoring, compacting.
 * Composition root of that thread's start.
 */
import { Worker } from 'node:worker_threads'
import { errorFromPlain, type PlainError } from '@ringbolt/ring'
import { MaintenanceThreadError } from '../backup/errors.ts'
import type { CompactionCounts } from './compact-file.ts'
import type { StoreSettings } from './options.ts'
import type { RestoredState, RestoreJob } from './restore-file.ts'

export interface CompactJob {
  readonly path: string
  readonly settings: StoreSettings
  readonly databaseId: Uint8Array
}

export type MaintenanceJob =
  | { readonly kind: 'check'; readonly path: string }
  | { readonly kind: 'compact'; readonly job: CompactJob }
  | { readonly kind: 'restore'; readonly job: RestoreJob }

export interface MaintenanceResults {
  readonly check: readonly string[]
  readonly compact: CompactionCounts
  readonly restore: RestoredState
}

export interface WorkProgress {
  readonly bytesDone: number
  readonly bytesTotal: number
}

export type MaintenanceMessage =
  | { readonly kind: 'progress'; readonly progress: WorkProgress }
  | { readonly kind: 'done'; readonly result: MaintenanceResults[keyof MaintenanceResults] }
  | { readonly kind: 'failed'; readonly error: PlainError }

export interface WorkOptions {
  readonly onProgress?: ((progress: WorkProgress) => void) | undefined
  /** Ends the thread wherever it is; what it has made is the caller's to remove. */
  readonly signal?: AbortSignal | undefined
}

export async function checkFileInThread(
  path: string,
  signal: AbortSignal | undefined,
): Promise<readonly string[]> {
  return runInThread<'check'>({ kind: 'check', path }, { signal })
}

/** @throws what the work throws, as an error of the same code; the signal's reason */
export async function runInThread<K extends MaintenanceJob['kind']>(
  job: MaintenanceJob & { readonly kind: K },
  { onProgress, signal }: WorkOptions,
): Promise<MaintenanceResults[K]> {
  signal?.throwIfAborted()
  const worker = new Worker(new URL('./maintenance-thread.js', import.meta.url), {
    workerData: job,
    name: `ringbolt-${job.kind}`,
    // Flags of the program's own, as `--input-type`, are not for a file of ours.
    execArgv: [],
  })
  const exited = new Promise((resolve) => worker.once('exit', resolve))
  const stop = (): void => void worker.terminate()
  try {
    return await new Promise<MaintenanceResults[K]>((resolve, reject) => {
      worker.on('message', (message: MaintenanceMessage) => {
        if (message.kind === 'failed') reject(errorFromPlain(message.error))
        // The job's own result, by the kind that it was started with.
        // oxlint-disable-next-line no-unsafe-type-assertion
        else if (message.kind === 'done') resolve(message.result as MaintenanceResults[K])
        else {
          try {
            onProgress?.(message.progress)
          } catch (error) {
            reject(error)
          }
        }
      })
      worker.once('error', reject)
      worker.once('exit', (code) => {
        reject(
          signal?.aborted === true ? signal.reason : new MaintenanceThreadError(job.kind, code),
        )
      })
      signal?.addEventListener('abort', stop, { once: true })
    })
  } finally {
    signal?.removeEventListener('abort', stop)
    stop()
    await exited
  }
}
