/**
 * Entering and leaving versions: the protocol of `reader-slots.ts` and `pins.ts`, put together for one thread.
 *
 * Threads: belongs to the thread whose slot it has.
 */
import type { SharedMemory } from '@ringbolt/ring'
import { OWNER_NONE, READER_OWNER, type RegionLayout, readerWord } from './layout.ts'
import { PinSlots } from './pins.ts'
import { type DirectoryReferences, emptyDirectory, Published } from './published.ts'
import { freeReader, ReaderSlot } from './reader-slots.ts'
import type { PlainWords } from './region.ts'
import { NO_VERSION } from './versions.ts'

export class VersionReader {
  /** The newest state as it was when last entered. */
  readonly directory: DirectoryReferences = emptyDirectory()
  sequence = 0
  version: number = NO_VERSION
  readonly #memory: SharedMemory
  readonly #layout: RegionLayout
  readonly #slotIndex: number
  readonly #slot: ReaderSlot
  readonly #published: Published
  readonly #pins: PinSlots

  /** @throws RangeError when nobody has taken the slot */
  constructor(memory: SharedMemory, control: PlainWords, layout: RegionLayout, slotIndex: number) {
    const owner = memory.load(readerWord(layout, slotIndex) + READER_OWNER)
    if (owner === OWNER_NONE) throw new RangeError(`nobody has taken reader slot ${slotIndex}`)
    this.#memory = memory
    this.#layout = layout
    this.#slotIndex = slotIndex
    this.#slot = new ReaderSlot(memory, control, layout, slotIndex)
    this.#published = new Published(memory, layout)
    this.#pins = new PinSlots(memory, layout, owner)
  }

  /** Enters the newest version, and knows its state. */
  enter(): void {
    let version = this.#slot.enter()
    while (version !== this.version) {
      this.version = NO_VERSION
      if (this.#published.read(version, this.directory)) {
        this.version = version
        this.sequence = this.#published.sequence
      } else {
        // So many have been published meanwhile that its block is another's.
        version = this.#slot.enter()
      }
    }
  }

  /** Enters a pinned version; false, and not inside, when the pin was revoked. */
  enterPinned(pinIndex: number, version: number): boolean {
    this.#slot.enterAt(version)
    if (this.#pins.isHeld(pinIndex, version)) return true
    this.#slot.leave()
    return false
  }

  leave(): void {
    this.#slot.leave()
  }

  /** Pins the newest version as it was entered, inside that stay. @throws StoreFullError */
  pin(): number {
    return this.#pins.take(this.version)
  }

  unpin(pinIndex: number): void {
    this.#pins.giveBack(pinIndex)
  }

  /** The sequencer's bound on the age of pins, in ms. */
  get pinAgeMaxMs(): number {
    return this.#pins.ageMaxMs
  }

  close(): void {
    this.#pins.close()
    freeReader(this.#memory, this.#layout, this.#slotIndex)
  }
}
