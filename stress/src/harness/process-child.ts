/**
 * One process of the harness: has the database open, a pool that writes and reads it, and looks itself for what others
 * have written. Does what it is asked to; killed at any moment. Composition root of the process.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { Random } from '@ringbolt/wal/simulation'
import { type Database, open } from 'ringbolt'
import { items, itemsOf } from '../documents/collection.ts'
import { startDocumentLoad } from '../documents/document-load.ts'
import { DocumentOracle, type DocumentOracleResult } from '../documents/document-oracle.ts'
import { lanesOf, openOptionsOf } from '../documents/document-settings.ts'
import { FreshnessWatch } from '../documents/freshness.ts'
import type { Lane } from '../documents/lane.ts'
import { SilenceError } from '../errors.ts'
import { countsSince } from '../latencies.ts'
import { type Load, SilenceMeter } from '../load.ts'
import { failureOf } from '../outcome.ts'
import { readSideFile, SideFile } from '../side-file.ts'
import { backUp } from './backup.ts'
import { countersOf } from './database-counters.ts'
import type { ProcessMessage, ProcessSample, ProcessWork, Question } from './process-protocol.ts'

const WATCH_MS = 20
const LOOK_MS = 5

class HarnessProcess {
  readonly #work: ProcessWork
  readonly #db: Database
  readonly #load: Load
  readonly #freshness: FreshnessWatch
  /** By the proofs that were asked for. */
  readonly #followed = new Map<number, Lane>()
  readonly #random: Random
  readonly #silence: SilenceMeter
  readonly #delay = monitorEventLoopDelay({ resolution: 5 })
  readonly #timers: readonly NodeJS.Timeout[]
  #underWay = false
  #latenciesLast: readonly number[] = []
  #sampledMs = performance.now()

  constructor(work: ProcessWork, db: Database) {
    this.#work = work
    this.#db = db
    this.#random = new Random(work.seed)
    this.#load = startDocumentLoad(db, work)
    this.#silence = new SilenceMeter(() => this.#load.acknowledged)
    const sideFile = new SideFile(work.sideFilePath)
    const rules = lanesOf(work.settings)
    this.#freshness = new FreshnessWatch(itemsOf(db), rules, sideFile, this.#random.fork('looks'))
    this.#delay.enable()
    this.#timers = [
      setInterval(() => this.#watch(), WATCH_MS),
      setInterval(() => this.#freshness.look(), LOOK_MS),
    ]
    void this.#noteStart()
  }

  async #noteStart(): Promise<void> {
    const failure = await failureOf(this.#load.started())
    if (failure !== undefined) fail(failure)
    this.#underWay = failure === undefined
  }

  async answer(question: Question): Promise<unknown> {
    switch (question.kind) {
      case 'sample':
        return this.#sample()
      case 'killWorker':
        return (await this.#load.kill(question.kill, this.#random)) ?? null
      case 'backup':
        return await backUp(this.#db, question.target)
      case 'checkpoint':
        await this.#db.checkpoint()
        return null
      case 'prove':
        return await this.#prove()
      case 'watch':
        this.#freshness.watch(question.incarnations)
        return null
      case 'stop':
        return await this.#stop()
    }
  }

  /** The counts before the snapshot must be in it; those after it bound what may be. */
  async #prove(): Promise<DocumentOracleResult> {
    const { settings, sideFilePath } = this.#work
    const atLeast = readSideFile(sideFilePath)
    using snapshot = this.#db.snapshot()
    const atMost = readSideFile(sideFilePath)
    const collection = snapshot.collection(items)
    const oracle = new DocumentOracle(collection, lanesOf(settings), this.#followed)
    return await oracle.prove(atLeast, atMost)
  }

  async #stop(): Promise<ProcessSample> {
    await this.#load.stop()
    for (const timer of this.#timers) clearInterval(timer)
    const [failure] = this.#load.failures
    if (failure !== undefined) throw failure
    const sample = this.#sample()
    await this.#db.close()
    return sample
  }

  /** The heartbeat is the count of operations acknowledged: to all of the workers, and to each. */
  #watch(): void {
    const [failure] = this.#load.failures
    if (failure !== undefined) fail(failure)
    const silentMs = this.#silence.look()
    // Until then it is the start that is watched, with its own bound; those that are told to stop end one by one.
    if (!this.#underWay || this.#load.control.stopped) return
    const { silenceMaxMs } = this.#work.settings
    if (silentMs > silenceMaxMs) fail(new SilenceError(silentMs, silenceMaxMs))
    const most = this.#load.mostSilent()
    if (most.silentMs <= silenceMaxMs) return
    fail(new SilenceError(most.silentMs, silenceMaxMs, `incarnation ${most.incarnation}`))
  }

  #sample(): ProcessSample {
    const nowMs = performance.now()
    const counts = this.#load.latencies.counts()
    const stats = this.#db.stats()
    const sample: ProcessSample = {
      elapsedMs: nowMs - this.#sampledMs,
      operations: this.#load.acknowledged,
      reads: this.#load.reads,
      latencies: countsSince(this.#latenciesLast, counts),
      silenceMs: this.#silence.takeLongestMs(),
      rssBytes: process.memoryUsage.rss(),
      eventLoopDelayP99Ms: this.#delay.percentile(99) / 1e6,
      counters: countersOf(stats),
      stats,
      freshnessChecks: this.#freshness.checks,
      freshnessFindings: this.#freshness.findings,
      underWay: this.#underWay,
    }
    this.#sampledMs = nowMs
    this.#latenciesLast = counts
    this.#delay.reset()
    return sample
  }
}

function tell(message: ProcessMessage, then?: () => void): void {
  process.send?.(message, undefined, undefined, then)
}

/** Says why, then ends at once: what is in flight is in the oracle's hands. */
function fail(reason: unknown): void {
  tell({ kind: 'failed', reason: String(reason) }, () => process.exit(1))
}

async function reply(harness: HarnessProcess, question: Question): Promise<void> {
  try {
    const answer = await harness.answer(question)
    const ends = question.kind === 'stop'
    tell({ kind: 'answer', id: question.id, answer }, () => ends && process.exit(0))
  } catch (error) {
    tell({ kind: 'refused', id: question.id, reason: String(error) })
  }
}

async function run(work: ProcessWork): Promise<void> {
  const begunMs = performance.now()
  const db = await open(work.path, openOptionsOf(work.settings))
  const harness = new HarnessProcess(work, db)
  process.on('message', (question: Question) => void reply(harness, question))
  tell({ kind: 'opened', openMs: performance.now() - begunMs })
}

const [argument] = process.argv.slice(2)
if (argument === undefined) throw new TypeError('process-child: its work is missing')
// An orphan must not go on: the parent is gone when the channel is.
process.on('disconnect', () => process.exit(1))
process.on('uncaughtException', fail)
process.on('unhandledRejection', fail)
await run(JSON.parse(argument)).catch(fail)
