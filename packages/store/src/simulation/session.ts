/**
 * An open database in one thread: the engine, stepped by hand, and its clients. After each step the model
 * hears what was acknowledged, and what is visible must be just that.
 */
import { AtomicsMemory, errorToPlain, openRing, type Ring } from '@ringbolt/ring'
import { LogIoError, Watermarks } from '@ringbolt/wal'
import { type SimulatedDisk, SimulationFailure } from '@ringbolt/wal/simulation'
import { Control } from '../engine/control.ts'
import type { StoreSettings } from '../engine/options.ts'
import { StatsBoard, type StoreCounters } from '../engine/stats.ts'
import type { StoreCore } from '../engine/store-core.ts'
import { PageFile } from '../space/page-file.ts'
import { SimulatedClient } from './client.ts'
import type { StoreCoverage } from './coverage.ts'
import { differ } from './oracle.ts'
import type { SimulatedFolders } from './simulated-folders.ts'
import type { Announced, StoreModel } from './store-model.ts'

/** What outlives a session: the simulation is it. */
export interface SessionHost {
  readonly disk: SimulatedDisk
  /** Undefined: the database is in memory. */
  readonly storeFolders: SimulatedFolders | undefined
  readonly model: StoreModel
  readonly coverage: StoreCoverage
  readonly lines: string[] | undefined
  nowMs: number
}

/** Steps that any piece of work can take: beyond it, the engine hangs. */
const STEPS_MAX = 3_000
const FIRST_THREAD_ID = 1_000

export class Session {
  readonly core: StoreCore
  readonly ring: Ring
  readonly control: Control
  readonly settings: StoreSettings
  /** Lives as long as the session does, and only looks. */
  readonly observer: SimulatedClient
  readonly clients: SimulatedClient[] = []
  readonly #host: SessionHost
  readonly #watermarks: Watermarks
  /** Opened once, so that no plan hits it: all clients are in this thread. */
  readonly #file: PageFile | undefined
  #nextThreadId = FIRST_THREAD_ID
  readonly #unreported: SimulatedClient[] = []
  /** Checkpoints asked for, and what was acknowledged by then. */
  #tickets: { readonly ticket: number; readonly sequence: number }[] = []
  /** Of a read that ended while the engine slept. */
  #readFailure: Error | undefined
  /** Why nothing is accepted any more: a write or sync has failed. */
  poisoned: unknown

  constructor(host: SessionHost, core: StoreCore, settings: StoreSettings) {
    this.#host = host
    this.core = core
    this.settings = settings
    const { storeFolders } = host
    this.#file = storeFolders && new PageFile(storeFolders.main.open(storeFolders.mainName))
    this.ring = openRing(core.memory.ring)
    this.control = new Control(new AtomicsMemory(core.memory.control))
    this.#watermarks = new Watermarks(new AtomicsMemory(core.memory.watermarks))
    this.observer = this.#newClient()
    this.control.wantClose()
  }

  get stats(): StoreCounters {
    return new StatsBoard(this.core.memory.stats).counters()
  }

  /** Up to where commands are acknowledged. */
  get markLsn(): number {
    const { durableLsn, writtenLsn } = this.#watermarks
    return this.settings.sync === 'full' ? durableLsn : writtenLsn
  }

  attachClient(): void {
    this.clients.push(this.#newClient())
  }

  #newClient(): SimulatedClient {
    return new SimulatedClient(this.core.memory, this.#file, this.#nextThreadId++)
  }

  /** The thread has ended, and whoever watches it is about to say so. */
  lose(client: SimulatedClient): void {
    this.clients.splice(this.clients.indexOf(client), 1)
    this.#unreported.push(client)
  }

  reportDeaths(): void {
    for (const client of this.#unreported.splice(0)) client.reportDeath()
  }

  /** What other threads do while the engine sleeps: it may be waiting for just that. */
  whileAsleep(): void {
    this.reportDeaths()
    for (const client of this.clients) if (client.isReading) this.#endRead(client)
  }

  /** Nothing of it may come up in the engine, which sleeps below. */
  #endRead(client: SimulatedClient): void {
    this.#host.coverage.add('the engine waited for a reader')
    try {
      const wrong = client.endSlowRead()
      if (wrong !== undefined) this.#readFailure ??= new SimulationFailure(wrong)
    } catch (error) {
      // A read may fail with the disk; it changes nothing.
      if (!(error instanceof LogIoError) && this.#host.disk.crashed === undefined) {
        this.#readFailure ??= error instanceof Error ? error : new Error(String(error))
      }
    }
  }

  /** @returns false when there was nothing to do, or nothing can be done any more */
  step(): boolean {
    if (this.isOver) return false
    const faultsBefore = this.#host.disk.faultsHit
    const worked = this.core.step()
    if (this.#readFailure !== undefined) throw this.#readFailure
    // With a request that stays open it does not sleep; only prepares.
    if (!worked) this.core.idle()
    // Preparing a segment for later keeps its failures to itself, a crash too.
    const { poison } = this.observer
    if (poison !== undefined) this.fail(poison, faultsBefore)
    this.observe()
    return worked
  }

  get isOver(): boolean {
    return this.poisoned !== undefined || this.#host.disk.crashed !== undefined
  }

  /** The engine threw: right after a crash or a fault, and wrong otherwise. */
  fail(error: unknown, faultsBefore: number): void {
    const { disk, lines, coverage } = this.#host
    lines?.push(`  threw ${errorToPlain(error).message}`)
    if (disk.crashed !== undefined) return
    if (disk.faultsHit === faultsBefore) throw error
    coverage.add('poisoned')
    this.poisoned = error
  }

  /** The model hears of everything up to the mark; nothing else may be visible. */
  observe(): void {
    const { model } = this.#host
    const wrong = model.observe(this.markLsn, (announced) => this.#outcomeOf(announced))
    if (wrong !== undefined) throw new SimulationFailure(wrong)
    model.durableUpTo(this.#watermarks.durableLsn)
    this.#tickets = this.#tickets.filter(({ ticket, sequence }) => {
      if (!this.control.isDone(ticket)) return true
      model.durableSequence = Math.max(model.durableSequence, sequence)
      this.#host.coverage.add('checkpoints answered')
      return false
    })
    const visible = this.observer.newestSequence()
    // What is written may be seen, by other policies than `full`; the mark that says so follows at once.
    const written = this.isOver && this.settings.sync !== 'full'
    if (visible === model.state.sequence || (written && visible > model.state.sequence)) return
    throw new SimulationFailure(
      `commit sequence ${visible} is visible, ${model.state.sequence} was acknowledged`,
    )
  }

  /** Garbage may name another client, or none: nobody waits for what becomes of it. */
  #outcomeOf({ command, lsn, threadId }: Announced): string | undefined {
    if (command.garbage) return undefined
    const client = this.clients.find((candidate) => candidate.threadId === threadId)
    if (client === undefined) return undefined
    const outcome = client.refusalOf(lsn) ?? 'accepted'
    this.#host.coverage.add(`outcome: ${outcome.split(' ', 1)[0]}`)
    return outcome
  }

  /** Until there is nothing to do. @throws SimulationFailure when that does not come */
  drain(): void {
    for (let steps = 0; this.step(); steps++) {
      if (steps > STEPS_MAX) throw new SimulationFailure(`still at work after ${STEPS_MAX} steps`)
    }
  }

  /** Until `isDone`: the engine has what it needs for it. */
  stepUntil(what: string, isDone: () => boolean): void {
    for (let steps = 0; !this.isOver && !isDone(); steps++) {
      this.#host.nowMs += 1
      this.step()
      if (steps > STEPS_MAX) throw new SimulationFailure(`${what}: not after ${STEPS_MAX} steps`)
    }
  }

  /** All that was announced is acknowledged or refused. */
  settle(): void {
    this.stepUntil('acknowledgement', () => this.#host.model.pendingCount === 0)
  }

  /** All that is in the ring by now is on stable storage. */
  sync(): void {
    this.#watermarks.wantSync()
    this.ring.ringDoorbell()
    const target = this.ring.tailAddress
    this.stepUntil('sync', () => this.#watermarks.durableLsn >= target)
  }

  wantCheckpoint(): number {
    const ticket = this.control.wantCheckpoint()
    this.#tickets.push({ ticket, sequence: this.#host.model.state.sequence })
    this.ring.ringDoorbell()
    return ticket
  }

  /** A failed write or sync: all later calls get the cause, and nothing moves any more. */
  checkPoison(): string | undefined {
    const { model, disk } = this.#host
    const mark = this.markLsn
    const sequence = model.state.sequence
    for (const client of this.clients) {
      const wrong = client.checkPoisoned()
      if (wrong !== undefined) return wrong
    }
    const calls = changesOf(disk)
    if (this.core.step()) return 'a poisoned engine worked on'
    return (
      differ('changes by a poisoned engine', calls, changesOf(disk)) ??
      differ('the mark of a poisoned engine', mark, this.markLsn) ??
      differ('the commit sequence of a poisoned engine', sequence, model.state.sequence)
    )
  }
}

const CHANGES = ['create', 'write', 'sync', 'truncate', 'rename', 'remove', 'syncFolder'] as const

/** How many calls have changed the disk, or tried to. */
export function changesOf({ calls }: SimulatedDisk): number {
  let sum = 0
  for (const call of CHANGES) sum += calls.get(call)
  return sum
}
