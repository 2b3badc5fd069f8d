/**
 * The log: groups of records in segment files, over any `LogStore`. Single-threaded, synchronous and
 * deterministic: it has no clock, no timer and no randomness of its own.
 *
 * One thread owns it; one log owns its folder (a lock outside sees to that).
 *
 * Invariants
 *  L1 durableLsn ≤ writtenLsn ≤ endLsn; durable marks move only after a sync has returned.
 *  L2 Groups that are not synced are all in the last segment: rotation syncs before it makes the next.
 *  L3 After the last group stand eight zero bytes, where there is room (unless its write was torn).
 *  L4 An epoch that a recovered group has is never given out again, not even after a cut; that of a
 *     dropped group is, once the group was overwritten, or put aside by salvage.
 *  L5 After a failed write, sync or change of the folder nothing more is accepted, and no mark moves.
 *
 * What a crash at any point leaves is in recovery.ts.
 */
import {
  LogClosedError,
  LogNotFoundError,
  type LogPoisonedError,
  LogReadOnlyError,
  LogTooLargeError,
  LogTruncatedError,
} from './errors.ts'
import { frameBytesOf, sequenceAt, writeFrame } from './frame.ts'
import { genesisChecksum } from './group.ts'
import {
  type CutLink,
  checkedBodyBytes,
  type GroupCounts,
  GroupWriter,
  type WrittenGroup,
} from './group-writer.ts'
import { GROUP_BODY_BYTES_MAX } from './layout.ts'
import type { LogPosition } from './log-follower.ts'
import { resumeAt } from './log-resume.ts'
import type { LogStore } from './log-store.ts'
import { type Lsn, lsnOf } from './lsn.ts'
import { type LiveSegment, type RecoveredLog, recover } from './recovery.ts'
import type { RecoveryReport } from './recovery-report.ts'
import {
  type CheckedOptions,
  checkOptions,
  type SegmentedLogOptions,
} from './segmented-log-options.ts'
import {
  type LogGroup,
  type LogRecord,
  type LogSource,
  readGroups,
  readRecords,
} from './segmented-log-reader.ts'

export interface SegmentInfo {
  readonly name: string
  readonly firstEpoch: number
  readonly lastEpoch: number
  readonly firstLsn: Lsn
  readonly endLsn: Lsn
  readonly segmentBytes: number
}

export interface LogStats extends GroupCounts {
  readonly segmentsCreated: number
  readonly segmentsRecycled: number
  readonly sparesReady: number
  /** Why no spare could be prepared ahead of need, when that is so. */
  readonly prepareFailure: unknown
}

const OPEN_GROUP_BYTES = 64 * 1024
const OPEN_GROUP_KEPT_BYTES = 4 * 1024 * 1024

export class SegmentedLog implements LogSource {
  readonly store: LogStore
  readonly logId: Uint8Array
  /** What opening found and repaired. */
  readonly recovery: RecoveryReport
  readonly options: CheckedOptions
  readonly #writer: GroupWriter
  #open: Buffer = Buffer.alloc(0)
  #openBytes = 0
  #openRecords = 0
  #closed = false

  /**
   * Opens a log, repairs what a crash left, or makes a new one.
   * @throws LogNotFoundError, LogCorruptError, LogForeignError, LogVersionError, LogMismatchError
   */
  static open(store: LogStore, options: SegmentedLogOptions = {}): SegmentedLog {
    const checked = checkOptions(options)
    const recovered = recover(store, {
      policy: checked.recovery,
      readOnly: checked.readOnly,
      logId: checked.logId,
    })
    const logId = checked.logId ?? recovered.logId
    if (recovered.segments.length === 0) {
      if (!checked.create && recovered.report.leftOut.length === 0) {
        throw new LogNotFoundError(store.location)
      }
      if (logId === undefined) throw new TypeError('logId: a new log needs an id of 16 bytes')
    }
    if (logId === undefined) throw new Error('a segment without a log id')
    return new SegmentedLog(store, checked, recovered, logId)
  }

  /**
   * Goes on with a log that others appended to and let go of, without reading it again. Undefined when it does not
   * end where it must: somebody died over it, and `open` has to look.
   * @param at where its last acknowledged group ends
   */
  static resume(
    store: LogStore,
    options: SegmentedLogOptions & { readonly logId: Uint8Array },
    at: LogPosition,
  ): SegmentedLog | undefined {
    const recovered = resumeAt(store, options.logId, at)
    if (recovered === undefined) return undefined
    return new SegmentedLog(store, checkOptions(options), recovered, options.logId)
  }

  private constructor(
    store: LogStore,
    options: CheckedOptions,
    recovered: RecoveredLog,
    logId: Uint8Array,
  ) {
    this.store = store
    this.logId = logId
    this.options = options
    const created = recovered.segments.length === 0 && !options.readOnly
    this.recovery = { ...recovered.report, created }
    this.#writer = new GroupWriter(store, options, recovered, logId)
  }

  /** Where it ends, all that was appended being written: for those who follow it, or go on with it. */
  get position(): LogPosition {
    return this.#writer.position
  }

  /** Where the log begins: what is before was released. */
  get firstLsn(): Lsn {
    return this.#writer.segments[0]?.header.firstLsn ?? this.#writer.writtenLsn
  }

  /** Where the next frame goes. */
  get endLsn(): Lsn {
    return lsnOf(this.#writer.writtenLsn + this.#openBytes)
  }

  /** Just past the last frame that is in the file. */
  get writtenLsn(): Lsn {
    return this.#writer.writtenLsn
  }

  /** Just past the last frame that is on stable storage. */
  get durableLsn(): Lsn {
    return this.#writer.durableLsn
  }

  get durableEpoch(): number {
    return this.#writer.durableEpoch
  }

  /** The epoch of the next group to be written. */
  get nextEpoch(): number {
    return this.#writer.nextEpoch
  }

  /** Ordinal of the next record; the first record's is 1. Aborted frames don't count. */
  get nextSequence(): number {
    return this.#writer.nextSequence + this.#openRecords
  }

  /** Bytes of frames that are not on stable storage: 0 exactly when all is synced. */
  get pendingBytes(): number {
    return this.#writer.writtenLsn + this.#openBytes - this.#writer.durableLsn
  }

  /** The largest body that `writeGroup` takes. */
  get groupBodyBytesMax(): number {
    return GROUP_BODY_BYTES_MAX
  }

  get segments(): readonly LiveSegment[] {
    return this.#writer.segments
  }

  get cuts(): number {
    return this.#writer.cuts
  }

  /** The first failure, as every later call throws it; undefined while the log is sound. */
  get poisoned(): LogPoisonedError | undefined {
    return this.#writer.poison
  }

  get closed(): boolean {
    return this.#closed
  }

  /** @throws LogPoisonedError, LogClosedError */
  assertReadable(): void {
    if (this.#writer.poison !== undefined) throw this.#writer.poison
    if (this.#closed) throw new LogClosedError(this.store.location)
  }

  /**
   * Adds a record to the open group. It is in the file after `flush`, durable after `sync`.
   * @throws LogTooLargeError, RangeError for an empty record, TypeError for anything but bytes
   */
  append(record: Uint8Array): Lsn {
    this.#assertWritable('append')
    this.#assertRecord(record)
    const bytes = frameBytesOf(record.length)
    if (this.#openBytes > 0 && this.#openBytes + bytes > this.options.groupBytesMax) this.flush()
    this.#reserveOpen(bytes)
    const lsn = this.endLsn
    this.#openBytes = writeFrame(this.#open, this.#openBytes, record)
    this.#openRecords++
    return lsn
  }

  /** Appends and acknowledges: under `full` the record is on stable storage on return. */
  appendAndSync(record: Uint8Array): Lsn {
    const lsn = this.append(record)
    this.acknowledge()
    return lsn
  }

  /**
   * Writes framed bytes as one group, after the open one; does not sync. The runs may be views of
   * shared memory; they are not copied and must not change before this returns.
   * @param recordCount frames in the runs that are records; `abortedCount` the others
   */
  writeGroup(runs: readonly Uint8Array[], recordCount: number, abortedCount = 0): WrittenGroup {
    this.#assertWritable('writeGroup')
    const bodyBytes = checkedBodyBytes(runs, recordCount, abortedCount)
    this.flush()
    return this.#writer.write(runs, bodyBytes, recordCount, abortedCount)
  }

  /** Writes the open group; does not sync. */
  flush(): void {
    this.#assertWritable('flush')
    if (this.#openBytes === 0) return
    const body = this.#open.subarray(0, this.#openBytes)
    const recordCount = this.#openRecords
    this.#openBytes = 0
    this.#openRecords = 0
    this.#writer.write([body], body.length, recordCount, 0)
    if (this.#open.length > OPEN_GROUP_KEPT_BYTES) this.#open = Buffer.alloc(0)
  }

  /** Makes all that was appended durable, whatever the policy. No call when it is already. */
  sync(): void {
    this.#assertWritable('sync')
    this.flush()
    this.#writer.sync()
  }

  /** Does what the sync policy asks for before an acknowledgement. */
  acknowledge(): void {
    if (this.options.sync === 'full') this.sync()
    else this.flush()
  }

  /** Up to where records may be acknowledged under the sync policy. */
  get acknowledgedLsn(): Lsn {
    return this.options.sync === 'full' ? this.#writer.durableLsn : this.#writer.writtenLsn
  }

  /** Whether the record at that LSN is on stable storage. */
  isDurable(lsn: Lsn): boolean {
    return lsn < this.#writer.durableLsn
  }

  /** Returns once the record at that LSN is on stable storage: at once, or after one sync. */
  ensureDurable(lsn: Lsn): void {
    this.assertReadable()
    if (lsn < this.#writer.durableLsn) return
    if (lsn >= this.endLsn) throw new LogTruncatedError(lsn, this.firstLsn, this.endLsn)
    this.sync()
  }

  /**
   * The records from `from` up to `to`, in order, as far as they are written when it gets there. Holds a
   * file open until it is done: leave a loop over it by `break`, or call `return`.
   */
  read(
    from: Lsn = this.firstLsn,
    to: number = Number.POSITIVE_INFINITY,
  ): Generator<LogRecord, void, undefined> {
    return readRecords(this, from, to)
  }

  /** Whole groups, fast: bodies are views that last until the callback returns. */
  replay(onGroup: (group: LogGroup) => void, from: Lsn = this.firstLsn): void {
    for (const group of this.groups(from)) onGroup(group)
  }

  /** The same, one by one: a body lasts until the next step. Holds a file open until it is done, as `read` does. */
  *groups(from: Lsn = this.firstLsn): Generator<LogGroup, void, undefined> {
    for (const { group, liveEndLsn } of readGroups(this, from, Number.POSITIVE_INFINITY, true)) {
      const { header, body } = group
      const live = Math.min(body.length, liveEndLsn - header.firstLsn)
      const whole = live === body.length
      yield {
        epoch: header.epoch,
        firstLsn: lsnOf(header.firstLsn),
        firstSequence: header.firstSequence,
        recordCount: whole ? header.recordCount : (sequenceAt(body, live) ?? 0),
        body: whole ? body : body.subarray(0, live),
      }
    }
  }

  /**
   * One bounded step of preparing the next segment. For idle moments.
   * @returns true while there is more to do
   */
  prepareStep(): boolean {
    this.#assertWritable('prepareStep')
    return this.#writer.pool.prepareStep()
  }

  /**
   * Releases the segments that lie wholly before an LSN; never the last.
   * @returns how many
   */
  truncateBefore(lsn: Lsn): number {
    this.#assertWritable('truncateBefore')
    this.#assertPosition(lsn)
    let released = 0
    for (let first = this.segments[0]; first !== undefined; first = this.segments[0]) {
      if (this.segments.length === 1 || first.endLsn > lsn) break
      this.#writer.releaseFirst()
      released++
    }
    return released
  }

  /**
   * Cuts the log: what stands at or past `lsn` is gone for good, and `lsn` is the next record's.
   * @throws LogTruncatedError when the LSN is not in the log, RangeError inside a frame
   */
  truncateAfter(lsn: Lsn): void {
    this.#assertWritable('truncateAfter')
    this.sync()
    this.#assertPosition(lsn)
    if (lsn === this.#writer.writtenLsn) return
    this.#writer.cut(lsn, this.#linkAt(lsn))
  }

  /** Empties the log: the next record has LSN 0 and sequence 1. Epochs go on. */
  truncate(): void {
    this.#assertWritable('truncate')
    this.sync()
    this.#writer.cut(lsnOf(0), { sequence: 1, previous: genesisChecksum(this.logId) })
  }

  /** In the order of their epochs. */
  listSegments(): SegmentInfo[] {
    return this.#writer.segments.map(({ name, header, lastEpoch, endLsn }) => ({
      name,
      firstEpoch: header.firstEpoch,
      lastEpoch,
      firstLsn: header.firstLsn,
      endLsn,
      segmentBytes: header.segmentBytes,
    }))
  }

  /** The highest epoch that is on stable storage; 0 without one. */
  maxDurableEpoch(): number {
    return this.#writer.durableEpoch
  }

  /**
   * Releases the segments whose epochs are all up to `throughEpoch`: those whose records the caller has
   * applied elsewhere. What salvage put aside is not touched.
   * @returns the names of the released segments
   */
  cleanupSegments(throughEpoch: number = this.#writer.durableEpoch): string[] {
    const released = this.#writer.segments
      .slice(0, -1)
      .filter(({ lastEpoch }) => lastEpoch <= throughEpoch)
    const end = released.at(-1)?.endLsn
    if (end !== undefined) this.truncateBefore(end)
    return released.map(({ name }) => name)
  }

  stats(): LogStats {
    const { pool } = this.#writer
    return {
      ...this.#writer.counts(),
      segmentsCreated: pool.created,
      segmentsRecycled: pool.recycled,
      sparesReady: pool.readyCount,
      prepareFailure: pool.prepareFailure,
    }
  }

  /** Closes it for somebody who resumes it there, and goes on with what is being prepared. */
  handOver(): LogPosition {
    this.#writer.pool.letGo()
    this.close()
    return this.position
  }

  /** Writes what is open, syncs it unless the policy is `off`, and lets go. Idempotent. */
  close(): void {
    if (this.#closed) return
    const sound = this.#writer.poison === undefined && !this.options.readOnly
    try {
      if (sound) this.flush()
      if (sound && this.options.sync !== 'off') this.sync()
    } finally {
      this.#closed = true
      this.#writer.close()
    }
  }

  #assertWritable(operation: string): void {
    if (this.#writer.poison !== undefined || this.#closed) this.assertReadable()
    if (this.options.readOnly) throw new LogReadOnlyError(this.store.location, operation)
  }

  #assertRecord(record: Uint8Array): void {
    if (!(record instanceof Uint8Array)) throw new TypeError('a record is a Uint8Array')
    if (record.length === 0) throw new RangeError('a record has 1 byte or more, not 0')
    const { recordLengthMaxBytes } = this.options
    if (record.length > recordLengthMaxBytes) {
      throw new LogTooLargeError('record', record.length, recordLengthMaxBytes)
    }
  }

  #assertPosition(lsn: Lsn): void {
    if (lsn < this.firstLsn || lsn > this.endLsn) {
      throw new LogTruncatedError(lsn, this.firstLsn, this.endLsn)
    }
  }

  #reserveOpen(bytes: number): void {
    const needed = this.#openBytes + bytes
    if (needed <= this.#open.length) return
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, 2 * this.#open.length, OPEN_GROUP_BYTES))
    grown.set(this.#open.subarray(0, this.#openBytes))
    this.#open = grown
  }

  /** The chain's state at an LSN: what a segment that begins there says. */
  #linkAt(lsn: Lsn): CutLink {
    const segment = this.#writer.segments.find(({ endLsn }) => lsn < endLsn)
    if (segment === undefined) throw new LogTruncatedError(lsn, this.firstLsn, this.endLsn)
    let sequence = segment.header.firstSequence
    let previous = segment.header.previous
    if (lsn === segment.header.firstLsn) return { sequence, previous }
    for (const { group } of readGroups(this, segment.header.firstLsn, lsn, true)) {
      const { header, body, checksum } = group
      const records = sequenceAt(body, Math.min(body.length, lsn - header.firstLsn))
      if (records === undefined) throw new RangeError(`LSN ${lsn} is inside a frame`)
      sequence = header.firstSequence + records
      previous = checksum
    }
    return { sequence, previous }
  }
}
