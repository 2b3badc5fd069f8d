/**
 * The thread that opened a database: starts the sequencer's thread, holds the lock between processes, and
 * reports the deaths of the workers that it starts.
 */
import { Worker } from 'node:worker_threads'
import { openLock } from '@ringbolt/locks'
import { errorFromPlain, poisonRing, threadEnvironment } from '@ringbolt/ring'
import { SequencerThreadError } from '../errors.ts'
import { freeThread } from '../space/reader-slots.ts'
import { Attachment, type StoreHandle } from './attachment.ts'
import { lockPathOf, mainPathOf } from './file-folders.ts'
import { type OpenOptions, settingsOf } from './options.ts'
import type { ClosedMessage, OpenedMessage, SequencerWork } from './sequencer-thread.ts'

const IN_MEMORY = ':memory:'
const BUSY_TIMEOUT_MS = 5000

type Release = () => Promise<void>

/** @throws BusyError, and what recovery throws; nothing is left behind by a failed open */
export async function openOwner(path: string, options: OpenOptions): Promise<StoreOwner> {
  const settings = settingsOf(options)
  const mainPath = path === IN_MEMORY ? undefined : mainPathOf(path)
  const release = await lockOf(mainPath, options)
  try {
    return await StoreOwner.start({ mainPath, settings }, release)
  } catch (error) {
    await release()
    throw error
  }
}

async function lockOf(mainPath: string | undefined, options: OpenOptions): Promise<Release> {
  if (mainPath === undefined || options.crossProcessLock === false) return async () => undefined
  const { lockMethod, busyTimeout = BUSY_TIMEOUT_MS } = options
  const lock = await openLock(
    lockPathOf(mainPath),
    lockMethod === undefined ? {} : { method: lockMethod },
  )
  try {
    await lock.acquire({ timeoutMs: busyTimeout })
  } catch (error) {
    await lock.close()
    throw error
  }
  return () => lock.close()
}

export class StoreOwner {
  readonly attachment: Attachment
  readonly #exited: Promise<unknown>
  readonly #release: Release
  readonly #unwatch: () => void
  readonly #closed: Promise<ClosedMessage>
  #closing: Promise<void> | undefined

  static async start(work: SequencerWork, release: Release): Promise<StoreOwner> {
    const worker = new Worker(new URL('./sequencer-thread.js', import.meta.url), {
      workerData: work,
      name: 'ringbolt-sequencer',
      // Flags of the program's own, as `--input-type`, are not for a file of ours.
      execArgv: [],
    })
    // Listened for from the start: when this thread was busy, `message` and `exit` come in one go.
    const exited = new Promise((resolve) => worker.once('exit', resolve))
    const message = await firstMessage(worker)
    if (message.kind === 'failed') {
      await exited
      throw errorFromPlain(message.error)
    }
    const { mainPath } = work
    return new StoreOwner(worker, exited, { ...message.memory, mainPath }, release)
  }

  private constructor(
    worker: Worker,
    exited: Promise<unknown>,
    handle: StoreHandle,
    release: Release,
  ) {
    this.#exited = exited
    this.#release = release
    this.attachment = new Attachment(handle)
    this.#unwatch = watchWorkers(this.attachment)
    this.#closed = new Promise((resolve, reject) => {
      worker.once('message', resolve)
      worker.once('error', reject)
      void exited.then((code) => reject(new SequencerThreadError(Number(code))))
    })
    this.#closed.catch((cause: unknown) => this.#sequencerEnded(cause))
    worker.unref()
  }

  /** Takes no more commits, finishes those that are there, checkpoints, ends the thread. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    try {
      this.attachment.control.wantClose()
      this.attachment.ring.ringDoorbell()
      const { error } = await threadEnvironment.alive(this.#closed)
      if (error !== null) throw errorFromPlain(error)
    } finally {
      this.#unwatch()
      this.attachment.detach()
      await threadEnvironment.alive(this.#exited)
      await this.#release()
    }
  }

  /** Nobody is going to acknowledge anything: whoever waits is told why. */
  #sequencerEnded(cause: unknown): void {
    poisonRing(this.attachment.ring, cause)
    this.attachment.watermarks.wakeAll()
  }
}

function firstMessage(worker: Worker): Promise<OpenedMessage> {
  return new Promise((resolve, reject) => {
    worker.once('message', resolve)
    worker.once('error', reject)
    worker.once('exit', (code) => reject(new SequencerThreadError(code)))
  })
}

/** Reports the deaths of all workers started by this thread from now on, until called off. */
function watchWorkers({ ring, handle }: Attachment): () => void {
  const onWorker = (worker: Worker): void => {
    const { threadId } = worker
    worker.once('exit', () => {
      ring.reportThreadDeath(threadId)
      freeThread(handle.region, threadId)
    })
  }
  process.on('worker', onWorker)
  return () => process.off('worker', onWorker)
}
