/**
 * One who has checkpoints kept, as a backup does, and looks now and then whether all of their pages still stand in the
 * main file as they were: the trees' whole, each as the reference to it says.
 */
import { AtomicsMemory, type Ring } from '@ringbolt/ring'
import { LogIoError, type LogStore } from '@ringbolt/wal'
import { type Random, SimulationFailure } from '@ringbolt/wal/simulation'
import { changedPages } from '../backup/changed-pages.ts'
import type { Control } from '../engine/control.ts'
import { Holds } from '../engine/holds.ts'
import { StoreCorruptError } from '../errors.ts'
import { MAIN_NAME } from './simulated-folders.ts'

const THREAD_ID = 900
/** Before all commits. */
const SINCE_EVER = -1
const SLOTS_MAX = 3

export class Holder {
  readonly #holds: Holds
  readonly #control: Control
  readonly #ring: Ring
  readonly #folder: LogStore
  readonly #isCrashed: () => boolean
  readonly #slots: number[] = []
  /** Looks at checkpoints that were kept. */
  looks = 0

  constructor(
    holds: SharedArrayBuffer,
    control: Control,
    ring: Ring,
    folder: LogStore,
    isCrashed: () => boolean,
  ) {
    this.#isCrashed = isCrashed
    this.#holds = new Holds(new AtomicsMemory(holds), THREAD_ID)
    this.#control = control
    this.#ring = ring
    this.#folder = folder
  }

  /** @throws SimulationFailure when a page is not what it was */
  turn(random: Random): void {
    if (this.#slots.length < SLOTS_MAX && random.chance(0.5)) {
      this.#slots.push(this.#holds.ask())
      this.#control.wantCheckpoint()
      this.#ring.ringDoorbell()
    }
    if (this.#slots.length === 0) return
    const slot = random.pick(this.#slots)
    if (random.chance(0.7)) this.#look(slot)
    if (!random.chance(0.1)) return
    this.#slots.splice(this.#slots.indexOf(slot), 1)
    this.#holds.release(slot)
  }

  #look(slot: number): void {
    const meta = this.#holds.heldMeta(slot)
    if (meta === undefined) return
    try {
      const file = this.#folder.open(MAIN_NAME)
      try {
        let pages = 0
        for (const _page of changedPages(file, MAIN_NAME, meta, SINCE_EVER)) pages++
        if (pages > 0) this.looks++
      } finally {
        file.close()
      }
    } catch (error) {
      if (error instanceof StoreCorruptError) {
        throw new SimulationFailure(`checkpoint ${meta.checkpoint} is held: ${error.message}`)
      }
      // A read may fail with the disk, or be where it crashes.
      if (!(error instanceof LogIoError) && !this.#isCrashed()) throw error
    }
  }
}
