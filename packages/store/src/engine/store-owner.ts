/**
 * The thread that opened a database: starts the sequencer's thread, and
 * reports the deaths of the workers that it starts.
 */
import { Worker } from 'node:worker_threads'
// Loading it offers the thread that hosts the locks of this process.
import { BusyError } from '@ringbolt/locks'
import {
  AtomicsMemory,
  errorFromPlain,
  type PlainError,
  poisonRing,
  threadEnvironment,
} from '@ringbolt/ring'
import { SequencerThreadError } from '../errors.ts'
import { freeThread } from '../space/reader-slots.ts'
import { Attachment, type StoreHandle } from './attachment.ts'
import { lockPathOf, mainPathOf } from './file-folders.ts'
import { freeHolds } from './holds.ts'
import { freeLogHolds } from './log-holds.ts'
import { linkOptionsOf, type OpenOptions, settingsOf } from './options.ts'
import type { ClosedMessage, OpenedMessage, SequencerWork } from './sequencer-thread.ts'
import type { StoreMemory } from './store-core.ts'

const IN_MEMORY = ':memory:'

/** @throws BusyError, and what recovery throws; nothing is left behind by a failed open */
export async function openOwner(path: string, options: OpenOptions): Promise<StoreOwner> {
  const settings = settingsOf(options)
  const mainPath = path === IN_MEMORY ? undefined : mainPathOf(path)
  const link = mainPath === undefined ? undefined : linkOptionsOf(options)
  const thread = new SequencerThread({ mainPath, settings, link })
  const memory = await thread.opened()
  const lockPath = mainPath === undefined || link === undefined ? undefined : lockPathOf(mainPath)
  return new StoreOwner(thread, {
    ...memory,
    mainPath,
    lockPath,
    readStalenessMs: options.readStalenessMs ?? 0,
    openedAtMs: machineMs(),
  })
}

/** Monotonic, and the same in all threads: `performance.now` counts from the start of each. */
export function machineMs(): number {
  return Number(process.hrtime.bigint() / 1_000_000n)
}

/** The worker that becomes the sequencer. */
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
  }

  /** @throws what opening throws */
  async opened(): Promise<StoreMemory> {
    const message = await this.#first
    if (message.kind === 'opened') return message.memory
    await this.exited
    throw openingError(message.error)
  }
}

export class StoreOwner {
  readonly attachment: Attachment
  readonly #exited: Promise<unknown>
  readonly #unwatch: () => void
  readonly #closed: Promise<ClosedMessage>
  #closing: Promise<void> | undefined

  constructor({ worker, exited }: SequencerThread, handle: StoreHandle) {
    this.#exited = exited
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
    }
  }

  /** Nobody is going to acknowledge anything: whoever waits is told why. */
  #sequencerEnded(cause: unknown): void {
    poisonRing(this.attachment.ring, cause)
    this.attachment.watermarks.wakeAll()
  }
}

function openingError(plain: PlainError): Error {
  return plain.name === BusyError.name ? BusyError.fromFacts(plain.facts) : errorFromPlain(plain)
}

function firstMessage(worker: Worker): Promise<OpenedMessage> {
  return new Promise((resolve, reject) => {
    worker.once('message', resolve)
    worker.once('error', reject)
    worker.once('exit', (code) => reject(new SequencerThreadError(code)))
  })
}

/** Reports the deaths of all workers started by this thread from now on, until called off. */
function watchWorkers({ ring, handle, control }: Attachment): () => void {
  const onWorker = (worker: Worker): void => {
    const { threadId } = worker
    worker.once('exit', () => {
      ring.reportThreadDeath(threadId)
      freeThread(handle.region, threadId)
      control.freeWriter(threadId)
      freeHolds(new AtomicsMemory(handle.holds), threadId)
      freeLogHolds(new AtomicsMemory(handle.logHolds), threadId)
    })
  }
  process.on('worker', onWorker)
  return () => process.off('worker', onWorker)
}
