/**
 * One thread's part in an open database: its reader slot, its producer slot, its engine.
 *
 * Threads: belongs to the thread that made it. The thread's end, however it comes, is told to the database
 * by the thread that opened it, which frees both slots.
 */
import {
  AtomicsMemory,
  attachProducer,
  currentThreadId,
  openRing,
  type Ring,
  type RingProducer,
  threadEnvironment,
} from '@ringbolt/ring'
import { LogClient, Watermarks } from '@ringbolt/wal'
import { CommandClient } from '../client/command-client.ts'
import { SharedEngine } from '../client/shared-engine.ts'
import { StoreClosedError } from '../errors.ts'
import { RefusalReader } from '../sequencer/refusals.ts'
import { PageFile } from '../space/page-file.ts'
import { PageReader, takeReaderSlot } from '../space/page-reader.ts'
import { Control } from './control.ts'
import { fileFolders } from './file-folders.ts'
import { ReadOnlyEngine } from './read-only-engine.ts'
import type { StoreMemory } from './store-core.ts'

/** What another thread of the process needs to attach; survives `postMessage` and `workerData`. */
export interface StoreHandle extends StoreMemory {
  /** Undefined: in memory. */
  readonly mainPath: string | undefined
}

export class Attachment {
  readonly engine: SharedEngine
  readonly handle: StoreHandle
  readonly ring: Ring
  readonly watermarks: Watermarks
  readonly control: Control
  readonly reader: PageReader
  readonly #producer: RingProducer
  readonly #file: PageFile | undefined

  /** @throws StoreClosedError; RingSlotsError when `threadsMax` threads are attached */
  constructor(handle: StoreHandle) {
    this.handle = handle
    this.control = new Control(new AtomicsMemory(handle.control))
    if (this.control.closeWanted) throw new StoreClosedError('the database')
    this.ring = openRing(handle.ring)
    this.watermarks = new Watermarks(new AtomicsMemory(handle.watermarks))
    this.#producer = attachProducer(handle.ring)
    const acknowledgedBy = handle.sync === 'full' ? 'durable' : 'written'
    const log = new LogClient(this.#producer, this.watermarks, acknowledgedBy, threadEnvironment)
    const { slotIndex } = this.#producer
    const refusals = new RefusalReader(new AtomicsMemory(handle.refusals), slotIndex)
    const client = new CommandClient(log, refusals, slotIndex)
    try {
      this.#file = pageFileOf(handle.mainPath)
      const slot = takeReaderSlot(handle.region, currentThreadId)
      this.reader = new PageReader(handle.region, slot, this.#file, () => this.ring.ringDoorbell())
    } catch (error) {
      this.#file?.close()
      this.#producer.detach()
      throw error
    }
    const engineOf = handle.readOnly ? ReadOnlyEngine : SharedEngine
    this.engine = new engineOf(this.reader, client)
  }

  /** Resolves once all that is acknowledged by now stands in the main file. */
  async checkpoint(): Promise<void> {
    if (this.handle.readOnly) return
    const ticket = this.control.wantCheckpoint()
    this.ring.ringDoorbell()
    for (;;) {
      const signal = this.watermarks.signal
      if (this.control.isDone(ticket)) return
      this.#producer.assertOpen()
      const wait = this.watermarks.waitAsync(signal, Number.POSITIVE_INFINITY)
      if (wait !== undefined) await threadEnvironment.alive(wait)
    }
  }

  /** Gives the thread's slots back and lets go of the file. Idempotent. */
  detach(): void {
    this.reader.close()
    this.#file?.close()
    this.#producer.detach()
  }
}

function pageFileOf(mainPath: string | undefined): PageFile | undefined {
  if (mainPath === undefined) return undefined
  const { main, mainName } = fileFolders(mainPath, true)
  return new PageFile(main.open(mainName))
}
