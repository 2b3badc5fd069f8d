/**
 * Pins: what keeps a snapshot's version alive between reads.
 *
 * Threads: a pin's words belong to the thread that took it; the sequencer reads all, and takes the version
 * out of one that is too old. A thread's death frees its pins (`freeThread`).
 *
 * Invariants
 *  N1 A version is stored in a pin only inside a stay at that version, so that it never comes too late.
 *  N2 A revoked pin stays its owner's, with no version in it, until the owner gives it back. So "the pin
 *     says my version" means that it never stopped saying so.
 *
 * Reading through a pin: the slot says the version first, then the pin is looked at (E3 of
 * `reader-slots.ts`). The sequencer revokes first, then looks at the slots. One of them sees the other.
 */
import type { SharedMemory } from '@ringbolt/ring'
import { StoreFullError } from '../errors.ts'
import {
  OWNER_NONE,
  ownerOf,
  type RegionLayout,
  WORD_PIN_AGE_MAX_MS,
  WORD_PINS_USED,
} from './layout.ts'
import type { PlainWords } from './region.ts'
import { NO_VERSION, versionDistance } from './versions.ts'

const NO_PIN = -1
const AGE_MAX_MS = 0x7fff_ffff

/** A thread's way to its pins. */
export class PinSlots {
  readonly #memory: SharedMemory
  readonly #layout: RegionLayout
  readonly #owner: number
  /** One that was given back, kept for the next. */
  #spare: number = NO_PIN
  /** Where the last free one was found. */
  #hint = 0
  readonly #held = new Set<number>()

  constructor(memory: SharedMemory, layout: RegionLayout, owner: number) {
    this.#memory = memory
    this.#layout = layout
    this.#owner = owner
  }

  /** To be called inside a stay at that version (N1). @throws StoreFullError */
  take(version: number): number {
    const pinIndex = this.#spare === NO_PIN ? this.#takeFree() : this.#spare
    this.#spare = NO_PIN
    // Tells the sequencer what must stay, from before the stay's end.
    this.#memory.store(this.#layout.wordPinVersions + pinIndex, version)
    this.#held.add(pinIndex)
    return pinIndex
  }

  giveBack(pinIndex: number): void {
    this.#held.delete(pinIndex)
    // Lets the sequencer free what only this pin needed.
    this.#memory.store(this.#layout.wordPinVersions + pinIndex, NO_VERSION)
    if (this.#spare === NO_PIN) this.#spare = pinIndex
    else this.#free(pinIndex)
  }

  isHeld(pinIndex: number, version: number): boolean {
    return this.#memory.load(this.#layout.wordPinVersions + pinIndex) === version
  }

  /** The bound by which the sequencer has revoked pins. */
  get ageMaxMs(): number {
    return this.#memory.load(WORD_PIN_AGE_MAX_MS)
  }

  /** Gives all back. */
  close(): void {
    for (const pinIndex of this.#held) this.giveBack(pinIndex)
    if (this.#spare !== NO_PIN) this.#free(this.#spare)
    this.#spare = NO_PIN
  }

  #takeFree(): number {
    const { pinsMax, wordPinOwners } = this.#layout
    for (let tried = 0; tried < pinsMax; tried++) {
      const pinIndex = (this.#hint + tried) % pinsMax
      // The pin is this thread's from here on; only the thread itself and its death free it.
      const found = this.#memory.compareExchange(wordPinOwners + pinIndex, OWNER_NONE, this.#owner)
      if (found !== OWNER_NONE) continue
      raise(this.#memory, WORD_PINS_USED, pinIndex + 1)
      this.#hint = pinIndex
      return pinIndex
    }
    throw new StoreFullError(`all ${pinsMax} snapshots are taken (snapshotsMax)`, { pinsMax })
  }

  #free(pinIndex: number): void {
    // Hands the pin, which has no version any more, to whoever takes it.
    this.#memory.store(this.#layout.wordPinOwners + pinIndex, OWNER_NONE)
    this.#hint = Math.min(this.#hint, pinIndex)
  }
}

/** Makes the word at least that high. */
export function raise(memory: SharedMemory, word: number, value: number): void {
  let current = memory.load(word)
  while (current < value) {
    // Tells the sequencer how far it has to look, before there is anything to see.
    const found = memory.compareExchange(word, current, value)
    if (found === current) return
    current = found
  }
}

/** After a thread's death. */
export function freePins(memory: SharedMemory, layout: RegionLayout, threadId: number): void {
  // All of them: it may have died before it could say how far there are pins in use.
  for (let pinIndex = 0; pinIndex < layout.pinsMax; pinIndex++) {
    if (memory.load(layout.wordPinOwners + pinIndex) !== ownerOf(threadId)) continue
    // As its owner would have: the version first, then the pin.
    memory.store(layout.wordPinVersions + pinIndex, NO_VERSION)
    memory.store(layout.wordPinOwners + pinIndex, OWNER_NONE)
  }
}

/** The sequencer's look at all pins. */
export class Pins {
  readonly #memory: SharedMemory
  readonly #control: PlainWords
  readonly #layout: RegionLayout

  constructor(memory: SharedMemory, control: PlainWords, layout: RegionLayout) {
    this.#memory = memory
    this.#control = control
    this.#layout = layout
  }

  /**
   * Calls with the version of each pin held. To be called after the slots were looked at: a pin whose stay
   * was seen over was stored before that, so plain loads are enough.
   */
  forEach(visit: (version: number) => void): void {
    const { wordPinVersions } = this.#layout
    const end = wordPinVersions + this.#memory.load(WORD_PINS_USED)
    for (let word = wordPinVersions; word < end; word++) {
      const version = this.#control[word]!
      if (version !== NO_VERSION) visit(version)
    }
  }

  /** What the owners of pins that are revoked will say when they find out. */
  setAgeMaxMs(ageMaxMs: number): void {
    this.#memory.store(WORD_PIN_AGE_MAX_MS, Math.min(ageMaxMs, AGE_MAX_MS))
  }

  /** Revokes pins of versions before `bound`; returns how many. */
  revokeBefore(bound: number): number {
    const { wordPinVersions } = this.#layout
    const end = wordPinVersions + this.#memory.load(WORD_PINS_USED)
    let revoked = 0
    for (let word = wordPinVersions; word < end; word++) {
      const version = this.#memory.load(word)
      if (version === NO_VERSION || versionDistance(version, bound) >= 0) continue
      // Only what was looked at: the owner may have taken a newer version meanwhile.
      if (this.#memory.compareExchange(word, version, NO_VERSION) === version) revoked++
    }
    return revoked
  }
}
