/**
 * Known mistakes of ring algorithms, planted without touching the shipped code: a memory that changes
 * what one thread's accesses do. The checker must find each; see `ring.model.test.ts`.
 */
import {
  SLOT_CLAIM,
  slotWord,
  WORD_COMMITTED,
  WORD_DOORBELL,
  WORD_FLUSH,
  WORD_SPACE_WANTED,
  WORD_TAIL,
} from '../layout.ts'
import { Ring } from '../ring.ts'
import type { SharedMemory, WaitResult } from '../shared-memory.ts'

/** Passes everything on, after `before`; a mistake overrides what it changes. */
export class PassingMemory implements SharedMemory {
  readonly byteLength: number
  protected readonly memory: SharedMemory

  constructor(memory: SharedMemory) {
    this.memory = memory
    this.byteLength = memory.byteLength
  }

  /** Runs before each access. */
  protected before(): void {
    // Nothing, but where an access can be a thread's last.
  }

  load(word: number): number {
    this.before()
    return this.memory.load(word)
  }
  store(word: number, value: number): void {
    this.before()
    this.memory.store(word, value)
  }
  add(word: number, delta: number): number {
    this.before()
    return this.memory.add(word, delta)
  }
  exchange(word: number, value: number): number {
    this.before()
    return this.memory.exchange(word, value)
  }
  compareExchange(word: number, expected: number, replacement: number): number {
    this.before()
    return this.memory.compareExchange(word, expected, replacement)
  }
  wait(word: number, expected: number, timeoutMs: number): WaitResult {
    this.before()
    return this.memory.wait(word, expected, timeoutMs)
  }
  waitAsync(
    word: number,
    expected: number,
    timeoutMs: number,
  ): ReturnType<SharedMemory['waitAsync']> {
    this.before()
    return this.memory.waitAsync(word, expected, timeoutMs)
  }
  notify(word: number, count: number): number {
    this.before()
    return this.memory.notify(word, count)
  }
  bytesIn(byteOffset: number, source: Uint8Array): void {
    this.before()
    this.memory.bytesIn(byteOffset, source)
  }
  bytesOut(byteOffset: number, byteLength: number): Uint8Array {
    this.before()
    return this.memory.bytesOut(byteOffset, byteLength)
  }
  zero(byteOffset: number, byteLength: number): void {
    this.before()
    this.memory.zero(byteOffset, byteLength)
  }
}

/** The header goes out before the payload is in place. */
export class PublishBeforeFill extends PassingMemory {
  #held: { byteOffset: number; source: Uint8Array } | undefined

  override bytesIn(byteOffset: number, source: Uint8Array): void {
    this.#held = { byteOffset, source }
  }

  override store(word: number, value: number): void {
    super.store(word, value)
    if (this.#held === undefined || word < slotWord(1)) return
    super.bytesIn(this.#held.byteOffset, this.#held.source)
    this.#held = undefined
  }
}

/** Nothing tells what a producer is about to reserve. */
export class MissingClaim extends PassingMemory {
  readonly #claimWord: number

  constructor(memory: SharedMemory, slotIndex: number) {
    super(memory)
    this.#claimWord = slotWord(slotIndex) + SLOT_CLAIM
  }

  override store(word: number, value: number): void {
    if (word !== this.#claimWord) super.store(word, value)
  }
}

/** The fold steps over what is reserved and not yet published. */
export class FoldOverGap extends PassingMemory {
  readonly #ring: Ring

  constructor(memory: SharedMemory) {
    super(memory)
    this.#ring = new Ring(memory)
  }

  override load(word: number): number {
    const value = super.load(word)
    if (value !== 0 || word < this.#ring.dataWord) return value
    const unit = (word - this.#ring.dataWord) / 2
    for (let ahead = unit + 1; ahead < this.#ring.capacityUnits; ahead++) {
      if (super.load(this.#ring.headerWord(ahead)) !== 0) return (ahead - unit) * 8 - 4
    }
    return 0
  }
}

/** The range is given back before its bytes were read. */
export class FreeBeforeDrain extends PassingMemory {
  override store(word: number, value: number): void {
    super.store(word, value)
    if (word === WORD_COMMITTED) super.store(WORD_FLUSH, value)
  }
}

/** The consumer looks for work, then says that it sleeps: a record in between rings nobody. */
export class ArmAfterLooking extends PassingMemory {
  override store(word: number, value: number): void {
    if (word !== WORD_DOORBELL || value === 0) super.store(word, value)
  }

  override wait(word: number, expected: number, timeoutMs: number): WaitResult {
    if (word === WORD_DOORBELL) super.store(word, expected)
    return super.wait(word, expected, timeoutMs)
  }
}

/** The producer looks for room, then says that it wants some: room made in between is not signalled. */
export class WantAfterLooking extends PassingMemory {
  override store(word: number, value: number): void {
    if (word !== WORD_SPACE_WANTED) super.store(word, value)
  }

  override wait(word: number, expected: number, timeoutMs: number): WaitResult {
    super.store(WORD_SPACE_WANTED, 1)
    return super.wait(word, expected, timeoutMs)
  }
}

/** The tail is moved by a load and a store. */
export class ReserveWithoutExchange extends PassingMemory {
  override compareExchange(word: number, expected: number, replacement: number): number {
    if (word !== WORD_TAIL) return super.compareExchange(word, expected, replacement)
    const value = super.load(word)
    if (value === expected) super.store(word, replacement)
    return value
  }
}

/** Freed bytes are not zeroed: an old header may pass for a published one. */
export class FreeWithoutZeroing extends PassingMemory {
  override zero(): void {
    // Planted: nothing.
  }
}

/** Who proved a death rings only if the doorbell looks armed. */
export class RingOnlyWhenArmed extends PassingMemory {
  #armed = true

  override store(word: number, value: number): void {
    if (word !== WORD_DOORBELL) return super.store(word, value)
    this.#armed = super.load(word) === 1
    if (this.#armed) super.store(word, value)
    return undefined
  }

  override notify(word: number, count: number): number {
    return this.#armed ? super.notify(word, count) : 0
  }
}
