/**
 * One seed: a document store's engine on a simulated disk, used, crashed and recovered several times over, and
 * held against the model after each opening.
 *
 * A round opens the database (a crash or a fault may hit that), checks all of it, works on it until the plan's
 * end, a crash or a failure, and leaves. The last round has no crash and no fault: it closes cleanly, opens
 * twice, and may then damage a byte (see damage.ts). Everything follows from the seed; taking an operation out
 * leaves the draws of the others alone.
 */
import { errorToPlain } from '@ringbolt/ring'
import {
  drawOdds,
  Random,
  type RunOptions,
  SimulatedDisk,
  SimulationFailure,
} from '@ringbolt/wal/simulation'
import type { StoreSettings } from '../engine/options.ts'
import { type CoreEnvironment, StoreCore } from '../engine/store-core.ts'
import { StoreFullError } from '../errors.ts'
import { auditArchive, auditMainFile } from './audit.ts'
import { type Activity, StoreCoverage } from './coverage.ts'
import { checkDamage } from './damage.ts'
import { Holder } from './holder.ts'
import { checkLog } from './log-reading.ts'
import { Operations } from './operations.ts'
import { checkPages, checkState, differ } from './oracle.ts'
import { changesOf, Session, type SessionHost } from './session.ts'
import { MAIN_NAME, SimulatedFolders, type WrapFolder } from './simulated-folders.ts'
import { type ModelState, StoreModel } from './store-model.ts'
import { drawGeometry, drawRound, type Geometry, type RoundPlan, type Stage } from './store-plan.ts'
import { Workload } from './workload.ts'

/** What the simulation is doing right now: folder wrappers may want to know. */
export interface StoreSimulationContext {
  activity: Activity
}

export interface StoreSeedOptions extends RunOptions {
  /** Stands between the engine and its folders: how tests plant bugs. */
  readonly wrapFolder?: (context: StoreSimulationContext) => WrapFolder
  /** The log is kept in an archive, which is looked through after each opening. */
  readonly archives?: boolean
  /** Checkpoints are kept, as for backups, and looked at. */
  readonly holds?: boolean
}

const THREADS_MAX = 7
const SNAPSHOTS_MAX = 24
const LOG_ID_BYTES = 16

export class StoreSimulation implements SessionHost {
  readonly seed: number
  readonly random: Random
  readonly coverage: StoreCoverage = new StoreCoverage()
  readonly context: StoreSimulationContext = { activity: 'open' }
  /** What happened, line by line; undefined: not recorded. */
  readonly lines: string[] | undefined
  readonly model: StoreModel = new StoreModel()
  readonly #options: StoreSeedOptions
  geometry: Geometry
  workload: Workload
  disk: SimulatedDisk
  folders: SimulatedFolders
  nowMs = 0
  operations = 0
  /** Pages may be unsound from now on; what is read must still be right. */
  isDamaged = false
  #idsDrawn = 0
  /** The one that is open: its threads go on while the engine sleeps. */
  #session: Session | undefined
  /** A database has been made, durably: from then on there must be one. */
  #exists = false

  constructor(seed: number, options: StoreSeedOptions, recorded: boolean) {
    this.seed = seed
    this.random = new Random(seed)
    this.geometry = drawGeometry(this.random.fork('geometry'))
    this.workload = new Workload(this.geometry)
    this.#options = options
    this.lines = recorded ? [] : undefined
    const { sectorBytes, evictChance } = this.geometry
    this.disk = new SimulatedDisk({ random: this.random.fork('disk'), sectorBytes, evictChance })
    this.folders = this.#foldersOn(this.disk)
    this.model.mayBeFull = this.geometry.inMemory
    if (this.geometry.inMemory) this.coverage.add('in memory')
  }

  get storeFolders(): SimulatedFolders | undefined {
    return this.geometry.inMemory ? undefined : this.folders
  }

  #foldersOn(disk: SimulatedDisk): SimulatedFolders {
    const { wrapFolder, archives } = this.#options
    return new SimulatedFolders(disk, wrapFolder?.(this.context), archives)
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
    this.geometry = { ...this.geometry, ...plan.changed }
    const { disk } = this
    if (plan.freeBytes !== undefined) disk.setCapacity(disk.lengthBytes + plan.freeBytes)
    const glimpse = plan.looksFirst ? this.#look() : undefined
    this.#arm(plan, 'opening')
    let session = this.tryOpen()
    if (session !== undefined && glimpse !== undefined) {
      this.fail(differ('commit sequence after a look', glimpse, this.model.state.sequence))
    }
    if (session !== undefined && plan.opensTwice) session = this.#openAgain(session)
    if (session !== undefined) {
      this.#arm(plan, 'working')
      this.#work(session, plan, this.random.fork(round).fork('operations'))
      this.coverage.countStats(session.stats)
      this.#leave(session, plan)
    }
    this.restart()
  }

  #arm({ crash, crashAt, faults, faultsAt }: RoundPlan, stage: Stage): void {
    if (crashAt === stage) this.disk.planCrash(crash)
    if (faultsAt === stage) this.disk.planFaults(faults)
  }

  /** Opening twice gives the same. */
  #openAgain(session: Session): Session | undefined {
    this.coverage.add('opened twice')
    if (this.random.fork('again').chance(0.5)) {
      this.closeSession(session)
    } else {
      this.disk.crash('kill')
      this.restart()
    }
    const before = this.model.state.sequence
    const again = this.tryOpen()
    if (again === undefined) throw new SimulationFailure('neither opened nor crashed')
    this.fail(differ('commit sequence after opening twice', before, this.model.state.sequence))
    return again
  }

  #work(session: Session, plan: RoundPlan, random: Random): void {
    const operations = new Operations(this, session)
    const holder = this.#holderOf(session)
    for (let index = 0; index < plan.operations; index++) {
      const number = this.operations
      if (number >= (this.#options.operationsMax ?? Number.POSITIVE_INFINITY)) break
      this.operations++
      if (this.#options.skip?.has(number) === true) continue
      const drawn = random.fork(index)
      this.nowMs += drawn.fork('pause').between(0, this.geometry.pauseMsMax)
      operations.perform(plan.weights, drawn)
      if (session.isOver) break
      holder?.turn(drawn.fork('holds'))
      if (this.disk.crashed !== undefined) break
    }
    this.coverage.add('looks at held checkpoints', holder?.looks ?? 0)
    if (session.poisoned !== undefined && this.disk.crashed === undefined) {
      this.fail(session.checkPoison())
    }
  }

  #holderOf(session: Session): Holder | undefined {
    const { storeFolders } = this
    if (this.#options.holds !== true || storeFolders === undefined) return undefined
    const { holds } = session.core.memory
    const isCrashed = (): boolean => this.disk.crashed !== undefined
    return new Holder(holds, session.control, session.ring, storeFolders.main, isCrashed)
  }

  #leave(session: Session, plan: RoundPlan): void {
    const ending = session.poisoned === undefined ? plan.ending : plan.endingPoisoned
    if (this.disk.crashed === undefined && ending === 'close') {
      this.#arm(plan, 'closing')
      this.closeSession(session)
    }
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
  tryOpen(): Session | undefined {
    this.context.activity = 'open'
    const { disk } = this
    const faultsBefore = disk.faultsHit
    const settings = this.#settings(false)
    let core: StoreCore
    try {
      core = StoreCore.open(this.storeFolders, settings, this.#environment())
    } catch (error) {
      this.lines?.push(`open: ${errorToPlain(error).message}`)
      if (disk.crashed !== undefined) {
        this.coverage.countCrash(disk.crashed, 'open')
        return undefined
      }
      if (disk.faultsHit === faultsBefore) throw error
      this.coverage.add('fault while: opening')
      return undefined
    }
    // Checking must not be hit by what was planned for opening.
    disk.planCrash(undefined)
    disk.planFaults([])
    this.#exists = !this.geometry.inMemory
    if (this.geometry.inMemory) this.model.reset()
    const session = new Session(this, core, settings)
    this.#session = session
    this.model.adopt(this.#verify(session))
    const { storeFolders } = this
    if (storeFolders !== undefined) {
      this.fail(auditArchive(storeFolders, this.model.state.sequence, this.coverage))
    }
    return session
  }

  /** The state in which the database is. @throws SimulationFailure when it is none that it may be in */
  #verify(session: Session): ModelState {
    this.context.activity = 'verify'
    const look = session.observer.look()
    const sequence = session.observer.newestSequence()
    const { requiredSequence } = this.model
    this.lines?.push(`open: commit sequence ${sequence}, ${requiredSequence} required`)
    const states = this.model.statesAt(sequence)
    if (states.length === 0) {
      throw new SimulationFailure(
        `opened at commit sequence ${sequence}; ${requiredSequence} was acknowledged, and ${this.model.pendingCount} commands behind ${this.model.state.sequence} were on their way`,
      )
    }
    const findings: string[] = []
    for (const state of states) {
      const wrong =
        checkState(look, state, this.geometry.trees) ??
        (this.isDamaged ? undefined : checkPages(look))
      if (wrong === undefined) return state
      findings.push(wrong)
    }
    throw new SimulationFailure(`after opening: ${findings.join('; or ')}`)
  }

  /** Opens read-only, which must change nothing; the commit sequence found. */
  #look(): number | undefined {
    this.context.activity = 'look'
    if (!this.#exists) return undefined
    const before = changesOf(this.disk)
    const settings = this.#settings(true)
    const sequence = this.#readOnly(settings)
    this.fail(differ('changes by a read-only opening', before, changesOf(this.disk)))
    this.coverage.add(sequence === undefined ? 'read-only without room' : 'opened read-only')
    return sequence
  }

  #readOnly(settings: StoreSettings): number | undefined {
    let core: StoreCore
    try {
      core = StoreCore.open(this.folders, settings, this.#environment())
    } catch (error) {
      // What the log's replay changes has to fit in the cache.
      if (error instanceof StoreFullError) return undefined
      throw error
    }
    const { sequence } = this.#verify(new Session(this, core, settings))
    core.close()
    return sequence
  }

  closeSession(session: Session): void {
    if (!this.closeWithoutAudit(session) || this.geometry.inMemory) return
    const { disk, folders, coverage } = this
    disk.planCrash(undefined)
    disk.planFaults([])
    this.fail(differ('files after a clean close', MAIN_NAME, folders.list().join()))
    if (this.#auditsNow()) this.fail(auditMainFile(folders.main, coverage))
  }

  /** Looking through the whole file takes about as long as a round. */
  #auditsNow(): boolean {
    return this.random.fork('audits').fork(this.coverage.get('restarts')).chance(0.3)
  }

  /** @returns whether it was closed cleanly; not after a failure, or when one hit it */
  closeWithoutAudit(session: Session): boolean {
    this.context.activity = 'close'
    this.lines?.push('close')
    const { disk, model } = this
    const faultsBefore = disk.faultsHit
    const sound = session.poisoned === undefined
    try {
      session.core.close()
    } catch (error) {
      if (sound) session.fail(error, faultsBefore)
      session.observe()
      return false
    }
    if (disk.crashed !== undefined || !sound) return false
    session.observe()
    this.fail(differ('commands not settled by a clean close', 0, model.pendingCount))
    model.durableSequence = model.state.sequence
    this.coverage.add('closed')
    return true
  }

  /** The process and its plans are gone; the disk comes back as the crash has left it. */
  restart(): void {
    const { disk, model } = this
    if (disk.crashed?.kind === 'power' || disk.faultsHit > 0) model.writesCertain = false
    const odds = drawOdds(this.random.fork('odds').fork(this.coverage.get('restarts')))
    this.coverage.add('restarts')
    this.disk = disk.reopen(odds)
    this.folders = this.#foldersOn(this.disk)
    const power = disk.crashed?.kind === 'power'
    this.lines?.push(power ? `power back: ${JSON.stringify(odds)}` : 'restart')
    if (!this.#exists || this.geometry.evictChance > 0 || !this.#auditsNow()) return
    this.fail(auditMainFile(this.folders.main, this.coverage))
  }

  #finalRound(): void {
    this.lines?.push('-- final round')
    const random = this.random.fork('final')
    const session = this.openSurely()
    const operations = new Operations(this, session)
    for (let index = 0; index < 3; index++) {
      this.context.activity = 'commit'
      operations.commit(random.fork(index).pick(session.clients), random.fork(index))
    }
    if (random.chance(0.5)) session.settle()
    this.#readLog(session)
    this.closeSession(session)
    if (random.chance(0.5)) this.#look()
    const again = this.openSurely()
    this.closeSession(again)
    if (!this.geometry.inMemory && random.chance(0.25)) checkDamage(this, random.fork('damage'))
  }

  /** What is published by now; commands that are on their way are nobody's to read. */
  #readLog(session: Session): void {
    if (this.geometry.inMemory) return
    this.context.activity = 'look'
    this.fail(checkLog(this.folders, session.core.memory, this.model.state, this.coverage))
  }

  openSurely(): Session {
    const session = this.tryOpen()
    if (session === undefined) throw new SimulationFailure('neither opened nor crashed')
    return session
  }

  #settings(readOnly: boolean): StoreSettings {
    const { geometry } = this
    return {
      create: !readOnly,
      readOnly,
      sync: geometry.sync,
      maxWaitMs: geometry.maxWaitMs,
      cacheBytes: geometry.cacheFrames * 8192,
      ringBytes: geometry.ringBytes,
      threadsMax: THREADS_MAX,
      snapshotsMax: SNAPSHOTS_MAX,
      snapshotAgeMaxMs: geometry.snapshotAgeMaxMs,
      checkpointLogBytes: geometry.checkpointLogBytes,
      checkpointIntervalMs: geometry.checkpointIntervalMs,
      checkpointPagesPerStep: geometry.checkpointPagesPerStep,
      keepLogBytes: 0,
      segmentBytes: geometry.segmentBytes,
      syncDelayMs: 0,
    }
  }

  #environment(): CoreEnvironment {
    return {
      nowMs: () => this.nowMs,
      wallMs: () => this.nowMs,
      sleep: (durationMs) => {
        this.nowMs += durationMs
        this.#session?.whileAsleep()
      },
      randomBytes: (count) => {
        const random = this.random.fork('ids').fork(this.#idsDrawn++)
        return random.bytes(new Uint8Array(count || LOG_ID_BYTES))
      },
    }
  }

  /** @throws SimulationFailure when something is wrong */
  fail(wrong: string | undefined): void {
    if (wrong !== undefined) throw new SimulationFailure(wrong)
  }
}
