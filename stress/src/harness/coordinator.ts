/**
 * Starts the processes, kills their workers and them, starts others in their place, has backups made, asks all of them
 * once a second how they are, and ends them. Has the database never open itself while they have.
 */
import { rmSync } from 'node:fs'
import type { Random } from '@ringbolt/wal/simulation'
import type { DocumentSettings } from '../documents/document-settings.ts'
import { SilenceError } from '../errors.ts'
import type { KillKind } from '../load.ts'
import { failureOf, outcomeOf } from '../outcome.ts'
import type { ProgressView } from '../progress.ts'
import { thousands } from '../report.ts'
import { readSideFile, SideFile } from '../side-file.ts'
import { type BackupWork, compareBackupElsewhere } from './backup.ts'
import type { RunningProcess } from './database-process.ts'
import type { ProcessSample, ProcessWork, QuestionKind, Questions } from './process-protocol.ts'
import type { RunEvent } from './run-data.ts'
import { KillSchedule } from './schedule.ts'
import { type Said, Timeline } from './timeline.ts'
import { pause, withBound } from './waiting.ts'

export interface CoordinatorOptions {
  readonly settings: DocumentSettings
  readonly processes: number
  readonly seconds: number
  /** Mean time between kills; 0: none. */
  readonly killSeconds: number
  /** Between the end of a backup and the next; 0: none. */
  readonly backupSeconds: number
  /** Between lines that stay, besides the progress shown; 0: none. */
  readonly heartbeatSeconds: number
  readonly database: string
  readonly sideFile: string
  /** Where the n-th backup goes. */
  readonly backupOf: (ordinal: number) => string
  readonly start: (work: ProcessWork) => RunningProcess
  readonly random: Random
  readonly progress: ProgressView
}

interface Slot {
  readonly at: number
  process: RunningProcess
  startedMs: number
  underWay: boolean
  /** It took the place of a killed one. */
  replaces: boolean
  /** Being killed: its end is no failure. */
  dying: boolean
  workerKillsLeft: number
  /** Undefined: it has not opened the database yet. */
  openMs: number | undefined
}

const TICK_MS = 1000
const POLL_MS = 20
/** Each start of a process takes numbers for this many workers that it replaces; then it is killed as a whole. */
const WORKER_KILLS_PER_LIFE = 16
/** Who was dead before is still looked for. */
const WATCHED_DEAD = 4
/** No kill this close to the end: the run ends with all at work. */
const QUIET_END_SHARE = 0.1
const QUIET_END_MS_MAX = 2000
const START_MAX_MS = 60_000
/** What a backup, the end of a worker or an orderly end may take: far more than they do. */
const ANSWER_MAX_MS = 300_000

export class Coordinator {
  readonly timeline: Timeline
  readonly events: RunEvent[] = []
  readonly failures: string[] = []
  /** One line each: reads of others' writes that were behind. */
  readonly staleReads = new Set<string>()
  /** One line each: what is wrong with backups. */
  readonly backupFindings: string[] = []
  /** Kills that were begun. */
  kills = 0
  startedAt = new Date()
  durationMs = 0
  readonly #options: CoordinatorOptions
  readonly #sideFile: SideFile
  readonly #schedule: KillSchedule
  readonly #killing: Random
  readonly #choosing: Random
  readonly #slots: Slot[] = []
  readonly #deadIncarnations: number[] = []
  #nextIncarnation = 0
  /** Of the last backup. */
  #comparison: Promise<void> = Promise.resolve()
  #loadBegunMs = 0
  #over = false
  #fail: (reason: string) => void = () => undefined
  readonly #failed: Promise<string>

  constructor(options: CoordinatorOptions) {
    this.#options = options
    this.timeline = new Timeline(options.processes)
    this.#sideFile = new SideFile(options.sideFile)
    this.#killing = options.random.fork('victims')
    this.#choosing = options.random.fork('backups')
    this.#schedule = new KillSchedule(options.random.fork('kills'), options.killSeconds * 1000)
    this.#failed = new Promise((resolve) => {
      this.#fail = resolve
    })
  }

  /** Resolves when all processes have ended. What went wrong stands in `failures` and in the findings. */
  async run(): Promise<void> {
    for (let at = 0; at < this.#options.processes; at++) {
      this.#slots.push(this.#start(at, false))
    }
    const failure = await Promise.race([this.#failed, this.#carryOut()])
    this.#over = true
    if (this.durationMs === 0) this.durationMs = this.#nowMs
    this.#sideFile.close()
    if (failure === undefined) return
    this.failures.push(failure)
    for (const slot of this.#slots) slot.dying = true
    await Promise.all(this.#slots.map(({ process }) => process.kill()))
  }

  async #carryOut(): Promise<string | undefined> {
    const started = await this.#allUnderWay()
    if (!started) return undefined
    this.#loadBegunMs = performance.now()
    this.startedAt = new Date()
    const doings = Promise.all([this.#killNowAndThen(), this.#backUpNowAndThen()])
    const outcomes = await Promise.all([failureOf(doings), failureOf(this.#tick(doings))])
    const failure = outcomes.find((error) => error !== undefined)
    if (failure !== undefined) return String(failure)
    return await this.#stopAll()
  }

  /** False: the run failed meanwhile. */
  async #allUnderWay(): Promise<boolean> {
    for (;;) {
      if (this.#over) return false
      const said = await this.#ask()
      if (this.#slots.every(({ underWay }) => underWay)) {
        if (this.#loadBegunMs === 0) this.timeline.begin(said)
        return true
      }
      await pause(5 * POLL_MS)
    }
  }

  get #nowMs(): number {
    return this.#loadBegunMs === 0 ? 0 : performance.now() - this.#loadBegunMs
  }

  get #endMs(): number {
    return this.#options.seconds * 1000
  }

  // ---- Once a second.

  /** Until the time is over, and what was being done to the processes then is done. */
  async #tick(doings: Promise<unknown>): Promise<void> {
    let isDone = false
    void failureOf(doings).then((failure) => {
      isDone = true
      return failure && this.#fail(String(failure))
    })
    let heartbeatMs = this.#options.heartbeatSeconds * 1000
    for (let tickMs = TICK_MS; !this.#over; tickMs += TICK_MS) {
      while (!this.#over && this.#nowMs < tickMs) await pause(POLL_MS)
      if (this.#over) return
      this.timeline.add(this.#nowMs, await this.#ask())
      this.#show()
      if (this.#options.heartbeatSeconds > 0 && this.#nowMs >= heartbeatMs) {
        heartbeatMs += this.#options.heartbeatSeconds * 1000
        this.#options.progress.note(`${new Date().toISOString()}  ${this.#describe()}`)
      }
      // The run ends with all at work, one that was killed lately too.
      const allWork = this.#slots.every(({ underWay }) => underWay)
      if (isDone && allWork && this.#nowMs >= this.#endMs) return
    }
  }

  /** Who does not answer within the watchdog's time has failed. */
  async #ask(): Promise<(Said | undefined)[]> {
    return await Promise.all(
      this.#slots.map(async (slot) => {
        const { process } = slot
        const bound = slot.underWay ? this.#options.settings.silenceMaxMs : START_MAX_MS
        const startingMs = performance.now() - slot.startedMs
        if (slot.openMs === undefined) {
          if (startingMs > bound) this.#fail(tooSilent(startingMs, bound, slot))
          return undefined
        }
        const sample = await withBound(outcomeOf(process.ask('sample', {})), bound)
        if (slot.process !== process || slot.dying) return undefined
        if (sample === undefined) {
          this.#fail(tooSilent(bound, bound, slot))
          return undefined
        }
        // Its end is noticed for itself.
        if (!sample.ok) return undefined
        this.#take(slot, sample.value)
        return { work: process, sample: sample.value }
      }),
    )
  }

  /** @throws SilenceError when there is no answer for far too long; what the process says */
  async #askOf<K extends QuestionKind>(
    slot: Slot,
    kind: K,
    asked: Questions[K]['asked'],
  ): Promise<Questions[K]['answer']> {
    const outcome = await withBound(outcomeOf(slot.process.ask(kind, asked)), ANSWER_MAX_MS)
    if (outcome === undefined) {
      const whom = `process ${slot.at}, asked for ${kind}`
      throw new SilenceError(ANSWER_MAX_MS, ANSWER_MAX_MS, whom)
    }
    if (!outcome.ok) throw outcome.error
    return outcome.value
  }

  #take(slot: Slot, sample: ProcessSample): void {
    for (const finding of sample.freshnessFindings) this.staleReads.add(finding)
    if (slot.underWay || !sample.underWay) return
    slot.underWay = true
    if (!slot.replaces) return
    this.events.push({
      kind: 'process-back',
      atS: this.#nowMs / 1000,
      process: slot.at,
      afterMs: performance.now() - slot.startedMs,
      openMs: slot.openMs ?? 0,
    })
  }

  #show(): void {
    const share = Math.min(1, this.#nowMs / this.#endMs)
    this.#options.progress.show(share, this.#describe())
  }

  #describe(): string {
    const { operations, operationsPerSNow, freshnessChecks } = this.timeline
    const parts = [
      `${thousands(operations)} acknowledged`,
      `${thousands(operationsPerSNow)}/s`,
      `${this.kills} killed`,
      `${thousands(freshnessChecks)} reads of others' writes`,
    ]
    const backups = this.events.filter(({ kind }) => kind === 'backup').length
    if (this.#options.backupSeconds > 0) parts.push(`${backups} backups`)
    return parts.join(', ')
  }

  // ---- Processes.

  #start(at: number, replaces: boolean): Slot {
    const { settings, database, sideFile, random } = this.#options
    const incarnationFirst = this.#nextIncarnation
    this.#nextIncarnation += settings.workers + WORKER_KILLS_PER_LIFE
    const process = this.#options.start({
      settings,
      path: database,
      sideFilePath: sideFile,
      incarnationFirst,
      incarnationEnd: this.#nextIncarnation,
      seed: random.uint32(),
    })
    const slot: Slot = {
      at,
      process,
      startedMs: performance.now(),
      underWay: false,
      replaces,
      dying: false,
      workerKillsLeft: WORKER_KILLS_PER_LIFE,
      openMs: undefined,
    }
    void this.#noteOpening(slot)
    void this.#noteEnd(slot)
    return slot
  }

  async #noteOpening(slot: Slot): Promise<void> {
    slot.openMs = await slot.process.opened
    this.#tellWhomToWatch()
  }

  async #noteEnd(slot: Slot): Promise<void> {
    const { exitCode, signal, reason } = await slot.process.ended
    if (slot.dying || this.#over) return
    const how = `exit code ${exitCode}, signal ${signal}`
    this.#fail(`process ${slot.at} ended by itself, ${how}: ${reason}`)
  }

  /** Each looks for what the others write, one that is alone for what its own threads do; and for the dead. */
  #tellWhomToWatch(): void {
    const { workers } = this.#options.settings
    for (const { at, process } of this.#slots) {
      const others = this.#slots.filter((slot) => slot.at !== at || this.#slots.length === 1)
      const living = others.flatMap(({ process, workerKillsLeft }) =>
        firstsOf(process.work.incarnationFirst, workers + WORKER_KILLS_PER_LIFE - workerKillsLeft),
      )
      const incarnations = [...living, ...this.#deadIncarnations]
      // One that is being opened is told when it is; of one that ends by itself, others hear.
      process.ask('watch', { incarnations }).catch(() => undefined)
    }
  }

  // ---- Kills.

  async #killNowAndThen(): Promise<void> {
    if (this.#options.killSeconds === 0) return
    const quietMs = Math.min(QUIET_END_MS_MAX, this.#endMs * QUIET_END_SHARE)
    const lastMs = this.#endMs - quietMs
    for (;;) {
      const atMs = this.#nowMs + this.#schedule.nextDelayMs()
      if (atMs >= lastMs) return
      await this.#until(atMs)
      if (this.#over) return
      const order = this.#schedule.next()
      if (order.what === 'process') await this.#killProcess()
      else await this.#killWorker(order.kill)
    }
  }

  async #killWorker(how: KillKind): Promise<void> {
    const slot = await this.#underWay(this.#killing)
    if (slot === undefined) return
    if (slot.workerKillsLeft === 0) {
      await this.#killProcess(slot)
      return
    }
    slot.workerKillsLeft--
    const kill = await this.#askOf(slot, 'killWorker', { kill: how })
    if (kill === null) return
    this.#tellWhomToWatch()
    this.kills++
    const { incarnation, detectedMs, progressMs } = kill
    this.events.push({
      kind: 'worker-killed',
      // Of its end, as nearly as this process knows.
      atS: (this.#nowMs - progressMs) / 1000,
      process: slot.at,
      how,
      incarnation,
      detectedMs,
      progressMs,
    })
    this.#noteKill(
      `process ${slot.at}: worker killed (${how}), the others went on ${progressMs.toFixed(1)} ms after its exit`,
    )
  }

  /** @param slot undefined: any, also one that is starting */
  async #killProcess(slot: Slot = this.#killing.pick(this.#slots)): Promise<void> {
    slot.dying = true
    this.kills++
    const { pid = 0, work } = slot.process
    const atS = this.#nowMs / 1000
    this.events.push({ kind: 'process-killed', atS, process: slot.at, pid })
    this.#noteKill(`process ${slot.at}, pid ${pid}: SIGKILL`)
    await slot.process.kill()
    this.timeline.addLast(slot.at, slot.process, this.#acknowledgedBy(slot.process))
    this.#deadIncarnations.push(...firstsOf(work.incarnationFirst, this.#options.settings.workers))
    this.#deadIncarnations.splice(0, this.#deadIncarnations.length - WATCHED_DEAD)
    this.#slots[slot.at] = this.#start(slot.at, true)
  }

  #acknowledgedBy({ work }: RunningProcess): number {
    const { lanes } = work.settings
    const end = work.incarnationEnd * lanes
    let sum = 0
    for (let place = work.incarnationFirst * lanes; place < end; place++) {
      sum += this.#sideFile.acknowledgedOf(place)
    }
    return sum
  }

  /** One whose workers all write; waits for it. */
  async #underWay(random: Random): Promise<Slot | undefined> {
    while (!this.#over && this.#nowMs < this.#endMs) {
      const able = this.#slots.filter(({ underWay, dying }) => underWay && !dying)
      if (able.length > 0) return random.pick(able)
      await pause(POLL_MS)
    }
    return undefined
  }

  /** In a run of hours only the heartbeat stays. */
  #noteKill(line: string): void {
    if (this.#options.heartbeatSeconds === 0) this.#options.progress.note(line)
  }

  // ---- Backups.

  async #backUpNowAndThen(): Promise<void> {
    const { backupSeconds } = this.#options
    if (backupSeconds === 0) return
    for (let ordinal = 0; !this.#over; ordinal++) {
      // A short run has one all the same, and time for another where the first dies with its process.
      const soonMs = ordinal === 0 ? (this.#endMs - this.#nowMs) / 4 : Number.POSITIVE_INFINITY
      await this.#until(this.#nowMs + Math.min(backupSeconds * 1000, soonMs))
      if (this.#over || this.#nowMs >= this.#endMs) return
      // Of a process that was killed meanwhile there is none.
      while (!(await this.#backUp(this.#options.backupOf(ordinal)))) if (this.#over) return
      // One at a time; but the load need not go on for it.
      await Promise.race([this.#comparison, this.#until(this.#endMs)])
    }
  }

  /** @returns false when the process that made it was killed */
  async #backUp(target: string): Promise<boolean> {
    const slot = await this.#underWay(this.#choosing)
    if (slot === undefined) return true
    const { settings, sideFile } = this.#options
    const { at } = slot
    const begunMs = this.#nowMs
    const atLeast = readSideFile(sideFile)
    const backup = await outcomeOf(this.#askOf(slot, 'backup', { target }))
    const atMost = readSideFile(sideFile)
    const event = { kind: 'backup', atS: begunMs / 1000, process: at } as const
    const seconds = (this.#nowMs - begunMs) / 1000
    if (!backup.ok) {
      if (!slot.dying) throw backup.error
      this.events.push({ ...event, seconds, bytes: 0, documents: 0, sound: null })
      return false
    }
    const { bytes } = backup.value
    this.#comparison = this.#compare({ path: target, settings, atLeast, atMost }, (verdict) => {
      this.events.push({ ...event, seconds, bytes, ...verdict })
    })
    // It is waited for, and its failure told, where the run ends.
    this.#comparison.catch(() => undefined)
    return true
  }

  async #compare(
    work: BackupWork,
    note: (verdict: { readonly documents: number; readonly sound: boolean }) => void,
  ): Promise<void> {
    const { documents, findings } = await compareBackupElsewhere(work)
    this.backupFindings.push(...findings.map((finding) => `backup ${work.path}: ${finding}`))
    const sound = findings.length === 0
    note({ documents, sound })
    // One that is not is kept to be looked at.
    if (sound) rmSync(work.path)
  }

  // ---- The end.

  async #stopAll(): Promise<string | undefined> {
    this.#options.progress.show(1, `${this.#describe()}; stopping`)
    this.durationMs = this.#nowMs
    for (const slot of this.#slots) slot.dying = true
    const stopped = await Promise.all(
      this.#slots.map((slot) => outcomeOf(this.#askOf(slot, 'stop', {}))),
    )
    const said: Said[] = []
    for (const [at, outcome] of stopped.entries()) {
      const slot = this.#slots[at]
      if (!outcome.ok) return String(outcome.error)
      if (slot === undefined) continue
      this.#take(slot, outcome.value)
      said.push({ work: slot.process, sample: outcome.value })
    }
    this.timeline.end(this.durationMs, said)
    const ends = await Promise.all(this.#slots.map(({ process }) => process.ended))
    const compared = await failureOf(this.#comparison)
    if (compared !== undefined) return String(compared)
    const wrong = ends.find(({ exitCode }) => exitCode !== 0)
    return wrong && `a process ended with exit code ${wrong.exitCode}: ${wrong.reason}`
  }

  /** Until that moment of the load, or its end. */
  async #until(momentMs: number): Promise<void> {
    while (!this.#over && this.#nowMs < Math.min(momentMs, this.#endMs)) await pause(POLL_MS)
  }
}

function tooSilent(silentMs: number, boundMs: number, { at }: Slot): string {
  return String(new SilenceError(silentMs, boundMs, `process ${at}`))
}

function firstsOf(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, at) => first + at)
}
