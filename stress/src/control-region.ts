/**
 * What the workers of a load and the thread that drives it share.
 *
 *   word 0   stop: 1 once nobody is to append any more
 *        1…  one slot of 4 words for each incarnation of a worker:
 *            acknowledged   how many ordinals, from 0 without a gap, were acknowledged
 *            thread         id of its thread plus 1; 0 before it runs
 *            reads          how many documents it has read and verified, modulo 2^32
 *            order          0, or what it is told to do to itself
 *
 * Threads: an incarnation writes `acknowledged`, `thread` and `reads` of its own slot; the driver writes the
 * rest. A worker that dies leaves its slot as it was: every count in it was acknowledged.
 */
const WORD_STOP = 0
const WORD_SLOTS: number = WORD_STOP + 1
const SLOT_ACKNOWLEDGED = 0
const SLOT_THREAD: number = SLOT_ACKNOWLEDGED + 1
const SLOT_READS: number = SLOT_THREAD + 1
const SLOT_ORDER: number = SLOT_READS + 1
const SLOT_WORDS: number = SLOT_ORDER + 1

/** To use up its memory until it is ended for it. */
const ORDER_EXHAUST = 1

export class ControlRegion {
  readonly buffer: SharedArrayBuffer
  readonly #words: Int32Array

  constructor(buffer: SharedArrayBuffer) {
    this.buffer = buffer
    this.#words = new Int32Array(buffer)
  }

  static create(incarnations: number): ControlRegion {
    return new ControlRegion(new SharedArrayBuffer((WORD_SLOTS + incarnations * SLOT_WORDS) * 4))
  }

  get incarnations(): number {
    return (this.#words.length - WORD_SLOTS) / SLOT_WORDS
  }

  get stopped(): boolean {
    return Atomics.load(this.#words, WORD_STOP) === 1
  }

  stop(): void {
    // Tells every worker, which looks before each append.
    Atomics.store(this.#words, WORD_STOP, 1)
  }

  acknowledgedOf(incarnation: number): number {
    return Atomics.load(this.#words, slotWord(incarnation) + SLOT_ACKNOWLEDGED)
  }

  setAcknowledged(incarnation: number, count: number): void {
    // Tells the driver and, after this incarnation's death, the oracle.
    Atomics.store(this.#words, slotWord(incarnation) + SLOT_ACKNOWLEDGED, count)
  }

  /** By all incarnations from `first` up to `end`. */
  acknowledgedTotal(first: number, end: number): number {
    let total = 0
    for (let incarnation = first; incarnation < end; incarnation++) {
      total += this.acknowledgedOf(incarnation)
    }
    return total
  }

  acknowledged(): number[] {
    return Array.from({ length: this.incarnations }, (_, at) => this.acknowledgedOf(at))
  }

  /** Undefined until the incarnation runs. */
  threadOf(incarnation: number): number | undefined {
    const word = Atomics.load(this.#words, slotWord(incarnation) + SLOT_THREAD)
    return word === 0 ? undefined : word - 1
  }

  setThread(incarnation: number, threadId: number): void {
    // Tells the driver which thread to end when it wants to end this incarnation.
    Atomics.store(this.#words, slotWord(incarnation) + SLOT_THREAD, threadId + 1)
  }

  readsOf(incarnation: number): number {
    return Atomics.load(this.#words, slotWord(incarnation) + SLOT_READS) >>> 0
  }

  setReads(incarnation: number, count: number): void {
    // Tells the driver.
    Atomics.store(this.#words, slotWord(incarnation) + SLOT_READS, count | 0)
  }

  orderExhaustion(incarnation: number): void {
    // Read by the incarnation before each append.
    Atomics.store(this.#words, slotWord(incarnation) + SLOT_ORDER, ORDER_EXHAUST)
  }

  exhaustionOrdered(incarnation: number): boolean {
    return Atomics.load(this.#words, slotWord(incarnation) + SLOT_ORDER) === ORDER_EXHAUST
  }
}

function slotWord(incarnation: number): number {
  return WORD_SLOTS + incarnation * SLOT_WORDS
}
