/**
 * A load on a database in this process, watched: samples of memory and throughput, and a watchdog that fails when nothing
 * is acknowledged for too long, to all of the workers or to one. Their heartbeat is the count of operations
 * acknowledged, in shared memory.
 */
import { monitorEventLoopDelay, type RecordableHistogram } from 'node:perf_hooks'
import { type Database, open, type StoreStats } from 'ringbolt'
import { SilenceError } from '../errors.ts'
import { type Load, SilenceMeter } from '../load.ts'
import { failureOf } from '../outcome.ts'
import type { ProgressView } from '../progress.ts'
import { thousands } from '../report.ts'
import { startDocumentLoad } from './document-load.ts'
import { type DocumentSettings, openOptionsOf } from './document-settings.ts'
import type { LaneRegion } from './lane-region.ts'

export interface DocumentPhaseOptions {
  readonly settings: DocumentSettings
  readonly path: string
  readonly incarnationEnd: number
  readonly region: LaneRegion
  readonly progress: ProgressView
  /** How far the run is, from 0 to 1. */
  readonly share: () => number
  /** Lasts as long as the load is to last; acts on the workers. */
  readonly drive: (load: Load) => Promise<void>
}

export interface DocumentPhaseResult {
  readonly durationMs: number
  readonly operations: number
  readonly latencyUs: RecordableHistogram
  readonly eventLoopDelayP99Ms: number
  readonly stats: StoreStats
  readonly longestSilenceMs: number
  /** Once a second. */
  readonly rssBytes: readonly number[]
  /** Empty: the load ran to its end. */
  readonly failures: readonly string[]
}

const LOOK_MS = 20
const SAMPLE_MS = 1000

export async function documentPhase(options: DocumentPhaseOptions): Promise<DocumentPhaseResult> {
  const db = await open(options.path, openOptionsOf(options.settings))
  const load = startDocumentLoad(db, {
    settings: options.settings,
    incarnationFirst: 0,
    incarnationEnd: options.incarnationEnd,
    region: options.region,
    sideFilePath: undefined,
  })
  const startedMs = performance.now()
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  const watch = new DocumentWatch(db, load, options)
  const failures: string[] = []
  const keepGoing = async (): Promise<undefined> => {
    await options.drive(load)
    await load.stop()
  }
  const failure = await Promise.race([watch.failure, failureOf(keepGoing())])
  if (failure !== undefined) {
    failures.push(String(failure))
    await load.abandon()
  }
  delay.disable()
  const durationMs = performance.now() - startedMs
  watch.stop()
  const stats = db.stats()
  const unclosed = await failureOf(db.close())
  if (unclosed !== undefined) failures.push(String(unclosed))
  return {
    durationMs,
    operations: load.acknowledged,
    latencyUs: load.latencyUs(),
    eventLoopDelayP99Ms: delay.percentile(99) / 1e6,
    stats,
    longestSilenceMs: watch.longestSilenceMs,
    rssBytes: watch.rssBytes,
    failures: [...new Set([...failures, ...load.failures.map(String)])],
  }
}

class DocumentWatch {
  readonly rssBytes: number[] = []
  /** Resolves with what went wrong, if something does. */
  readonly failure: Promise<Error>
  readonly #db: Database
  readonly #load: Load
  readonly #options: DocumentPhaseOptions
  readonly #silence: SilenceMeter
  readonly #timers: readonly NodeJS.Timeout[]
  #fail: (reason: Error) => void = () => undefined
  #acknowledgedLast = 0

  constructor(db: Database, load: Load, options: DocumentPhaseOptions) {
    this.#db = db
    this.#load = load
    this.#options = options
    this.#silence = new SilenceMeter(() => load.acknowledged)
    this.failure = new Promise((resolve) => {
      this.#fail = resolve
    })
    this.#timers = [
      setInterval(() => this.#look(), LOOK_MS),
      setInterval(() => this.#sample(), SAMPLE_MS),
    ]
  }

  get longestSilenceMs(): number {
    return this.#silence.longestMs
  }

  stop(): void {
    for (const timer of this.#timers) clearInterval(timer)
  }

  #look(): void {
    const [failure] = this.#load.failures
    if (failure !== undefined) this.#fail(failure)
    // Until then it is the start that is watched, with its own bound.
    if (this.#load.acknowledged === 0) return
    const silentMs = this.#silence.look()
    const { silenceMaxMs } = this.#options.settings
    if (silentMs > silenceMaxMs) this.#fail(new SilenceError(silentMs, silenceMaxMs))
    // Those that have been told to stop end one after another.
    if (this.#load.control.stopped) return
    const most = this.#load.mostSilent()
    if (most.silentMs <= silenceMaxMs) return
    this.#fail(new SilenceError(most.silentMs, silenceMaxMs, `incarnation ${most.incarnation}`))
  }

  #sample(): void {
    if (!this.#load.control.stopped) this.rssBytes.push(process.memoryUsage.rss())
    const { acknowledged } = this.#load
    const perSecond = acknowledged - this.#acknowledgedLast
    this.#acknowledgedLast = acknowledged
    const { checkpoints } = this.#db.stats()
    this.#options.progress.show(
      this.#options.share(),
      `${thousands(acknowledged)} acknowledged, ${thousands(perSecond)}/s, ${checkpoints.count} checkpoints`,
    )
  }
}
