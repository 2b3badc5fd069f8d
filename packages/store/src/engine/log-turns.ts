/**
 * Taking turns with other processes at one log and one main file: docs/PROTOCOL.md has the whole of it.
 *
 *   begin: catch up with what others logged, take the log over, adopt their checkpoint
 *   (ours): log, publish, say how far it is
 *   end: say how far it is, let go of the log
 *   (theirs): follow: apply what they have acknowledged, and say what is still needed here
 *
 * Threads: the sequencer's. Whoever calls `begin` holds the writer lock until after `end`.
 *
 * Invariants
 *  T1 Whose turn it is has applied the whole log, and nobody else appends.
 *  T2 What `readHead` says is acknowledged: durable under `full`. Nobody applies anything behind it, but for the one whose
 *     turn begins, who makes it durable first.
 *  T3 A page id is taken, and a segment of the log released, only when no process needs what was there.
 *
 * Crash: whoever dies in his turn leaves a log that the next one recovers, as after a crash of the machine.
 */
import {
  LogFollower,
  type LogGroup,
  type LogStore,
  SegmentedLog,
  type SegmentedLogOptions,
} from '@ringbolt/wal'
import { StoreCorruptError } from '../errors.ts'
import { GroupApplier } from '../sequencer/group-applier.ts'
import type { StoreSink } from '../sequencer/store-sink.ts'
import type { MainFile } from '../space/main-file.ts'
import type { SharedSpace } from '../space/shared-space.ts'
import { VERSIONS_SPAN } from '../space/versions.ts'
import type { Trees } from '../tree/trees.ts'
import type { Checkpointer } from './checkpointer.ts'
import type { Control } from './control.ts'
import { NoLog, type TimedLog } from './engine-log.ts'
import type { LogHolds } from './log-holds.ts'
import type { Neighbours, NeighboursNeeds } from './neighbours.ts'
import { logTag, type SharedHead } from './shared-head.ts'
import type { VersionHistory } from './version-history.ts'

export interface LogTurnsParts {
  readonly main: MainFile
  readonly space: SharedSpace
  readonly trees: Trees
  readonly sink: StoreSink
  /** What the sink writes to. */
  readonly timedLog: TimedLog
  readonly checkpointer: Checkpointer
  readonly control: Control
  readonly neighbours: Neighbours
  /** Of those who read the log in this process. */
  readonly logHolds: LogHolds
  readonly logStore: LogStore
  readonly logOptions: SegmentedLogOptions & { readonly logId: Uint8Array }
  /** Of what recovery went through. */
  readonly history: VersionHistory
  /** As it was opened: the first turn is ours. */
  readonly log: SegmentedLog
}

export class LogTurns {
  readonly #parts: LogTurnsParts
  readonly #applier: GroupApplier
  readonly #history: VersionHistory
  /** While it is our turn. */
  #log: SegmentedLog | undefined
  /** While it is not. */
  #follower: LogFollower | undefined
  /** What was free when our turn began may be needed by those who have not come so far. */
  #begunLsn: number
  #stated: NeighboursNeeds | undefined
  #saidCheckpoint: number | undefined
  /** Up to where the log is acknowledged: what is written may go further, while it waits for others to share its sync. */
  #acknowledged: { readonly lsn: number; readonly epoch: number }

  constructor(parts: LogTurnsParts) {
    this.#parts = parts
    this.#applier = new GroupApplier(parts.space, parts.trees)
    this.#log = parts.log
    this.#history = parts.history
    this.#begunLsn = parts.log.writtenLsn
    this.#acknowledged = endOf(parts.log)
    // Others may be there already, at older states.
    parts.main.pageIds.beCautious(true)
    this.#reachPageEnd()
    parts.control.setTurn(true)
    this.keep()
    this.say()
  }

  get isOurs(): boolean {
    return this.#log !== undefined
  }

  get ownLog(): SegmentedLog | undefined {
    return this.#log
  }

  /** The log, while it is our turn. */
  get log(): SegmentedLog {
    if (this.#log === undefined) throw new Error('the log is not ours to write')
    return this.#log
  }

  /** Up to where all others have read the log. */
  get keepLogFrom(): number {
    return this.#parts.neighbours.needs().reachedLsn
  }

  /** The writer lock is held. @throws what recovery throws */
  begin(): void {
    const { neighbours, timedLog, main, control } = this.#parts
    const follower = this.#following
    this.#followTo(neighbours.readHead())
    const log = this.#takeOver(follower)
    follower.close()
    this.#follower = undefined
    this.#log = log
    timedLog.use(log)
    this.#adoptCheckpoint(true)
    this.#reachPageEnd()
    this.#begunLsn = log.writtenLsn
    this.#acknowledged = endOf(log)
    main.pageIds.beCautious(false)
    this.keep()
    this.say()
    control.followed(log.nextEpoch)
    control.setTurn(true)
  }

  /** Everything is settled; the lock is given back afterwards. */
  end(): void {
    const { control, main, space, timedLog, logStore, logOptions } = this.#parts
    const { log } = this
    // From here on readers look what others say.
    control.followed(log.nextEpoch)
    control.setTurn(false)
    this.say()
    this.#log = undefined
    this.#follower = new LogFollower(logStore, logOptions.logId, log.handOver())
    timedLog.use(new NoLog())
    main.pageIds.beCautious(false)
    space.keepFrom(undefined)
    this.state()
  }

  /** Something failed: what was said is all that is published here, and others go on. */
  giveUp(): void {
    const { control } = this.#parts
    if (this.isOurs) control.followed(this.#acknowledged.epoch)
    control.setTurn(false)
  }

  /** Not our turn: applies what others have acknowledged. @returns whether there was anything */
  follow(): boolean {
    const { control, neighbours } = this.#parts
    control.takeFreshWanted()
    const head = neighbours.readHead()
    const before = this.#following.position.link.epoch
    this.#followTo(head)
    const { epoch } = this.#following.position.link
    if (head !== undefined && head.checkpoint !== this.#parts.main.meta.checkpoint) {
      this.#adoptCheckpoint(false)
    }
    control.followed(epoch)
    this.state()
    return epoch !== before
  }

  /** Our turn, after each step: what others need bounds what may be used again. */
  keep(): void {
    const { neighbours, space, main } = this.#parts
    if (main.meta.checkpoint !== this.#saidCheckpoint) this.say()
    const { oldestLsn, reachedLsn } = neighbours.needs()
    if (reachedLsn === Number.POSITIVE_INFINITY) {
      space.keepFrom(undefined)
      main.pageIds.relax()
      this.#history.forgetBefore(this.log.writtenLsn)
      return
    }
    const ancient = (space.publishedVersion - VERSIONS_SPAN / 2) | 0
    space.keepFrom(this.#history.versionAt(oldestLsn) ?? ancient)
    if (oldestLsn >= this.#begunLsn) main.pageIds.relax()
    this.state()
  }

  /** Our turn: a state was published. */
  published(): void {
    const { space, sink } = this.#parts
    this.#acknowledged = endOf(this.log)
    const { lsn } = this.#acknowledged
    this.#history.add(lsn, space.publishedVersion, sink.published.sequence)
    this.say()
  }

  /** Our turn: says to all how far it is. */
  say(): void {
    const { log } = this
    const { neighbours, main } = this.#parts
    this.#saidCheckpoint = main.meta.checkpoint
    neighbours.writeHead({
      ...this.#acknowledged,
      checkpoint: main.meta.checkpoint,
      pageEnd: main.pageIds.end,
      log: logTag(log.logId),
    })
  }

  /** Says what is needed here. */
  state(): void {
    const { neighbours, space, logHolds } = this.#parts
    // Of what nobody needs here nothing may be left that could be written to the file later.
    while (!space.reclaim());
    const positionLsn = this.#log?.writtenLsn ?? this.#following.position.link.lsn
    const read = logHolds.oldest()
    const readLsn = read === undefined ? positionLsn : this.#history.lsnAfter(read)
    const reachedLsn = Math.min(positionLsn, readLsn)
    const oldest = space.oldestVersion
    const isNewest = oldest === space.publishedVersion
    const oldestLsn = isNewest ? positionLsn : this.#history.lsnOf(oldest)
    const stated = this.#stated
    if (stated?.oldestLsn === oldestLsn && stated.reachedLsn === reachedLsn) return
    this.#stated = { oldestLsn, reachedLsn }
    neighbours.state(this.#stated)
    this.#history.forgetBefore(Math.min(oldestLsn, reachedLsn, this.#parts.main.meta.logLsn))
  }

  /** Lets go of what is open. */
  close(): void {
    this.#follower?.close()
  }

  get #following(): LogFollower {
    if (this.#follower === undefined) throw new Error('it is our turn: nobody is followed')
    return this.#follower
  }

  #followTo(head: SharedHead | undefined): void {
    const follower = this.#following
    if (head === undefined || head.epoch <= follower.position.link.epoch) return
    follower.readTo(head, (group) => this.#apply(group))
  }

  #apply({ body, firstLsn, firstSequence, recordCount }: LogGroup): void {
    const { space, trees, sink, main, logStore } = this.#parts
    const first = main.meta.baseSequence + firstSequence
    this.#applier.apply(body, first, { file: logStore.location, offset: firstLsn })
    const sequence = first + recordCount - 1
    const logLsn = firstLsn + body.length
    const version = space.seal()
    space.publish(version, sequence, trees.directory)
    this.#history.add(logLsn, version, sequence)
    sink.follow({ sequence, logLsn })
    space.reclaim()
  }

  /** A checkpoint's file ends with its last page; others may have been beyond. */
  #reachPageEnd(): void {
    const { neighbours, main } = this.#parts
    if (neighbours.needs().reachedLsn === Number.POSITIVE_INFINITY) return
    const head = neighbours.readHead()
    if (head !== undefined) main.pageIds.reach(head.pageEnd)
  }

  /** T2: what a dead writer left behind its last word is made durable before it is applied. */
  #takeOver(follower: LogFollower): SegmentedLog {
    const { logStore, logOptions } = this.#parts
    const resumed = SegmentedLog.resume(logStore, logOptions, follower.position)
    if (resumed !== undefined) return resumed
    const log = SegmentedLog.open(logStore, logOptions)
    try {
      const { lsn } = follower.position.link
      if (log.writtenLsn < lsn) {
        const place = { file: logStore.location, offset: log.writtenLsn }
        throw new StoreCorruptError(place, 'the log', `one that goes to LSN ${lsn}`, log.writtenLsn)
      }
      const head = { lsn: log.writtenLsn, epoch: log.nextEpoch }
      follower.readTo(head, (group) => this.#apply(group))
      return log
    } catch (error) {
      log.close()
      throw error
    }
  }

  /** @param isCertain nobody can be writing it just now */
  #adoptCheckpoint(isCertain: boolean): void {
    const { main, space, checkpointer } = this.#parts
    const meta = main.newestMeta()
    if (meta.checkpoint === main.meta.checkpoint) return
    // Its writer may have died before it was durable.
    if (isCertain) main.pages.sync()
    else if (meta.checkpoint !== this.#parts.neighbours.readHead()?.checkpoint) return
    // It was made while we followed, of a state that we have yet to come to.
    else if (meta.logLsn > this.#following.position.link.lsn) return
    const version = this.#history.versionAt(meta.logLsn)
    if (version === undefined || this.#history.lsnOf(version) !== meta.logLsn) {
      const place = { file: main.place, offset: 0 }
      const what = `checkpoint ${meta.checkpoint}`
      throw new StoreCorruptError(place, what, 'one of a state of this log', `LSN ${meta.logLsn}`)
    }
    const list = main.freeListOf(meta)
    main.adoptMeta(meta)
    checkpointer.adopted()
    // Its free list may stand where readers were seen here a moment ago.
    while (!space.reclaim());
    main.pageIds.adoptCheckpoint(version, list, space.publishedVersion)
    space.checkpointed(version)
  }
}

function endOf({ writtenLsn, nextEpoch }: SegmentedLog): { lsn: number; epoch: number } {
  return { lsn: writtenLsn, epoch: nextEpoch }
}
