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
import { LogArchive } from '../backup/log-archive.ts'
import { StoreClosingError } from '../errors.ts'
import { PAGE_BYTES } from '../page/page.ts'
import { PAGES_PER_OPERATION } from '../sequencer/apply.ts'
import { RefusalWriter, refusalsBytes } from '../sequencer/refusals.ts'
import { StoreSink } from '../sequencer/store-sink.ts'
import { Checkpointer } from './checkpointer.ts'
import { type BusyFacts, Control, controlBytes } from './control.ts'
import { TimedLog } from './engine-log.ts'
import { HeldCheckpoints, HOLDS_BYTES } from './holds.ts'
import type { LogIdentity } from './log-history.ts'
import { keepFromLsn, LogHolds, makeLogHolds } from './log-holds.ts'
import { LogTurns } from './log-turns.ts'
import type { Neighbours } from './neighbours.ts'
import type { StoreSettings } from './options.ts'
import { logOptionsOf, type RecoveredState, recoverState } from './recovery.ts'
import { StateAges } from './state-ages.ts'
import { STATS_BYTES, StatsBoard } from './stats.ts'
import { countersOf, type SharingFigures } from './stats-gathering.ts'
import type { StoreFolders } from './store-folders.ts'
import { removeStoreLog } from './store-log.ts'

export interface CoreEnvironment {
  /** Monotonic. */
  readonly nowMs: () => number
  /** Milliseconds since 1970. */
  readonly wallMs: () => number
  readonly sleep: (durationMs: number) => void
  readonly randomBytes: (count: number) => Uint8Array
  /** Other processes that may share the database; undefined: there are none. */
  readonly neighbours?: Neighbours | undefined
}

/** What the threads share. */
export interface StoreMemory {
  readonly ring: SharedArrayBuffer
  readonly watermarks: SharedArrayBuffer
  readonly refusals: SharedArrayBuffer
  readonly region: SharedArrayBuffer
  readonly control: SharedArrayBuffer
  readonly stats: SharedArrayBuffer
  readonly holds: SharedArrayBuffer
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
  readonly #archive: LogArchive | undefined
  readonly #checkpointer: Checkpointer | undefined
  /** Undefined when nobody shares the database. */
  readonly #turns: LogTurns | undefined
  readonly #stats: StatsBoard
  readonly #logHolds: LogHolds
  readonly #ages = new StateAges()
  #ringUsedBytesMax = 0
  #sharing: SharingFigures = { others: 0, turns: 0, turnWaitMs: 0, turnWaitMsMax: 0, busy: 0 }
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
    this.#archive = this.#makeArchive()
    this.#checkpointer = this.#makeCheckpointer()
    this.#turns = this.#makeTurns()
    if (this.#turns === undefined) this.control.setTurn(true)
    // The state that it was opened at is all that it will ever look at.
    if (settings.readOnly) {
      environment.neighbours?.state({ oldestLsn: 0, reachedLsn: Number.POSITIVE_INFINITY })
    }
    if (settings.readOnly) this.#ring.close()
    this.#writeStats()
  }

  /** Something went wrong: nothing is done any more but closing. */
  get isFailed(): boolean {
    return this.#failure !== undefined
  }

  /** @throws the first thing that went wrong */
  assertSound(): void {
    if (this.#failure !== undefined) throw this.#failure
  }

  /** Whether this process may write now. */
  get isTurn(): boolean {
    return this.#turns?.isOurs !== false
  }

  /** Not our turn, and there is something to do that needs it. */
  get wantsTurn(): boolean {
    if (this.#failure !== undefined || this.#settings.readOnly) return false
    const { control } = this
    const isAsked = control.checkpointWanted || control.isWriting || this.#watermarks.syncWanted
    return isAsked || this.#ring.fold() > 0
  }

  /** The writer lock is held. A failure is kept for those who wait. @returns whether it is our turn now */
  beginTurn(): boolean {
    return this.#guard(() => {
      this.#turns?.begin()
      // Transactions wait for it. Commits do not: they wait until they are acknowledged.
      if (this.control.isWriting) this.#watermarks.wakeAll()
      this.stopDraining()
    })
  }

  /** Nobody else waits for our turn to end any more. */
  stopDraining(): void {
    if (!this.control.isDraining) return
    this.control.setDraining(false)
    this.#watermarks.wakeAll()
  }

  /** For the figures: how long this turn was waited for. */
  noteTurn(waitedMs: number): void {
    const { turns, turnWaitMs, turnWaitMsMax } = this.#sharing
    this.#sharing = {
      ...this.#sharing,
      turns: turns + 1,
      turnWaitMs: turnWaitMs + waitedMs,
      turnWaitMsMax: Math.max(turnWaitMsMax, waitedMs),
    }
  }

  /** For the figures: how many processes there are beside this one. */
  noteOthers(others: number): void {
    if (others === this.#sharing.others) return
    this.#sharing = { ...this.#sharing, others }
    this.#statsDue = true
  }

  /** Our turn, and nothing is half done. */
  get mayEndTurn(): boolean {
    return this.#checkpointer?.isFinal !== true && !this.control.isWriting
  }

  /**
   * Settles everything; the lock is given back afterwards, whatever failed here.
   * @returns false when a transaction has just begun to write, which keeps the turn
   */
  endTurn(): boolean {
    const { control } = this
    if (this.#failure !== undefined) {
      this.#turns?.giveUp()
      return true
    }
    control.setTurn(false)
    if (control.isWriting) {
      control.setTurn(true)
      this.#watermarks.wakeAll()
      return false
    }
    this.#guard(() => {
      this.#consumer.settle()
      this.#turns?.end()
    })
    // Who waited for it waits for the next turn.
    this.stopDraining()
    return true
  }

  /** Not our turn: applies what others have acknowledged. @returns whether there was anything */
  follow(): boolean {
    let isNew = false
    this.#guard(() => {
      isNew = this.#turns?.follow() === true
      // Who reads changes has them before him. Nobody else waits for what others commit.
      if (isNew && this.#logHolds.oldest() !== undefined) this.#watermarks.wakeAll()
      this.#state.space.admitWanted()
      this.#revokeOldPins()
      if (isNew) this.#keepStats()
    })
    return isNew
  }

  /** Not our turn, and it could not be had in time: whoever waits for a commit hears so. */
  refuseAsBusy(why: BusyFacts): void {
    this.#guard(() => {
      const refused = this.control.setBusy(why)
      this.#sharing = { ...this.#sharing, busy: this.#sharing.busy + 1 }
      this.#sink.isBusy = true
      while (this.#consumer.step());
      this.#sink.isBusy = false
      this.control.checkpointDone(refused)
      this.#watermarks.wakeAll()
    })
  }

  #guard(work: () => void): boolean {
    if (this.#failure !== undefined) return false
    try {
      work()
      return true
    } catch (error) {
      this.fail(error)
      return false
    }
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
      this.fail(error)
      return false
    }
  }

  /** Sleeps in shared memory until there is something to do. */
  idle(durationMsMax: number = IDLE_MS_MAX): void {
    if (this.#statsDueInMs <= 0) this.#writeStats()
    const sound = this.#failure === undefined && this.isTurn
    if (sound && this.#prepare()) return
    const dueMs = sound
      ? Math.min(this.#consumer.syncDueInMs, this.#checkpointDueMs)
      : durationMsMax
    const sleepMs = Math.min(dueMs, durationMsMax, this.#statsDueInMs)
    this.#ring.waitForRecords(sleepMs, () => this.#hasRequests())
  }

  /**
   * Takes no more commands, finishes those that are there, makes the last checkpoint, lets go of the log.
   * @param isLast false: other processes go on with the database
   * @throws the failure that ended it before, or what closing fails with
   */
  close(isLast = true): void {
    const { main, segments } = this.#state
    try {
      if (!this.#settings.readOnly) this.#ring.close()
      this.#watermarks.wakeAll()
      this.assertSound()
      // Whoever waits for a commit hears of it, in memory too; that it is not our turn was said before.
      this.#sink.isBusy = !this.isTurn
      if (!this.#settings.readOnly) this.#drain()
      this.#writeStats()
      if (main !== undefined && segments !== undefined && isLast) {
        const isLogDone = !this.#hasReadersBehind
        this.#checkpointer?.finishAll(isLogDone)
        this.#log.close()
        if (this.#folders !== undefined && isLogDone) {
          removeStoreLog(this.#folders, segments.logId)
        }
        main.trim()
      } else if (this.#turns?.isOurs === true) this.#turns.end()
    } finally {
      this.#turns?.close()
      this.#archive?.close()
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
      onPublished: () => this.#turns?.published(),
    })
  }

  #makeArchive(): LogArchive | undefined {
    const { main, segments } = this.#state
    const archive = this.#folders?.archive
    if (main === undefined || segments === undefined || archive === undefined) return undefined
    return new LogArchive(
      archive,
      () => this.#turns?.log ?? segments,
      main.meta,
      this.#environment.nowMs,
    )
  }

  #makeCheckpointer(): Checkpointer | undefined {
    const { main, segments, space } = this.#state
    if (main === undefined || segments === undefined) return undefined
    return new Checkpointer({
      main,
      space,
      log: () => this.#turns?.log ?? segments,
      control: this.control,
      holds: new HeldCheckpoints(new AtomicsMemory(this.memory.holds), space),
      archive: this.#archive,
      policy: this.#settings,
      nowMs: this.#environment.nowMs,
      published: () => this.#sink.published,
      keepFromLsn: () => {
        const log = this.#turns?.log ?? segments
        const own = keepFromLsn(log, this.#logHolds, main.meta, this.#settings.keepLogBytes)
        return Math.min(own, this.#turns?.keepLogFrom ?? Number.POSITIVE_INFINITY)
      },
    })
  }

  #makeTurns(): LogTurns | undefined {
    const { main, segments, space, trees, history } = this.#state
    const { neighbours } = this.#environment
    const checkpointer = this.#checkpointer
    if (neighbours === undefined || main === undefined) return undefined
    if (segments === undefined || checkpointer === undefined) return undefined
    return new LogTurns({
      main,
      space,
      trees,
      sink: this.#sink,
      timedLog: this.#log,
      checkpointer,
      control: this.control,
      neighbours,
      logHolds: this.#logHolds,
      history,
      logStore: segments.store,
      logOptions: { ...logOptionsOf(this.#settings), logId: segments.logId },
      log: segments,
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
    this.#turns?.keep()
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
      this.fail(error)
      return false
    }
  }

  get #checkpointDueMs(): number {
    return this.#checkpointer?.dueInMs ?? Number.POSITIVE_INFINITY
  }

  #hasRequests(): boolean {
    const { space } = this.#state
    const { control } = this
    const fresh = !this.isTurn && control.freshWanted
    const wanted = control.checkpointWanted || space.hasWanted || this.#watermarks.syncWanted
    const writing = !this.isTurn && control.isWriting
    return control.closeWanted || (this.#failure === undefined && (wanted || fresh || writing))
  }

  /** Whoever waits, and whoever comes, gets the cause: the first one. */
  fail(error: unknown): void {
    if (this.#failure !== undefined) return
    this.#failure = error instanceof Error ? error : new Error(String(error))
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
        this.fail(error)
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
        archive: this.#archive,
        ownLog: this.#turns === undefined ? this.#state.segments : this.#turns.ownLog,
        sharing: this.#sharing,
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
    control: new SharedArrayBuffer(controlBytes(threadsMax)),
    stats: new SharedArrayBuffer(STATS_BYTES),
    holds: new SharedArrayBuffer(HOLDS_BYTES),
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
