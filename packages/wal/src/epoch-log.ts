/**
 * Commits gathered into epochs, each one group of the log.
 *
 * One thread. The log is this object's alone: an epoch's number is that of the group it becomes.
 *
 * Invariants
 *  E1 A record is checked whole before the batch, and long before any file, is touched.
 *  E2 Within an epoch records stand in order of their commit sequences, whatever order they came in;
 *     across epochs sequences rise. So replay in epoch order lets later commits win.
 *  E3 A batch leaves this object only when its group was written and, under `full`, synced. If that
 *     fails the batch is kept, and `unwritten` gives it back.
 *
 * After a failed sync the group may or may not be in the reopened log: `resubmit` takes only what is
 * not.
 */
import {
  type CommitRecord,
  checkCommitRecord,
  commitRecordBytes,
  decodeCommitRecord,
  encodeCommitRecord,
} from './commit-record.ts'
import { LogEpochError, LogTimeoutError, LogTooLargeError } from './errors.ts'
import { frameBytesOf, writeFrameHeader } from './frame.ts'
import type { SegmentedLog } from './segmented-log.ts'

/** Clock and timers, handed in. `after` returns what cancels. */
export interface LogTimers {
  nowMs(): number
  after(delayMs: number, run: () => void): () => void
}

export interface EpochLogOptions {
  readonly timers: LogTimers
  /** The largest after-image. Default 64 MiB. */
  readonly imageBytesMax?: number
}

interface Waiter {
  readonly epoch: number
  readonly resolve: () => void
  readonly reject: (reason: unknown) => void
  readonly cancel: () => void
}

const IMAGE_BYTES_MAX = 64 * 1024 * 1024

export class EpochLog {
  readonly log: SegmentedLog
  readonly #timers: LogTimers
  readonly #imageBytesMax: number
  #batch: CommitRecord[] = []
  #batchBytes = 0
  #sealedSequence: number
  #waiters: Waiter[] = []
  #intervalMs: number | undefined
  #cancelTick: (() => void) | undefined

  /** Reads the log's last segment to learn the last commit sequence. */
  constructor(log: SegmentedLog, options: EpochLogOptions) {
    this.log = log
    this.#timers = options.timers
    this.#imageBytesMax = Math.min(
      options.imageBytesMax ?? IMAGE_BYTES_MAX,
      log.options.recordLengthMaxBytes,
    )
    this.#sealedSequence = lastCommitSequence(log)
  }

  /** The epoch that the next record goes into. */
  get openEpoch(): number {
    return this.log.nextEpoch
  }

  /** Records submitted and not written. */
  get backlogRecords(): number {
    return this.#batch.length
  }

  get backlogBytes(): number {
    return this.#batchBytes
  }

  /** The highest commit sequence of the epochs that were written. */
  get sealedSequence(): number {
    return this.#sealedSequence
  }

  /**
   * Adds a record to the open epoch.
   * @returns the epoch
   * @throws LogEpochError for another epoch, or for sequences that are taken; LogTooLargeError
   */
  submit(record: CommitRecord): number {
    return this.submitAll([record])
  }

  /** All of them or none: one that is refused refuses the batch. */
  submitAll(records: readonly CommitRecord[]): number {
    this.log.assertReadable()
    let addedBytes = 0
    for (const record of records) {
      checkCommitRecord(record, this.#imageBytesMax)
      this.#assertEpoch(record)
      addedBytes += frameBytesOf(commitRecordBytes(record))
    }
    const bytesMax = this.log.groupBodyBytesMax
    if (this.#batchBytes + addedBytes > bytesMax) {
      throw new LogTooLargeError('epoch', this.#batchBytes + addedBytes, bytesMax)
    }
    this.#batch = this.#merged(records)
    this.#batchBytes += addedBytes
    this.#arm()
    return this.openEpoch
  }

  /**
   * Writes the open epoch as one group, and syncs it under `full`.
   * @returns the epoch; undefined when nothing was submitted: an idle epoch stays open
   */
  seal(): number | undefined {
    this.#disarm()
    if (this.#batch.length === 0) return undefined
    const epoch = this.openEpoch
    try {
      this.log.writeGroup([this.#encodeBatch()], this.#batch.length, 0)
      this.log.acknowledge()
    } catch (error) {
      this.#rejectAll(error)
      throw error
    }
    this.#sealedSequence = this.#batch.at(-1)?.lastSequence ?? this.#sealedSequence
    this.#batch = []
    this.#batchBytes = 0
    this.#resolveDurable()
    return epoch
  }

  /**
   * Seals by itself: at the latest `intervalMs` after the first record of an epoch. Without records
   * no timer is set. A failure goes to all waiters, to the next call and into `unwritten`.
   * @returns false when it was running already
   */
  start(intervalMs: number): boolean {
    if (!(intervalMs >= 0)) throw new RangeError(`intervalMs is from 0, not ${intervalMs}`)
    if (this.#intervalMs !== undefined) return false
    this.#intervalMs = intervalMs
    if (this.#batch.length > 0) this.#arm()
    return true
  }

  /** What is submitted stays for `seal` or the next `start`. Returns false when it was not running. */
  stop(): boolean {
    if (this.#intervalMs === undefined) return false
    this.#intervalMs = undefined
    this.#disarm()
    return true
  }

  /**
   * Resolves once the epoch is on stable storage. Syncs when it was written already.
   * @throws LogTimeoutError; LogPoisonedError when it cannot be any more
   */
  async waitForEpochDurable(epoch: number, timeoutMs: number): Promise<void> {
    if (!Number.isSafeInteger(epoch) || epoch < 1 || epoch > this.openEpoch) {
      throw new RangeError(`epoch ${epoch} was not given out: the open one is ${this.openEpoch}`)
    }
    if (epoch <= this.log.durableEpoch) return
    this.log.assertReadable()
    if (epoch < this.openEpoch) {
      this.log.sync()
      this.#resolveDurable()
      return
    }
    await new Promise<void>((resolve, reject) => this.#wait(epoch, timeoutMs, resolve, reject))
  }

  /** What was submitted and never acknowledged: not empty only before a seal, or after a failure. */
  unwritten(): CommitRecord[] {
    return [...this.#batch]
  }

  /**
   * Takes over what another, failed, log could not write.
   * @returns the records that turned out to be in this log already
   */
  resubmit(records: readonly CommitRecord[]): CommitRecord[] {
    const isThere = ({ lastSequence }: CommitRecord): boolean =>
      lastSequence <= this.#sealedSequence
    const epoch = this.openEpoch
    const missing = records.filter((record) => !isThere(record))
    this.submitAll(missing.map((record) => withEpoch(record, epoch)))
    return records.filter(isThere)
  }

  #assertEpoch(record: CommitRecord): void {
    const { epoch, firstSequence, transactionId } = record
    if (epoch !== this.openEpoch) {
      const mismatch = { what: 'record epoch', expected: this.openEpoch, actual: epoch }
      throw new LogEpochError(mismatch, { transactionId })
    }
    if (firstSequence <= this.#sealedSequence) {
      const expected = `above ${this.#sealedSequence}, which is written`
      const mismatch = { what: 'commit sequence', expected, actual: firstSequence }
      throw new LogEpochError(mismatch, { transactionId })
    }
  }

  #merged(records: readonly CommitRecord[]): CommitRecord[] {
    const merged = [...this.#batch, ...records].sort((a, b) => a.firstSequence - b.firstSequence)
    for (let index = 1; index < merged.length; index++) {
      const [before, record] = [merged[index - 1], merged[index]]
      if (before === undefined || record === undefined) continue
      if (record.firstSequence > before.lastSequence) continue
      const expected = `above ${before.lastSequence} of transaction ${before.transactionId}`
      const mismatch = { what: 'commit sequence', expected, actual: record.firstSequence }
      throw new LogEpochError(mismatch, { transactionId: record.transactionId })
    }
    return merged
  }

  #encodeBatch(): Buffer {
    const body = Buffer.alloc(this.#batchBytes)
    let at = 0
    for (const record of this.#batch) {
      const lengthBytes = commitRecordBytes(record)
      encodeCommitRecord(record, body, writeFrameHeader(body, at, lengthBytes))
      at += frameBytesOf(lengthBytes)
    }
    return body
  }

  #arm(): void {
    if (this.#intervalMs === undefined || this.#cancelTick !== undefined) return
    if (this.#batch.length === 0) return
    this.#cancelTick = this.#timers.after(this.#intervalMs, () => this.#tick())
  }

  #disarm(): void {
    this.#cancelTick?.()
    this.#cancelTick = undefined
  }

  #tick(): void {
    this.#cancelTick = undefined
    try {
      this.seal()
    } catch (error) {
      // Nobody called, so nobody can catch it; the waiters have it, and the log throws it from now on.
      this.#rejectAll(error)
    }
  }

  #wait(
    epoch: number,
    timeoutMs: number,
    resolve: () => void,
    reject: (reason: unknown) => void,
  ): void {
    const cancel = this.#timers.after(timeoutMs, () => {
      this.#waiters = this.#waiters.filter((entry) => entry !== waiter)
      reject(new LogTimeoutError(epoch, this.log.durableEpoch, timeoutMs, 'epoch'))
    })
    const waiter: Waiter = { epoch, resolve, reject, cancel }
    this.#waiters.push(waiter)
  }

  /** Under `normal` and `off` somebody who waits for durability pays for a sync. */
  #resolveDurable(): void {
    if (this.#waiters.some(({ epoch }) => epoch < this.openEpoch)) this.log.sync()
    const { durableEpoch } = this.log
    const done = this.#waiters.filter(({ epoch }) => epoch <= durableEpoch)
    this.#waiters = this.#waiters.filter(({ epoch }) => epoch > durableEpoch)
    for (const { resolve, cancel } of done) {
      cancel()
      resolve()
    }
  }

  #rejectAll(error: unknown): void {
    const waiters = this.#waiters
    this.#waiters = []
    for (const { reject, cancel } of waiters) {
      cancel()
      reject(error)
    }
  }
}

function withEpoch(record: CommitRecord, epoch: number): CommitRecord {
  return { ...record, epoch }
}

/** Sequences rise along the log, so the last record has the highest. 0 in an empty log. */
function lastCommitSequence(log: SegmentedLog): number {
  let last = 0
  const filled = log.listSegments().filter(({ firstLsn, endLsn }) => endLsn > firstLsn)
  const from = filled.at(-1)?.firstLsn
  if (from === undefined) return last
  for (const { record, epoch } of log.read(from)) {
    last = Math.max(last, decodeCommitRecord(record, epoch).lastSequence)
  }
  return last
}
