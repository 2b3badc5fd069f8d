/**
 * A pool of Piscina workers that write to one log or database, some of which are killed and replaced.
 *
 * Each worker runs one incarnation: a task that lasts until the load is stopped. A killed one is
 * replaced by a new incarnation in a new thread; one that fails by itself is not, and its error is
 * kept. All calls come from the thread that opened what they write to.
 */
import type { Worker } from 'node:worker_threads'
import type { Random } from '@ringbolt/wal/simulation'
import type { createPool, PoolOptions } from '@ringbolt/workers'
import { ControlRegion } from './control-region.ts'
import { SilenceError, WorkerFailedError } from './errors.ts'
import { Latencies } from './latencies.ts'

export const KILL_KINDS = ['terminate', 'abort', 'memory'] as const
/** `terminate()` of the thread, an AbortSignal of the pool's task, or running out of memory. */
export type KillKind = (typeof KILL_KINDS)[number]

export interface LoadSpec {
  readonly workers: number
  /** The incarnations are numbered from here, up to `incarnationEnd`: each kill takes one. */
  readonly incarnationFirst: number
  readonly incarnationEnd: number
  /** The pool that the tasks run in, made by whoever knows what they write to. */
  readonly makePool: (options: Omit<PoolOptions, 'filename'>) => Pool
  /** What an incarnation is to do until the control region says stop. */
  readonly taskOf: (incarnation: number, shared: TaskShare) => object
}

/** What every task shares with the driver. */
interface TaskShare {
  readonly control: SharedArrayBuffer
  /** Of a `Latencies`. */
  readonly latencies: SharedArrayBuffer
}

type Pool = ReturnType<typeof createPool>

export interface Kill {
  readonly kind: KillKind
  readonly incarnation: number
  /** When, since the load was started. */
  readonly atMs: number
  /** From the kill to the thread's `exit` event, which tells the log. */
  readonly detectedMs: number
  /** From the `exit` event to the next acknowledgement of a survivor. */
  readonly progressMs: number
  /** The longest time without any acknowledgement, from the kill to that progress. */
  readonly silenceMs: number
}

interface Lane {
  incarnation: number
  abort: AbortController
  /** Being killed: its end is no failure. */
  dying: boolean
  /** Of this incarnation's acknowledgements, from its start. */
  silence: SilenceMeter
}

const HEAP_MAX_MB = 32
const YOUNG_MAX_MB = 8
const POLL_MS = 1
/** What threads may take to load their modules on a busy machine. */
const START_MAX_MS = 60_000

export class Load {
  readonly control: ControlRegion
  /** Of all workers' acknowledgements, dead ones' included. */
  readonly latencies: Latencies = Latencies.create()
  /** Workers that failed by themselves. */
  readonly failures: WorkerFailedError[] = []
  readonly #spec: LoadSpec
  readonly #pool: Pool
  readonly #lanes: Lane[] = []
  readonly #ends: Promise<void>[] = []
  readonly #startedMs: number
  #nextIncarnation: number

  constructor(spec: LoadSpec) {
    this.#spec = spec
    this.#nextIncarnation = spec.incarnationFirst
    this.control = ControlRegion.create(spec.incarnationEnd)
    this.#pool = spec.makePool({
      minThreads: spec.workers,
      maxThreads: spec.workers,
      resourceLimits: {
        maxOldGenerationSizeMb: HEAP_MAX_MB,
        maxYoungGenerationSizeMb: YOUNG_MAX_MB,
      },
    })
    this.#startedMs = performance.now()
    for (let at = 0; at < spec.workers; at++) {
      const lane: Lane = {
        incarnation: 0,
        abort: new AbortController(),
        dying: false,
        silence: new SilenceMeter(() => 0),
      }
      this.#lanes.push(lane)
      this.#start(lane)
    }
  }

  get acknowledged(): number {
    return this.control.acknowledgedTotal(this.#spec.incarnationFirst, this.#nextIncarnation)
  }

  /** Documents that the workers have read and verified. */
  get reads(): number {
    let total = 0
    for (let at = this.#spec.incarnationFirst; at < this.#nextIncarnation; at++) {
      total += this.control.readsOf(at)
    }
    return total
  }

  /** The worker to which nothing has been acknowledged for the longest time, but those that begin or are being killed. */
  mostSilent(): { readonly incarnation: number; readonly silentMs: number } {
    let most = { incarnation: 0, silentMs: 0 }
    for (const { incarnation, silence } of this.#running()) {
      const silentMs = silence.look()
      if (silentMs > most.silentMs) most = { incarnation, silentMs }
    }
    return most
  }

  /**
   * Resolves once every worker has had something acknowledged, or the load has ended before that.
   * @throws SilenceError when that takes far too long
   */
  async started(): Promise<void> {
    while (!this.#ended && this.#running().length < this.#lanes.length) {
      const startingMs = performance.now() - this.#startedMs
      if (startingMs > START_MAX_MS)
        throw new SilenceError(startingMs, START_MAX_MS, 'a new worker')
      await tick()
    }
  }

  /**
   * Ends one of two or more workers while it appends, and replaces it. Resolves once another has
   * made progress. `undefined` when the load is stopped or fails meanwhile.
   */
  async kill(kind: KillKind, random: Random): Promise<Kill | undefined> {
    const lane = await this.#victim(random)
    if (lane === undefined) return undefined
    const { incarnation } = lane
    const worker = this.#threadOf(incarnation)
    if (worker === undefined) throw new Error(`incarnation ${incarnation} has no thread`)
    const silence = new SilenceMeter(() => this.#acknowledgedBesides(incarnation))
    let exitedMs: number | undefined
    worker.once('exit', () => {
      exitedMs = performance.now()
    })
    const startedMs = performance.now()
    this.#end(kind, lane, worker)
    let atExit: number | undefined
    for (;;) {
      await tick()
      silence.look()
      if (this.#ended) return undefined
      if (exitedMs === undefined) continue
      atExit ??= this.#acknowledgedBesides(incarnation)
      if (this.#acknowledgedBesides(incarnation) > atExit) break
    }
    return {
      kind,
      incarnation,
      atMs: startedMs - this.#startedMs,
      detectedMs: exitedMs - startedMs,
      progressMs: performance.now() - exitedMs,
      silenceMs: silence.longestMs,
    }
  }

  /** Lets all workers finish what is in flight, and ends them. */
  async stop(): Promise<void> {
    this.control.stop()
    // A task that replaces a killed one is added while the others end.
    for (const ended of this.#ends) await ended
    await this.#pool.close()
  }

  /** Ends all workers where they stand: for a run that has failed and may never finish. */
  async abandon(): Promise<void> {
    this.control.stop()
    for (const lane of this.#lanes) lane.dying = true
    await this.#loaded()
    await this.#pool.destroy()
  }

  /** Node 20 aborts when a thread is terminated while it loads modules. */
  async #loaded(): Promise<void> {
    const deadlineMs = performance.now() + START_MAX_MS
    const isLoaded = ({ incarnation }: Lane): boolean =>
      this.control.threadOf(incarnation) !== undefined
    while (!this.#lanes.every(isLoaded) && this.failures.length === 0) {
      if (performance.now() > deadlineMs) return
      await tick()
    }
  }

  #start(lane: Lane): void {
    const incarnation = this.#nextIncarnation++
    if (incarnation >= this.#spec.incarnationEnd) {
      throw new RangeError(`incarnation ${incarnation}: there were to be ${incarnation}`)
    }
    lane.incarnation = incarnation
    lane.abort = new AbortController()
    lane.dying = false
    lane.silence = new SilenceMeter(() => this.control.acknowledgedOf(incarnation))
    const task = this.#spec.taskOf(incarnation, {
      control: this.control.buffer,
      latencies: this.latencies.buffer,
    })
    const ended = this.#pool.run(task, { signal: lane.abort.signal }).then(
      () => undefined,
      (error: unknown) => {
        if (!lane.dying) this.failures.push(new WorkerFailedError(incarnation, error))
        else if (!this.control.stopped) this.#start(lane)
      },
    )
    this.#ends.push(ended)
  }

  #end(kind: KillKind, lane: Lane, worker: Worker): void {
    switch (kind) {
      case 'terminate':
        void worker.terminate()
        break
      case 'abort':
        lane.abort.abort()
        break
      case 'memory':
        this.control.orderExhaustion(lane.incarnation)
        break
    }
  }

  get #ended(): boolean {
    return this.control.stopped || this.failures.length > 0
  }

  /** Marks a worker that appends and is not being killed yet; waits for one. */
  async #victim(random: Random): Promise<Lane | undefined> {
    for (;;) {
      if (this.#ended) return undefined
      const lanes = this.#running()
      // Another must survive, to show progress.
      if (lanes.length > 1) {
        const lane = random.pick(lanes)
        lane.dying = true
        return lane
      }
      await tick()
    }
  }

  #running(): Lane[] {
    return this.#lanes.filter(
      ({ dying, incarnation }) => !dying && this.control.acknowledgedOf(incarnation) > 0,
    )
  }

  #threadOf(incarnation: number): Worker | undefined {
    const threadId = this.control.threadOf(incarnation)
    return this.#pool.threads.find((worker) => worker.threadId === threadId)
  }

  #acknowledgedBesides(incarnation: number): number {
    return this.acknowledged - this.control.acknowledgedOf(incarnation)
  }
}

/** How long a count stood still, at the longest, once it had begun to move. */
export class SilenceMeter {
  readonly #count: () => number
  #last: number
  #changedMs: number
  longestMs = 0

  constructor(count: () => number) {
    this.#count = count
    this.#last = count()
    this.#changedMs = performance.now()
  }

  /** The longest since this was last asked. */
  takeLongestMs(): number {
    this.look()
    const longestMs = this.longestMs
    this.longestMs = 0
    return longestMs
  }

  /** Returns for how long it has stood still by now. */
  look(): number {
    const nowMs = performance.now()
    const silentMs = nowMs - this.#changedMs
    if (this.#last > 0) this.longestMs = Math.max(this.longestMs, silentMs)
    const count = this.#count()
    if (count !== this.#last) {
      this.#last = count
      this.#changedMs = nowMs
      return 0
    }
    return silentMs
  }
}

function tick(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, POLL_MS))
}
