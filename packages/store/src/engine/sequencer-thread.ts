/**
 * The sequencer's thread: composition root of the store. Real files, the real clock, requests from the
 * owner. It blocks in shared memory when there is nothing to do and never returns to its event loop until
 * the database is closed.
 */
import { randomBytes } from 'node:crypto'
import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import { AtomicsMemory, errorToPlain, type PlainError } from '@ringbolt/ring'
import { fileFolders } from './file-folders.ts'
import type { StoreSettings } from './options.ts'
import { StoreCore, type StoreMemory } from './store-core.ts'

export interface SequencerWork {
  /** Undefined: in memory. */
  readonly mainPath: string | undefined
  readonly settings: StoreSettings
}

export type OpenedMessage =
  | { readonly kind: 'opened'; readonly memory: StoreMemory }
  | { readonly kind: 'failed'; readonly error: PlainError }

/** The last message: the database is closed, or failed to close. */
export interface ClosedMessage {
  readonly kind: 'closed'
  readonly error: PlainError | null
}

const neverWoken = new AtomicsMemory(new SharedArrayBuffer(4))

function sleep(durationMs: number): void {
  neverWoken.wait(0, 0, durationMs)
}

function openCore({ mainPath, settings }: SequencerWork): StoreCore {
  const environment = {
    nowMs: () => performance.now(),
    wallMs: () => Date.now(),
    sleep,
    randomBytes: (count: number) => new Uint8Array(randomBytes(count)),
  }
  const { readOnly, archive } = settings
  const folders = mainPath === undefined ? undefined : fileFolders(mainPath, readOnly, archive)
  return StoreCore.open(folders, settings, environment)
}

/** Runs until the owner asks for the end; a failure has poisoned the ring by then. */
function run(port: MessagePort, core: StoreCore): void {
  while (!core.control.closeWanted) {
    if (!core.step()) core.idle()
  }
  const closed: ClosedMessage = { kind: 'closed', error: closeError(core) }
  port.postMessage(closed)
}

function closeError(core: StoreCore): PlainError | null {
  try {
    core.close()
    return null
  } catch (error) {
    return errorToPlain(error)
  }
}

function main(port: MessagePort, work: SequencerWork): void {
  let core: StoreCore
  try {
    core = openCore(work)
    const opened: OpenedMessage = { kind: 'opened', memory: core.memory }
    port.postMessage(opened)
  } catch (error) {
    const failed: OpenedMessage = { kind: 'failed', error: errorToPlain(error) }
    port.postMessage(failed)
    return
  }
  run(port, core)
}

if (parentPort === null) throw new Error('sequencer-thread.js is started by open, as a worker')
const port = parentPort
// The owner may not have the lock yet, and may never get it: then the thread ends, having opened nothing.
port.once('message', (hasLock: boolean) => {
  if (hasLock) main(port, workerData)
})
