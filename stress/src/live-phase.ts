/**
 * A load on a log in this process, watched: samples, checkpoints, a watchdog, and whatever the
 * caller does to the workers meanwhile.
 *
 * A checkpoint lets the oracle read what the log holds beyond the last one, and only then lets go of
 * it: so the log stays small however long a run lasts, and nothing goes unproved.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import { openRing, type Ring } from '@ringbolt/ring'
import { type Log, type LogLock, lsnOf, openLog, type SharedLogStats } from '@ringbolt/wal'
import { SilenceError } from './errors.ts'
import { type Load, SilenceMeter } from './load.ts'
import { startLogLoad } from './log-load.ts'
import { failureOf } from './outcome.ts'
import { type ProgressView, percent } from './progress.ts'
import { thousands } from './report.ts'
import { logOptionsOf, type Settings } from './settings.ts'
import type { Verifier } from './verifier.ts'

export interface LivePhaseOptions {
  readonly settings: Settings
  readonly logFolder: string
  readonly lock: LogLock
  readonly verifier: Verifier
  /** 0: no checkpoints, all is verified at the end. */
  readonly checkpointMs: number
  readonly incarnationFirst: number
  readonly incarnationEnd: number
  readonly progress: ProgressView
  /** How far the run is, from 0 to 1. */
  readonly share: () => number
  /** Lasts as long as the load is to last; acts on the workers. */
  readonly drive: (load: Load, log: Log) => Promise<void>
}

/** One look at the process, once a second. */
interface MemorySample {
  readonly atMs: number
  readonly rssBytes: number
  readonly logHeapBytes: number
}

export interface LivePhaseResult {
  readonly durationMs: number
  readonly acknowledged: readonly number[]
  readonly acknowledgedTotal: number
  /** Acknowledgements: counts of a `Latencies`. */
  readonly latencies: readonly number[]
  readonly stats: SharedLogStats
  readonly bytes: number
  readonly occupancy: { readonly meanBytes: number; readonly maxBytes: number }
  /** Waits for room, dead workers' included. */
  readonly spaceWaits: number
  readonly checkpoints: number
  readonly longestSilenceMs: number
  readonly memory: readonly MemorySample[]
  /** Empty: the load ran to its end. */
  readonly failures: readonly string[]
}

const LOOK_MS = 20
const OPENER_ALONE = 1
/** Deaths are told at once and taken up by the log's thread when it next looks; on a busy machine that takes a while. */
const PLACES_FREE_MS_MAX = 5000
const SAMPLE_MS = 1000

export async function livePhase(options: LivePhaseOptions): Promise<LivePhaseResult> {
  const { settings, verifier, lock } = options
  const log = await openLog(options.logFolder, { ...logOptionsOf(settings), lock })
  const load = startLogLoad(log, {
    settings,
    incarnationFirst: options.incarnationFirst,
    incarnationEnd: options.incarnationEnd,
    sideFilePath: undefined,
  })
  const startedMs = performance.now()
  const watch = new Watch(log, load, options)
  const checkpoints = new Checkpoints(log, verifier, options.checkpointMs)
  const failures: string[] = []
  const keepGoing = async (): Promise<undefined> => {
    await options.drive(load, log)
    // While all workers still run: what they take is part of what may not grow.
    await watch.sampleMemory()
    await load.stop()
  }
  const failure = await Promise.race([watch.failure, checkpoints.failure, failureOf(keepGoing())])
  if (failure !== undefined) {
    failures.push(String(failure))
    await load.abandon()
  }
  const durationMs = performance.now() - startedMs
  const stats = await watch.stop()
  // One after the other: a checkpoint under way still needs the log.
  const endFailures = [await failureOf(checkpoints.stop()), await failureOf(log.close())]
  for (const endFailure of endFailures) {
    if (endFailure !== undefined && endFailure !== failure) failures.push(String(endFailure))
  }
  return {
    durationMs,
    acknowledged: load.control.acknowledged(),
    acknowledgedTotal: load.acknowledged,
    latencies: load.latencies.counts(),
    stats,
    bytes: stats.endLsn - log.recovery.endLsn,
    occupancy: watch.occupancy,
    spaceWaits: watch.spaceWaits,
    checkpoints: checkpoints.count,
    longestSilenceMs: watch.longestSilenceMs,
    memory: watch.memory,
    failures: [...new Set([...failures, ...load.failures.map(String)])],
  }
}

/** Looks at the load all the time; fails when nothing moves any more, or a worker fails by itself. */
class Watch {
  readonly memory: MemorySample[] = []
  /** Resolves with what went wrong, if something does. */
  readonly failure: Promise<Error>
  readonly #log: Log
  readonly #load: Load
  readonly #ring: Ring
  readonly #options: LivePhaseOptions
  readonly #silence: SilenceMeter
  readonly #startedMs = performance.now()
  readonly #looking: NodeJS.Timeout
  readonly #sampling: NodeJS.Timeout
  #fail: (reason: Error) => void = () => undefined
  #looks = 0
  #occupiedSum = 0
  #occupiedMax = 0
  #spaceWaitsLast = 0
  #spaceWaits = 0
  #acknowledgedLast = 0

  constructor(log: Log, load: Load, options: LivePhaseOptions) {
    this.#log = log
    this.#load = load
    this.#ring = openRing(log.share().ring)
    this.#options = options
    this.#silence = new SilenceMeter(() => load.acknowledged)
    this.failure = new Promise((resolve) => {
      this.#fail = resolve
    })
    this.#looking = setInterval(() => this.#look(), LOOK_MS)
    this.#sampling = setInterval(() => void this.#takeSample(), SAMPLE_MS)
  }

  get occupancy(): { meanBytes: number; maxBytes: number } {
    return {
      meanBytes: this.#looks === 0 ? 0 : this.#occupiedSum / this.#looks,
      maxBytes: this.#occupiedMax,
    }
  }

  get spaceWaits(): number {
    return this.#spaceWaits
  }

  get longestSilenceMs(): number {
    return this.#silence.longestMs
  }

  /** The figures at the end; the log's thread is given time to close what the last workers held. */
  async stop(): Promise<SharedLogStats> {
    clearInterval(this.#looking)
    clearInterval(this.#sampling)
    const deadlineMs = performance.now() + PLACES_FREE_MS_MAX
    for (;;) {
      const stats = await this.#log.stats()
      if (stats.threadsAttached === OPENER_ALONE || performance.now() >= deadlineMs) return stats
      await sleep(LOOK_MS)
    }
  }

  async sampleMemory(): Promise<void> {
    this.#addMemory(await this.#log.stats())
  }

  #look(): void {
    const [failure] = this.#load.failures
    if (failure !== undefined) this.#fail(failure)
    const silentMs = this.#silence.look()
    const { silenceMaxMs } = this.#options.settings
    if (silentMs > silenceMaxMs) this.#fail(new SilenceError(silentMs, silenceMaxMs))
    const occupied = this.#ring.occupiedBytes
    this.#looks++
    this.#occupiedSum += occupied
    this.#occupiedMax = Math.max(this.#occupiedMax, occupied)
    this.#countSpaceWaits()
  }

  /** The ring counts for those attached now: a slot that is given anew starts where it stood, or at 0. */
  #countSpaceWaits(): void {
    const waits = this.#ring.spaceWaits
    if (waits > this.#spaceWaitsLast) this.#spaceWaits += waits - this.#spaceWaitsLast
    this.#spaceWaitsLast = waits
  }

  async #takeSample(): Promise<void> {
    const failure = await failureOf(this.#showSample())
    if (failure !== undefined) this.#fail(failure)
  }

  async #showSample(): Promise<void> {
    const stats = await this.#log.stats()
    // The load is being stopped: workers are missing already.
    if (!this.#load.control.stopped) this.#addMemory(stats)
    const acknowledged = this.#load.acknowledged
    const perSecond = acknowledged - this.#acknowledgedLast
    const ringShare = stats.ringOccupiedBytes / stats.ringCapacityBytes
    this.#options.progress.show(
      this.#options.share(),
      `${thousands(acknowledged)} acknowledged, ${thousands(perSecond)}/s, ${thousands(stats.syncs)} syncs, ring ${percent(ringShare)} full`,
    )
    this.#acknowledgedLast = acknowledged
  }

  #addMemory(stats: SharedLogStats): void {
    this.memory.push({
      atMs: performance.now() - this.#startedMs,
      rssBytes: process.memoryUsage.rss(),
      logHeapBytes: stats.heapUsedBytes,
    })
  }
}

/** Verifies and lets go, again and again. */
class Checkpoints {
  /** Resolves with what went wrong, if something does. */
  readonly failure: Promise<Error>
  readonly #log: Log
  readonly #verifier: Verifier
  readonly #intervalMs: number
  readonly #done: Promise<void>
  #stopped = false
  #wake: () => void = () => undefined
  count = 0

  constructor(log: Log, verifier: Verifier, intervalMs: number) {
    this.#log = log
    this.#verifier = verifier
    this.#intervalMs = intervalMs
    this.#done = intervalMs === 0 ? Promise.resolve() : this.#run()
    this.failure = new Promise((resolve) => {
      this.#done.catch(resolve)
    })
  }

  /** @throws what a checkpoint failed with */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#wake()
    await this.#done
  }

  async #run(): Promise<void> {
    for (;;) {
      await this.#pause()
      if (this.#stopped) return
      const { lsn } = await this.#verifier.readBeside(this.#log.durableLsn)
      await this.#log.truncateBefore(lsnOf(lsn))
      this.count++
    }
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, this.#intervalMs)
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }
}
