/**
 * Finds conflicting accesses, at least one of them plain, that no atomic access orders: vector clocks
 * in the manner of FastTrack (Flanagan and Freund 2009), byte by byte, with JavaScript's rules.
 *
 * Happens-before is program order and synchronisation: an atomic read synchronises with the atomic
 * write whose value it reads; a thread that was woken, with the notify that woke it; awaitDeath, with
 * everything the dead thread did. As in ECMA-262 (and unlike C++) there are no release sequences: a
 * read sees the last writer only, though a read-modify-write hands on what it has acquired itself. A
 * failed compareExchange counts as a write for conflicts (the specification makes it one) and hands
 * nothing on (two failed ones commute, so their order is not explored).
 *
 * All state is undone step by step with the exploration: `mark` before a step, `undo(mark)` after.
 */
export interface Race {
  readonly byte: number
  readonly otherThread: number
  readonly otherAccess: string
}

export class RaceDetector {
  readonly #threadCount: number
  readonly #clocks: Int32Array
  /** One table after another: per byte and thread the last plain read, plain write; per word and
   *  thread the last atomic read, atomic write (as local step numbers; 0: none); per word the event
   *  that wrote it last atomically, plus one (0: none, or a plain write since). */
  readonly #cells: Int32Array
  readonly #plainReads = 0
  readonly #plainWrites: number
  readonly #atomicReads: number
  readonly #atomicWrites: number
  readonly #writers: number
  /** Pairs of cell and its value before. */
  readonly #journal: number[] = []
  #row = 0
  #thread = 0

  constructor(threadCount: number, memoryBytes: number, eventsMax: number) {
    const words = memoryBytes / 4
    this.#threadCount = threadCount
    this.#clocks = new Int32Array((eventsMax + 1) * threadCount)
    this.#plainWrites = memoryBytes * threadCount
    this.#atomicReads = this.#plainWrites * 2
    this.#atomicWrites = this.#atomicReads + words * threadCount
    this.#writers = this.#atomicWrites + words * threadCount
    this.#cells = new Int32Array(this.#writers + words)
  }

  get mark(): number {
    return this.#journal.length
  }

  undo(mark: number): void {
    const journal = this.#journal
    while (journal.length > mark) {
      const value = journal.pop() ?? 0
      const cell = journal.pop() ?? 0
      this.#cells[cell] = value
    }
  }

  /** Starts the event's clock from the thread's event before (-1: none). */
  begin(event: number, thread: number, localStep: number, eventBefore: number): void {
    const row = event * this.#threadCount
    const before = eventBefore * this.#threadCount
    for (let other = 0; other < this.#threadCount; other++) {
      this.#clocks[row + other] = eventBefore < 0 ? 0 : (this.#clocks[before + other] ?? 0)
    }
    this.#clocks[row + thread] = localStep
    this.#row = row
    this.#thread = thread
  }

  /** The current event happens after that one. */
  acquire(event: number): void {
    const other = event * this.#threadCount
    for (let thread = 0; thread < this.#threadCount; thread++) {
      const clock = this.#clocks[other + thread] ?? 0
      if (clock > (this.#clocks[this.#row + thread] ?? 0)) this.#clocks[this.#row + thread] = clock
    }
  }

  atomic(event: number, word: number, reads: boolean, writes: boolean, handsOn: boolean) {
    const writer = this.#writers + word
    const lastWriter = this.#cells[writer] ?? 0
    if (reads && lastWriter > 0) this.acquire(lastWriter - 1)
    for (let byte = word * 4; byte < word * 4 + 4; byte++) {
      const race =
        this.#conflict(this.#plainWrites, byte, byte, 'plain write') ??
        (writes ? this.#conflict(this.#plainReads, byte, byte, 'plain read') : null)
      if (race !== null) return race
    }
    this.#note(writes ? this.#atomicWrites : this.#atomicReads, word)
    if (handsOn) this.#set(writer, event + 1)
    return null
  }

  plain(start: number, end: number, writes: boolean): Race | null {
    for (let byte = start; byte < end; byte++) {
      const race =
        this.#conflict(this.#plainWrites, byte, byte, 'plain write') ??
        (writes ? this.#conflict(this.#plainReads, byte, byte, 'plain read') : null)
      if (race !== null) return race
      this.#note(writes ? this.#plainWrites : this.#plainReads, byte)
    }
    for (let word = start >> 2; word * 4 < end; word++) {
      const race =
        this.#conflict(this.#atomicWrites, word, word * 4, 'atomic write') ??
        (writes ? this.#conflict(this.#atomicReads, word, word * 4, 'atomic read') : null)
      if (race !== null) return race
      if (writes) this.#set(this.#writers + word, 0)
    }
    return null
  }

  #conflict(table: number, index: number, byte: number, otherAccess: string): Race | null {
    const first = table + index * this.#threadCount
    for (let other = 0; other < this.#threadCount; other++) {
      if (other === this.#thread) continue
      if ((this.#cells[first + other] ?? 0) > (this.#clocks[this.#row + other] ?? 0)) {
        return { byte, otherThread: other, otherAccess }
      }
    }
    return null
  }

  #note(table: number, index: number): void {
    const step = this.#clocks[this.#row + this.#thread] ?? 0
    this.#set(table + index * this.#threadCount + this.#thread, step)
  }

  #set(cell: number, value: number): void {
    const before = this.#cells[cell] ?? 0
    if (before === value) return
    this.#journal.push(cell, before)
    this.#cells[cell] = value
  }
}
