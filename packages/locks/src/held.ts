/** A lock that is had: what its owner may ask and do until it gives it back. */
import { closed, compromised } from './errors.ts'

/** What a Held needs of the lock it came from. */
export interface HeldBy {
  readonly path: string
  assertSameFile(): void
  countWaiters(): number
  giveBack(): Promise<void>
}

export class Held {
  /** When it was had: wall clock, milliseconds since 1970. */
  readonly sinceMs: number
  readonly #by: HeldBy
  readonly #loss = new AbortController()
  #releasing: Promise<void> | undefined

  constructor(by: HeldBy, sinceMs: number) {
    this.#by = by
    this.sinceMs = sinceMs
  }

  /**
   * Fires when the lock is lost while held, with a RINGBOLT_LOCK_COMPROMISED as its reason: only
   * `lockfile` loses locks (its process stood still for longer than `staleMs`), and `flock` if the
   * host thread fails. Every later use of this object throws that error.
   */
  get lost(): AbortSignal {
    return this.#loss.signal
  }

  /** For the lock's own use: the method says that the lock is gone. */
  lose(reason: string): void {
    this.#loss.abort(compromised(this.#by.path, reason))
  }

  /** Throws when the lock was lost or released, or its file replaced or deleted. One `lstat`. */
  verify(): void {
    this.#assertUsable()
    this.#by.assertSameFile()
  }

  /**
   * How many wait for this lock, in any process or thread. Synchronous and cheap enough to ask between
   * two groups of work: one `pread` of a kilobyte and a scan of 32 slots.
   */
  waiters(): number {
    this.#assertUsable()
    return this.#by.countWaiters()
  }

  /** Whether it is time to hand over: `waiters() > 0`. */
  contended(): boolean {
    return this.waiters() > 0
  }

  /** Gives the lock back; again is no error. Rejects when it was lost meanwhile. */
  release(): Promise<void> {
    this.#releasing ??= this.#release()
    return this.#releasing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release()
  }

  async #release(): Promise<void> {
    await this.#by.giveBack()
    this.#loss.signal.throwIfAborted()
  }

  #assertUsable(): void {
    this.#loss.signal.throwIfAborted()
    if (this.#releasing !== undefined) throw closed('hold', this.#by.path)
  }
}
