/**
 * What the sequencer refused, by client: a ring of entries for each producer slot, in shared memory.
 *
 * Threads: the sequencer writes; the slot's thread reads what is its own, after the mark has passed its command.
 *
 * Invariants
 *  F1 An entry is stored, then the slot's head, then the mark moves: who sees the mark past his command
 *     sees the head past the entry that names it, if there is one.
 *  F2 A client has at most REFUSALS_IN_FLIGHT_MAX commands that it has not settled, and reads all entries when
 *     it settles one: no entry of its own is written over before it was read.
 *  F3 Should garbage in a client's name, or commands that it no longer waits for, break F2, the reader sees it
 *     by the head and throws: a refused command is never taken for a committed one.
 *
 * Crash: a thread that ends leaves entries that nobody reads; the slot's next thread begins behind them.
 */
import { RingboltError, type SharedMemory } from '@ringbolt/ring'
import type { Refusal, RefusalReason } from '../client/engine.ts'

export const REFUSALS_IN_FLIGHT_MAX = 1024

const LINE_WORDS = 32
const ENTRY_WORDS = 2
/** Twice what is needed, so that some garbage does no harm. */
const ENTRIES: number = 2 * REFUSALS_IN_FLIGHT_MAX
const SLOT_WORDS: number = LINE_WORDS + ENTRIES * ENTRY_WORDS
const ADDRESS_UNIT_BYTES = 8
const OPERATION_BITS = 28
const OPERATION_MASK: number = 2 ** OPERATION_BITS - 1
const REASONS: readonly RefusalReason[] = ['conflict', 'definition', 'malformed', 'full', 'busy']

/** The command was decided, but what was decided is no longer known. `RINGBOLT_OUTCOME_UNKNOWN` */
export class OutcomeUnknownError extends RingboltError {
  constructor(address: number) {
    super(
      'RINGBOLT_OUTCOME_UNKNOWN',
      `the command at ring address ${address} was committed or refused, but so much was refused in this thread's name that the answer was lost`,
      { address },
    )
  }
}

export function refusalsBytes(slots: number): number {
  return slots * SLOT_WORDS * 4
}

/** The low 32 bits of an address in units: enough to tell apart what one client has in flight. */
function unitsOf(address: number): number {
  return (address / ADDRESS_UNIT_BYTES) | 0
}

function entryWord(slot: number, ordinal: number): number {
  return slot * SLOT_WORDS + LINE_WORDS + (ordinal & (ENTRIES - 1)) * ENTRY_WORDS
}

export class RefusalWriter {
  readonly slots: number
  readonly #memory: SharedMemory

  constructor(memory: SharedMemory) {
    this.#memory = memory
    this.slots = Math.floor(memory.byteLength / 4 / SLOT_WORDS)
  }

  /** Addresses rise. A slot that does not exist is a garbage command's: nobody waits for it. */
  refuse(slot: number, address: number, { reason, operation }: Refusal): void {
    if (slot >= this.slots) return
    const headWord = slot * SLOT_WORDS
    const head = this.#memory.load(headWord)
    const word = entryWord(slot, head)
    // Both are read by the slot's thread after it has seen the head that follows (F1).
    this.#memory.store(word, unitsOf(address))
    const code = REASONS.indexOf(reason) * 2 ** OPERATION_BITS
    this.#memory.store(word + 1, code | Math.min(operation, OPERATION_MASK))
    // Hands the entry to the slot's thread, which reads the head after the mark (F1).
    this.#memory.store(headWord, (head + 1) | 0)
  }
}

export class RefusalReader {
  readonly #memory: SharedMemory
  readonly #slot: number
  readonly #found = new Map<number, Refusal>()
  #tail: number
  /** In units: of entries for addresses before it some are lost (F3). */
  #lostBefore: number | undefined

  constructor(memory: SharedMemory, slot: number) {
    this.#memory = memory
    this.#slot = slot
    this.#tail = memory.load(slot * SLOT_WORDS)
  }

  /**
   * For a command that the mark has passed; to be asked once for each.
   * @throws OutcomeUnknownError when entries were written over before they were read (F3)
   */
  take(address: number): Refusal | undefined {
    const head = this.#memory.load(this.#slot * SLOT_WORDS)
    if (head !== this.#tail) this.#readTo(head)
    if (this.#found.size === 0 && this.#lostBefore === undefined) return undefined
    const units = unitsOf(address)
    const refusal = this.#found.get(units)
    this.#found.delete(units)
    const lost = this.#lostBefore !== undefined && ((this.#lostBefore - units) | 0) > 0
    if (refusal === undefined && lost) throw new OutcomeUnknownError(address)
    return refusal
  }

  /** Drops what nobody is going to ask for; to be called when nothing is in flight. */
  forget(): void {
    this.#found.clear()
    this.#lostBefore = undefined
  }

  #readTo(head: number): void {
    let lost = ((head - this.#tail) | 0) > ENTRIES
    if (lost) this.#tail = (head - ENTRIES) | 0
    while (this.#tail !== head) {
      const word = entryWord(this.#slot, this.#tail)
      const units = this.#memory.load(word)
      const entry = this.#memory.load(word + 1)
      // The writer may have come round meanwhile, and be in the middle of this entry.
      const headNow = this.#memory.load(this.#slot * SLOT_WORDS)
      if (((headNow - this.#tail) | 0) >= ENTRIES) lost = true
      else {
        if (lost) this.#lostBefore = units
        lost = false
        const reason = REASONS[entry >>> OPERATION_BITS] ?? 'malformed'
        this.#found.set(units, { reason, operation: entry & OPERATION_MASK })
      }
      this.#tail = (this.#tail + 1) | 0
    }
    if (lost) this.#readTo(this.#memory.load(this.#slot * SLOT_WORDS))
  }
}
