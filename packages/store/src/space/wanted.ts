/**
 * Pages that readers had to read from the file themselves, and ask the sequencer to take into memory.
 *
 * Threads: any thread adds; the sequencer takes. The ring is lossy: requests may be overwritten, torn or
 * repeated. A page that was not admitted is asked for again by the next miss; one that was asked for wrongly
 * does not pass verification, or is in memory for nothing for a while.
 */
import type { SharedMemory } from '@ringbolt/ring'
import { NO_PAGE } from '../page/page.ts'
import { WANTED_ENTRIES, WORD_WANTED_CURSOR, wantedWord } from './layout.ts'

/** Requests that are worth waking the sequencer for. A power of two. */
const REQUESTS_PER_WAKE = 16

/** @returns whether the sequencer is to be woken if it sleeps */
export function want(memory: SharedMemory, pageId: number, checksum: number): boolean {
  const cursor = memory.add(WORD_WANTED_CURSOR, 1)
  const word = wantedWord(cursor)
  memory.store(word + 1, checksum | 0)
  // Read by the sequencer, with the word before it.
  memory.store(word, pageId | 0)
  return (cursor & (REQUESTS_PER_WAKE - 1)) === 0
}

/** The sequencer's end. */
export class Wanted {
  readonly #memory: SharedMemory
  #taken: number

  constructor(memory: SharedMemory) {
    this.#memory = memory
    this.#taken = memory.load(WORD_WANTED_CURSOR)
  }

  /** How often readers have read a page from the file; wraps at 2^32. */
  get requests(): number {
    return this.#memory.load(WORD_WANTED_CURSOR) >>> 0
  }

  /** Whether there are requests not yet taken. */
  get isPending(): boolean {
    return this.#memory.load(WORD_WANTED_CURSOR) !== this.#taken
  }

  /** There is no room for what is wanted: it will be asked for again. */
  forget(): void {
    this.#taken = this.#memory.load(WORD_WANTED_CURSOR)
  }

  /** Calls with requests not yet taken, the oldest first, as long as the call returns true. */
  take(admit: (pageId: number, checksum: number) => boolean): void {
    const end = this.#memory.load(WORD_WANTED_CURSOR)
    if (((end - this.#taken) | 0) > WANTED_ENTRIES) this.#taken = (end - WANTED_ENTRIES) | 0
    while (this.#taken !== end) {
      const word = wantedWord(this.#taken)
      // Taken once, even when the cursor comes round before anybody writes here.
      const pageId = this.#memory.exchange(word, NO_PAGE) >>> 0
      this.#taken = (this.#taken + 1) | 0
      if (pageId === NO_PAGE) continue
      if (!admit(pageId, this.#memory.load(word + 1) >>> 0)) return
    }
  }
}
