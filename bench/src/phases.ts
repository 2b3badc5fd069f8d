/**
 * The phase of a measured run, in shared memory: threads are started and attached before the clock,
 * warm up, count what is finished while it is measured, and stop.
 *
 * Threads: the measuring thread alone moves it on; load threads read it after each operation.
 */
const PHASE_READY = 0
export const PHASE_WARM_UP = 1
export const PHASE_MEASURE = 2
export const PHASE_STOP = 3

export class Phases {
  readonly shared: SharedArrayBuffer
  readonly #word: Int32Array<SharedArrayBuffer>

  constructor(shared: SharedArrayBuffer = new SharedArrayBuffer(4)) {
    this.shared = shared
    this.#word = new Int32Array(shared)
  }

  get current(): number {
    return Atomics.load(this.#word, 0)
  }

  enter(phase: number): void {
    // Tells every load thread; those that wait for the start are woken.
    Atomics.store(this.#word, 0, phase)
    Atomics.notify(this.#word, 0)
  }

  /** Blocks until the start. */
  waitForStart(): void {
    Atomics.wait(this.#word, 0, PHASE_READY)
  }
}

/** Counts operations that finish while it is measured, with their times where they are asked for. */
export class LoadMeter {
  readonly #phases: Phases
  readonly #latenciesMs: number[] = []
  #operations = 0

  constructor(phases: Phases) {
    this.#phases = phases
  }

  get goesOn(): boolean {
    return this.#phases.current < PHASE_STOP
  }

  /** @param latencyMs of the operation, where it is asked for */
  finished(operations: number, latencyMs?: number): void {
    const { current } = this.#phases
    // A thread that the machine kept waiting all the time still gives its one operation.
    if (current !== PHASE_MEASURE && !(current === PHASE_STOP && this.#operations === 0)) return
    this.#operations += operations
    if (latencyMs !== undefined) this.#latenciesMs.push(latencyMs)
  }

  result(): LoadResult {
    return { operations: this.#operations, latenciesMs: Float64Array.from(this.#latenciesMs) }
  }
}

export interface LoadResult {
  readonly operations: number
  readonly latenciesMs: Float64Array
}
