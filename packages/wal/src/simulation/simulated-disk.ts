/**
 * A disk under a log, in memory: it loses, tears and reorders what was not synced, fails on demand, and
 * stops at any call. A `LogStore`; everything it does follows from its seed and the calls made.
 *
 * Contract
 *  D1 Reads see all writes at once. Only `sync` of a file makes its bytes and length certain, only
 *     `syncFolder` its name; see simulated-content.ts and simulated-folder.ts for what else survives.
 *  D2 After a crash every call but `close` throws `SimulatedCrashError` and changes nothing. `reopen`
 *     gives a new disk over what survived; the old one stays dead, as a dead process does.
 *  D3 A call that fails by a fault throws `LogIoError`. Of a failed write any first part may have been
 *     taken. A failed sync of a file follows `SyncLoss`; one of the folder leaves its changes unsynced.
 *  D4 A full disk (`capacityBytes`) takes what fits and refuses the rest; it refuses no overwriting.
 */
import { RingboltError } from '@ringbolt/ring'
import { LogIoError } from '../errors.ts'
import type { LogFile, LogStore } from '../log-store.ts'
import {
  type CrashFacts,
  type CrashKind,
  type CrashOdds,
  type CrashPlan,
  type DiskCall,
  type DiskEvent,
  EventCounts,
  type FaultPlan,
} from './disk-plans.ts'
import type { Random } from './random.ts'
import { SimulatedContent } from './simulated-content.ts'
import { SimulatedFolder } from './simulated-folder.ts'

export interface SimulatedDiskOptions {
  readonly random: Random
  /** The unit in which unsynced bytes survive: 512 or 4096. Default 4096. */
  readonly sectorBytes?: number
  /** All files together. Default: no bound. */
  readonly capacityBytes?: number
  /** At each opening of a file how likely a lost sector shows its old bytes; at each read, a quarter. */
  readonly evictChance?: number
  readonly location?: string
}

/** The simulated machine has stopped. `RINGBOLT_SIMULATED_CRASH` */
export class SimulatedCrashError extends RingboltError {
  constructor(facts: CrashFacts) {
    super(
      'RINGBOLT_SIMULATED_CRASH',
      `simulated crash (${facts.kind}) ${facts.phase} ${facts.call} ${facts.name}`,
      { ...facts },
    )
  }
}

type Settings = Required<Omit<SimulatedDiskOptions, 'random'>>

interface Armed<P> {
  readonly plan: P
  seen: number
}

export class SimulatedDisk implements LogStore {
  readonly events: EventCounts<DiskEvent>
  /** How often each call was made, failed ones included. */
  readonly calls: EventCounts<DiskCall>
  readonly #random: Random
  readonly #settings: Settings
  readonly #folder: SimulatedFolder
  #capacityBytes: number
  #crashPlan: Armed<CrashPlan> | undefined
  #faults: Armed<FaultPlan>[] = []
  #crashed: CrashFacts | undefined
  #faultsHit = 0

  constructor(options: SimulatedDiskOptions, survived?: SimulatedDisk) {
    const { random, ...rest } = options
    this.#random = random
    this.#settings = {
      sectorBytes: 4096,
      capacityBytes: Number.POSITIVE_INFINITY,
      evictChance: 0,
      location: 'simulated',
      ...rest,
    }
    this.events = survived?.events ?? new EventCounts()
    this.calls = survived?.calls ?? new EventCounts()
    this.#folder = survived === undefined ? new SimulatedFolder(this.events) : survived.#folder
    this.#capacityBytes = this.#settings.capacityBytes
  }

  get location(): string {
    return this.#settings.location
  }

  /** Where it crashed; undefined while it runs. */
  get crashed(): CrashFacts | undefined {
    return this.#crashed
  }

  /** How many calls have failed by faults or for lack of room. */
  get faultsHit(): number {
    return this.#faultsHit
  }

  /** Replaces the plan; undefined: no crash but by `crash`. */
  planCrash(plan: CrashPlan | undefined): void {
    this.#crashPlan = plan === undefined ? undefined : { plan, seen: 0 }
  }

  /** Replaces all faults. */
  planFaults(plans: readonly FaultPlan[]): void {
    this.#faults = plans.map((plan) => ({ plan, seen: 0 }))
  }

  setCapacity(capacityBytes: number): void {
    this.#capacityBytes = capacityBytes
  }

  /** What all files take. */
  get lengthBytes(): number {
    return this.#folder.lengthBytes()
  }

  /** Stops between two calls. */
  crash(kind: CrashKind): void {
    this.#crashed ??= { kind, call: 'none', phase: 'before', name: '' }
  }

  /**
   * The disk as the next process finds it. Without a crash before, nothing is lost: the process has let
   * go of the disk, and what was not synced still is not.
   */
  reopen(odds: CrashOdds = drawOdds(this.#random)): SimulatedDisk {
    if (this.#crashed?.kind === 'power') this.#losePower(odds)
    else this.#evictAll()
    this.#crashed ??= { kind: 'kill', call: 'none', phase: 'before', name: '' }
    return new SimulatedDisk({ ...this.#settings, random: this.#random }, this)
  }

  #losePower(odds: CrashOdds): void {
    const files = [...this.#folder.files()]
    for (const file of files) {
      const stale = odds.unwritten === 'stale' ? this.#random.pick(files).bytes().slice() : NOTHING
      file.losePower(this.#random, odds, stale)
    }
    this.#folder.losePower(this.#random, odds)
  }

  #evictAll(): void {
    for (const file of this.#folder.files()) file.evict(this.#random, this.#settings.evictChance)
  }

  /** Changes bits of a byte that no crash would change. Returns the byte's old value. */
  damage(name: string, position: number, xor: number): number {
    const file = this.#existing('damage', name)
    const old = file.bytes()[position]
    if (old === undefined) throw new RangeError(`${name} has no byte ${position}`)
    file.damage(position, xor)
    return old
  }

  /** A copy of what reads of a file give. */
  contentOf(name: string): Uint8Array {
    return this.#existing('read', name).bytes().slice()
  }

  list(): string[] {
    return this.#enter('list', '', NO_EFFECT, () => this.#folder.names())
  }

  open(name: string): LogFile {
    return this.#enter('open', name, NO_EFFECT, () => {
      const content = this.#existing('open', name)
      content.evict(this.#random, this.#settings.evictChance)
      return new SimulatedFile(this, name, content)
    })
  }

  create(name: string): LogFile {
    return this.#enter('create', name, NO_EFFECT, () => {
      if (this.#folder.file(name) !== undefined) throw this.#ioError('create', name, 'EEXIST')
      const content = new SimulatedContent(this.#settings.sectorBytes, this.events)
      this.#folder.create(name, content)
      return new SimulatedFile(this, name, content)
    })
  }

  rename(from: string, to: string): void {
    this.#enter('rename', from, NO_EFFECT, () => {
      this.#folder.rename(from, to, this.#existing('rename', from))
    })
  }

  remove(name: string): void {
    this.#enter('remove', name, NO_EFFECT, () => {
      this.#folder.remove(name, this.#existing('remove', name))
    })
  }

  /** @param isIn where the names stand for files of several folders: which are in the one to be synced */
  syncFolder(isIn: (name: string) => boolean = ALL_NAMES): void {
    this.#enter('syncFolder', '', NO_EFFECT, () => this.#folder.sync(isIn))
  }

  /** @internal */
  readFile(name: string, content: SimulatedContent, position: number, target: Uint8Array): number {
    return this.#enter('read', name, NO_EFFECT, () => {
      content.evict(this.#random, this.#settings.evictChance / 4)
      return content.read(position, target)
    })
  }

  /** @internal */
  lengthOfFile(name: string, content: SimulatedContent): number {
    return this.#enter('length', name, NO_EFFECT, () => content.length)
  }

  /** @internal */
  writeFile(
    name: string,
    content: SimulatedContent,
    position: number,
    parts: readonly Uint8Array[],
  ): void {
    let lengthBytes = 0
    for (const part of parts) lengthBytes += part.length
    const writeSome = (): void => {
      const taken = this.#random.below(lengthBytes + 1)
      this.events.add('write cut short')
      content.write(position, parts, Math.min(taken, this.#room(content, position, lengthBytes)))
    }
    this.#enter('write', name, writeSome, () => {
      const room = this.#room(content, position, lengthBytes)
      content.write(position, parts, Math.min(room, lengthBytes))
      if (room >= lengthBytes) return
      this.events.add('disk full')
      this.#faultsHit++
      throw this.#ioError('write', name, 'ENOSPC')
    })
  }

  /** @internal */
  syncFile(name: string, content: SimulatedContent): void {
    const fail = (plan: FaultPlan | undefined): void => {
      if (plan !== undefined) content.failSync(plan.syncLoss, this.#random)
    }
    this.#enter('sync', name, fail, () => content.sync())
  }

  /** @internal */
  truncateFile(name: string, content: SimulatedContent, lengthBytes: number): void {
    this.#enter('truncate', name, NO_EFFECT, () => content.truncate(lengthBytes))
  }

  /** @internal */
  closedFile(name: string): LogIoError {
    return this.#ioError('use', name, 'EBADF', 'the file is closed')
  }

  /** How many of the bytes that a write would put from `position` on there is room for. */
  #room(content: SimulatedContent, position: number, lengthBytes: number): number {
    if (this.#capacityBytes === Number.POSITIVE_INFINITY) return lengthBytes
    const free = Math.max(0, this.#capacityBytes - this.#folder.lengthBytes())
    return Math.max(0, Math.min(lengthBytes, content.length + free - position))
  }

  /**
   * Counts a call, crashes or fails it when that is due, or else carries it out.
   * @param partly what it does to a call that is not carried out whole
   */
  #enter<T>(
    call: DiskCall,
    name: string,
    partly: (plan: FaultPlan | undefined) => void,
    carryOut: () => T,
  ): T {
    if (this.#crashed !== undefined) throw new SimulatedCrashError(this.#crashed)
    this.calls.add(call)
    const plan = this.#dueCrash(call)
    if (plan !== undefined && plan.phase !== 'after') {
      if (plan.phase === 'middle') partly(undefined)
      throw this.#stop(plan, call, name)
    }
    const fault = this.#dueFault(call)
    if (fault !== undefined) {
      this.#faultsHit++
      this.#countFault(fault)
      partly(fault)
      throw this.#ioError(call, name, fault.errno)
    }
    const result = carryOut()
    if (plan !== undefined) throw this.#stop(plan, call, name)
    return result
  }

  #dueCrash(call: DiskCall): CrashPlan | undefined {
    const armed = this.#crashPlan
    if (armed === undefined || (armed.plan.call !== call && armed.plan.call !== 'any')) {
      return undefined
    }
    return ++armed.seen === armed.plan.nth ? armed.plan : undefined
  }

  #dueFault(call: DiskCall): FaultPlan | undefined {
    let due: FaultPlan | undefined
    for (const armed of this.#faults) {
      const { plan } = armed
      if (plan.call !== call) continue
      armed.seen++
      if (armed.seen === plan.nth || (plan.forever && armed.seen > plan.nth)) due = plan
    }
    return due
  }

  #countFault({ errno, forever }: FaultPlan): void {
    if (errno === 'ENOSPC') this.events.add('ENOSPC injected')
    else this.events.add(forever ? 'EIO for ever' : 'EIO once')
  }

  #stop({ kind, phase }: CrashPlan, call: DiskCall, name: string): SimulatedCrashError {
    this.#crashed = { kind, phase, call, name }
    return new SimulatedCrashError(this.#crashed)
  }

  #existing(operation: string, name: string): SimulatedContent {
    const content = this.#folder.file(name)
    if (content === undefined) throw this.#ioError(operation, name, 'ENOENT')
    return content
  }

  #ioError(operation: string, name: string, code: string, text = 'simulated'): LogIoError {
    const cause = Object.assign(new Error(`${code}: ${text}`), { code })
    return new LogIoError(operation, `${this.location}/${name}`, cause)
  }
}

class SimulatedFile implements LogFile {
  readonly name: string
  readonly #disk: SimulatedDisk
  readonly #content: SimulatedContent
  #closed = false

  constructor(disk: SimulatedDisk, name: string, content: SimulatedContent) {
    this.name = name
    this.#disk = disk
    this.#content = content
  }

  readAt(position: number, target: Uint8Array): number {
    return this.#disk.readFile(this.name, this.#open(), position, target)
  }

  writeAt(position: number, parts: readonly Uint8Array[]): void {
    this.#disk.writeFile(this.name, this.#open(), position, parts)
  }

  sync(): void {
    this.#disk.syncFile(this.name, this.#open())
  }

  length(): number {
    return this.#disk.lengthOfFile(this.name, this.#open())
  }

  truncate(lengthBytes: number): void {
    this.#disk.truncateFile(this.name, this.#open(), lengthBytes)
  }

  close(): void {
    this.#closed = true
  }

  #open(): SimulatedContent {
    if (this.#closed) throw this.#disk.closedFile(this.name)
    return this.#content
  }
}

const NOTHING = new Uint8Array(0)

function ALL_NAMES(): boolean {
  return true
}

function NO_EFFECT(): void {
  // The call has no parts.
}

/** Mostly extremes: all kept, all dropped, and every mixture now and then. */
export function drawOdds(random: Random): CrashOdds {
  return {
    kept: random.pick([0, 0.1, 0.5, 0.5, 0.9, 1]),
    torn: random.pick([0, 0, 0.1, 0.5, 1]),
    entryKept: random.pick([0, 0.5, 0.5, 1]),
    entriesInOrder: random.chance(0.3),
    unwritten: random.pick(['zeros', 'zeros', 'garbage', 'stale'] as const),
  }
}
