/**
 * One thread's part in an open database: its reader slot, its producer slot, its engine.
 *
 * Threads: belongs to the thread that made it. The thread's end, however it comes, is told to the database
 * by the thread that opened it, which frees both slots.
 */
import { BusyError, openBoard } from '@ringbolt/locks'
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
import type { OpenCommits } from '../client/commit-source.ts'
import { SharedEngine } from '../client/shared-engine.ts'
import { StoreClosedError } from '../errors.ts'
import { RefusalReader } from '../sequencer/refusals.ts'
import type { Meta } from '../space/meta.ts'
import { PageFile } from '../space/page-file.ts'
import { PageReader, takeReaderSlot } from '../space/page-reader.ts'
import type { HeldCheckpoint } from './backup.ts'
import { Control } from './control.ts'
import { fileFolders } from './file-folders.ts'
import { Freshness } from './freshness.ts'
import { Holds } from './holds.ts'
import { LogCommits } from './log-commits.ts'
import { LiveHistory } from './log-history.ts'
import { LogHolds } from './log-holds.ts'
import { ReadOnlyEngine } from './read-only-engine.ts'
import type { StoreMemory } from './store-core.ts'
import { WriteHolds } from './write-hold.ts'

/** What another thread of the process needs to attach; survives `postMessage` and `workerData`. */
export interface StoreHandle extends StoreMemory {
  /** Undefined: in memory. */
  readonly mainPath: string | undefined
  /** Undefined: no other process can have it open. */
  readonly lockPath: string | undefined
  readonly readStalenessMs: number
  /** By `machineMs`. */
  readonly openedAtMs: number
}

/** How often one who waits for a checkpoint looks whether it is wanted still. */
const HOLD_LOOK_MS = 100

export class Attachment {
  readonly engine: SharedEngine
  readonly handle: StoreHandle
  readonly ring: Ring
  readonly watermarks: Watermarks
  readonly control: Control
  readonly reader: PageReader
  readonly #producer: RingProducer
  readonly #file: PageFile | undefined
  readonly #freshness: Freshness | undefined
  readonly #busy: () => Error

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
    const busy = (): Error =>
      BusyError.fromFacts({ ...this.control.busy, path: handle.lockPath ?? '' })
    const client = new CommandClient(log, refusals, slotIndex, threadEnvironment, busy)
    try {
      this.#file = pageFileOf(handle.mainPath)
      this.#freshness = this.#makeFreshness()
      const slot = takeReaderSlot(handle.region, currentThreadId)
      this.reader = new PageReader(handle.region, slot, this.#file, () => this.ring.ringDoorbell())
    } catch (error) {
      this.#file?.close()
      this.#freshness?.close()
      this.#producer.detach()
      throw error
    }
    const freshness = this.#freshness
    const freshen = freshness === undefined ? (): void => undefined : () => freshness.ensure()
    const engineOf = handle.readOnly ? ReadOnlyEngine : SharedEngine
    const holds = handle.readOnly ? undefined : this.#makeHolds(busy)
    this.engine = new engineOf(this.reader, client, freshen, holds && (() => holds.make()))
    this.#busy = busy
  }

  /** What has ended the sequencer: a write or sync that failed, or a fault of its own. */
  get failure(): Error | undefined {
    try {
      this.#producer.assertNotPoisoned()
      return undefined
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error))
    }
  }

  /**
   * Resolves once all that is acknowledged by now stands in the main file.
   * @throws BusyError when another process did not let this one in time
   */
  async checkpoint(): Promise<void> {
    if (this.handle.readOnly) return
    const { busyCount } = this.control
    const ticket = this.control.wantCheckpoint()
    this.ring.ringDoorbell()
    for (;;) {
      const signal = this.watermarks.signal
      // What could not be had in time is called done, too, afterwards.
      if (this.control.busyCount !== busyCount) throw this.#busy()
      if (this.control.isDone(ticket)) return
      this.#producer.assertOpen()
      const wait = this.watermarks.waitAsync(signal, Number.POSITIVE_INFINITY)
      if (wait !== undefined) await threadEnvironment.alive(wait)
    }
  }

  #makeFreshness(): Freshness | undefined {
    const { lockPath, readOnly, readStalenessMs } = this.handle
    const board = lockPath === undefined || readOnly ? null : openBoard(lockPath)
    if (board === null) return undefined
    return new Freshness({
      control: this.control,
      board,
      stalenessMs: readStalenessMs,
      nowMs: () => threadEnvironment.nowMs(),
      wakeSequencer: () => this.ring.ringDoorbell(),
      assertOpen: () => this.#producer.assertOpen(),
    })
  }

  #makeHolds(busy: () => Error): WriteHolds {
    const { control, ring, watermarks } = this
    return new WriteHolds({
      control,
      slot: this.#producer.slotIndex,
      threadId: currentThreadId,
      busy,
      wake: () => ring.ringDoorbell(),
      signal: () => watermarks.signal,
      waitAsync: (signal) => {
        const wait = watermarks.waitAsync(signal, Number.POSITIVE_INFINITY)
        return wait && threadEnvironment.alive(wait)
      },
      waitSync: (signal) => watermarks.wait(signal, Number.POSITIVE_INFINITY),
      assertOpen: () => this.#producer.assertOpen(),
    })
  }

  /**
   * Makes a checkpoint, and keeps it until it is let go of.
   * @param assertWanted asked now and then; throws when it is not wanted any more
   * @throws BusyError when another process did not let this one in time
   */
  async holdCheckpoint(assertWanted: () => void): Promise<HeldCheckpoint> {
    const holds = new Holds(new AtomicsMemory(this.handle.holds), currentThreadId)
    const slot = holds.ask()
    const { busyCount } = this.control
    try {
      this.control.wantCheckpoint()
      this.ring.ringDoorbell()
      for (;;) {
        const signal = this.watermarks.signal
        const meta = holds.heldMeta(slot)
        if (meta !== undefined) return this.#held(holds, slot, meta)
        if (this.control.busyCount !== busyCount) throw this.#busy()
        assertWanted()
        this.#producer.assertOpen()
        const wait = this.watermarks.waitAsync(signal, HOLD_LOOK_MS)
        if (wait !== undefined) await threadEnvironment.alive(wait)
      }
    } catch (error) {
      holds.release(slot)
      throw error
    }
  }

  #held(holds: Holds, slot: number, meta: Meta): HeldCheckpoint {
    let isHeld = true
    return {
      meta,
      assertHeld: () => {
        if (this.control.closeWanted) throw new StoreClosedError('the database')
      },
      release: () => {
        // By then the slot may be another's.
        if (isHeld) holds.release(slot)
        isHeld = false
      },
    }
  }

  /** For readers of changes; undefined: there is no log. */
  get openCommits(): OpenCommits | undefined {
    const { handle, watermarks, control } = this
    const { mainPath, log } = handle
    if (mainPath === undefined || log === undefined) return undefined
    const folders = fileFolders(mainPath, true)
    return (from) =>
      new LogCommits(
        {
          histories: [new LiveHistory(() => folders.openLogFolder(), log)],
          holds: new LogHolds(new AtomicsMemory(handle.logHolds)),
          watermarks,
          control,
          newest: () => this.engine.latest.sequence,
          assertSound: () => {
            if (!handle.readOnly) this.#producer.assertOpen()
          },
        },
        from,
      )
  }

  /** Gives the thread's slots back and lets go of the file. Idempotent. */
  detach(): void {
    this.reader.close()
    this.#file?.close()
    this.#freshness?.close()
    this.#producer.detach()
  }
}

function pageFileOf(mainPath: string | undefined): PageFile | undefined {
  if (mainPath === undefined) return undefined
  const { main, mainName } = fileFolders(mainPath, true)
  return new PageFile(main.open(mainName))
}
