/**
 * What parts of the log are still going to be read: one hold for each reader of changes, in shared memory.
 *
 * Threads: a hold's words belong to the thread that took it; the sequencer reads all before it releases segments. A
 * thread's death frees its holds (`freeLogHolds`).
 *
 * Invariants
 *  H1 A hold's sequence only grows while it is held; it is stored before its reader looks for a segment. So what it looks
 *     for is there already gone, which it finds out, or stays.
 *  H2 The high word is stored last when the sequence grows, and loaded before and after the low one: a look gives the
 *     sequence that its reader has said, or is just saying, or a lower one, never one that it has yet to say.
 */
import { AtomicsMemory, FRAME_ALIGNMENT_BYTES, type SharedMemory } from '@ringbolt/ring'
import type { SegmentedLog } from '@ringbolt/wal'
import { StoreFullError } from '../errors.ts'

const HOLDS = 256
const WORDS = 4
const WORD_OWNER = 0
const WORD_LOW = 1
const WORD_HIGH = 2
const NO_OWNER = 0
/** Held, and its sequence is not stored yet: nothing is kept for it. */
const NOT_YET = -1
const LOW_RANGE = 2 ** 31

function ownerOf(threadId: number): number {
  return threadId + 1
}

export class LogHolds {
  readonly #memory: SharedMemory

  constructor(memory: SharedMemory) {
    this.#memory = memory
  }

  /** Sequencer: the lowest sequence that somebody has read up to; undefined: nobody reads. */
  oldest(): number | undefined {
    const held = this.held()
    return held.readers === 0 ? undefined : held.oldest
  }

  /** How many read, and the lowest sequence that they have read up to; Infinity without any. */
  held(): { readonly readers: number; readonly oldest: number } {
    let readers = 0
    let oldest = Number.POSITIVE_INFINITY
    for (const word of wordsOf(this.#memory)) {
      const sequence = this.#sequenceOf(word)
      if (sequence === undefined) continue
      readers++
      oldest = Math.min(oldest, sequence)
    }
    return { readers, oldest }
  }

  #sequenceOf(word: number): number | undefined {
    const memory = this.#memory
    if (memory.load(word + WORD_OWNER) === NO_OWNER) return undefined
    for (let high = memory.load(word + WORD_HIGH); ; ) {
      const low = memory.load(word + WORD_LOW)
      // It may have become another reader's hold in between: the two words must be one reader's (H2).
      const again = memory.load(word + WORD_HIGH)
      if (again === high) return high === NOT_YET ? undefined : high * LOW_RANGE + low
      high = again
    }
  }

  /** @throws StoreFullError */
  take(threadId: number, sequence: number): LogHold {
    for (const word of wordsOf(this.#memory)) {
      // The hold is this thread's from here on; only the thread itself and its death free it.
      const found = this.#memory.compareExchange(word + WORD_OWNER, NO_OWNER, ownerOf(threadId))
      if (found === NO_OWNER) return new LogHold(this.#memory, word, sequence)
    }
    throw new StoreFullError(`${HOLDS} readers of changes are open, no more fit`, { holds: HOLDS })
  }
}

export class LogHold {
  readonly #memory: SharedMemory
  readonly #word: number
  #isHeld = true

  constructor(memory: SharedMemory, word: number, sequence: number) {
    this.#memory = memory
    this.#word = word
    this.moveTo(sequence)
  }

  /** Everything up to the sequence was read. */
  moveTo(sequence: number): void {
    // Read by the sequencer, which looks at the high word first (H2).
    this.#memory.store(this.#word + WORD_LOW, sequence % LOW_RANGE)
    // Completes the sequence; the first time, it also begins to keep the log (H1).
    this.#memory.store(this.#word + WORD_HIGH, Math.floor(sequence / LOW_RANGE))
  }

  /** Idempotent. */
  release(): void {
    if (!this.#isHeld) return
    this.#isHeld = false
    free(this.#memory, this.#word)
  }
}

/** After a thread's death. */
export function freeLogHolds(memory: SharedMemory, threadId: number): void {
  for (const word of wordsOf(memory)) {
    if (memory.load(word + WORD_OWNER) === ownerOf(threadId)) free(memory, word)
  }
}

function free(memory: SharedMemory, word: number): void {
  memory.store(word + WORD_HIGH, NOT_YET)
  // Hands the hold to whoever takes it.
  memory.store(word + WORD_OWNER, NO_OWNER)
}

/** All of them free. */
export function makeLogHolds(): SharedArrayBuffer {
  const buffer = new SharedArrayBuffer(HOLDS * WORDS * 4)
  formatLogHolds(new AtomicsMemory(buffer))
  return buffer
}

/** As many as there is room for, before the memory is shared. */
export function formatLogHolds(memory: SharedMemory): void {
  for (const word of wordsOf(memory)) free(memory, word)
}

function* wordsOf(memory: SharedMemory): Generator<number, void, undefined> {
  const words = memory.byteLength / 4
  for (let word = 0; word + WORDS <= words; word += WORDS) yield word
}

/**
 * From where on the log must stay for those who read it: nothing before it is going to be read, or it is more than
 * `keepLogBytes` ago.
 */
export function keepFromLsn(
  log: SegmentedLog,
  holds: LogHolds,
  { baseSequence }: { readonly baseSequence: number },
  keepLogBytes: number,
): number {
  const oldest = holds.oldest()
  if (oldest === undefined) return log.endLsn
  const ordinal = oldest + 1 - baseSequence
  const { segments, endLsn } = log
  const segment = segments.findLast(({ header }) => header.firstSequence <= ordinal) ?? segments[0]
  const boundLsn = endLsn - (keepLogBytes - (keepLogBytes % FRAME_ALIGNMENT_BYTES))
  return Math.max(segment?.header.firstLsn ?? endLsn, boundLsn)
}
