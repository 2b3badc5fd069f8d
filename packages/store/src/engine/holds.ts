/**
 * Checkpoints that are kept while somebody copies them: who asks, and which meta he got.
 *
 * Threads: any thread takes a slot, asks and lets go; the sequencer alone answers. A slot belongs to the thread that
 * took it; its death frees it (`freeHolds`), and the end of the database ends all.
 *
 * Invariants
 *  H1 A slot says `held` only while the sequencer pins the version of the checkpoint that the slot's words describe:
 *     no page of that checkpoint is written over. The free list's own pages may be.
 *  H2 The sequencer alone stores `held`; anything else in a slot that it has answered means that it was let go.
 *  H3 A checkpoint answers those who had asked before it began.
 */
import type { SharedMemory } from '@ringbolt/ring'
import { StoreFullError } from '../errors.ts'
import { PAGE_BYTES } from '../page/page.ts'
import { META_BYTES, META_SLOTS } from '../space/main-layout.ts'
import { decodeMeta, encodeMeta, type Meta } from '../space/meta.ts'
import type { SharedSpace, SpacePin } from '../space/shared-space.ts'

const SLOTS = 16
const WORD_OWNER = 0
const WORD_STATE = 1
const WORD_META = 2
const META_WORDS: number = META_BYTES / 4
const SLOT_WORDS = 64
const NOBODY = 0

const State = { none: 0, asked: 1, held: 2 } as const

export const HOLDS_BYTES: number = SLOTS * SLOT_WORDS * 4

if (WORD_META + META_WORDS > SLOT_WORDS) throw new Error('a meta does not fit a slot of the holds')

function ownerOf(threadId: number): number {
  return threadId + 1
}

/** A thread's side. */
export class Holds {
  readonly #memory: SharedMemory
  readonly #owner: number

  constructor(memory: SharedMemory, threadId: number) {
    this.#memory = memory
    this.#owner = ownerOf(threadId)
  }

  /** Asks for the next checkpoint to be kept; the caller asks for that checkpoint afterwards. @returns the slot */
  ask(): number {
    for (let slot = 0; slot < SLOTS; slot++) {
      const word = slot * SLOT_WORDS
      // The slot is this thread's from here on.
      const found = this.#memory.compareExchange(word + WORD_OWNER, NOBODY, this.#owner)
      if (found !== NOBODY) continue
      // Read by the sequencer when it begins a checkpoint (H3).
      this.#memory.store(word + WORD_STATE, State.asked)
      return slot
    }
    throw new StoreFullError(`${SLOTS} backups are being made already, the most at once`, {
      backupsMax: SLOTS,
    })
  }

  /** What the checkpoint that is kept says; undefined as long as there is none. */
  heldMeta(slot: number): Meta | undefined {
    const word = slot * SLOT_WORDS
    if (this.#memory.load(word + WORD_STATE) !== State.held) return undefined
    const page = Buffer.alloc(PAGE_BYTES)
    for (let at = 0; at < META_WORDS; at++) {
      page.writeInt32LE(this.#memory.load(word + WORD_META + at), at * 4)
    }
    for (let parity = 0; parity < META_SLOTS; parity++) {
      const read = decodeMeta(page, parity)
      if (read.kind === 'sound') return read.meta
    }
    throw new Error('the meta of a held checkpoint is not sound')
  }

  release(slot: number): void {
    const word = slot * SLOT_WORDS
    // Tells the sequencer that the version need not stay (H2); then the slot is anybody's.
    this.#memory.store(word + WORD_STATE, State.none)
    this.#memory.store(word + WORD_OWNER, NOBODY)
  }
}

/** After a thread's death. */
export function freeHolds(memory: SharedMemory, threadId: number): void {
  for (let slot = 0; slot < SLOTS; slot++) {
    const word = slot * SLOT_WORDS
    if (memory.load(word + WORD_OWNER) !== ownerOf(threadId)) continue
    // As its owner would have.
    memory.store(word + WORD_STATE, State.none)
    memory.store(word + WORD_OWNER, NOBODY)
  }
}

/** The sequencer's side. */
export class HeldCheckpoints {
  readonly #memory: SharedMemory
  readonly #space: Pick<SharedSpace, 'unpin'>
  readonly #held: { readonly slot: number; readonly pin: SpacePin }[] = []

  constructor(memory: SharedMemory, space: Pick<SharedSpace, 'unpin'>) {
    this.#memory = memory
    this.#space = space
  }

  /** To be called when a checkpoint begins: those that it answers. */
  asked(): readonly number[] {
    return Array.from({ length: SLOTS }, (_, slot) => slot).filter(
      (slot) => this.#memory.load(slot * SLOT_WORDS + WORD_STATE) === State.asked,
    )
  }

  /** The checkpoint is durable: keeps its pin for those who still want it, or gives it up. */
  keep(slots: readonly number[], pin: SpacePin, meta: Meta): void {
    const page = encodeMeta(meta)
    // Before a slot that was taken anew says `held` again.
    this.reclaim()
    for (const slot of slots) {
      const word = slot * SLOT_WORDS
      if (this.#memory.load(word + WORD_STATE) !== State.asked) continue
      for (let at = 0; at < META_WORDS; at++) {
        this.#memory.store(word + WORD_META + at, page.readInt32LE(at * 4))
      }
      this.#held.push({ slot, pin })
      // Publishes the meta's words to whoever asked; not over what a death has freed meanwhile.
      this.#memory.compareExchange(word + WORD_STATE, State.asked, State.held)
    }
    this.#unpinUnheld(pin)
  }

  /** Gives up what was let go of. @returns whether there was any */
  reclaim(): boolean {
    let any = false
    for (let at = this.#held.length - 1; at >= 0; at--) {
      const held = this.#held[at]
      if (held === undefined) continue
      if (this.#memory.load(held.slot * SLOT_WORDS + WORD_STATE) === State.held) continue
      this.#held.splice(at, 1)
      this.#unpinUnheld(held.pin)
      any = true
    }
    return any
  }

  #unpinUnheld(pin: SpacePin): void {
    if (!this.#held.some((held) => held.pin === pin)) this.#space.unpin(pin)
  }
}
