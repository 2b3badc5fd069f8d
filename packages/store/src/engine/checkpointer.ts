/**
 * When checkpoints begin, and their course beside commits: a bounded piece of each between two groups.
 *
 * Threads: the sequencer's. One checkpoint at a time; whoever asks while one is under way is answered by the
 * next, since what was acknowledged in between is not in it.
 *
 * Order: the log is durable up to the checkpoint's place before the meta is written, and released only after
 * the meta is durable. A failure at any point is the caller's to poison with.
 */
import type { SegmentedLog } from '@ringbolt/wal'
import { lsnOf } from '@ringbolt/wal'
import type { LogArchive } from '../backup/log-archive.ts'
import type { PublishedState } from '../sequencer/store-sink.ts'
import { Checkpoint } from '../space/checkpoint.ts'
import type { MainFile } from '../space/main-file.ts'
import type { SharedSpace, SpacePin } from '../space/shared-space.ts'
import { forEachReference } from '../tree/references.ts'
import type { Control } from './control.ts'
import type { HeldCheckpoints } from './holds.ts'

export interface CheckpointPolicy {
  readonly checkpointLogBytes: number
  readonly checkpointIntervalMs: number
  /** Written between two groups. */
  readonly checkpointPagesPerStep: number
}

interface Running {
  readonly checkpoint: Checkpoint
  readonly pin: SpacePin
  readonly state: PublishedState
  /** Requests that it answers. */
  readonly wanted: number
  /** Slots of those who want it kept. */
  readonly keepFor: readonly number[]
  readonly begunMs: number
}

/** Log beyond this many times the bound makes commits wait for the checkpoint. */
const LOG_BEHIND_MAX = 4

export class Checkpointer {
  readonly #main: MainFile
  readonly #space: SharedSpace
  readonly #log: () => SegmentedLog
  readonly #control: Control
  readonly #holds: HeldCheckpoints
  readonly #archive: LogArchive | undefined
  readonly #policy: CheckpointPolicy
  readonly #nowMs: () => number
  readonly #published: () => PublishedState
  readonly #keepFromLsn: () => number
  #running: Running | undefined
  /** Of the last durable checkpoint. */
  #durableLsn: number
  #durableSequence: number
  #changedSinceMs: number | undefined
  #count = 0
  #lastMs = 0

  constructor(parts: {
    readonly main: MainFile
    readonly space: SharedSpace
    readonly log: () => SegmentedLog
    readonly control: Control
    readonly holds: HeldCheckpoints
    /** Undefined: log is released at once. */
    readonly archive: LogArchive | undefined
    readonly policy: CheckpointPolicy
    readonly nowMs: () => number
    readonly published: () => PublishedState
    /** Who reads the log still needs it from there on. */
    readonly keepFromLsn: () => number
  }) {
    this.#main = parts.main
    this.#space = parts.space
    this.#log = parts.log
    this.#control = parts.control
    this.#holds = parts.holds
    this.#archive = parts.archive
    this.#policy = parts.policy
    this.#nowMs = parts.nowMs
    this.#published = parts.published
    this.#keepFromLsn = parts.keepFromLsn
    this.#durableLsn = parts.main.meta.logLsn
    this.#durableSequence = parts.main.meta.sequence
  }

  /** Checkpoints since the database was opened. */
  get count(): number {
    return this.#count
  }

  /** How long the last one took, from its beginning to its end. */
  get lastMs(): number {
    return this.#lastMs
  }

  /** Milliseconds until one begins by itself; Infinity while nothing has changed. */
  get dueInMs(): number {
    if (this.#changedSinceMs === undefined) return Number.POSITIVE_INFINITY
    const dueMs = this.#changedSinceMs + this.#policy.checkpointIntervalMs
    return Math.max(0, dueMs - this.#nowMs())
  }

  /** Nobody else may write before it is done. */
  get isFinal(): boolean {
    return this.#running?.checkpoint.isFinal === true || this.#archive?.isCopying === true
  }

  /** Another process has made one: what was begun here is not needed any more. */
  adopted(): void {
    const running = this.#running
    if (running !== undefined) {
      this.#running = undefined
      this.#main.pageIds.cancelCheckpoint()
      this.#space.unpin(running.pin)
      // Whoever asked for it hears of the next.
      this.#changedSinceMs ??= this.#nowMs()
    }
    this.#durableLsn = this.#main.meta.logLsn
    this.#durableSequence = this.#main.meta.sequence
  }

  /** A bounded piece of work. @returns whether there was any */
  step(): boolean {
    const { sequence, logLsn } = this.#published()
    if (sequence !== this.#durableSequence) this.#changedSinceMs ??= this.#nowMs()
    const released = this.#archive?.step(Math.min(this.#durableLsn, this.#keepFromLsn())) === true
    const reclaimed = this.#holds.reclaim()
    if (this.#running === undefined && !this.#begins(logLsn)) return released || reclaimed
    this.#running ??= this.#begin(false)
    const behind = logLsn - this.#durableLsn > LOG_BEHIND_MAX * this.#policy.checkpointLogBytes
    this.#advance(
      this.#running,
      behind ? Number.POSITIVE_INFINITY : this.#policy.checkpointPagesPerStep,
    )
    return true
  }

  /**
   * All at once, for the end: what is published is the whole database.
   * @param clean the log is not needed any more
   */
  finishAll(clean: boolean): void {
    if (this.#running !== undefined) this.#finish(this.#running)
    this.#archive?.finish()
    this.#finish(this.#begin(clean))
  }

  #begins(logLsn: number): boolean {
    if (this.#control.checkpointWanted) return true
    if (this.#changedSinceMs === undefined) return false
    return logLsn - this.#durableLsn >= this.#policy.checkpointLogBytes || this.dueInMs === 0
  }

  #begin(clean: boolean): Running {
    const wanted = this.#control.checkpointsWanted
    const keepFor = this.#holds.asked()
    const pin = this.#space.pinPublished()
    const state = this.#published()
    this.#changedSinceMs = undefined
    const checkpoint = new Checkpoint(this.#main, this.#space, forEachReference, {
      version: pin.version,
      sequence: state.sequence,
      directory: pin.directory,
      logId: this.#log().logId,
      logLsn: state.logLsn,
      baseSequence: this.#main.meta.baseSequence,
      clean,
    })
    return { checkpoint, pin, state, wanted, keepFor, begunMs: this.#nowMs() }
  }

  #finish(running: Running): void {
    while (running.checkpoint.state !== 'done') this.#advance(running, Number.POSITIVE_INFINITY)
  }

  #advance(running: Running, pagesMax: number): void {
    const { checkpoint } = running
    if (checkpoint.state === 'writing') {
      checkpoint.step(pagesMax)
      return
    }
    // A meta never shows more than the log promises.
    if (checkpoint.state === 'sync-data') this.#log().sync()
    this.#main.pages.sync()
    checkpoint.synced()
    if (checkpoint.state === 'done') this.#done(running)
  }

  #release(lsn: number): void {
    this.#log().truncateBefore(lsnOf(Math.min(lsn, this.#keepFromLsn())))
  }

  #done({ pin, state, wanted, keepFor, begunMs }: Running): void {
    this.#running = undefined
    this.#holds.keep(keepFor, pin, this.#main.meta)
    this.#space.sweepReferences()
    this.#durableLsn = state.logLsn
    this.#durableSequence = state.sequence
    this.#count++
    this.#lastMs = this.#nowMs() - begunMs
    if (this.#archive === undefined) this.#release(state.logLsn)
    this.#control.checkpointDone(wanted)
  }
}
