import type { SharedMemory, WaitResult } from '../shared-memory.ts'
import { AtomicsMemory } from '../shared-memory.ts'
import { ModelError } from './model-error.ts'

/** The model's memory without scheduling: for `setup` and `finish`, when no thread runs. */
export class DirectMemory extends AtomicsMemory {
  override wait(word: number, expected: number, timeoutMs: number): WaitResult {
    if (this.load(word) !== (expected | 0)) return 'not-equal'
    if (timeoutMs < Infinity) return 'timed-out'
    throw new ModelError(
      'UNSUPPORTED',
      `wait(word ${word}, while ${expected}) in setup or finish would block for ever: no thread runs`,
    )
  }

  override waitAsync(): never {
    throw new ModelError('UNSUPPORTED', 'waitAsync in setup or finish: nobody would wait for it')
  }
}

/**
 * The memory for the invariant `always`: reads only, and it notes which bytes were ever read. Only
 * writes to those can change the invariant's verdict, so only they need to be ordered and re-judged.
 */
export class WatchedMemory implements SharedMemory {
  readonly byteLength: number
  /** 1 for each byte that the invariant has read. */
  readonly watched: Uint8Array
  /** Bytes came to `watched` since this was last set to false. */
  grew = false
  readonly #memory: SharedMemory

  constructor(memory: SharedMemory) {
    this.#memory = memory
    this.byteLength = memory.byteLength
    this.watched = new Uint8Array(memory.byteLength)
  }

  isWatched(start: number, end: number): boolean {
    for (let byte = start; byte < end; byte++) if (this.watched[byte] === 1) return true
    return false
  }

  #watch(start: number, end: number): void {
    for (let byte = start; byte < end; byte++) {
      if (this.watched[byte] === 1) continue
      this.watched[byte] = 1
      this.grew = true
    }
  }

  load(word: number): number {
    this.#watch(word * 4, word * 4 + 4)
    return this.#memory.load(word)
  }

  bytesOut(byteOffset: number, byteLength: number): Uint8Array {
    this.#watch(byteOffset, byteOffset + byteLength)
    return this.#memory.bytesOut(byteOffset, byteLength).slice()
  }

  store(): never {
    return refuse('store')
  }

  add(): never {
    return refuse('add')
  }

  exchange(): never {
    return refuse('exchange')
  }

  compareExchange(): never {
    return refuse('compareExchange')
  }

  wait(): never {
    return refuse('wait')
  }

  waitAsync(): never {
    return refuse('waitAsync')
  }

  notify(): never {
    return refuse('notify')
  }

  bytesIn(): never {
    return refuse('bytesIn')
  }

  zero(): never {
    return refuse('zero')
  }
}

function refuse(method: string): never {
  throw new ModelError('UNSUPPORTED', `${method} in the invariant "always": it may only read`)
}
