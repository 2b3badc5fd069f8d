/**
 * The sequencer's thread: composition root of the store. Real files, the real clock, the lock between processes,
 * requests from the owner. While it is its turn to write it blocks in shared memory when there is nothing to do;
 * otherwise it waits for its turn, and follows those who write.
 */
import { randomBytes } from 'node:crypto'
import { setImmediate as turn } from 'node:timers/promises'
import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import { AtomicsMemory, errorToPlain, type PlainError } from '@ringbolt/ring'
import { fileFolders } from './file-folders.ts'
import type { LinkOptions, StoreSettings } from './options.ts'
import { ProcessLink } from './process-link.ts'
import { StoreCore, type StoreMemory } from './store-core.ts'
import { TurnTaker } from './turn-taker.ts'

export interface SequencerWork {
  /** Undefined: in memory. */
  readonly mainPath: string | undefined
  readonly settings: StoreSettings
  /** Undefined: no other process can have the database open. */
  readonly link: LinkOptions | undefined
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

function openCore({ mainPath, settings }: SequencerWork, link: ProcessLink | undefined): StoreCore {
  const environment = {
    nowMs: () => performance.now(),
    wallMs: () => Date.now(),
    sleep,
    randomBytes: (count: number) => new Uint8Array(randomBytes(count)),
    neighbours: link,
  }
  const { readOnly, archive } = settings
  const folders = mainPath === undefined ? undefined : fileFolders(mainPath, readOnly, archive)
  return StoreCore.open(folders, settings, environment)
}

/** What ended it is said to those who wait before; this is for the owner. */
async function failureOf(work: () => Promise<void>): Promise<PlainError | null> {
  try {
    await work()
    return null
  } catch (error) {
    return errorToPlain(error)
  }
}

async function run(core: StoreCore, link: ProcessLink | undefined): Promise<void> {
  if (link !== undefined) {
    await new TurnTaker(core, link, { nowMs: () => performance.now(), turn }).run()
    return
  }
  while (!core.control.closeWanted) {
    if (!core.step()) core.idle()
  }
  core.close()
}

async function main(port: MessagePort, work: SequencerWork): Promise<void> {
  const { mainPath, link: linkOptions } = work
  let link: ProcessLink | undefined
  let core: StoreCore
  try {
    if (mainPath !== undefined && linkOptions !== undefined) {
      link = await ProcessLink.open(mainPath, linkOptions)
    }
    core = openCore(work, link)
  } catch (error) {
    const failed: OpenedMessage = { kind: 'failed', error: errorToPlain(error) }
    await link?.close()
    port.postMessage(failed)
    return
  }
  const opened: OpenedMessage = { kind: 'opened', memory: core.memory }
  port.postMessage(opened)
  const error = await failureOf(() => run(core, link))
  const closed: ClosedMessage = { kind: 'closed', error }
  port.postMessage(closed)
}

if (parentPort === null) throw new Error('sequencer-thread.js is started by open, as a worker')
await main(parentPort, workerData)
