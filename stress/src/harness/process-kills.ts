/**
 * SIGKILL again and again on one of several processes that share a database (S9, M4): in its turn, while it waits, in a
 * checkpoint, while it starts. The others go on without opening anew, the killed one is started again, and then each
 * of them must show everything that was acknowledged to anybody. Now and then, and at the end, all close, and the file is
 * looked through and compared.
 */
import { readdirSync } from 'node:fs'
import { basename } from 'node:path'
import { openLock } from '@ringbolt/locks'
import { Random } from '@ringbolt/wal/simulation'
import { checkFile } from 'ringbolt'
import { DOCUMENT_SETTINGS_DEFAULT, type DocumentSettings } from '../documents/document-settings.ts'
import { SilenceError } from '../errors.ts'
import { figuresIn } from '../figures.ts'
import { outcomeOf } from '../outcome.ts'
import type { ProgressView } from '../progress.ts'
import { type Figure, isProved, type Report, thousands } from '../report.ts'
import type { RunFolder } from '../run-folder.ts'
import { createSideFile, readSideFile, SideFile } from '../side-file.ts'
import { failuresVerdict, type Verdict } from '../verdicts.ts'
import { DatabaseProcess } from './database-process.ts'
import { KILL_MOMENTS, type KillMoment, killAt } from './kill-moment.ts'
import { byIncarnation, writeOperationLog } from './operation-log.ts'
import type { QuestionKind, Questions } from './process-protocol.ts'
import { type Proof, prove } from './proof.ts'
import { freshnessVerdict, oracleVerdict } from './run-verdicts.ts'
import { pause, withBound } from './waiting.ts'

export interface ProcessKillsOptions {
  readonly settings: DocumentSettings
  readonly processes: number
  readonly rounds: number
  /** After so many rounds all close. */
  readonly closeEvery: number
}

/** Few documents, since each process compares all of them in each round; checkpoints come and go. */
export const PROCESS_KILLS_DEFAULT: Omit<DocumentSettings, 'seed'> = {
  ...DOCUMENT_SETTINGS_DEFAULT,
  workers: 2,
  lanes: 8,
  documentsMax: 200,
  cacheBytes: 2 * 1024 * 1024,
  checkpointLogBytes: 200_000,
  silenceMaxMs: 20_000,
}

interface Slot {
  readonly process: DatabaseProcess
  readonly incarnationFirst: number
  readonly startedMs: number
}

interface Round {
  readonly moment: KillMoment
  readonly victim: number
  /** False: it was killed before it came to that. */
  readonly isThere: boolean
  readonly startKilled: boolean
  /** Until each survivor had something acknowledged again. */
  readonly survivorsMs: number
  /** From the start of the one that took its place until all its workers write. */
  readonly backMs: number
}

/** Every so many rounds the one that takes the place of the killed one is killed as well, while it starts. */
const START_EVERY = 4
const START_DELAY_MAX_MS = 500
const LOAD_DELAY_MAX_MS = 300
const POLL_MS = 5
/** What a start, an answer or progress may take on a busy machine: far more than they do. */
const ANSWER_MAX_MS = 120_000
/** Who was dead before is still looked for. */
const WATCHED_DEAD = 4

export async function processKills(
  options: ProcessKillsOptions,
  folder: RunFolder,
  progress: ProgressView,
): Promise<Omit<Report, 'replay' | 'folder'>> {
  const campaign = new Campaign(options, folder, progress)
  const outcome = await outcomeOf(campaign.run())
  if (!outcome.ok) campaign.failures.push(String(outcome.error))
  return await campaign.report()
}

class Campaign {
  readonly failures: string[] = []
  readonly #options: ProcessKillsOptions
  readonly #folder: RunFolder
  readonly #progress: ProgressView
  readonly #random: Random
  readonly #sideFile: SideFile
  readonly #rounds: Round[] = []
  readonly #findings: string[] = []
  readonly #staleReads = new Set<string>()
  #slots: Slot[] = []
  #deadIncarnations: number[] = []
  #nextIncarnation = 0
  #freshnessChecks = 0
  #statesCompared = 0
  #documentsCompared = 0
  #closed = 0
  #proof: Proof | undefined

  constructor(options: ProcessKillsOptions, folder: RunFolder, progress: ProgressView) {
    const { settings, processes, rounds, closeEvery } = options
    this.#options = options
    this.#folder = folder
    this.#progress = progress
    this.#random = new Random(settings.seed)
    const starts = processes * (Math.ceil(rounds / closeEvery) + 1) + 2 * rounds
    createSideFile(folder.sideFile, starts * settings.workers * settings.lanes)
    this.#sideFile = new SideFile(folder.sideFile)
  }

  /** @throws what ends it early */
  async run(): Promise<void> {
    const { rounds, closeEvery } = this.#options
    for (let round = 0; round < rounds && this.#findings.length === 0; round++) {
      if (this.#slots.length === 0) await this.#startAll()
      const begunMs = performance.now()
      const result = await this.#round(round)
      this.#rounds.push(result)
      await this.#proveAll()
      const roundMs = performance.now() - begunMs
      this.#progress.note(`round ${round + 1} of ${rounds}: ${this.#describe(result, roundMs)}`)
      if ((round + 1) % closeEvery === 0 || round + 1 === rounds) await this.#closeAll()
    }
  }

  /** Ends what still runs. */
  async report(): Promise<Omit<Report, 'replay' | 'folder'>> {
    await Promise.all(this.#slots.map(({ process }) => process.kill()))
    this.#sideFile.close()
    const { settings, processes, rounds } = this.#options
    const { workers, lanes, sync, checkpointLogBytes, seed } = settings
    const findings = [...this.failures, ...this.#findings, ...this.#staleReads]
    const report = {
      run: `${rounds} times SIGKILL on one of ${processes} processes that share a database, ${workers} workers × ${lanes} in flight each, sync ${sync}, a checkpoint every ${thousands(checkpointLogBytes)} bytes of log`,
      seed,
      figures: this.#figures(),
      verdicts: this.#verdicts(),
      findings,
    }
    if (!isProved({ ...report, replay: '', folder: null })) {
      const acknowledged = byIncarnation(readSideFile(this.#folder.sideFile), lanes)
      const log = { settings, processes, events: [], acknowledged, findings }
      writeOperationLog(this.#folder.operationLog, log)
    }
    return report
  }

  // ---- One round.

  async #round(round: number): Promise<Round> {
    const random = this.#random.fork(round)
    const moment = KILL_MOMENTS[round % KILL_MOMENTS.length] ?? 'turn'
    const at = random.below(this.#options.processes)
    await pause(random.between(0, LOAD_DELAY_MAX_MS))
    const isThere = await this.#killAt(at, moment, random)
    const survivors = this.#slots.filter((_, slot) => slot !== at)
    const wentOn = this.#goOn(survivors)
    this.#slots[at] = this.#start()
    const startKilled = round % START_EVERY === START_EVERY - 1
    if (startKilled) {
      await pause(random.between(0, START_DELAY_MAX_MS))
      await this.#killNow(at)
      this.#slots[at] = this.#start()
    }
    const survivorsMs = await wentOn
    const backMs = await this.#underWay(this.#slotAt(at))
    return { moment, victim: at, isThere, startKilled, survivorsMs, backMs }
  }

  async #killAt(at: number, moment: KillMoment, random: Random): Promise<boolean> {
    const slot = this.#slotAt(at)
    const lock = await openLock(`${this.#folder.database}-lock`)
    try {
      return await killAt(moment, slot.process, lock, random)
    } finally {
      await lock.close()
      this.#noteDead(slot)
    }
  }

  async #killNow(at: number): Promise<void> {
    const slot = this.#slotAt(at)
    await slot.process.kill()
    this.#noteDead(slot)
  }

  #noteDead({ incarnationFirst }: Slot): void {
    this.#deadIncarnations = [...this.#deadIncarnations, incarnationFirst].slice(-WATCHED_DEAD)
  }

  /** Until each of them has had something acknowledged since now. @returns how long it took */
  async #goOn(slots: readonly Slot[]): Promise<number> {
    const begunMs = performance.now()
    await Promise.all(
      slots.map(async (slot) => {
        const before = this.#acknowledgedBy(slot)
        await this.#until(slot, async () => this.#acknowledgedBy(slot) > before)
      }),
    )
    return performance.now() - begunMs
  }

  /** @returns how long it took since its start */
  async #underWay(slot: Slot): Promise<number> {
    await this.#until(slot, async () => (await this.#ask(slot, 'sample')).underWay)
    return performance.now() - slot.startedMs
  }

  async #until({ process }: Slot, isSo: () => Promise<boolean>): Promise<void> {
    const begunMs = performance.now()
    while (!(await isSo())) {
      const ended = await Promise.race([process.ended, pause(POLL_MS)])
      if (ended !== undefined)
        throw new Error(`pid ${process.pid} ended by itself: ${ended.reason}`)
      const silentMs = performance.now() - begunMs
      if (silentMs > ANSWER_MAX_MS) {
        throw new SilenceError(silentMs, ANSWER_MAX_MS, `pid ${process.pid}`)
      }
    }
  }

  /** Each compares everything, survivors and the new one, while all go on writing. */
  async #proveAll(): Promise<void> {
    const results = await Promise.all(this.#slots.map((slot) => this.#ask(slot, 'prove')))
    const samples = await Promise.all(this.#slots.map((slot) => this.#ask(slot, 'sample')))
    for (const { freshnessFindings } of samples) this.#noteStale(freshnessFindings)
    for (const [at, { documents, findings, operations }] of results.entries()) {
      const found = findings.map(
        (finding) => `process ${at} after round ${this.#rounds.length}: ${finding}`,
      )
      this.#findings.push(...found)
      if (operations > 0) this.#statesCompared++
      this.#documentsCompared += documents
    }
  }

  // ---- Processes.

  async #startAll(): Promise<void> {
    this.#slots = Array.from({ length: this.#options.processes }, () => this.#start())
    await Promise.all(this.#slots.map((slot) => this.#underWay(slot)))
    this.#tellWhomToWatch()
  }

  #start(): Slot {
    const { settings } = this.#options
    const incarnationFirst = this.#nextIncarnation
    this.#nextIncarnation += settings.workers
    const process = new DatabaseProcess({
      settings,
      path: this.#folder.database,
      sideFilePath: this.#folder.sideFile,
      incarnationFirst,
      incarnationEnd: this.#nextIncarnation,
      seed: this.#random.uint32(),
    })
    const slot = { process, incarnationFirst, startedMs: performance.now() }
    void process.opened.then(() => this.#tellWhomToWatch())
    return slot
  }

  /** Each looks all the time for what the others, and the dead, had acknowledged last. */
  #tellWhomToWatch(): void {
    for (const { process } of this.#slots) {
      const others = this.#slots.filter((slot) => slot.process !== process)
      const living = others.map(({ incarnationFirst }) => incarnationFirst)
      const incarnations = [...living, ...this.#deadIncarnations]
      // One that is being opened is told when it is; of one that ends by itself, others hear.
      process.ask('watch', { incarnations }).catch(() => undefined)
    }
  }

  /** All end in order; then the file is all that there is, and everything is in it. */
  async #closeAll(): Promise<void> {
    const last = await Promise.all(this.#slots.map((slot) => this.#ask(slot, 'stop')))
    for (const { freshnessChecks, freshnessFindings } of last) {
      this.#freshnessChecks += freshnessChecks
      this.#noteStale(freshnessFindings)
    }
    const ends = await Promise.all(this.#slots.map(({ process }) => process.ended))
    this.#slots = []
    for (const { exitCode, reason } of ends) {
      if (exitCode !== 0) throw new Error(`a process ended with exit code ${exitCode}: ${reason}`)
    }
    const { database, path } = this.#folder
    const name = basename(database)
    const left = readdirSync(path).filter((entry) => entry.startsWith(name) && entry !== name)
    if (left.join() !== `${name}-lock`)
      this.#findings.push(`after all had closed: ${left.join(', ')}`)
    this.#findings.push(...checkFile(database).findings.map(({ message }) => message))
    const proof = await prove(this.#options.settings, database, readSideFile(this.#folder.sideFile))
    this.#findings.push(...proof.result.findings, ...proof.structure)
    this.#proof = proof
    this.#closed++
    this.#progress.note(
      `all closed: ${thousands(proof.result.operations)} operations, ${thousands(proof.result.documents)} documents compared, ${this.#findings.length} findings`,
    )
  }

  async #ask<K extends QuestionKind & ('sample' | 'prove' | 'stop')>(
    { process }: Slot,
    kind: K,
  ): Promise<Questions[K]['answer']> {
    const outcome = await withBound(outcomeOf(process.ask(kind, {})), ANSWER_MAX_MS)
    if (outcome === undefined) {
      const whom = `pid ${process.pid}, asked for ${kind}`
      throw new SilenceError(ANSWER_MAX_MS, ANSWER_MAX_MS, whom)
    }
    if (!outcome.ok) throw outcome.error
    return outcome.value
  }

  #noteStale(findings: readonly string[]): void {
    for (const finding of findings) this.#staleReads.add(finding)
  }

  #slotAt(at: number): Slot {
    const slot = this.#slots[at]
    if (slot === undefined) throw new RangeError(`there is no process ${at}`)
    return slot
  }

  #acknowledgedBy({ incarnationFirst }: Slot): number {
    const { workers, lanes } = this.#options.settings
    let sum = 0
    for (let place = 0; place < workers * lanes; place++) {
      sum += this.#sideFile.acknowledgedOf(incarnationFirst * lanes + place)
    }
    return sum
  }

  // ---- What came of it.

  get #acknowledged(): number {
    return readSideFile(this.#folder.sideFile).reduce((sum, count) => sum + count, 0)
  }

  #describe({ moment, isThere, startKilled, survivorsMs, backMs }: Round, roundMs: number): string {
    const where = { turn: 'in its turn', waiting: 'while it waited', checkpoint: 'in a checkpoint' }
    const how = isThere ? where[moment] : `somewhere, not ${where[moment]}`
    const again = startKilled ? ', and its successor while it started' : ''
    return `killed ${how}${again}; the others went on within ${survivorsMs.toFixed(0)} ms, the next one wrote after ${backMs.toFixed(0)}; ${thousands(this.#acknowledged)} acknowledged, ${this.#findings.length} findings, ${(roundMs / 1000).toFixed(1)} s`
  }

  #killed(moment: KillMoment): number {
    return this.#rounds.filter((round) => round.moment === moment && round.isThere).length
  }

  #figures(): Figure[] {
    const longest = (of: (round: Round) => number): number => Math.max(0, ...this.#rounds.map(of))
    const atStart = this.#rounds.filter(({ startKilled }) => startKilled).length
    return [
      ...figuresIn('SIGKILL', [
        ['processes killed', this.#rounds.length + atStart, ''],
        ['in their turn', this.#killed('turn'), ''],
        ['while another had its turn', this.#killed('waiting'), ''],
        ['in a checkpoint', this.#killed('checkpoint'), ''],
        ['while they started', atStart, ''],
        ['survivors went on after, longest', longest(({ survivorsMs }) => survivorsMs), 'ms'],
        ['the next one wrote after, longest', longest(({ backMs }) => backMs), 'ms'],
      ]),
      ...figuresIn('Proof', [
        ['acknowledged', this.#acknowledged, 'operations'],
        ['states compared', this.#statesCompared, ''],
        ['documents compared in them', this.#documentsCompared, ''],
        ['reads of others’ writes', this.#freshnessChecks, ''],
        ['times that all closed', this.#closed, ''],
        ['documents at the end', this.#proof?.result.documents ?? 0, ''],
        [
          'under way, and committed',
          this.#proof?.result.unacknowledgedCommitted ?? 0,
          'operations',
        ],
      ]),
    ]
  }

  #verdicts(): Verdict[] {
    const { processes, rounds } = this.#options
    const due = processes * rounds
    return [
      oracleVerdict({ proof: this.#proof, acknowledged: this.#acknowledged }),
      {
        name: 'after each kill every survivor and the new process show all that was acknowledged',
        ok: this.#statesCompared === due && this.#findings.length === 0,
        detail: `${this.#statesCompared} of ${due} states compared, ${this.#findings.length} findings`,
      },
      {
        name: 'the survivors go on without opening anew, the killed one comes back',
        ok: this.#rounds.length === rounds,
        detail: `${this.#rounds.length} of ${rounds} rounds`,
      },
      {
        name: 'when all have closed one sound file is left',
        ok: this.#closed > 0 && this.#findings.length === 0,
        detail: `looked through ${this.#closed} times, ${this.#findings.length} findings`,
      },
      freshnessVerdict({
        processes,
        freshnessChecks: this.#freshnessChecks,
        staleReads: [...this.#staleReads],
      }),
      failuresVerdict(this.failures),
    ]
  }
}
