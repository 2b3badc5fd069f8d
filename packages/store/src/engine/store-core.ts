/**
 * The engine without threads: recovers a database, then turns what clients put into the ring into durable,
 * published states. One deterministic core over injected files, clock and randomness: the sequencer's thread
 * runs it, the simulation runs it, and recovery is its beginning.
 *
 *   ring ─► LogConsumer ─► StoreSink: validate, apply, log ─► sync ─► publish ─► marks move, waiters wake
 *                                │
 *                                └► Checkpointer: pages, meta, log released
 *
 * Threads: one. Whatever else looks at the shared memory reads, or appends to the ring.
 *
 * Crash: at any call. What was acknowledged is found by `open`, which replays the log on the last durable
 * checkpoint through the function that committed it.
 */
import { AtomicsMemory, attachConsumer, createRing, type RingConsumer } from '@ringbolt/ring'
import { type FlushPolicy, LogConsumer, WATERMARK_BYTES, Watermarks } from '@ringbolt/wal'
import { StoreClosingError } from '../errors.ts'
import { PAGE_BYTES } from '../page/page.ts'
import { PAGES_PER_OPERATION } from '../sequencer/apply.ts'
import { RefusalWriter, refusalsBytes } from '../sequencer/refusals.ts'
import { StoreSink } from '../sequencer/store-sink.ts'
import { Checkpointer } from './checkpointer.ts'
import { CONTROL_BYTES, Control } from './control.ts'
import { TimedLog } from './engine-log.ts'
import type { LogIdentity } from './log-history.ts'
import { keepFromLsn, LogHolds, makeLogHolds } from './log-holds.ts'
import type { StoreSettings } from './options.ts'
import { type RecoveredState, recoverState } from './recovery.ts'
import { StateAges } from './state-ages.ts'
import { STATS_BYTES, StatsBoard } from './stats.ts'
import { countersOf } from './stats-gathering.ts'
import type { StoreFolders } from './store-folders.ts'
import { removeStoreLog } from './store-log.ts'

export interface CoreEnvironment {
  /** Monotonic. */
  readonly nowMs: () => number
  /** Milliseconds since 1970. */
  readonly wallMs: () => number
  readonly sleep: (durationMs: number) => void
  readonly randomBytes: (count: number) => Uint8Array
}

/** What the threads share. */
export interface StoreMemory {
  readonly ring: SharedArrayBuffer
  readonly watermarks: SharedArrayBuffer
  readonly refusals: SharedArrayBuffer
  readonly region: SharedArrayBuffer
  readonly control: SharedArrayBuffer
  readonly stats: SharedArrayBuffer
  readonly logHolds: SharedArrayBuffer
  /** Undefined in memory. */
  readonly log: LogIdentity | undefined
  readonly sync: StoreSettings['sync']
  readonly readOnly: boolean
}

/** Bytes of a command for which a page is reckoned, beside those of its operations. */
const BYTES_PER_PAGE = 4096
/** Pages that an operation makes as a rule: a leaf, and a sibling now and then. */
const PAGES_RECKONED = 2
/** In memory: what puts leave free, so that there is always room to delete something. */
const PAGES_TO_DELETE = 16
const IDLE_MS_MAX = 1000
const DROP_PAGES_PER_STEP = 64
const REVOKE_INTERVAL_MS = 100
const STATS_INTERVAL_MS = 10
/** How long a close waits for commands that are reserved and not published. */
const CLOSE_WAIT_MS = 10_000
const CLOSE_SLICE_MS = 5

export class StoreCore {
  readonly memory: StoreMemory
  readonly control: Control
  readonly #environment: CoreEnvironment
  readonly #settings: StoreSettings
  readonly #folders: StoreFolders | undefined
  readonly #state: RecoveredState
  readonly #log: TimedLog
  readonly #ring: RingConsumer
  readonly #watermarks: Watermarks
  readonly #sink: StoreSink
  readonly #consumer: LogConsumer
  readonly #checkpointer: Checkpointer | undefined
  readonly #stats: StatsBoard
  readonly #logHolds: LogHolds
  readonly #ages = new StateAges()
  #ringUsedBytesMax = 0
  #statsMs = 0
  /** Something has changed since they were written. */
  #statsDue = false
  #lastRevocationMs = 0
  /** The first failure: nothing is done any more. */
  #failure: Error | undefined

  /**
   * Opens, recovers, or makes a database.
   * @param folders undefined: in memory
   * @throws what main-file-errors.ts and the log's errors.ts say; StoreCorruptError
   */
  static open(
    folders: StoreFolders | undefined,
    settings: StoreSettings,
    environment: CoreEnvironment,
  ): StoreCore {
    const state = recoverState(folders, settings, environment)
    return new StoreCore(folders, state, settings, environment)
  }

  private constructor(
    folders: StoreFolders | undefined,
    state: RecoveredState,
    settings: StoreSettings,
    environment: CoreEnvironment,
  ) {
    this.#folders = folders
    this.#state = state
    this.#settings = settings
    this.#environment = environment
    this.memory = shareMemory(state, settings)
    this.control = new Control(new AtomicsMemory(this.memory.control))
    this.#stats = new StatsBoard(this.memory.stats)
    this.#logHolds = new LogHolds(new AtomicsMemory(this.memory.logHolds))
    this.#watermarks = new Watermarks(new AtomicsMemory(this.memory.watermarks))
    this.#watermarks.format(0)
    this.#ring = attachConsumer(this.memory.ring)
    const delay = (): void => {
      if (settings.syncDelayMs > 0) environment.sleep(settings.syncDelayMs)
    }
    this.#log = new TimedLog(state.log, environment.nowMs, delay, this.#stats.syncs)
    this.#sink = this.#makeSink()
    this.#consumer = new LogConsumer(
      this.#ring,
      this.#sink,
      this.#watermarks,
      flushPolicyOf(settings),
      environment.nowMs,
      environment.sleep,
    )
    this.#checkpointer = this.#makeCheckpointer()
    if (settings.readOnly) this.#ring.close()
    this.#writeStats()
  }

  /** One group at the most, and a bounded piece of upkeep. @returns whether there was anything to do */
  step(): boolean {
    if (this.#failure !== undefined) return false
    try {
      const usedBytes = this.#ring.ring.occupiedBytes
      if (usedBytes > this.#ringUsedBytesMax) this.#ringUsedBytesMax = usedBytes
      const worked = this.#consumer.step()
      const kept = this.#upkeep(worked)
      if (worked || kept) this.#keepStats()
      return worked || kept
    } catch (error) {
      this.#fail(error)
      return false
    }
  }

  /** Sleeps in shared memory until there is something to do. */
  idle(): void {
    if (this.#statsDueInMs <= 0) this.#writeStats()
    const sound = this.#failure === undefined
    if (sound && this.#prepare()) return
    const dueMs = sound ? Math.min(this.#consumer.syncDueInMs, this.#checkpointDueMs) : IDLE_MS_MAX
    const sleepMs = Math.min(dueMs, IDLE_MS_MAX, this.#statsDueInMs)
    this.#ring.waitForRecords(sleepMs, () => this.#hasRequests())
  }

  /**
   * Takes no more commands, finishes those that are there, makes the last checkpoint, lets go of the log.
   * @throws the failure that ended it before, or what closing fails with
   */
  close(): void {
    const { main, segments } = this.#state
    try {
      if (!this.#settings.readOnly) this.#ring.close()
      if (this.#failure !== undefined) throw this.#failure
      // Whoever waits for a commit hears of it, in memory too.
      if (!this.#settings.readOnly) this.#drain()
      this.#writeStats()
      if (main !== undefined && segments !== undefined) {
        const isLogDone = !this.#hasReadersBehind
        this.#checkpointer?.finishAll(isLogDone)
        this.#log.close()
        if (this.#folders !== undefined && isLogDone) {
          removeStoreLog(this.#folders, segments.logId)
        }
        main.trim()
      }
    } finally {
      this.#log.close()
      main?.close()
    }
  }

  /** Somebody who reads changes has not come to the end: he goes on when the database is open again. */
  get #hasReadersBehind(): boolean {
    const oldest = this.#logHolds.oldest()
    return oldest !== undefined && oldest < this.#sink.published.sequence
  }

  #makeSink(): StoreSink {
    const { space, trees, sequence, main } = this.#state
    return new StoreSink({
      log: this.#log,
      trees,
      space,
      refusals: new RefusalWriter(new AtomicsMemory(this.memory.refusals)),
      makeRoom: () => space.makeRoom(PAGES_PER_OPERATION),
      admit: (operations, bytes, hasPut) => this.#admit(operations, bytes, hasPut),
      sequence,
      address: 0,
      acknowledgedBy: this.#settings.sync === 'full' ? 'sync' : 'write',
      groupBodyBytesMax: Math.min(this.#settings.ringBytes, this.#settings.segmentBytes / 4),
      wallMs: main === undefined ? undefined : this.#environment.wallMs,
    })
  }

  #makeCheckpointer(): Checkpointer | undefined {
    const { main, segments, space } = this.#state
    if (main === undefined || segments === undefined) return undefined
    return new Checkpointer({
      main,
      space,
      log: segments,
      control: this.control,
      policy: this.#settings,
      nowMs: this.#environment.nowMs,
      published: () => this.#sink.published,
      keepFromLsn: () =>
        keepFromLsn(segments, this.#logHolds, main.meta, this.#settings.keepLogBytes),
    })
  }

  /** Before a command is applied: half of the cache is what one command may fill at once. */
  #admit(operations: number, bytes: number, hasPut: boolean): void {
    const { space, main } = this.#state
    const pages =
      PAGES_PER_OPERATION + operations * PAGES_RECKONED + Math.ceil(bytes / BYTES_PER_PAGE)
    const frames = this.#settings.cacheBytes / PAGE_BYTES
    if (main !== undefined) space.makeRoom(Math.min(pages, Math.floor(frames / 2)))
    else space.makeRoom(hasPut ? pages + PAGES_TO_DELETE : pages)
  }

  #upkeep(worked: boolean): boolean {
    const { space } = this.#state
    const admitted = space.admitWanted()
    this.#revokeOldPins()
    let kept = this.#checkpointer?.step() === true
    if (kept) this.#watermarks.wakeAll()
    else if (this.control.checkpointWanted) this.#answerWithoutFile()
    // A group that is not synced yet must not be published by upkeep.
    if (!worked && !this.#settings.readOnly && this.#sink.isSettled) {
      space.makeRoom(PAGES_PER_OPERATION)
      if (this.#sink.reclaimDropped(DROP_PAGES_PER_STEP)) kept = true
    }
    return kept || admitted
  }

  /** In memory, and for reading only, there is nothing that a checkpoint would do. */
  #answerWithoutFile(): void {
    if (this.#checkpointer !== undefined) return
    this.control.checkpointDone(this.control.checkpointsWanted)
    this.#watermarks.wakeAll()
  }

  #revokeOldPins(): void {
    const nowMs = this.#environment.nowMs()
    if (nowMs - this.#lastRevocationMs < REVOKE_INTERVAL_MS) return
    this.#lastRevocationMs = nowMs
    this.#state.space.revokePinsOlderThan(this.#settings.snapshotAgeMaxMs, nowMs)
  }

  #prepare(): boolean {
    try {
      return !this.#settings.readOnly && this.#log.prepareStep()
    } catch (error) {
      this.#fail(error)
      return false
    }
  }

  get #checkpointDueMs(): number {
    return this.#checkpointer?.dueInMs ?? Number.POSITIVE_INFINITY
  }

  #hasRequests(): boolean {
    const { space } = this.#state
    const wanted = this.#failure === undefined && (this.control.checkpointWanted || space.hasWanted)
    return wanted || this.control.closeWanted || this.#watermarks.syncWanted
  }

  /** Whoever waits, and whoever comes, gets the cause. */
  #fail(error: unknown): void {
    this.#failure ??= error instanceof Error ? error : new Error(String(error))
    this.#consumer.fail(error)
  }

  #drain(): void {
    const { nowMs } = this.#environment
    const deadlineMs = nowMs() + CLOSE_WAIT_MS
    for (;;) {
      this.#consumer.drainAndSync()
      const reserved = this.#ring.ring.tailAddress
      if (this.#sink.endLsn >= reserved) return
      if (nowMs() >= deadlineMs) {
        const error = new StoreClosingError(reserved - this.#sink.endLsn, CLOSE_WAIT_MS)
        this.#fail(error)
        throw error
      }
      this.#ring.waitForRecords(CLOSE_SLICE_MS)
    }
  }

  #writeStats(): void {
    this.#statsMs = this.#environment.nowMs()
    this.#statsDue = false
    this.#stats.write(
      countersOf({
        state: this.#state,
        sink: this.#sink,
        log: this.#log,
        ring: this.#ring.ring,
        ringUsedBytesMax: this.#ringUsedBytesMax,
        checkpointer: this.#checkpointer,
        ages: this.#ages,
        holds: this.#logHolds,
        nowMs: this.#statsMs,
      }),
    )
  }

  /** Now and then: groups may be so many that counting each would be dear. */
  #keepStats(): void {
    this.#statsDue = true
    if (this.#statsDueInMs <= 0) this.#writeStats()
  }

  get #statsDueInMs(): number {
    const intervalMs = this.#statsDue ? STATS_INTERVAL_MS : IDLE_MS_MAX
    return this.#statsMs + intervalMs - this.#environment.nowMs()
  }
}

function shareMemory({ region, main }: RecoveredState, settings: StoreSettings): StoreMemory {
  const { ringBytes, threadsMax, sync, readOnly } = settings
  return {
    ring: createRing({ capacityBytes: ringBytes, slotCount: threadsMax }, 0),
    watermarks: new SharedArrayBuffer(WATERMARK_BYTES),
    refusals: new SharedArrayBuffer(refusalsBytes(threadsMax)),
    region,
    control: new SharedArrayBuffer(CONTROL_BYTES),
    stats: new SharedArrayBuffer(STATS_BYTES),
    logHolds: makeLogHolds(),
    log: main && { logId: main.meta.logId, baseSequence: main.meta.baseSequence },
    sync,
    readOnly,
  }
}

function flushPolicyOf({ sync, maxWaitMs }: StoreSettings): FlushPolicy {
  if (sync === 'off') return { kind: 'manual' }
  return maxWaitMs === 0 ? { kind: 'each' } : { kind: 'group', maxWaitMs }
}
