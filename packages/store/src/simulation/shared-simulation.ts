/**
 * One seed: several engines that share one simulated disk, as processes do, in one thread. They take turns at the
 * log, follow each other, make checkpoints, come and go, and are killed at any call of theirs; what each shows is held
 * against one model.
 *
 * What locks, board and presence do on a real machine stands here as three fields: who has the lock, what was
 * said last, and what each states. A killed one loses its lock and its presence, and nothing else.
 */
import { AtomicsMemory, openRing } from '@ringbolt/ring'
import { type LogFile, type LogStore, Watermarks } from '@ringbolt/wal'
import { messageOf, Random, SimulatedDisk, SimulationFailure } from '@ringbolt/wal/simulation'
import { type Neighbours, type NeighboursNeeds, NO_NEEDS } from '../engine/neighbours.ts'
import type { StoreSettings } from '../engine/options.ts'
import type { SharedHead } from '../engine/shared-head.ts'
import { StoreCore } from '../engine/store-core.ts'
import { PageFile } from '../space/page-file.ts'
import { auditMainFile } from './audit.ts'
import { SimulatedClient, type Snapshot } from './client.ts'
import { StoreCoverage } from './coverage.ts'
import { checkPages, checkState } from './oracle.ts'
import { MAIN_NAME, SimulatedFolders } from './simulated-folders.ts'
import { type ModelCommand, type ModelState, StoreModel } from './store-model.ts'
import { drawGeometry, type Geometry } from './store-plan.ts'
import { Workload } from './workload.ts'

const PROCESSES_MAX = 3
const OPERATIONS_MAX = 60
const STEPS_MAX = 3_000
const SNAPSHOTS_OPEN_MAX = 3

export interface Move {
  /** Which of the processes, from the oldest on. */
  readonly who: number
  readonly what: 'write' | 'look' | 'follow' | 'checkpoint' | 'steps' | 'open' | 'close'
}

/** The process is no more: thrown out of the call at which it was killed, and of all later ones. */
class KilledError extends Error {}

/** What the processes have in common beside the disk. */
class World {
  head: SharedHead | undefined
  readonly processes: Process[] = []

  needsOfOthers(own: Process): NeighboursNeeds {
    const others = this.processes.filter((other) => other !== own)
    if (others.length === 0) return NO_NEEDS
    let { oldestLsn, reachedLsn } = NO_NEEDS
    for (const other of others) {
      oldestLsn = Math.min(oldestLsn, other.stated.oldestLsn)
      reachedLsn = Math.min(reachedLsn, other.stated.reachedLsn)
    }
    return { oldestLsn, reachedLsn }
  }
}

class Process implements Neighbours {
  readonly name: string
  readonly snapshots: { readonly taken: Snapshot; readonly state: ModelState }[] = []
  stated: NeighboursNeeds = { oldestLsn: 0, reachedLsn: 0 }
  core!: StoreCore
  client!: SimulatedClient
  readonly #world: World
  /** Calls until it is killed. */
  #callsLeft = Number.POSITIVE_INFINITY

  constructor(name: string, world: World) {
    this.name = name
    this.#world = world
  }

  planKill(calls: number): void {
    this.#callsLeft = calls
  }

  /** Kills before, or after, the call. */
  call<T>(make: () => T): T {
    if (this.#callsLeft === 0) throw new KilledError('killed')
    this.#callsLeft--
    const result = make()
    if (this.#callsLeft === 0) throw new KilledError('killed')
    return result
  }

  get markLsn(): number {
    const marks = new Watermarks(new AtomicsMemory(this.core.memory.watermarks))
    return this.core.memory.sync === 'full' ? marks.durableLsn : marks.writtenLsn
  }

  needs(): NeighboursNeeds {
    return this.#world.needsOfOthers(this)
  }

  state(needs: NeighboursNeeds): void {
    this.stated = needs
  }

  readHead(): SharedHead | undefined {
    return this.#world.head
  }

  writeHead(head: SharedHead): void {
    this.call(() => {
      this.#world.head = head
    })
  }
}

/** A folder as one process has it. */
function folderOf(store: LogStore, process: Process): LogStore {
  const killable = <T>(make: () => T): T => process.call(make)
  return {
    location: store.location,
    list: () => killable(() => store.list()),
    open: (name) =>
      fileOf(
        killable(() => store.open(name)),
        process,
      ),
    create: (name) =>
      fileOf(
        killable(() => store.create(name)),
        process,
      ),
    rename: (from, to) => killable(() => store.rename(from, to)),
    remove: (name) => killable(() => store.remove(name)),
    syncFolder: () => killable(() => store.syncFolder()),
  }
}

function fileOf(file: LogFile, process: Process): LogFile {
  const killable = <T>(make: () => T): T => process.call(make)
  return {
    name: file.name,
    readAt: (position, target) => file.readAt(position, target),
    writeAt: (position, parts) => killable(() => file.writeAt(position, parts)),
    sync: () => killable(() => file.sync()),
    length: () => file.length(),
    truncate: (lengthBytes) => killable(() => file.truncate(lengthBytes)),
    close: () => file.close(),
  }
}

export class SharedSimulation {
  readonly coverage: StoreCoverage = new StoreCoverage()
  readonly lines: string[] | undefined
  operations = 0
  readonly #random: Random
  readonly #geometry: Geometry
  readonly #workload: Workload
  readonly #disk: SimulatedDisk
  readonly #world = new World()
  readonly #model = new StoreModel()
  /** By commit sequence: what processes that lag, and snapshots, must show. */
  readonly #states = new Map<number, ModelState>()
  /** Of a process that was killed while it committed. */
  #pending: ModelCommand | undefined
  #holder: Process | undefined
  #nowMs = 0
  #named = 0
  #idsDrawn = 0
  /** Nobody is killed any more. */
  #isEnding = false
  /** Nobody is killed but by the script. */
  #isScripted = false

  constructor(seed: number, recorded: boolean) {
    this.#random = new Random(seed)
    const drawn = drawGeometry(this.#random.fork('geometry'))
    this.#geometry = { ...drawn, inMemory: false, clients: 1, evictChance: 0 }
    this.#workload = new Workload(this.#geometry)
    this.lines = recorded ? [`seed ${seed} ${JSON.stringify(this.#geometry)}`] : undefined
    this.#disk = new SimulatedDisk({ random: this.#random.fork('disk') })
    this.#remember()
  }

  /** @throws SimulationFailure */
  run(): void {
    this.#open()
    const count = this.#random.fork('count').between(5, OPERATIONS_MAX)
    for (let index = 0; index < count; index++) {
      this.operations++
      this.#nowMs += this.#random.fork('pause').fork(index).between(0, this.#geometry.pauseMsMax)
      this.#perform(this.#random.fork(index))
    }
    this.#end()
  }

  /**
   * Two processes, and what they do one after another.
   * @param kill before that move its process gets so many calls to live
   * @returns whether the kill came about
   * @throws SimulationFailure
   */
  runMoves(
    moves: readonly Move[],
    kill?: { readonly move: number; readonly calls: number },
  ): boolean {
    this.#isScripted = true
    this.#open()
    this.#open()
    for (const [at, { who, what }] of moves.entries()) {
      const process = this.#processes[who % this.#processes.length]
      if (process === undefined) break
      if (kill?.move === at) process.planKill(kill.calls)
      this.lines?.push(`${process.name}: ${what}`)
      this.#guarded(process, () => this.#do(what, process, this.#random.fork(at)))
    }
    this.#end()
    return this.coverage.get('shared: killed') > 0
  }

  #end(): void {
    this.#isEnding = true
    for (const process of this.#processes) process.planKill(Number.POSITIVE_INFINITY)
    this.#open()
    while (this.#processes.length > 0) this.#close(this.#processes[0]!)
    const left = this.#disk.list().join()
    if (left !== MAIN_NAME) throw new SimulationFailure(`after the last close: ${left}`)
    const folders = new SimulatedFolders(this.#disk)
    const wrong = auditMainFile(folders.main, this.coverage)
    if (wrong !== undefined) throw new SimulationFailure(wrong)
    this.#open()
    this.#check(this.#processes[0]!, this.#model.state)
  }

  get #processes(): Process[] {
    return this.#world.processes
  }

  #perform(random: Random): void {
    while (this.#processes.length === 0) this.#open()
    const process = random.fork('who').pick(this.#processes)
    const kind = random.fork('what').weighted([
      ['write', 30],
      ['look', 12],
      ['follow', 10],
      ['snapshot', 5],
      ['checkpoint', 5],
      ['steps', 5],
      ['open', 4],
      ['close', 2],
      ['kill', 4],
    ])
    this.lines?.push(`${process.name}: ${kind}`)
    this.coverage.add(`shared: ${kind}`)
    if (kind === 'kill') process.planKill(random.fork('calls').between(1, 12))
    else this.#guarded(process, () => this.#do(kind, process, random))
  }

  #do(kind: string, process: Process, random: Random): void {
    switch (kind) {
      case 'write':
        this.#write(process, random)
        break
      case 'look':
        this.#look(process)
        break
      case 'follow':
        this.#follow(process)
        this.#check(process, this.#stateOf(process))
        break
      case 'snapshot':
        this.#snapshot(process, random)
        break
      case 'checkpoint':
        this.#takeTurn(process)
        process.core.control.wantCheckpoint()
        this.#step(process, random.fork('steps').between(0, 12))
        break
      case 'steps':
        if (this.#holder === process) this.#step(process, random.fork('steps').between(1, 6))
        break
      case 'open':
        if (this.#processes.length < PROCESSES_MAX) this.#open()
        break
      default:
        this.#close(process)
    }
  }

  /** A process that is killed meanwhile is gone, and its lock is free. */
  #guarded(process: Process, work: () => void): void {
    try {
      work()
    } catch (error) {
      if (!this.#isKill(process, error)) throw error
      this.lines?.push(`  ${process.name} was killed`)
      this.coverage.add('shared: killed')
      this.#forget(process)
    }
  }

  #isKill(process: Process, error: unknown): boolean {
    if (error instanceof KilledError) return true
    const poison = process.core === undefined ? undefined : process.client?.poison
    return isCausedByKill(poison) || isCausedByKill(error)
  }

  #forget(process: Process): void {
    const { processes } = this.#world
    const at = processes.indexOf(process)
    if (at >= 0) processes.splice(at, 1)
    if (this.#holder === process) this.#holder = undefined
  }

  #open(): void {
    this.#yieldTurn()
    const process = new Process(`p${++this.#named}`, this.#world)
    this.lines?.push(`${process.name} opens`)
    this.#processes.push(process)
    this.#holder = process
    if (
      !this.#isEnding &&
      !this.#isScripted &&
      this.#random.fork('kill').fork(this.#named).chance(0.1)
    ) {
      process.planKill(this.#random.fork('calls').fork(this.#named).between(1, 20))
    }
    this.#guarded(process, () => {
      const folders = new SimulatedFolders(this.#disk, (store) => folderOf(store, process))
      process.core = StoreCore.open(folders, this.#settings(), this.#environment(process))
      const file = new PageFile(folders.main.open(folders.mainName))
      process.client = new SimulatedClient(process.core.memory, file, 1000)
      process.core.control.wantClose()
      this.#settlePending(process)
      this.#check(process, this.#model.state)
    })
  }

  #environment(process: Process): Parameters<typeof StoreCore.open>[2] {
    return {
      nowMs: () => this.#nowMs,
      wallMs: () => this.#nowMs,
      sleep: (durationMs: number) => {
        this.#nowMs += durationMs
      },
      randomBytes: (count: number) =>
        this.#random
          .fork('ids')
          .fork(this.#idsDrawn++)
          .bytes(new Uint8Array(count)),
      neighbours: process,
    }
  }

  #settings(): StoreSettings {
    const { cacheFrames, ...geometry } = this.#geometry
    // Each its own: pages leave one cache and not the other.
    const frames = cacheFrames + 40 * (this.#named % 3)
    return {
      ...geometry,
      create: true,
      readOnly: false,
      cacheBytes: frames * 8192,
      threadsMax: 3,
      snapshotsMax: 24,
      keepLogBytes: 0,
      syncDelayMs: 0,
    }
  }

  /** Whoever has the turn lets go of it. */
  #yieldTurn(): void {
    const holder = this.#holder
    if (holder === undefined) return
    this.#guarded(holder, () => {
      for (let steps = 0; !holder.core.mayEndTurn; steps++) {
        this.#step(holder, 1)
        if (steps > STEPS_MAX) throw new SimulationFailure('the turn does not end')
      }
      holder.core.endTurn()
      this.#assertSound(holder)
      this.#holder = undefined
    })
    // It was killed otherwise.
    this.#holder = undefined
  }

  #takeTurn(process: Process): void {
    if (this.#holder === process) return
    this.#yieldTurn()
    this.#holder = process
    process.core.beginTurn()
    this.#assertSound(process)
    this.#settlePending(process)
  }

  /** What a killed process was committing is there as a whole, or not. */
  #settlePending(process: Process): void {
    const command = this.#pending
    this.#pending = undefined
    if (command === undefined) return
    if (process.client.newestSequence() > this.#model.state.sequence) {
      this.lines?.push('  what it was committing is there')
      this.#model.state.apply(command)
      this.#remember()
    }
  }

  #remember(): void {
    const { state } = this.#model
    this.#states.set(state.sequence, state.clone())
  }

  #write(process: Process, random: Random): void {
    this.#takeTurn(process)
    const { client, core } = process
    const { state } = this.#model
    const drawn = this.#workload.drawCommand(random.fork('command'), state)
    if (drawn.garbage) return
    const appending = client.begin(drawn, random.fork('append'))
    this.#pending = drawn
    for (let steps = 0; appending.next < appending.records.length; steps++) {
      if (!client.append(appending)) this.#step(process, 1)
      if (steps > STEPS_MAX) throw new SimulationFailure('no room in the ring')
    }
    const { lsn, endLsn } = appending.frame!
    openRing(core.memory.ring).ringDoorbell()
    for (let steps = 0; process.markLsn < endLsn; steps++) {
      this.#step(process, 1)
      if (steps > STEPS_MAX) throw new SimulationFailure('a commit is not acknowledged')
      if (process.markLsn < endLsn && random.fork('meanwhile').fork(steps).chance(0.2)) {
        this.#followMeanwhile(process)
      }
      // A group that waits for others is synced when its time is over.
      if (core.memory.sync !== 'full' || this.#geometry.maxWaitMs > 0) this.#nowMs += 1
    }
    this.#pending = undefined
    const outcome = client.refusalOf(lsn) ?? 'accepted'
    const verdict = state.judge(drawn)
    if (!verdict.includes(outcome)) {
      throw new SimulationFailure(`${outcome}, expected ${verdict.join(' or ')}`)
    }
    if (outcome !== 'accepted') return
    state.apply(drawn)
    this.#remember()
  }

  /** While a commit is under way: nobody else sees it before it is acknowledged. */
  #followMeanwhile(writer: Process): void {
    for (const other of this.#processes.filter((process) => process !== writer)) {
      this.#guarded(other, () => {
        other.core.follow()
        this.#assertSound(other)
        if (other.client.newestSequence() > this.#model.state.sequence) {
          throw new SimulationFailure(`${other.name} shows what is not acknowledged`)
        }
      })
    }
  }

  #step(process: Process, count: number): void {
    for (let steps = 0; steps < count; steps++) {
      if (!process.core.step()) process.core.idle()
      this.#assertSound(process)
    }
  }

  /** Sees all that anybody has acknowledged (M4). */
  #look(process: Process): void {
    if (this.#holder === undefined && this.#pending !== undefined) this.#takeTurn(process)
    this.#follow(process)
    this.#check(process, this.#model.state)
  }

  #follow(process: Process): void {
    if (this.#holder !== process) process.core.follow()
    this.#assertSound(process)
    // A killed one may have said that it is acknowledged.
    if (process.client.newestSequence() > this.#model.state.sequence) this.#settlePending(process)
  }

  #snapshot(process: Process, random: Random): void {
    const { snapshots, client } = process
    if (snapshots.length < SNAPSHOTS_OPEN_MAX && random.fork('take').chance(0.6)) {
      const state = this.#stateOf(process)
      client.pin(state, this.#nowMs)
      snapshots.push({ taken: client.snapshots.at(-1)!, state })
      return
    }
    const snapshot = snapshots.shift()
    if (snapshot === undefined) return
    if (this.#geometry.snapshotAgeMaxMs > this.#nowMs) {
      this.#fail(checkState(client.look(snapshot.taken), snapshot.state, this.#geometry.trees))
    }
    client.unpin(snapshot.taken)
  }

  /** Everything that the process shows. */
  #check(process: Process, state: ModelState): void {
    const look = process.client.look()
    this.#fail(checkState(look, state, this.#geometry.trees) ?? checkPages(look))
  }

  #stateOf(process: Process): ModelState {
    const sequence = process.client.newestSequence()
    const state = this.#states.get(sequence)
    if (state === undefined) throw new SimulationFailure(`commit sequence ${sequence} was never`)
    return state
  }

  #close(process: Process): void {
    this.lines?.push(`${process.name} closes`)
    this.#guarded(process, () => {
      this.#takeTurn(process)
      for (const { taken } of process.snapshots) process.client.unpin(taken)
      process.core.close(this.#processes.length === 1)
      this.#forget(process)
    })
  }

  #assertSound(process: Process): void {
    const { poison } = process.client
    if (poison === undefined) return
    if (isCausedByKill(poison)) throw new KilledError('killed')
    throw new SimulationFailure(`${process.name}: ${messageOf(causeOf(poison))}`)
  }

  #fail(wrong: string | undefined): void {
    if (wrong !== undefined) throw new SimulationFailure(wrong)
  }
}

function causeOf(error: unknown): unknown {
  return error instanceof Error && error.cause !== undefined ? causeOf(error.cause) : error
}

function isCausedByKill(error: unknown): boolean {
  const cause = causeOf(error)
  return cause instanceof Error && cause.message === 'killed'
}
