/**
 * A lock between processes, and between the threads and handles of one (L1–L4).
 *
 * A handle belongs to one thread. Invariants:
 * 1. At most one `Held` per file exists on the machine, handles of one process included: each contender
 *    has an open file description of its own.
 * 2. The lock ends with `release`, `close`, the thread's or the process's end, however it ends; never
 *    with the closing of another descriptor (no POSIX record locks).
 * 3. Nobody takes the lock while one who came earlier waits and is alive (wait-queue.ts), `tryAcquire`
 *    included. Alone, a process pays one look at the queue and one try.
 * 4. The lock is only given for the file that was opened: the name is looked at after the lock is had,
 *    and a replaced or deleted file is an error. (One replaced later: `Held.verify`.)
 * 5. An acquire that times out, is aborted or fails has changed nothing: its slot is cleared, its
 *    contender closed or kept as the handle's single spare.
 * 6. The holder record only counts while the lock is really held, which is probed; a record of a
 *    process that is dead is read again, since the next holder is just writing its own.
 *
 * What a crash leaves: no lock; a holder record, which the next holder overwrites; a wait slot, which
 * expires. With `lockfile`, additionally the lock itself until `staleMs` have passed.
 */
import { Board } from './board.ts'
import type { Claim, OpenClaim } from './claim.ts'
import { BusyError, closed, type Holder } from './errors.ts'
import type { Header, MethodName } from './header.ts'
import { Held } from './held.ts'
import { encodeHolder, readHolder } from './holder-record.ts'
import { assertSameFile } from './lock-file.ts'
import type { OpenFile, Platform } from './platform.ts'
import { type Place, WaitQueue } from './wait-queue.ts'

export interface AcquireOptions {
  /** How long to wait at most; Infinity by default. 0: one try. */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
  /**
   * Waits between two tries, for about so long, in place of a timer of a millisecond or more: for who has something
   * to do meanwhile, or can wait for less.
   */
  readonly pause?: (durationMs: number) => Promise<void>
}

/** A claim, and whom to tell when what it holds is lost. */
interface Contender {
  readonly claim: Claim
  held: Held | null
}

const POLL_MIN_MS = 1
/** Where a try is a system call or two, and nobody else is asked. */
const PAUSE_MIN_MS = 0.25
const POLL_MAX_MS = 10
const POLL_GROWTH = 1 / 100
const TRIES_MAX = 4

export class Lock {
  readonly path: string
  readonly method: MethodName
  /** Random, given when the file was made. */
  readonly id: string
  /** What the holder says to everybody. */
  readonly board: Board
  readonly #platform: Platform
  readonly #file: OpenFile
  readonly #openClaim: OpenClaim
  readonly #staleMs: number
  readonly #queue: WaitQueue
  readonly #closing = new AbortController()
  readonly #pending = new Set<Promise<unknown>>()
  readonly #helds = new Set<Held>()
  #spare: Contender | null = null

  /** Takes over the open file. */
  constructor(
    platform: Platform,
    file: OpenFile,
    header: Header,
    openClaim: OpenClaim,
    staleMs: number,
  ) {
    this.path = file.path
    this.method = header.method
    this.id = header.id
    this.#platform = platform
    this.#file = file
    this.#openClaim = openClaim
    this.#staleMs = staleMs
    this.#queue = new WaitQueue(file, platform)
    this.board = new Board(platform, file)
  }

  /**
   * Waits for its turn and the lock. Rejects with BusyError after `timeoutMs`, with the signal's reason
   * when that fires, with RINGBOLT_CLOSED when the handle is closed. Keeps the process alive meanwhile.
   */
  acquire(options: AcquireOptions = {}): Promise<Held> {
    const { timeoutMs = Number.POSITIVE_INFINITY } = options
    if (!(timeoutMs >= 0)) {
      return Promise.reject(new TypeError(`timeoutMs must be 0 or more, not ${timeoutMs}`))
    }
    return this.#track(this.#acquire(timeoutMs, options))
  }

  /** The lock if it can be had at once and nobody waits for it; else null. */
  tryAcquire(): Promise<Held | null> {
    return this.#track(
      this.#withContender(async (contender) => {
        if (this.#queue.count() > 0) return null
        return await this.#take(contender)
      }),
    )
  }

  /** Who holds the lock now; null when nobody does. */
  holder(): Promise<Holder | null> {
    return this.#track(this.#withContender((contender) => this.#holder(contender)))
  }

  /** How many wait for the lock, in any process or thread. Synchronous; see `Held.waiters`. */
  waiters(): number {
    this.#assertOpen()
    return this.#queue.count()
  }

  /** Ends pending acquires with RINGBOLT_CLOSED, gives back what is held. Again is no error. */
  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return
    this.#closing.abort(closed('lock', this.path))
    await Promise.allSettled(this.#pending)
    const releases = await Promise.allSettled([...this.#helds].map((held) => held.release()))
    try {
      await this.#spare?.claim.close()
    } finally {
      this.#file.close()
    }
    for (const release of releases) if (release.status === 'rejected') throw release.reason
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #acquire(timeoutMs: number, { signal, pause }: AcquireOptions): Promise<Held> {
    signal?.throwIfAborted()
    const pollMinMs = pause !== undefined && this.method === 'ofd' ? PAUSE_MIN_MS : POLL_MIN_MS
    const { clock } = this.#platform
    const startMs = clock.monotonicMs()
    // Not `AbortSignal.any`: on Node 20 each of its signals stays with the sources for ever.
    const stops = signal === undefined ? [this.#closing.signal] : [this.#closing.signal, signal]
    return await this.#withContender(async (contender) => {
      let place: Place | null = null
      try {
        for (;;) {
          for (const stop of stops) stop.throwIfAborted()
          const ahead = this.#queue.ahead(place)
          const held = ahead === 0 ? await this.#take(contender) : null
          if (held !== null) return held
          const waitedMs = clock.monotonicMs() - startMs
          if (waitedMs >= timeoutMs) {
            throw new BusyError(this.path, await this.#holder(contender), waitedMs, timeoutMs)
          }
          place = place === null ? this.#queue.join() : this.#queue.keep(place)
          const waitMs = Math.min(pollMs(waitedMs, ahead, pollMinMs), timeoutMs - waitedMs)
          await (pause === undefined ? clock.sleep(waitMs, stops) : pause(waitMs))
        }
      } finally {
        if (place !== null) this.#queue.leave(place)
      }
    }, stops)
  }

  /**
   * One try. A failure without a living holder on record may be somebody's probe or a lock that is
   * just changing hands, and is tried again.
   */
  async #take(contender: Contender): Promise<Held | null> {
    const { clock, threads } = this.#platform
    for (let tries = 1; ; tries++) {
      assertSameFile(this.#platform, this.#file)
      const sinceMs = clock.wallMs()
      if (await contender.claim.tryLock(encodeHolder(threads, sinceMs))) {
        return this.#hold(contender, sinceMs)
      }
      if (tries === TRIES_MAX || this.#isAlive(readHolder(this.#file))) return null
      await clock.sleep(POLL_MIN_MS)
    }
  }

  #hold(contender: Contender, sinceMs: number): Held {
    const held = new Held(
      {
        path: this.path,
        assertSameFile: () => assertSameFile(this.#platform, this.#file),
        countWaiters: () => this.#queue.count(),
        giveBack: () => this.#giveBack(contender),
      },
      sinceMs,
    )
    contender.held = held
    this.#helds.add(held)
    return held
  }

  async #holder({ claim }: Contender): Promise<Holder | null> {
    for (let tries = 1; ; tries++) {
      if (!(await claim.probe())) return null
      const holder = readHolder(this.#file)
      if (holder !== null && (this.#isAlive(holder) || tries === TRIES_MAX)) return holder
      if (tries === TRIES_MAX) return { pid: null, threadId: null, sinceMs: null }
      await this.#platform.clock.sleep(POLL_MIN_MS)
    }
  }

  #isAlive(holder: Holder | null): boolean {
    return (
      holder !== null && holder.pid !== null && this.#platform.threads.isProcessAlive(holder.pid)
    )
  }

  /**
   * Runs the action with a contender of its own, which stays in use when the action returns a Held.
   * A lock had too late, after the stop or on a file that is no longer the one, is given back.
   */
  async #withContender<Result>(
    action: (contender: Contender) => Promise<Result>,
    stops: readonly AbortSignal[] = [this.#closing.signal],
  ): Promise<Result> {
    this.#assertOpen()
    const contender = this.#spare ?? (await this.#open())
    if (contender === this.#spare) this.#spare = null
    try {
      const result = await action(contender)
      if (contender.held === null) {
        await this.#giveBack(contender)
      } else {
        assertSameFile(this.#platform, this.#file)
        for (const stop of stops) stop.throwIfAborted()
      }
      return result
    } catch (error) {
      await this.#giveBack(contender)
      throw error
    }
  }

  async #open(): Promise<Contender> {
    let told: Contender | undefined
    const claim = await this.#openClaim(
      {
        path: this.path,
        identity: this.#file.identity,
        lockName: this.path,
        staleMs: this.#staleMs,
      },
      (reason) => told?.held?.lose(reason),
    )
    told = { claim, held: null }
    return told
  }

  /** Keeps one contender for the next time, since opening one costs more than all the rest. */
  async #giveBack(contender: Contender): Promise<void> {
    const { held } = contender
    contender.held = null
    if (held !== null) {
      this.#helds.delete(held)
      if (!held.lost.aborted) await this.#unlock(contender)
    }
    if (this.#spare === null && !this.#closing.signal.aborted) this.#spare = contender
    else await contender.claim.close()
  }

  /** A contender whose lock could not be given back in order is not used again. */
  async #unlock({ claim }: Contender): Promise<void> {
    try {
      await claim.unlock()
    } catch (error) {
      await Promise.allSettled([claim.close()])
      throw error
    }
  }

  async #track<Result>(work: Promise<Result>): Promise<Result> {
    this.#pending.add(work)
    try {
      return await work
    } finally {
      this.#pending.delete(work)
    }
  }

  #assertOpen(): void {
    this.#closing.signal.throwIfAborted()
  }
}

/** Quick at first; slower the longer one waits and the further back one stands. */
function pollMs(waitedMs: number, ahead: number, minMs: number): number {
  return Math.min(POLL_MAX_MS, minMs * (1 + ahead) + waitedMs * POLL_GROWTH)
}
