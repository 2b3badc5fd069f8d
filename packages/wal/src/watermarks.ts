/**
 * How far the log has come, in shared memory: what acknowledges appends in all threads at once.
 *
 * Threads: the log's thread alone advances the two marks; any thread reads and waits, and may ask for
 * a sync. One signal word serves both marks: a thousand pending appends of a thread cost one wake-up.
 *
 * Invariants
 *  K1 durable ≤ written; both only grow.
 *  K2 `durable` is stored after the sync that covers it has returned; never after a failed one.
 *  K3 A mark is stored before the signal changes; a waiter reads the signal before the mark. So a
 *     waiter that saw an old mark sees a changed signal, or is woken.
 *
 * A mark is a log sequence number: bytes, 53 bits, in two words: units of 8 bytes below 2^31, and
 * what is above. The writer stores the low word first, a reader loads the high word first: in between
 * it may read too low a mark, never too high a one.
 */
import type { SharedMemory } from '@ringbolt/ring'

const LINE_WORDS = 32
const WORD_SIGNAL = 0
const WORD_WRITTEN_LOW: number = WORD_SIGNAL + LINE_WORDS
const WORD_WRITTEN_HIGH: number = WORD_WRITTEN_LOW + 1
const WORD_DURABLE_LOW: number = WORD_WRITTEN_LOW + 2
const WORD_DURABLE_HIGH: number = WORD_WRITTEN_LOW + 3
const WORD_REQUESTS: number = WORD_WRITTEN_LOW + LINE_WORDS
const WORD_SYNC_WANTED: number = WORD_REQUESTS + 1

export const WATERMARK_BYTES: number = (WORD_REQUESTS + LINE_WORDS) * 4

const UNIT_BYTES = 8
const HALF_CIRCLE_UNITS = 2 ** 31

export class Watermarks {
  readonly #memory: SharedMemory

  constructor(memory: SharedMemory) {
    this.#memory = memory
  }

  /** Log's thread, before the memory is shared. */
  format(endLsn: number): void {
    this.#store(WORD_WRITTEN_LOW, WORD_WRITTEN_HIGH, endLsn)
    this.#store(WORD_DURABLE_LOW, WORD_DURABLE_HIGH, endLsn)
  }

  /** Everything before it is with the operating system: survives the process, not the machine. */
  get writtenLsn(): number {
    return this.#load(WORD_WRITTEN_LOW, WORD_WRITTEN_HIGH)
  }

  /** Everything before it is on stable storage. */
  get durableLsn(): number {
    return this.#load(WORD_DURABLE_LOW, WORD_DURABLE_HIGH)
  }

  /** Log's thread: both marks, then one signal. */
  advance(writtenLsn: number, durableLsn: number): void {
    this.#store(WORD_WRITTEN_LOW, WORD_WRITTEN_HIGH, writtenLsn)
    this.#store(WORD_DURABLE_LOW, WORD_DURABLE_HIGH, durableLsn)
    this.wakeAll()
  }

  /** Wakes every waiter to look again: at the marks, or at the state of the ring. */
  wakeAll(): void {
    // Changes the word that waiters compare (K3).
    this.#memory.add(WORD_SIGNAL, 1)
    this.#memory.notify(WORD_SIGNAL, Number.POSITIVE_INFINITY)
  }

  /** To be read before the mark that one wants to wait for. */
  get signal(): number {
    return this.#memory.load(WORD_SIGNAL)
  }

  /** Blocks this thread until the signal is no longer what was read. */
  wait(signal: number, timeoutMs: number): void {
    this.#memory.wait(WORD_SIGNAL, signal, timeoutMs)
  }

  waitAsync(signal: number, timeoutMs: number): Promise<unknown> | undefined {
    const wait = this.#memory.waitAsync(WORD_SIGNAL, signal, timeoutMs)
    return wait.async ? wait.value : undefined
  }

  /** Asks the log's thread to sync what is written; the caller rings the doorbell. */
  wantSync(): void {
    // Read and cleared by the log's thread before it syncs, so that the sync covers the asker.
    this.#memory.store(WORD_SYNC_WANTED, 1)
  }

  get syncWanted(): boolean {
    return this.#memory.load(WORD_SYNC_WANTED) !== 0
  }

  /** Log's thread: takes the request, if there is one. */
  takeSyncWanted(): boolean {
    return this.syncWanted && this.#memory.exchange(WORD_SYNC_WANTED, 0) === 1
  }

  /** Counts the messages sent to the log's thread, so that it need not look for them in vain. */
  announceRequest(): void {
    this.#memory.add(WORD_REQUESTS, 1)
  }

  get requestsAnnounced(): number {
    return this.#memory.load(WORD_REQUESTS)
  }

  #store(lowWord: number, highWord: number, lsn: number): void {
    const units = lsn / UNIT_BYTES
    this.#memory.store(lowWord, units % HALF_CIRCLE_UNITS)
    // After the low word: who reads the new high word reads the new low one too.
    this.#memory.store(highWord, Math.floor(units / HALF_CIRCLE_UNITS))
  }

  #load(lowWord: number, highWord: number): number {
    const high = this.#memory.load(highWord)
    return (high * HALF_CIRCLE_UNITS + this.#memory.load(lowWord)) * UNIT_BYTES
  }
}
