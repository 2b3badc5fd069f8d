/**
 * What happens in a database, on channels of `node:diagnostics_channel`: for logs and metrics. `docs/MONITORING.md` has
 * names and messages.
 *
 * Where they come from. A conflict is published by the thread that met it, as it does. All others are told by figures
 * that the sequencer's thread leaves in shared memory: the thread that opened the database looks at them ten
 * times a second while one of their channels has a subscriber, and once a second whether there is one. So nothing is
 * paid for in the sequencer or on the way of a read or a commit, messages come up to a second after the
 * subscription and a tenth of a second after the fact, and several facts may share one.
 */
import { channel } from 'node:diagnostics_channel'
import type { Control } from './control.ts'
import { SLOW_SYNC_MS } from './engine-log.ts'
import type { StatsBoard } from './stats.ts'

export const EVENT_CHANNELS = {
  groups: 'ringbolt:groups',
  checkpoint: 'ringbolt:checkpoint',
  slowSync: 'ringbolt:slow-sync',
  snapshotsRevoked: 'ringbolt:snapshots-revoked',
  lockWait: 'ringbolt:lock-wait',
  busy: 'ringbolt:busy',
  failed: 'ringbolt:failed',
  conflict: 'ringbolt:conflict',
} as const

interface StoreEvent {
  /** Path of the main file; `:memory:`. */
  readonly database: string
}

/** What was committed since the last message; none while nothing was. `ringbolt:groups` */
export interface GroupsEvent extends StoreEvent {
  /** Since the last message, or since subscribers were noticed, in ms. */
  readonly intervalMs: number
  readonly groups: number
  readonly commits: number
  readonly conflicts: number
  /** Of records written to the log. */
  readonly bytes: number
  readonly syncs: number
  /** All of these syncs together, in ms. */
  readonly syncsMs: number
}

/** A checkpoint has ended; the last one, when there were several. `ringbolt:checkpoint` */
export interface CheckpointEvent extends StoreEvent {
  /** Since the last message. */
  readonly count: number
  readonly durationMs: number
  /** Of the log's records after it. */
  readonly logBytes: number
  readonly fileBytes: number
}

/** A sync of the log took `thresholdMs` or more; the last one, when there were several. `ringbolt:slow-sync` */
export interface SlowSyncEvent extends StoreEvent {
  readonly count: number
  readonly durationMs: number
  readonly thresholdMs: number
}

/** Snapshots were given up because of their age. `ringbolt:snapshots-revoked` */
export interface SnapshotsRevokedEvent extends StoreEvent {
  readonly count: number
}

/** This process waited for its turn to write, and had it. `ringbolt:lock-wait` */
export interface LockWaitEvent extends StoreEvent {
  /** Turns since the last message. */
  readonly count: number
  /** All these waits together, in ms. */
  readonly waitMs: number
}

/** Its turn was not had within `busyTimeout`: commits failed with a BusyError; the last time, when there were several. `ringbolt:busy` */
export interface BusyEvent extends StoreEvent {
  /** Since the last message. */
  readonly count: number
  readonly waitedMs: number
  /** Who had it; null: it has not said. */
  readonly holderPid: number | null
  /** Wall clock, milliseconds since 1970. */
  readonly holderSinceMs: number | null
}

/** A write or a sync has failed, or the sequencer has: nothing is committed any more. Once. `ringbolt:failed` */
export interface FailedEvent extends StoreEvent {
  readonly error: Error
}

/** Somebody else was quicker: it is tried again, or was the last time. `ringbolt:conflict`, in the thread that met it */
export interface ConflictEvent extends StoreEvent {
  /** As "update in collection users" or "the transaction". */
  readonly operation: string
  /** From 1. */
  readonly attempt: number
  /** It is given up with a ConflictError. */
  readonly isLast: boolean
}

const conflicts = channel(EVENT_CHANNELS.conflict)

/** Publishes a conflict, when somebody listens. */
export function conflictReporter(
  database: string,
): (operation: string, attempt: number, isLast: boolean) => void {
  return (operation, attempt, isLast) => {
    if (!conflicts.hasSubscribers) return
    const event: ConflictEvent = { database, operation, attempt, isLast }
    conflicts.publish(event)
  }
}

const groups = channel(EVENT_CHANNELS.groups)
const checkpoints = channel(EVENT_CHANNELS.checkpoint)
const slowSyncs = channel(EVENT_CHANNELS.slowSync)
const snapshotsRevoked = channel(EVENT_CHANNELS.snapshotsRevoked)
const lockWaits = channel(EVENT_CHANNELS.lockWait)
const busy = channel(EVENT_CHANNELS.busy)
const failed = channel(EVENT_CHANNELS.failed)
const told = [groups, checkpoints, slowSyncs, snapshotsRevoked, lockWaits, busy, failed]

const LOOK_INTERVAL_MS = 100
const SUBSCRIBER_INTERVAL_MS = 1000

export interface EventTellerParts {
  readonly database: string
  readonly board: StatsBoard
  readonly control: Pick<Control, 'busy' | 'busyCount'>
  /** What has ended the sequencer, if anything has. */
  readonly failure: () => Error | undefined
  readonly nowMs: () => number
  /** Calls back after a time, once, without keeping the process alive; returns what cancels it. */
  readonly after: (delayMs: number, callBack: () => void) => () => void
}

type Figures = ReturnType<EventTeller['look']>

/** Tells what the sequencer's figures say, while somebody listens. */
export class EventTeller {
  readonly #parts: EventTellerParts
  #seen: Figures | undefined
  #hasFailed = false
  #cancel: () => void

  constructor(parts: EventTellerParts) {
    this.#parts = parts
    this.#cancel = parts.after(0, () => this.#turn())
  }

  /** Tells what is left to tell. */
  end(): void {
    this.#cancel()
    if (this.#seen === undefined) return
    this.#tell(this.#seen)
    this.#tellFailure()
  }

  look() {
    const { board, control, nowMs } = this.#parts
    const { count, totalMs } = board.syncs.read()
    return {
      ...board.counters(),
      syncs: count,
      syncsMs: totalMs,
      // Told before the figures are written.
      busy: control.busyCount,
      atMs: nowMs(),
    }
  }

  #turn(): void {
    const isHeard = told.some(({ hasSubscribers }) => hasSubscribers)
    if (!isHeard) this.#seen = undefined
    else if (this.#seen === undefined) this.#seen = this.look()
    else this.#seen = this.#tell(this.#seen)
    if (isHeard) this.#tellFailure()
    const delayMs = isHeard ? LOOK_INTERVAL_MS : SUBSCRIBER_INTERVAL_MS
    this.#cancel = this.#parts.after(delayMs, () => this.#turn())
  }

  #tellFailure(): void {
    if (this.#hasFailed) return
    const error = this.#parts.failure()
    if (error === undefined) return
    this.#hasFailed = true
    failed.publish({ database: this.#parts.database, error } satisfies FailedEvent)
  }

  /** @returns what was told of now */
  #tell(before: Figures): Figures {
    const { database } = this.#parts
    const now = this.look()
    const since = (name: keyof Figures): number => now[name] - before[name]
    if (since('groups') > 0 || since('syncs') > 0) {
      groups.publish({
        database,
        intervalMs: since('atMs'),
        groups: since('groups'),
        commits: since('commits'),
        conflicts: since('refusedConflict'),
        bytes: since('logBytesWritten'),
        syncs: since('syncs'),
        syncsMs: since('syncsMs'),
      } satisfies GroupsEvent)
    }
    if (since('checkpoints') > 0) {
      checkpoints.publish({
        database,
        count: since('checkpoints'),
        durationMs: now.checkpointMs,
        logBytes: now.logBytes,
        fileBytes: now.filePages * 8192,
      } satisfies CheckpointEvent)
    }
    if (since('slowSyncs') > 0) {
      slowSyncs.publish({
        database,
        count: since('slowSyncs'),
        durationMs: now.slowSyncMs,
        thresholdMs: SLOW_SYNC_MS,
      } satisfies SlowSyncEvent)
    }
    if (since('pinsRevoked') > 0) {
      const event: SnapshotsRevokedEvent = { database, count: since('pinsRevoked') }
      snapshotsRevoked.publish(event)
    }
    if (since('turns') > 0) {
      lockWaits.publish({
        database,
        count: since('turns'),
        waitMs: since('turnWaitMs'),
      } satisfies LockWaitEvent)
    }
    if (since('busy') > 0) this.#tellBusy(since('busy'))
    return now
  }

  #tellBusy(count: number): void {
    const { database, control } = this.#parts
    const { waitedMs, holderPid, holderSinceMs } = control.busy
    busy.publish({
      database,
      count,
      waitedMs: waitedMs ?? 0,
      holderPid: holderPid ?? null,
      holderSinceMs: holderSinceMs ?? null,
    } satisfies BusyEvent)
  }
}
