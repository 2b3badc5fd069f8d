/**
 * The words by which threads ask the sequencer for something other than a commit, and hear of it.
 *
 * Threads: any thread asks; the sequencer alone answers. Nothing here is lost when a thread dies: a request
 * is a count, and carrying it out twice does no harm.
 *
 * Invariant
 *  O1 `checkpointsDone` reaches a ticket only after a checkpoint that began after the ticket was taken is durable, or
 *     after a refusal that `busyCount` tells of since.
 */
import type { SharedMemory } from '@ringbolt/ring'

const LINE_WORDS = 32
const WORD_CHECKPOINTS_WANTED = 0
const WORD_CHECKPOINTS_DONE: number = WORD_CHECKPOINTS_WANTED + LINE_WORDS
const WORD_CLOSE: number = WORD_CHECKPOINTS_DONE + LINE_WORDS
/** 1 while this process is the one that may write: its readers have the newest state before them. */
const WORD_TURN: number = WORD_CLOSE + LINE_WORDS
/** Low 32 bits of the epoch up to which the log of others was applied. */
const WORD_FOLLOWED: number = WORD_TURN + 1
const WORD_FRESH_WANTED: number = WORD_TURN + LINE_WORDS
/** Why the turn was not had: pairs of words, so whole numbers up to 2^53. */
const WORD_BUSY: number = WORD_FRESH_WANTED + LINE_WORDS
const BUSY_FIELDS = [
  'holderPid',
  'holderThreadId',
  'holderSinceMs',
  'waitedMs',
  'timeoutMs',
] as const
const PAIR_RANGE = 2 ** 32
/** How often it was not had. */
const WORD_BUSY_COUNT: number = WORD_BUSY + 2 * BUSY_FIELDS.length
/** 1 while others wait for the turn to end: who has nothing open yet lets them go first. */
const WORD_DRAINING: number = WORD_BUSY + LINE_WORDS
/** For each producer slot: how many transactions its thread has open that have begun to write, and the thread. */
const WORD_WRITERS: number = WORD_DRAINING + LINE_WORDS
const WRITER_WORDS = 2

export function controlBytes(slots: number): number {
  return (WORD_WRITERS + slots * WRITER_WORDS) * 4
}

/** Of a BusyError, without the path. */
export type BusyFacts = Partial<Record<(typeof BUSY_FIELDS)[number], number | null>>

export class Control {
  readonly #memory: SharedMemory
  readonly #slots: number

  constructor(memory: SharedMemory) {
    this.#memory = memory
    this.#slots = (memory.byteLength / 4 - WORD_WRITERS) / WRITER_WORDS
  }

  /** How many transactions of that thread keep other processes from writing; its own to say. */
  setWriting(slot: number, threadId: number, count: number): void {
    const word = WORD_WRITERS + slot * WRITER_WORDS
    this.#memory.store(word + 1, threadId)
    // Before the look at the turn: the sequencer takes the turn away, and then looks here.
    this.#memory.store(word, count)
  }

  /** Whether any thread has one. */
  get isWriting(): boolean {
    for (let slot = 0; slot < this.#slots; slot++) {
      if (this.#memory.load(WORD_WRITERS + slot * WRITER_WORDS) !== 0) return true
    }
    return false
  }

  /** The thread has ended. */
  freeWriter(threadId: number): void {
    for (let slot = 0; slot < this.#slots; slot++) {
      const word = WORD_WRITERS + slot * WRITER_WORDS
      // A slot's next thread says its number before its count.
      if (this.#memory.load(word + 1) === threadId) this.#memory.store(word, 0)
    }
  }

  get isDraining(): boolean {
    return this.#memory.load(WORD_DRAINING) !== 0
  }

  /** Sequencer. */
  setDraining(isDraining: boolean): void {
    // A courtesy: who does not see it in time goes first.
    this.#memory.store(WORD_DRAINING, isDraining ? 1 : 0)
  }

  get busyCount(): number {
    return this.#memory.load(WORD_BUSY_COUNT)
  }

  /** Asks for a checkpoint of all that is acknowledged by now; the caller rings the doorbell. */
  wantCheckpoint(): number {
    // Read by the sequencer when it begins the next checkpoint.
    return (this.#memory.add(WORD_CHECKPOINTS_WANTED, 1) + 1) | 0
  }

  get checkpointsWanted(): number {
    return this.#memory.load(WORD_CHECKPOINTS_WANTED)
  }

  get checkpointWanted(): boolean {
    return this.checkpointsWanted !== this.#memory.load(WORD_CHECKPOINTS_DONE)
  }

  isDone(ticket: number): boolean {
    return ((this.#memory.load(WORD_CHECKPOINTS_DONE) - ticket) | 0) >= 0
  }

  /** Sequencer: all that was wanted when the checkpoint began is done. */
  checkpointDone(wantedWhenBegun: number): void {
    // Tells the askers; the sequencer wakes them by the watermarks' signal afterwards.
    this.#memory.store(WORD_CHECKPOINTS_DONE, wantedWhenBegun)
  }

  get isTurn(): boolean {
    return this.#memory.load(WORD_TURN) === 1
  }

  /** Sequencer: before others may write, and after everything of theirs is published here. */
  setTurn(isOurs: boolean): void {
    // Read by every reader before it enters the newest version.
    this.#memory.store(WORD_TURN, isOurs ? 1 : 0)
  }

  /** Whether everything before the epoch is published here. */
  hasFollowed(epoch: number): boolean {
    return ((this.#memory.load(WORD_FOLLOWED) - epoch) | 0) >= 0
  }

  /** Sequencer: everything before the epoch is published. */
  followed(epoch: number): void {
    // Tells readers that wait for it; stored after the versions were.
    this.#memory.store(WORD_FOLLOWED, epoch | 0)
    this.#memory.notify(WORD_FOLLOWED, Number.POSITIVE_INFINITY)
  }

  /** Blocks this thread until more was followed, or the time is over; the caller looks again. */
  waitForFollowed(epoch: number, timeoutMs: number): void {
    const followed = this.#memory.load(WORD_FOLLOWED)
    if (((followed - epoch) | 0) < 0) this.#memory.wait(WORD_FOLLOWED, followed, timeoutMs)
  }

  /** A reader asks for what others have acknowledged; it rings the doorbell afterwards. */
  wantFresh(): void {
    // Cleared by the sequencer before it looks.
    this.#memory.store(WORD_FRESH_WANTED, 1)
    this.#memory.notify(WORD_FRESH_WANTED, Number.POSITIVE_INFINITY)
  }

  /** Sequencer, while it has nothing else to do: blocks until a reader asks, or the time is over. */
  waitForFreshWanted(timeoutMs: number): void {
    this.#memory.wait(WORD_FRESH_WANTED, 0, timeoutMs)
  }

  get freshWanted(): boolean {
    return this.#memory.load(WORD_FRESH_WANTED) !== 0
  }

  /** Sequencer: before it looks what others have acknowledged. */
  takeFreshWanted(): void {
    // Before the look: who asks after it is looked for again.
    this.#memory.store(WORD_FRESH_WANTED, 0)
  }

  /**
   * Sequencer: why what is refused as busy is; before it is refused.
   * @returns the last checkpoint that was wanted before: who hears of the refusal may want another one at once
   */
  setBusy(facts: BusyFacts): number {
    const refused = this.checkpointsWanted
    for (const [at, field] of BUSY_FIELDS.entries()) {
      // 0 for what nobody said.
      const value = Math.min(Math.ceil(facts[field] ?? -1) + 1, Number.MAX_SAFE_INTEGER)
      this.#memory.store(WORD_BUSY + 2 * at, value | 0)
      // Read by clients after they have read their refusal.
      this.#memory.store(WORD_BUSY + 2 * at + 1, Math.floor(value / PAIR_RANGE))
    }
    // Tells those who wait for the turn.
    this.#memory.add(WORD_BUSY_COUNT, 1)
    return refused
  }

  get busy(): BusyFacts {
    const facts: BusyFacts = {}
    for (const [at, field] of BUSY_FIELDS.entries()) {
      const low = this.#memory.load(WORD_BUSY + 2 * at) >>> 0
      const value = this.#memory.load(WORD_BUSY + 2 * at + 1) * PAIR_RANGE + low
      facts[field] = value === 0 ? null : value - 1
    }
    return facts
  }

  /** The owner asks the sequencer to end; it rings the doorbell afterwards. */
  wantClose(): void {
    // Read by the sequencer between two steps.
    this.#memory.store(WORD_CLOSE, 1)
  }

  get closeWanted(): boolean {
    return this.#memory.load(WORD_CLOSE) !== 0
  }
}

/**
 * For operations that cannot pay for an atomic load: whether a close is wanted. A plain load of a word that changes
 * once; a thread may see it a moment late, as it may call a moment early.
 */
export function closeFlagOf(control: SharedArrayBuffer): () => boolean {
  const words = new Int32Array(control)
  return () => words[WORD_CLOSE] !== 0
}
