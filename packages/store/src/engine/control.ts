/**
 * The words by which threads ask the sequencer for something other than a commit, and hear of it.
 *
 * Threads: any thread asks; the sequencer alone answers. Nothing here is lost when a thread dies: a request
 * is a count, and carrying it out twice does no harm.
 *
 * Invariant
 *  O1 `checkpointsDone` reaches a ticket only after a checkpoint that began after the ticket was taken is durable.
 */
import type { SharedMemory } from '@ringbolt/ring'

const LINE_WORDS = 32
const WORD_CHECKPOINTS_WANTED = 0
const WORD_CHECKPOINTS_DONE: number = WORD_CHECKPOINTS_WANTED + LINE_WORDS
const WORD_CLOSE: number = WORD_CHECKPOINTS_DONE + LINE_WORDS

export const CONTROL_BYTES: number = (WORD_CLOSE + LINE_WORDS) * 4

export class Control {
  readonly #memory: SharedMemory

  constructor(memory: SharedMemory) {
    this.#memory = memory
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
