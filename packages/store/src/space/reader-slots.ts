/**
 * Readers' slots: by which the sequencer knows who is looking at what.
 *
 * Threads: a slot belongs to the thread that took it. The sequencer reads all slots, and asks. Whoever has
 * proof of a thread's end frees its slots and pins.
 *
 * Invariants
 *  E1 A reader looks at pages only between `enter…` and `leave`; meanwhile its slot says its version.
 *  E2 It begins to look only after it has stored the version and then loaded the version word. So either the
 *     sequencer, looking at the slots after its fence (a store of the version word), sees it, or it sees all
 *     that the sequencer did before the fence: pages gone from the table, states published, pins revoked.
 *  E3 An unpinned reader is at a version that was the newest after its slot said so; a pinned one at one whose
 *     pin was held after its slot said so.
 *
 * What follows. A page retired in version r can be freed once r is published and no slot or pin looked at
 * afterwards is at a version in which it lived: who enters later enters r or a later one (E3), or through a
 * pin that was seen. A frame whose entry is gone can be used again once each slot was seen idle, or has left
 * since: who enters later does not find it (E2). Slots are looked at before pins, since a pin is taken inside a
 * stay: who has left the slot has left the pin in place.
 *
 * A reader that is always inside when looked at is asked to say when it has left. It clears the question only
 * after a stay's end, and the question is put after the stay was seen, so an answer means: that stay is over.
 *
 * A dead thread's slot holds up reclamation and nothing else, until `freeThread`.
 */
import type { SharedMemory } from '@ringbolt/ring'
import { AtomicsMemory } from '@ringbolt/ring'
import { StoreFullError } from '../errors.ts'
import {
  OWNER_NONE,
  ownerOf,
  READER_ASKED,
  READER_ENTERED,
  READER_OWNER,
  type RegionLayout,
  readerWord,
  WORD_READERS_USED,
  WORD_VERSION,
} from './layout.ts'
import { freePins, raise } from './pins.ts'
import { layoutOf, type PlainWords } from './region.ts'
import { NO_VERSION } from './versions.ts'

/** @throws StoreFullError when as many threads are attached as the region has slots */
export function takeReaderSlot(region: SharedArrayBuffer, threadId: number): number {
  const memory = new AtomicsMemory(region)
  return takeReader(memory, layoutOf(memory), threadId)
}

/**
 * Frees what a thread has held. To be called by whoever has proof that it has ended and will run no more
 * (its `exit` event).
 */
export function freeThread(region: SharedArrayBuffer, threadId: number): void {
  const memory = new AtomicsMemory(region)
  freeReaders(memory, layoutOf(memory), threadId)
}

export function takeReader(memory: SharedMemory, layout: RegionLayout, threadId: number): number {
  for (let slotIndex = 0; slotIndex < layout.readersMax; slotIndex++) {
    const word = readerWord(layout, slotIndex) + READER_OWNER
    // The slot is this thread's from here on; only the thread itself and its death free it.
    if (memory.compareExchange(word, OWNER_NONE, ownerOf(threadId)) === OWNER_NONE) {
      raise(memory, WORD_READERS_USED, slotIndex + 1)
      return slotIndex
    }
  }
  throw new StoreFullError(`all ${layout.readersMax} readers' slots are taken (threadsMax)`, {
    readersMax: layout.readersMax,
  })
}

export function freeReaders(memory: SharedMemory, layout: RegionLayout, threadId: number): void {
  const owner = ownerOf(threadId)
  for (let slotIndex = 0; slotIndex < layout.readersMax; slotIndex++) {
    if (memory.load(readerWord(layout, slotIndex) + READER_OWNER) === owner) {
      freeReader(memory, layout, slotIndex)
    }
  }
  freePins(memory, layout, threadId)
}

/** By the slot's own thread, or after its death. */
export function freeReader(memory: SharedMemory, layout: RegionLayout, slotIndex: number): void {
  const word = readerWord(layout, slotIndex)
  // The sequencer no longer waits for this slot.
  memory.store(word + READER_ENTERED, NO_VERSION)
  memory.store(word + READER_ASKED, 0)
  // Last: hands the slot to whoever takes it.
  memory.store(word + READER_OWNER, OWNER_NONE)
}

/** A thread's own slot. */
export class ReaderSlot {
  readonly #memory: SharedMemory
  readonly #control: PlainWords
  readonly #entered: number
  readonly #asked: number

  constructor(memory: SharedMemory, control: PlainWords, layout: RegionLayout, slotIndex: number) {
    this.#memory = memory
    this.#control = control
    this.#entered = readerWord(layout, slotIndex) + READER_ENTERED
    this.#asked = readerWord(layout, slotIndex) + READER_ASKED
  }

  /** Enters the newest version; returns it. */
  enter(): number {
    const memory = this.#memory
    // A plain load: whatever it finds is confirmed below.
    let version = this.#control[WORD_VERSION]!
    for (;;) {
      // Tells the sequencer what must stay.
      memory.store(this.#entered, version)
      // E2, E3: it was still the newest when the slot said so.
      const newest = memory.load(WORD_VERSION)
      if (newest === version) return version
      version = newest
    }
  }

  /** Enters a version that is pinned; whether it still is has to be looked up afterwards. */
  enterAt(version: number): void {
    // Tells the sequencer what must stay.
    this.#memory.store(this.#entered, version)
    // For its order only (E2).
    this.#memory.load(WORD_VERSION)
  }

  leave(): void {
    // Tells the sequencer that this thread has nothing of any page any more.
    this.#memory.store(this.#entered, NO_VERSION)
    if (this.#control[this.#asked] !== 0) {
      // Answers it: the stay that it saw is over.
      this.#memory.store(this.#asked, 0)
    }
  }
}

/** The sequencer's look at the slots. */
export class ReaderSlots {
  readonly #memory: SharedMemory
  readonly #layout: RegionLayout

  constructor(memory: SharedMemory, layout: RegionLayout) {
    this.#memory = memory
    this.#layout = layout
  }

  /** How many slots have ever been taken: those beyond are idle. */
  get used(): number {
    return this.#memory.load(WORD_READERS_USED)
  }

  /** Makes what the sequencer has done so far known to all that enter from now on (E2). */
  fence(): void {
    // The same value: nobody else stores it. Who loads it sees all that was stored before.
    this.#memory.store(WORD_VERSION, this.#memory.load(WORD_VERSION))
  }

  /** The version that the slot's thread is at, or NO_VERSION. */
  entered(slotIndex: number): number {
    return this.#memory.load(readerWord(this.#layout, slotIndex) + READER_ENTERED)
  }

  /** Of a thread that was seen inside: it will say when it has left. */
  ask(slotIndex: number): void {
    // Read by the slot's thread after it has left.
    this.#memory.store(readerWord(this.#layout, slotIndex) + READER_ASKED, 1)
  }

  /** Whether a thread that was seen at that version, and then asked, has left since. */
  hasLeft(slotIndex: number, version: number): boolean {
    const word = readerWord(this.#layout, slotIndex)
    if (this.#memory.load(word + READER_ENTERED) !== version) return true
    return this.#memory.load(word + READER_ASKED) === 0
  }
}
