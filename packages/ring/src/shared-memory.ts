/**
 * The only door to shared memory: every access of the ring, and of whatever else wants to be
 * model-checked, goes through a `SharedMemory`. `AtomicsMemory` is what ships: each method is one
 * call that V8 inlines. The model checker hands in an implementation of its own, in which each
 * access is a scheduling point; the checked code is the shipped code.
 *
 * `word` is the index of a 32-bit word, `byteOffset` a position in bytes, both from the start of the
 * memory. Atomic accesses (load … notify) are sequentially consistent. Plain accesses (bytesIn,
 * bytesOut, zero) are ordered only by the atomic ones around them; two threads must never have
 * conflicting plain accesses that no atomic access orders.
 */
export type WaitResult = 'ok' | 'not-equal' | 'timed-out'

export interface SharedMemory {
  readonly byteLength: number
  load(word: number): number
  store(word: number, value: number): void
  /** Returns the value before. */
  add(word: number, delta: number): number
  /** Returns the value before. */
  exchange(word: number, value: number): number
  /** Returns the value before: the exchange took place exactly when that is `expected`. */
  compareExchange(word: number, expected: number, replacement: number): number
  /** Blocks this thread while the word holds `expected`, for at most `timeoutMs` (Infinity: no limit). */
  wait(word: number, expected: number, timeoutMs: number): WaitResult
  waitAsync(
    word: number,
    expected: number,
    timeoutMs: number,
  ): { async: false; value: WaitResult } | { async: true; value: Promise<WaitResult> }
  /** Wakes at most `count` waiters (Infinity: all). */
  notify(word: number, count: number): number
  /** Plain write of `source` at `byteOffset`. */
  bytesIn(byteOffset: number, source: Uint8Array): void
  /** Plain read: a view where the platform allows it; valid until the range is handed on. */
  bytesOut(byteOffset: number, byteLength: number): Uint8Array
  /** Plain write of zeros. */
  zero(byteOffset: number, byteLength: number): void
}

const WORD_COPY_BYTES = 8
const ZEROS_BYTES: number = 64 * 1024
const ZEROS = new Uint8Array(ZEROS_BYTES + WORD_COPY_BYTES)

export class AtomicsMemory implements SharedMemory {
  readonly byteLength: number
  readonly #words: Int32Array<SharedArrayBuffer>
  readonly #bytes: Uint8Array<SharedArrayBuffer>

  constructor(buffer: SharedArrayBuffer) {
    this.byteLength = buffer.byteLength
    this.#words = new Int32Array(buffer)
    this.#bytes = new Uint8Array(buffer)
  }

  load(word: number): number {
    return Atomics.load(this.#words, word)
  }

  store(word: number, value: number): void {
    Atomics.store(this.#words, word, value)
  }

  add(word: number, delta: number): number {
    return Atomics.add(this.#words, word, delta)
  }

  exchange(word: number, value: number): number {
    return Atomics.exchange(this.#words, word, value)
  }

  compareExchange(word: number, expected: number, replacement: number): number {
    return Atomics.compareExchange(this.#words, word, expected, replacement)
  }

  wait(word: number, expected: number, timeoutMs: number): WaitResult {
    return Atomics.wait(this.#words, word, expected, timeoutMs)
  }

  waitAsync(
    word: number,
    expected: number,
    timeoutMs: number,
  ): { async: false; value: WaitResult } | { async: true; value: Promise<WaitResult> } {
    return Atomics.waitAsync(this.#words, word, expected, timeoutMs)
  }

  notify(word: number, count: number): number {
    return Atomics.notify(this.#words, word, count)
  }

  bytesIn(byteOffset: number, source: Uint8Array): void {
    this.#bytes.set(source, byteOffset)
  }

  bytesOut(byteOffset: number, byteLength: number): Uint8Array {
    return this.#bytes.subarray(byteOffset, byteOffset + byteLength)
  }

  // `set` from a block of zeros runs at the speed of memcpy, provided that both are aligned alike;
  // `fill` on shared memory is eight times slower on Node 20.
  zero(byteOffset: number, byteLength: number): void {
    const misaligned = byteOffset % WORD_COPY_BYTES
    const end = byteOffset + byteLength
    let position = byteOffset
    while (position < end) {
      const length = Math.min(end - position, ZEROS_BYTES)
      this.#bytes.set(ZEROS.subarray(misaligned, misaligned + length), position)
      position += length
    }
  }
}
