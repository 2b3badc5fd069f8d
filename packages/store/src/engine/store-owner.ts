/**
 * The thread that opened a database: starts the sequencer's thread, holds the lock between processes, and
 * reports the deaths of the workers that it starts.
 */
import { Worker } from 'node:worker_threads'
import { openLock } from '@ringbolt/locks'
import { AtomicsMemory, errorFromPlain, poisonRing, threadEnvironment } from '@ringbolt/ring'
import { SequencerThreadError } from '../errors.ts'
import { freeThread } from '../space/reader-slots.ts'
import { Attachment, type StoreHandle } from './attachment.ts'
import { lockPathOf, mainPathOf } from './file-folders.ts'
import { freeLogHolds } from './log-holds.ts'
import { type OpenOptions, settingsOf } from './options.ts'
import type { ClosedMessage, OpenedMessage, SequencerWork } from './sequencer-thread.ts'
import type { StoreMemory } from './store-core.ts'

const IN_MEMORY = ':memory:'
const BUSY_TIMEOUT_MS = 5000

type Release = () => Promise<void>

/** @throws BusyError, and what recovery throws; nothing is left behind by a failed open */
export async function openOwner(path: string, options: OpenOptions): Promise<StoreOwner> {
  const settings = settingsOf(options)
  const mainPath = path === IN_MEMORY ? undefined : mainPathOf(path)
  const locked = lockOf(mainPath, options)
  // Starts, and loads its modules, while the lock is waited for: most of what opening takes.
  const thread = new SequencerThread({ mainPath, settings })
  let release: Release
  try {
    release = await locked
  } catch (error) {
    await thread.cancel()
    throw error
  }
  try {
    const handle = { ...(await thread.open()), mainPath, openedAtMs: Date.now() }
    return new StoreOwner(thread, handle, release)
  } catch (error) {
    await release()
    throw error
  }
}

/** The worker, before and while it is the sequencer. */
class SequencerThread {
  readonly worker: Worker
  readonly exited: Promise<unknown>
  readonly #first: Promise<OpenedMessage>

  constructor(workerData: SequencerWork) {
    this.worker = new Worker(new URL('./sequencer-thread.js', import.meta.url), {
      workerData,
      name: 'ringbolt-sequencer',
      // Flags of the program's own, as `--input-type`, are not for a file of ours.
      execArgv: [],
    })
    // Listened for from the start: when this thread was busy, `message` and `exit` come in one go.
    this.exited = new Promise((resolve) => this.worker.once('exit', resolve))
    this.#first = firstMessage(this.worker)
    // Told by `open`; a thread that is cancelled ends without a message.
    this.#first.catch(() => undefined)
  }

  /** Once the lock is held. @throws what recovery throws */
  async open(): Promise<StoreMemory> {
    this.worker.postMessage(true)
    const message = await this.#first
    if (message.kind === 'opened') return message.memory
    await this.exited
    throw errorFromPlain(message.error)
  }

  /** Ends by itself: Node may abort when a thread is terminated while it loads modules. */
  async cancel(): Promise<void> {
    this.worker.postMessage(false)
    await this.exited
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

  constructor({ worker, exited }: SequencerThread, handle: StoreHandle, release: Release) {
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
      freeLogHolds(new AtomicsMemory(handle.logHolds), threadId)
    })
  }
  process.on('worker', onWorker)
  return () => process.off('worker', onWorker)
}
