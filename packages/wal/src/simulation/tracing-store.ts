/** A log store that records the calls made of another one, for sync-order.ts. */
import type { LogFile, LogStore } from '../log-store.ts'
import { isSegment, type TraceEvent } from './sync-order.ts'

export class TracingStore implements LogStore {
  readonly events: TraceEvent[] = []
  readonly #store: LogStore
  /** By their present name. */
  readonly #files = new Map<string, number>()
  #nextFile = 1

  constructor(store: LogStore) {
    this.#store = store
  }

  get location(): string {
    return this.#store.location
  }

  list(): string[] {
    return this.#store.list()
  }

  open(name: string): LogFile {
    const opened = this.#store.open(name)
    const file = this.#files.get(name) ?? this.#nextFile++
    this.#files.set(name, file)
    this.events.push({ kind: 'open', file, name })
    return new TracingFile(this, opened, file)
  }

  create(name: string): LogFile {
    const created = this.#store.create(name)
    const file = this.#nextFile++
    this.#files.set(name, file)
    this.events.push({ kind: 'create', file, name })
    return new TracingFile(this, created, file)
  }

  rename(from: string, to: string): void {
    const name = isSegment(from) ? from : to
    const failed = { kind: 'failed', call: 'rename', name } as const
    this.record({ kind: 'rename', from, to }, failed, () => this.#store.rename(from, to))
    const file = this.#files.get(from)
    this.#files.delete(from)
    if (file === undefined) this.#files.delete(to)
    else this.#files.set(to, file)
  }

  remove(name: string): void {
    const failed = { kind: 'failed', call: 'remove', name } as const
    this.record({ kind: 'remove', name }, failed, () => this.#store.remove(name))
    this.#files.delete(name)
  }

  syncFolder(): void {
    const failed = { kind: 'failed', call: 'syncFolder' } as const
    this.record({ kind: 'syncFolder' }, failed, () => this.#store.syncFolder())
  }

  /** @internal makes the call and records it, or that it failed */
  record(event: TraceEvent, failed: TraceEvent, make: () => void): void {
    try {
      make()
    } catch (error) {
      this.events.push(failed)
      throw error
    }
    this.events.push(event)
  }
}

class TracingFile implements LogFile {
  readonly name: string
  readonly #trace: TracingStore
  readonly #opened: LogFile
  readonly #file: number

  constructor(trace: TracingStore, opened: LogFile, file: number) {
    this.name = opened.name
    this.#trace = trace
    this.#opened = opened
    this.#file = file
  }

  readAt(position: number, target: Uint8Array): number {
    return this.#opened.readAt(position, target)
  }

  writeAt(position: number, parts: readonly Uint8Array[]): void {
    this.#record('write', () => this.#opened.writeAt(position, parts))
  }

  sync(): void {
    this.#record('sync', () => this.#opened.sync())
  }

  length(): number {
    return this.#opened.length()
  }

  truncate(lengthBytes: number): void {
    this.#record('write', () => this.#opened.truncate(lengthBytes))
  }

  close(): void {
    this.#opened.close()
  }

  #record(kind: 'write' | 'sync', make: () => void): void {
    const file = this.#file
    this.#trace.record({ kind, file }, { kind: 'failed', call: kind, file }, make)
  }
}
