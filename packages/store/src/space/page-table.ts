/**
 * Where in memory a page stands: a hash table in shared memory, from page id to frame.
 *
 * Threads: the sequencer alone changes it, by atomic stores. Any thread looks, by plain loads, while it is
 * inside a read.
 *
 * Invariants
 *  T1 An entry is one word and never moves: from its insertion to its removal it stands in one place, in the
 *     page's home bucket or, where those were full, in one of the next; the buckets passed over say so since before.
 *  T2 While an entry names a frame, and until every reader that could have read the entry has left, the
 *     frame's header names the page.
 *  T3 Pages that a version needs and that are not in the file are in the table before it is published, and
 *     until no reader can be at such a version.
 *
 * Why plain loads are enough. A reader enters by atomic accesses that follow the sequencer's last fence (see
 * `reader-slots.ts`), so it sees all removals before that: it cannot come upon a frame that was already given
 * to somebody else. Entries change under it in two ways. One appears: the atomic store of the entry comes
 * after the stores of the page's bytes, and the reader gets to the bytes by the value that it loaded. One
 * disappears: it sees the word before or after; if before, the frame stays as it is until it has left (T2),
 * if after, the page is in the file. By T3 it never misses a page that is only in memory. Two pages with the
 * same tag are told apart by the id in the frame's header.
 */
import type { SharedMemory } from '@ringbolt/ring'
import { PAGE_ID_WORD, PAGE_WORDS } from '../page/page.ts'
import {
  BUCKET_ENTRIES,
  BUCKET_WORDS,
  ENTRY_FRAME_BITS,
  ENTRY_FRAME_MASK,
  ENTRY_TAG_MASK,
  ENTRY_TAKEN,
  type RegionLayout,
} from './layout.ts'
import type { PlainWords } from './region.ts'

/** 2^32 divided by the golden ratio: spreads ids that follow one another evenly. */
const MULTIPLIER = 0x9e37_79b1

export const NOT_RESIDENT: number = -1

export class PageTable {
  readonly #memory: SharedMemory
  readonly #control: PlainWords
  readonly #pages: PlainWords
  readonly #word: number
  readonly #shift: number
  readonly #mask: number

  /**
   * @param control all words before the frames
   * @param pages the words of the frames
   */
  constructor(
    memory: SharedMemory,
    control: PlainWords,
    pages: PlainWords,
    { wordTable, buckets }: RegionLayout,
  ) {
    this.#memory = memory
    this.#control = control
    this.#pages = pages
    this.#word = wordTable
    this.#shift = 32 - Math.log2(buckets)
    this.#mask = buckets - 1
  }

  /** The page's frame, or NOT_RESIDENT. */
  find(pageId: number): number {
    const control = this.#control
    const hash = Math.imul(pageId, MULTIPLIER)
    const sought = ENTRY_TAKEN | (hash & ENTRY_TAG_MASK)
    let bucket = hash >>> this.#shift
    for (let passed = 0; passed <= this.#mask; passed++) {
      const first = this.#word + bucket * BUCKET_WORDS
      const end = first + BUCKET_ENTRIES
      for (let word = first; word < end; word++) {
        const entry = control[word]!
        if (entry >>> ENTRY_FRAME_BITS !== sought) continue
        const frame = entry & ENTRY_FRAME_MASK
        if (this.#pages[frame * PAGE_WORDS + PAGE_ID_WORD] === pageId) return frame
      }
      if (control[end] === 0) return NOT_RESIDENT
      bucket = (bucket + 1) & this.#mask
    }
    return NOT_RESIDENT
  }

  /** Sequencer: the frame holds the page, header included. The page has no entry yet. */
  insert(pageId: number, frame: number): void {
    const hash = Math.imul(pageId, MULTIPLIER)
    const entry = ((ENTRY_TAKEN | (hash & ENTRY_TAG_MASK)) << ENTRY_FRAME_BITS) | frame
    let bucket = hash >>> this.#shift
    for (;;) {
      const word = this.#entryWord(bucket, 0)
      if (word !== 0) {
        // Publishes the page's bytes to whoever comes upon the entry.
        this.#memory.store(word, entry)
        return
      }
      // Sends readers on to the next bucket, before the entry is there (T1).
      this.#memory.add(this.#passedWord(bucket), 1)
      bucket = (bucket + 1) & this.#mask
    }
  }

  /** Sequencer: readers that are inside may still be using the frame. */
  remove(pageId: number, frame: number): void {
    const hash = Math.imul(pageId, MULTIPLIER)
    const entry = ((ENTRY_TAKEN | (hash & ENTRY_TAG_MASK)) << ENTRY_FRAME_BITS) | frame
    const home = hash >>> this.#shift
    let bucket = home
    let word = this.#entryWord(bucket, entry)
    while (word === 0) {
      bucket = (bucket + 1) & this.#mask
      if (bucket === home) throw new Error(`page ${pageId} is not in the table`)
      word = this.#entryWord(bucket, entry)
    }
    // Readers that enter after the next fence do not see the page here.
    this.#memory.store(word, 0)
    for (let before = home; before !== bucket; before = (before + 1) & this.#mask) {
      this.#memory.add(this.#passedWord(before), -1)
    }
  }

  /** The word of the bucket that holds this value; 0 without one. */
  #entryWord(bucket: number, value: number): number {
    const first = this.#word + bucket * BUCKET_WORDS
    for (let word = first; word < first + BUCKET_ENTRIES; word++) {
      if (this.#control[word] === value) return word
    }
    return 0
  }

  #passedWord(bucket: number): number {
    return this.#word + bucket * BUCKET_WORDS + BUCKET_ENTRIES
  }
}
