/**
 * The commits of an open database in one thread: read from the log's files as they are asked for, waited for in shared
 * memory when all were read.
 *
 * Threads: belongs to the thread that made it. It keeps the log from being released behind it (`log-holds.ts`), up
 * to the bound of `keepLogBytes`. Reads what is published, so nothing that a crash could take back.
 */
import { currentThreadId, threadEnvironment } from '@ringbolt/ring'
import type { Watermarks } from '@ringbolt/wal'
import type { CommitSource, CommittedCommand } from '../client/commit-source.ts'
import { ChangesGoneError } from '../errors.ts'
import { CommitReader } from './commit-reader.ts'
import type { Control } from './control.ts'
import type { LogHistory } from './log-history.ts'
import type { LogHold, LogHolds } from './log-holds.ts'

export interface LogCommitsParts {
  readonly histories: readonly LogHistory[]
  readonly holds: LogHolds
  readonly watermarks: Watermarks
  readonly control: Control
  /** Of the newest state that may be read. */
  readonly newest: () => number
  /** Throws what ended the sequencer. */
  readonly assertSound: () => void
}

/** The hold follows the reader in steps: a store for each commit would be for nothing. */
const COMMITS_PER_MOVE = 256

export class LogCommits implements CommitSource {
  readonly #parts: LogCommitsParts
  readonly #reader: CommitReader
  readonly #hold: LogHold
  readonly #stopped: Promise<void>
  #resolveStopped: () => void = () => undefined
  #isStopped = false
  #sinceMove = 0
  /** Who asks for the next commit has done with those up to here; he may begin again with the one that he was given. */
  #settled: number

  /**
   * @param from the last commit that is not wanted; undefined: the newest
   * @throws ChangesGoneError when it is beyond the newest commit; StoreFullError
   */
  constructor(parts: LogCommitsParts, from: number | undefined) {
    const newest = parts.newest()
    const begin = from ?? newest
    if (begin > newest) throw new ChangesGoneError(begin, newest)
    this.#parts = parts
    this.#settled = begin
    this.#hold = parts.holds.take(currentThreadId, begin)
    this.#reader = new CommitReader(parts.histories, begin)
    this.#stopped = new Promise((resolve) => {
      this.#resolveStopped = resolve
    })
  }

  get sequence(): number {
    return this.#reader.sequence
  }

  next(): CommittedCommand | undefined {
    if (this.#isStopped) return undefined
    this.#settled = this.sequence
    const command = this.#read()
    if (command === undefined || ++this.#sinceMove === COMMITS_PER_MOVE) {
      this.#sinceMove = 0
      this.#hold.moveTo(this.#settled)
    }
    return command
  }

  #read(): CommittedCommand | undefined {
    try {
      return this.#reader.next(this.#parts.newest())
    } catch (error) {
      // A close, by whichever thread, lets go of the log: that is no failure, and `more` says so.
      if (this.#parts.control.closeWanted) return undefined
      throw error
    }
  }

  async more(signal: AbortSignal | undefined): Promise<boolean> {
    const { watermarks, control, newest, assertSound } = this.#parts
    signal?.throwIfAborted()
    const abort = abortOf(signal)
    try {
      for (;;) {
        // Before what it announces, so that nothing is missed in between.
        const seen = watermarks.signal
        if (this.#isStopped || control.closeWanted) return false
        if (newest() > this.sequence) return true
        assertSound()
        const wake = watermarks.waitAsync(seen, Number.POSITIVE_INFINITY)
        if (wake === undefined) continue
        await threadEnvironment.alive(Promise.race([wake, this.#stopped, abort.promise]))
        signal?.throwIfAborted()
      }
    } finally {
      abort.dispose()
    }
  }

  stop(): void {
    if (this.#isStopped) return
    this.#isStopped = true
    this.#hold.moveTo(this.#settled)
    this.#reader.close()
    this.#resolveStopped()
  }

  close(): void {
    this.stop()
    this.#hold.release()
  }
}

/** Resolves at the signal's abort; disposed of, it leaves nothing with the signal. */
function abortOf(signal: AbortSignal | undefined): { promise: Promise<void>; dispose: () => void } {
  let onAbort: () => void = () => undefined
  const promise = new Promise<void>((resolve) => {
    onAbort = resolve
  })
  signal?.addEventListener('abort', onAbort, { once: true })
  return { promise, dispose: () => signal?.removeEventListener('abort', onAbort) }
}
