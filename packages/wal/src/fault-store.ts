/**
 * A log store that fails on purpose: the Nth call of a kind, once or for ever. What it wraps is not
 * touched by a call that fails, unless the fault says how many bytes arrive first.
 */
import { LogIoError } from './errors.ts'
import type { LogFile, LogStore } from './log-store.ts'

export type StoreCall =
  | 'read'
  | 'write'
  | 'sync'
  | 'truncate'
  | 'open'
  | 'create'
  | 'rename'
  | 'remove'
  | 'syncFolder'

export interface Fault {
  readonly call: StoreCall
  /** Which call of that kind, counted from 1 since the fault was set. */
  readonly nth: number
  /** Every later one fails too. Default false. */
  readonly forever?: boolean
  /** The system's name for the reason. Default `EIO`. */
  readonly errno?: string
  /** Of a failing write, how many bytes arrive nevertheless. Default 0. */
  readonly arrivingBytes?: number
}

export class FaultStore implements LogStore {
  readonly #store: LogStore
  #fault: Fault | undefined
  #seen = 0
  readonly #counts = new Map<StoreCall, number>()

  constructor(store: LogStore, fault?: Fault) {
    this.#store = store
    this.#fault = fault
  }

  get location(): string {
    return this.#store.location
  }

  /** Replaces the fault; undefined: from now on nothing fails. */
  setFault(fault: Fault | undefined): void {
    this.#fault = fault
    this.#seen = 0
  }

  /** How often a call was made, failed ones included. */
  count(call: StoreCall): number {
    return this.#counts.get(call) ?? 0
  }

  list(): string[] {
    return this.#store.list()
  }

  open(name: string): LogFile {
    this.enter('open', name)
    return new FaultFile(this, this.#store.open(name))
  }

  create(name: string): LogFile {
    this.enter('create', name)
    return new FaultFile(this, this.#store.create(name))
  }

  rename(from: string, to: string): void {
    this.enter('rename', from)
    this.#store.rename(from, to)
  }

  remove(name: string): void {
    this.enter('remove', name)
    this.#store.remove(name)
  }

  syncFolder(): void {
    this.enter('syncFolder', '')
    this.#store.syncFolder()
  }

  /** Counts the call and fails it when it is due. */
  enter(call: StoreCall, name: string, arrive: (bytes: number) => void = () => undefined): void {
    this.#counts.set(call, this.count(call) + 1)
    const fault = this.#fault
    if (fault === undefined || fault.call !== call) return
    this.#seen++
    const due = fault.forever === true ? this.#seen >= fault.nth : this.#seen === fault.nth
    if (!due) return
    arrive(fault.arrivingBytes ?? 0)
    const code = fault.errno ?? 'EIO'
    const error = Object.assign(new Error(`${code}: injected fault`), { code })
    throw new LogIoError(call, `${this.location}/${name}`, error, { nth: this.#seen })
  }
}

class FaultFile implements LogFile {
  readonly name: string
  readonly #faults: FaultStore
  readonly #file: LogFile

  constructor(faults: FaultStore, file: LogFile) {
    this.name = file.name
    this.#faults = faults
    this.#file = file
  }

  readAt(position: number, target: Uint8Array): number {
    this.#faults.enter('read', this.name)
    return this.#file.readAt(position, target)
  }

  writeAt(position: number, parts: readonly Uint8Array[]): void {
    this.#faults.enter('write', this.name, (bytes) => {
      const arriving = Buffer.concat(parts).subarray(0, bytes)
      if (arriving.length > 0) this.#file.writeAt(position, [arriving])
    })
    this.#file.writeAt(position, parts)
  }

  sync(): void {
    this.#faults.enter('sync', this.name)
    this.#file.sync()
  }

  length(): number {
    return this.#file.length()
  }

  truncate(lengthBytes: number): void {
    this.#faults.enter('truncate', this.name)
    this.#file.truncate(lengthBytes)
  }

  close(): void {
    this.#file.close()
  }
}
