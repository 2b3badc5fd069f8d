/**
 * One seed: a log on a simulated disk, used, crashed and recovered several times over, and held against
 * the model after each opening.
 *
 * A round opens the log (a crash or a fault may hit that), checks it, works on it until the plan's end, a
 * crash or a failure, and leaves. The last round has no crash and no fault; it opens twice, and may then
 * damage a byte (see damage.ts). Everything follows from the seed; taking an operation out leaves the
 * draws of the others alone.
 */
import { errorToPlain } from '@ringbolt/ring'
import { LogIoError, LogPoisonedError } from '../errors.ts'
import type { LogStore } from '../log-store.ts'
import type { RecoveryPolicy } from '../recovery-report.ts'
import { SegmentedLog } from '../segmented-log.ts'
import { type Activity, Coverage } from './coverage.ts'
import { checkDamage } from './damage.ts'
import { LogModel } from './log-model.ts'
import { Operations } from './operations.ts'
import { checkOpened, differ } from './oracle.ts'
import { Random } from './random.ts'
import { checkGlimpse, look, marksOf } from './read-only.ts'
import { drawGeometry, drawRound, type Geometry, type RoundPlan } from './seed-plan.ts'
import type { RunOptions } from './seed-runs.ts'
import { drawOdds, SimulatedDisk } from './simulated-disk.ts'

/** What the simulation is doing right now: store wrappers may want to know. */
export interface SimulationContext {
  activity: Activity
}

export interface SeedOptions extends RunOptions {
  /**
   * Only what is lost, wrong or refused counts, not that a failed call went unreported or a closed log
   * was not clean: for tests of planted bugs, whose worse consequence would never be reached otherwise.
   */
  readonly consequencesOnly?: boolean
  /** Stands between the log and the disk: how tests plant bugs. */
  readonly wrapStore?: (store: LogStore, context: SimulationContext) => LogStore
}

/** The log did what it must not do. */
export class SimulationFailure extends Error {}

export class Simulation {
  readonly seed: number
  geometry: Geometry
  readonly coverage: Coverage = new Coverage()
  readonly context: SimulationContext = { activity: 'open' }
  /** What happened, line by line; undefined: not recorded. */
  readonly lines: string[] | undefined
  readonly model: LogModel = new LogModel()
  readonly random: Random
  readonly logId: Uint8Array
  readonly #options: SeedOptions
  disk: SimulatedDisk
  operations = 0

  constructor(seed: number, options: SeedOptions, recorded: boolean) {
    this.seed = seed
    this.random = new Random(seed)
    this.geometry = drawGeometry(this.random.fork('geometry'))
    this.logId = this.random.fork('log id').bytes(new Uint8Array(16))
    this.#options = options
    this.lines = recorded ? [] : undefined
    const { sectorBytes, evictChance } = this.geometry
    const random = this.random.fork('disk')
    this.disk = new SimulatedDisk({ random, sectorBytes, evictChance })
  }

  get consequencesOnly(): boolean {
    return this.#options.consequencesOnly ?? false
  }

  /** @throws SimulationFailure */
  run(): void {
    this.lines?.push(`seed ${this.seed} ${JSON.stringify(this.geometry)}`)
    for (let round = 0; round < this.geometry.rounds; round++) {
      this.#round(drawRound(this.random.fork(round), this.geometry, round), round)
    }
    this.#finalRound()
    for (const [event, count] of this.disk.events.entries()) this.coverage.add(event, count)
  }

  #round(plan: RoundPlan, round: number): void {
    this.coverage.add('rounds')
    this.lines?.push(`-- round ${round}: ${JSON.stringify({ ...plan, weights: undefined })}`)
    const { disk } = this
    this.geometry = { ...this.geometry, ...plan.changed }
    if (plan.freeBytes !== undefined) disk.setCapacity(disk.lengthBytes + plan.freeBytes)
    if (plan.crashWhileOpening) disk.planCrash(plan.crash)
    if (plan.faultsWhileOpening) disk.planFaults(plan.faults)
    const glimpse = plan.looksFirst ? look(this) : undefined
    let log = this.tryOpen(plan.recovery)
    if (log !== undefined && glimpse !== undefined) this.fail(checkGlimpse(glimpse, log))
    if (log !== undefined && plan.opensTwice) log = this.#openAgain(log)
    if (log !== undefined) {
      if (!plan.crashWhileOpening) disk.planCrash(plan.crash)
      if (!plan.faultsWhileOpening) disk.planFaults(plan.faults)
      this.#work(log, plan, this.random.fork(round).fork('operations'))
      this.#leave(log, plan)
    }
    this.restart()
  }

  /** Opening twice gives the same: after a recovery, nothing is left to recover. */
  #openAgain(log: SegmentedLog): SegmentedLog | undefined {
    this.coverage.add('opened twice')
    const before = marksOf(log)
    this.closeLog(log)
    const again = this.tryOpen()
    if (again === undefined) throw new SimulationFailure('neither opened nor crashed')
    this.fail(differ('marks after opening twice', before, marksOf(again)))
    this.fail(
      again.recovery.reason === 'clean' || this.consequencesOnly
        ? undefined
        : `opened twice: ${again.recovery.reason}`,
    )
    return again
  }

  #work(log: SegmentedLog, plan: RoundPlan, random: Random): void {
    const operations = new Operations(this, log)
    for (let index = 0; index < plan.operations; index++) {
      const number = this.operations
      if (number >= (this.#options.operationsMax ?? Number.POSITIVE_INFINITY)) return
      this.operations++
      if (this.#options.skip?.has(number) === true) continue
      operations.perform(plan.weights, random.fork(index))
      if (this.disk.crashed !== undefined || log.poisoned !== undefined) break
    }
    this.coverage.countStats(log.stats())
    if (log.poisoned !== undefined && this.disk.crashed === undefined) {
      this.coverage.add('poisoned')
      operations.checkPoison()
    }
  }

  #leave(log: SegmentedLog, plan: RoundPlan): void {
    const ending = log.poisoned === undefined ? plan.ending : plan.endingPoisoned
    if (this.disk.crashed === undefined && ending === 'close') this.closeLog(log)
    if (this.disk.crashed === undefined && ending !== 'close') {
      this.lines?.push(`${ending} between two calls`)
      this.disk.crash(ending)
    }
    const { crashed } = this.disk
    if (crashed === undefined) return
    this.lines?.push(`crashed: ${JSON.stringify(crashed)} during ${this.context.activity}`)
    this.coverage.countCrash(crashed, this.context.activity)
  }

  /** Opens and checks; undefined when a planned crash or fault hit the opening. */
  tryOpen(recovery: RecoveryPolicy = 'torn-tail'): SegmentedLog | undefined {
    this.context.activity = 'open'
    const faultsBefore = this.disk.faultsHit
    let log: SegmentedLog
    try {
      log = this.open(recovery)
    } catch (error) {
      const { crashed } = this.disk
      this.lines?.push(`open: ${String(error)}`)
      if (crashed !== undefined) {
        this.coverage.countCrash(crashed, 'open')
        return undefined
      }
      if (this.disk.faultsHit === faultsBefore) throw error
      if (!(error instanceof LogIoError)) throw error
      this.coverage.add('fault while: opening')
      return undefined
    }
    // Checking must not be hit by what was planned for opening.
    this.disk.planCrash(undefined)
    this.disk.planFaults([])
    this.#verify(log)
    return log
  }

  open(recovery: RecoveryPolicy = 'torn-tail'): SegmentedLog {
    const { segmentBytes, groupBytesMax, sparesMax, sync } = this.geometry
    const { wrapStore } = this.#options
    const store = wrapStore === undefined ? this.disk : wrapStore(this.disk, this.context)
    const { logId } = this
    return SegmentedLog.open(store, {
      create: true,
      logId,
      segmentBytes,
      groupBytesMax,
      sparesMax,
      sync,
      recovery,
    })
  }

  #verify(log: SegmentedLog): void {
    this.context.activity = 'verify'
    const { recovery, firstLsn, endLsn, nextEpoch } = log
    this.lines?.push(
      `open: LSN ${firstLsn} to ${endLsn}, next epoch ${nextEpoch}, ${recovery.reason}, dropped ${recovery.droppedGroups} groups, ${recovery.droppedBytes} bytes`,
    )
    this.coverage.countRecovery(recovery)
    const { model } = this
    const cut = model.afterCut()
    const wrong = checkOpened(log, model)
    let matching = wrong === undefined ? model : undefined
    let wrongAfterCut: string | undefined
    if (matching === undefined && cut !== undefined) {
      wrongAfterCut = checkOpened(log, cut)
      matching = wrongAfterCut === undefined ? cut : undefined
    }
    if (matching === undefined) {
      const also = wrongAfterCut === undefined ? '' : `; with the cut: ${wrongAfterCut}`
      throw new SimulationFailure(`${wrong}${also}`)
    }
    if (matching !== model) Object.assign(model, matching)
    this.model.adopt(firstLsn, endLsn, nextEpoch)
  }

  closeLog(log: SegmentedLog): void {
    this.context.activity = 'close'
    this.lines?.push('close')
    const faultsBefore = this.disk.faultsHit
    const sound = log.poisoned === undefined
    if (sound) this.model.flushBegins()
    try {
      log.close()
    } catch (error) {
      this.excuse(error, faultsBefore)
      return
    }
    if (this.disk.crashed !== undefined || !sound) return
    const { model } = this
    model.confirm(this.geometry.sync === 'off' ? log.durableLsn : model.groupsEnd.lsn)
    this.fail(differ('durable LSN after close', model.durableLsn, log.durableLsn))
    this.coverage.add('closed')
  }

  /** The process and its plans are gone; the disk comes back as the crash has left it. */
  restart(): void {
    const { disk, model } = this
    if (disk.crashed?.kind === 'power' || disk.faultsHit > 0) model.writesCertain = false
    const odds = drawOdds(this.random.fork('odds').fork(this.coverage.get('restarts')))
    this.coverage.add('restarts')
    this.disk = disk.reopen(odds)
    this.lines?.push(
      disk.crashed?.kind === 'power' ? `power back: ${JSON.stringify(odds)}` : 'restart',
    )
  }

  #finalRound(): void {
    this.lines?.push('-- final round')
    const log = this.#openSurely()
    const operations = new Operations(this, log)
    const random = this.random.fork('final')
    for (let index = 0; index < 3; index++) operations.appendSurely(random.fork(index))
    this.closeLog(log)
    const again = this.#openSurely()
    this.fail(
      again.recovery.reason === 'clean' || this.consequencesOnly
        ? undefined
        : `reopened after close: ${again.recovery.reason}`,
    )
    this.fail(differ('end LSN after close', this.model.endLsn, again.endLsn))
    this.closeLog(again)
    if (random.chance(0.2)) checkDamage(this, random.fork('damage'))
  }

  #openSurely(): SegmentedLog {
    const log = this.tryOpen()
    if (log === undefined) throw new SimulationFailure('neither opened nor crashed')
    return log
  }

  /** An operation threw: that is right after a crash or a fault, and wrong otherwise. */
  excuse(error: unknown, faultsBefore: number): void {
    this.lines?.push(`  threw ${errorToPlain(error).message}`)
    if (this.disk.crashed !== undefined) return
    if (this.disk.faultsHit === faultsBefore) throw error
    this.coverage.add(`fault while: ${this.context.activity}`)
    if (!(error instanceof LogPoisonedError)) throw error
  }

  /** @throws SimulationFailure when something is wrong */
  fail(wrong: string | undefined): void {
    if (wrong !== undefined) throw new SimulationFailure(wrong)
  }
}
