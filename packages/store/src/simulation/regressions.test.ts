/** Bugs that the simulation has found, each told and shown by itself. */
import { Random, SimulatedDisk } from '@ringbolt/wal/simulation'
import { expect, test } from 'vitest'
import type { StoreSettings } from '../engine/options.ts'
import { StoreCore } from '../engine/store-core.ts'
import { StoreFullError } from '../errors.ts'
import { PAGE_BYTES } from '../page/page.ts'
import { StoreCoverage } from './coverage.ts'
import { Session, type SessionHost } from './session.ts'
import { SimulatedFolders } from './simulated-folders.ts'
import { keyOfText, type ModelOperation, StoreModel } from './store-model.ts'

const SETTINGS: StoreSettings = {
  create: true,
  readOnly: false,
  sync: 'full',
  maxWaitMs: 0,
  cacheBytes: 256 * PAGE_BYTES,
  ringBytes: 64 * 1024,
  threadsMax: 4,
  snapshotsMax: 4,
  snapshotAgeMaxMs: 1_000_000,
  checkpointLogBytes: 1_000_000_000,
  checkpointPagesPerStep: 64,
  checkpointIntervalMs: 1_000_000_000,
  keepLogBytes: 0,
  segmentBytes: 64 * 1024,
  syncDelayMs: 0,
}

/** A database in one thread, and the model of it. */
class Bench implements SessionHost {
  disk: SimulatedDisk = new SimulatedDisk({ random: new Random(1) })
  folders: SimulatedFolders = new SimulatedFolders(this.disk)
  readonly model: StoreModel = new StoreModel()
  readonly coverage: StoreCoverage = new StoreCoverage()
  readonly lines = undefined
  nowMs = 0

  inMemory = false

  get storeFolders(): SimulatedFolders | undefined {
    return this.inMemory ? undefined : this.folders
  }

  open(settings: Partial<StoreSettings> = {}): Session {
    const whole = { ...SETTINGS, ...settings }
    const core = StoreCore.open(this.storeFolders, whole, {
      nowMs: () => this.nowMs,
      wallMs: () => this.nowMs,
      sleep: (durationMs) => {
        this.nowMs += durationMs
      },
      randomBytes: (count) => new Uint8Array(count).fill(7),
    })
    const session = new Session(this, core, whole)
    session.attachClient()
    return session
  }

  /** Appends one command and waits for what becomes of it. */
  commit(session: Session, operations: readonly ModelOperation[]): void {
    this.append(session, operations)
    session.settle()
  }

  append(session: Session, operations: readonly ModelOperation[]): void {
    const [client] = session.clients
    if (client === undefined) throw new Error('no client')
    const command = { operations, snapshotSequence: this.model.state.sequence, garbage: false }
    const appending = client.begin(command, new Random(1))
    while (appending.frame === undefined) {
      session.stepUntil('room', () => client.append(appending))
    }
    this.model.announce({ command, ...appending.frame, threadId: client.threadId })
  }

  /** The process is killed; what it has written is still there. */
  kill(): void {
    this.disk.crash('kill')
    this.disk = this.disk.reopen()
    this.folders = new SimulatedFolders(this.disk)
    this.model.adopt(this.model.state)
  }
}

/**
 * A database that was not closed was opened read-only with a cache smaller than what the log's replay changed:
 * pages were spilled into the main file of whoever had it open for writing.
 */
test('S8: an opening for reading only writes nothing, however small its cache is', () => {
  const bench = new Bench()
  const session = bench.open()
  for (let at = 0; at < 20; at++) {
    const value = new Uint8Array(60_000).fill(at)
    bench.commit(session, [{ kind: 'put', tree: 0, key: keyOfText(`key ${at}`), value }])
  }
  bench.kill()
  const writesBefore = bench.disk.calls.get('write')
  const small = { readOnly: true, create: false, cacheBytes: 96 * PAGE_BYTES }
  expect(() => bench.open(small)).toThrow(StoreFullError)
  const { observer } = bench.open({ ...small, cacheBytes: 512 * PAGE_BYTES })
  expect(observer.newestSequence()).toBe(20)
  expect(bench.disk.calls.get('write')).toBe(writesBefore)
})

/**
 * A database in memory was closed while commits were on their way: nobody drained the ring, the mark never
 * moved, and whoever waited for them waited for ever.
 */
test('S8: closing a database in memory settles what is on its way', () => {
  const bench = new Bench()
  bench.inMemory = true
  const session = bench.open()
  bench.append(session, [{ kind: 'put', tree: 0, key: keyOfText('a'), value: new Uint8Array(3) }])
  session.core.close()
  session.observe()
  expect(bench.model.pendingCount).toBe(0)
  expect(session.observer.newestSequence()).toBe(1)
})
