/**
 * The soak: a load on a real log, workers killed on the way; then a process doing the same is killed
 * as a whole, and its log recovered. One oracle reads it all.
 */
import { killFigures, memoryFigures, recoveryFigures, throughputFigures } from './figures.ts'
import { type KillRound, killRound } from './kill-round.ts'
import { livePhase } from './live-phase.ts'
import { KILL_KINDS, type Kill, type Load } from './load.ts'
import { runLock } from './lock.ts'
import { describeFinding } from './oracle.ts'
import { failureOf, outcomeOf } from './outcome.ts'
import { tryOpenElsewhere } from './processes.ts'
import type { ProgressView } from './progress.ts'
import { Random } from './random.ts'
import { type Report, thousands } from './report.ts'
import type { RunFolder } from './run-folder.ts'
import type { OpenAttempt } from './second-opener.ts'
import type { Settings } from './settings.ts'
import { createSideFile, readSideFile } from './side-file.ts'
import {
  abortedVerdict,
  failuresVerdict,
  flatVerdict,
  killsVerdict,
  LOG_HEAP_GROWTH_MAX_BYTES,
  oracleVerdict,
  RSS_GROWTH_MAX_BYTES,
  refusedVerdict,
  slotsVerdict,
  type Verdict,
} from './verdicts.ts'
import { Verifier } from './verifier.ts'

export interface SoakOptions {
  readonly settings: Settings
  readonly seconds: number
  readonly kills: number
  readonly checkpointSeconds: number
}

/** Workers that the process which is killed as a whole ends before. */
const CHILD_KILLS = 2
const CHILD_MS_MAX = 5000
/** Kills stay away from the ends of the run by this share of it. */
const KILL_MARGIN = 0.15
const LOOK_MS = 10

export async function soak(
  options: SoakOptions,
  folder: RunFolder,
  progress: ProgressView,
): Promise<Omit<Report, 'replay' | 'folder'>> {
  const { settings, kills } = options
  const { seed } = settings.workload
  const liveEnd = settings.workers + kills
  const childEnd = liveEnd + settings.workers + CHILD_KILLS
  createSideFile(folder.sideFile, childEnd)
  const verifier = new Verifier({
    logFolder: folder.log,
    workload: settings.workload,
    incarnations: childEnd,
  })
  try {
    const driver = new SoakDriver(options, folder, progress)
    const killed = (): Promise<KillRound> => {
      progress.note('a process doing the same is killed in mid-flight, and its log recovered')
      return killRound({
        settings,
        folder,
        lock: runLock(folder.lock),
        verifier,
        random: new Random(seed ^ 0x51_91),
        incarnationFirst: liveEnd,
        incarnationEnd: childEnd,
        moment: 'load',
        delayMaxMs: Math.min(CHILD_MS_MAX, options.seconds * 250),
        truncate: false,
      })
    }
    const live = await livePhase({
      settings,
      logFolder: folder.log,
      lock: runLock(folder.lock),
      verifier,
      checkpointMs: options.checkpointSeconds * 1000,
      incarnationFirst: 0,
      incarnationEnd: liveEnd,
      progress,
      share: () => driver.share,
      drive: (load) => driver.drive(load),
    })
    // A log that has failed stays as it is; what was acknowledged before must be there all the same.
    const killing = live.failures.length === 0 ? await outcomeOf(killed()) : undefined
    const rounds = killing?.ok === true ? [killing.value] : []
    const failures = [...live.failures]
    if (killing?.ok === false) failures.push(String(killing.error))
    if (rounds.length === 0) {
      const unread = await failureOf(verifier.readClosed('torn-tail'))
      if (unread !== undefined) failures.push(String(unread))
    }
    const acknowledged = readSideFile(folder.sideFile).map(
      (count, incarnation) => count + (live.acknowledged[incarnation] ?? 0),
    )
    const result = await verifier.finish(acknowledged, settings.inFlightMax)
    const meanRecordBytes = result.recordBytes / Math.max(1, result.records)
    return {
      run: describeRun(options),
      seed,
      figures: [
        ...throughputFigures(live, meanRecordBytes),
        ...killFigures(driver.kills),
        ...recoveryFigures(rounds),
        ...memoryFigures(live),
      ],
      verdicts: [
        oracleVerdict(
          result,
          acknowledged.reduce((sum, count) => sum + count, 0),
        ),
        failuresVerdict(failures),
        killsVerdict(driver.kills, kills),
        processVerdict(rounds),
        abortedVerdict(live.stats.aborted, kills),
        slotsVerdict(live.stats.threadsAttached),
        ...(driver.refusal === undefined ? [] : [refusedVerdict(driver.refusal)]),
        flatVerdict(
          'the process does not grow',
          live.memory.map(({ rssBytes }) => rssBytes),
          RSS_GROWTH_MAX_BYTES,
        ),
        flatVerdict(
          "the log's thread does not grow",
          live.memory.map(({ logHeapBytes }) => logHeapBytes),
          LOG_HEAP_GROWTH_MAX_BYTES,
        ),
      ],
      findings: [...failures, ...result.findings.map(describeFinding)],
    }
  } finally {
    await verifier.close()
  }
}

function processVerdict(rounds: readonly KillRound[]): Verdict {
  const [round] = rounds
  return {
    name: 'the killed process gave its lock back and left a log that opens',
    ok: round !== undefined && round.recovery.leftOut.length === 0,
    detail:
      round === undefined
        ? 'not run: the load had failed'
        : `opened in ${round.recoveryMs.toFixed(0)} ms, ${thousands(round.acknowledged)} records acknowledged by it`,
  }
}

function describeRun({ settings, seconds, kills }: SoakOptions): string {
  const { workers, inFlightMax, blocking, sync, workload } = settings
  const each = blocking ? 'blocking' : `${inFlightMax} in flight`
  return `${workers} workers, ${each}, ${workload.recordBytesMin} to ${workload.recordBytesMax} B, sync ${sync}, ${seconds} s, ${kills} killed`
}

/** Lets the load run for its time, ends workers at seeded moments, has another process try the lock. */
class SoakDriver {
  readonly kills: Kill[] = []
  refusal: OpenAttempt | undefined
  readonly #options: SoakOptions
  readonly #folder: RunFolder
  readonly #progress: ProgressView
  readonly #random: Random
  #startedMs: number | undefined

  constructor(options: SoakOptions, folder: RunFolder, progress: ProgressView) {
    this.#options = options
    this.#folder = folder
    this.#progress = progress
    this.#random = new Random(options.settings.workload.seed)
  }

  get share(): number {
    if (this.#startedMs === undefined) return 0
    return Math.min(1, (performance.now() - this.#startedMs) / (this.#options.seconds * 1000))
  }

  async drive(load: Load): Promise<void> {
    await load.started()
    this.#startedMs = performance.now()
    this.refusal = await tryOpenElsewhere(this.#folder.log, this.#folder.lock)
    for (const [at, kind] of this.#kinds().entries()) {
      await this.#until(this.#momentOf(at), load)
      const kill = await load.kill(kind, this.#random)
      if (kill === undefined) return
      this.kills.push(kill)
      this.#progress.note(
        `killed incarnation ${kill.incarnation} (${kind}): the ring moved on ${kill.progressMs.toFixed(1)} ms after its exit`,
      )
    }
    await this.#until(1, load)
  }

  /** Two kills are of two kinds, one of them by memory. */
  #kinds(): (typeof KILL_KINDS)[number][] {
    const first = this.#random.between(0, 1)
    const order = [KILL_KINDS[first], KILL_KINDS[2], KILL_KINDS[1 - first]] as const
    return Array.from({ length: this.#options.kills }, (_, at) => order[at % 3] ?? 'terminate')
  }

  #momentOf(kill: number): number {
    const span = (1 - 2 * KILL_MARGIN) / this.#options.kills
    return KILL_MARGIN + span * (kill + this.#random.fraction())
  }

  /** Ends early when the load does. */
  async #until(share: number, load: Load): Promise<void> {
    while (this.share < share && !load.control.stopped) {
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
    }
  }
}
