/**
 * The growing end of the log: writes groups into the last segment, syncs it, rotates, cuts, releases.
 * Holds invariants L1 to L5 of segmented-log.ts. One thread.
 */
import { LogClosedError, LogPoisonedError, LogTooLargeError } from './errors.ts'
import { GroupEncoder, genesisChecksum } from './group.ts'
import {
  GROUP_ALIGNMENT_BYTES,
  GROUP_BODY_BYTES_MAX,
  groupBytes,
  SEGMENT_FIRST_GROUP_OFFSET,
  TERMINATOR_BYTES,
} from './layout.ts'
import type { LogPosition } from './log-follower.ts'
import type { LogFile, LogStore } from './log-store.ts'
import { type Lsn, lsnOf } from './lsn.ts'
import type { LiveSegment, RecoveredLog } from './recovery.ts'
import { type SegmentHeader, segmentName } from './segment.ts'
import { SegmentPool, segmentBytesFor } from './segment-pool.ts'
import type { CheckedOptions } from './segmented-log-options.ts'

export interface WrittenGroup {
  readonly epoch: number
  readonly firstLsn: Lsn
  readonly endLsn: Lsn
  readonly firstSequence: number
}

/** Where a segment that begins at some LSN takes up the chain. */
export interface CutLink {
  readonly sequence: number
  readonly previous: number
}

const TERMINATOR: Buffer = Buffer.alloc(TERMINATOR_BYTES)

export class GroupWriter {
  readonly pool: SegmentPool
  readonly #store: LogStore
  readonly #logId: Uint8Array
  readonly #segmentBytes: number
  readonly #encoder: GroupEncoder
  readonly #parts: Uint8Array[] = []
  #segments: LiveSegment[]
  #active: LogFile | undefined
  #position = 0
  #epoch: number
  #sequence: number
  #previous: number
  #writtenLsn: Lsn
  #durableLsn: Lsn
  #durableEpoch: number
  #cuts = 0
  #poison: LogPoisonedError | undefined
  #groups = 0
  #records = 0
  #aborted = 0
  #bodyBytes = 0
  #syncs = 0
  #rotations = 0

  /** Stands at the end of what was recovered; touches the folder unless the log is read-only. */
  constructor(
    store: LogStore,
    options: CheckedOptions,
    recovered: RecoveredLog,
    logId: Uint8Array,
  ) {
    const { link, segments } = recovered
    this.#store = store
    this.#logId = logId
    this.#segmentBytes = options.segmentBytes
    this.#encoder = new GroupEncoder(logId)
    this.pool = new SegmentPool(store, options.segmentBytes, options.sparesMax)
    this.#segments = segments
    this.#epoch = link.epoch
    this.#sequence = link.sequence
    this.#previous = segments.length === 0 ? genesisChecksum(logId) : link.previous
    this.#writtenLsn = lsnOf(link.lsn)
    this.#durableLsn = this.#writtenLsn
    this.#durableEpoch = link.epoch - 1
    if (!options.readOnly) this.#takeOver(recovered)
  }

  /** Puts the folder in order and stands at the log's end. */
  #takeOver({ voidSegments, sealed, resumed }: RecoveredLog): void {
    const last = this.#segments.at(-1)
    this.pool.adopt(last !== undefined, resumed)
    for (const { name, segmentBytes } of voidSegments) this.pool.recycle(name, segmentBytes)
    if (last === undefined || sealed) {
      this.#startSegment({ ...this.#nextHeader(0), cut: sealed })
    } else {
      this.#active = this.#store.open(last.name)
      this.#position = last.endPosition
    }
  }

  get segments(): readonly LiveSegment[] {
    return this.#segments
  }

  get writtenLsn(): Lsn {
    return this.#writtenLsn
  }

  get durableLsn(): Lsn {
    return this.#durableLsn
  }

  get durableEpoch(): number {
    return this.#durableEpoch
  }

  get nextEpoch(): number {
    return this.#epoch
  }

  get nextSequence(): number {
    return this.#sequence
  }

  get cuts(): number {
    return this.#cuts
  }

  get poison(): LogPoisonedError | undefined {
    return this.#poison
  }

  /** Where the next group goes, unless it needs another segment. */
  get position(): LogPosition {
    const { name } = this.#segments.at(-1)!
    const link = {
      epoch: this.#epoch,
      lsn: this.#writtenLsn,
      sequence: this.#sequence,
      previous: this.#previous,
    }
    return { segment: name, byteOffset: this.#position, link }
  }

  counts(): GroupCounts {
    return {
      groups: this.#groups,
      records: this.#records,
      aborted: this.#aborted,
      bodyBytes: this.#bodyBytes,
      syncs: this.#syncs,
      rotations: this.#rotations,
    }
  }

  /**
   * Writes one group; does not sync. The runs are not copied.
   * @param bodyBytes what `checkedBodyBytes` said of them
   */
  write(
    runs: readonly Uint8Array[],
    bodyBytes: number,
    recordCount: number,
    abortedCount: number,
  ): WrittenGroup {
    const lengthBytes = groupBytes(bodyBytes, 1)
    const segment = this.#segmentFor(lengthBytes)
    const { header, certificate } = this.#encoder
    const epoch = this.#epoch
    const firstLsn = this.#writtenLsn
    const firstSequence = this.#sequence
    const checksum = this.#encoder.encode(
      epoch,
      firstSequence,
      firstLsn,
      this.#durableEpoch,
      this.#previous,
      recordCount,
      abortedCount,
      runs,
    )
    const endPosition = this.#position + lengthBytes
    const terminated = endPosition + TERMINATOR_BYTES <= segment.header.segmentBytes
    this.#parts.length = 0
    this.#parts.push(header, ...runs, certificate)
    if (terminated) this.#parts.push(TERMINATOR)
    try {
      this.#file().writeAt(this.#position, this.#parts)
    } catch (error) {
      throw this.#poisoned(error)
    }
    this.#position = endPosition
    this.#previous = checksum
    this.#epoch = epoch + 1
    this.#sequence = firstSequence + recordCount
    this.#writtenLsn = lsnOf(firstLsn + bodyBytes)
    segment.endLsn = this.#writtenLsn
    segment.endPosition = endPosition
    segment.lastEpoch = epoch
    this.#groups++
    this.#records += recordCount
    this.#aborted += abortedCount
    this.#bodyBytes += bodyBytes
    return { epoch, firstLsn, endLsn: this.#writtenLsn, firstSequence }
  }

  /** Makes what was written durable. No call when it is already. */
  sync(): void {
    if (this.#durableLsn === this.#writtenLsn) return
    try {
      this.#file().sync()
    } catch (error) {
      throw this.#poisoned(error)
    }
    this.#syncs++
    this.#durableLsn = this.#writtenLsn
    this.#durableEpoch = this.#epoch - 1
  }

  /** Lets go of the oldest segment; the last one is never asked for. */
  releaseFirst(): void {
    const first = this.#segments[0]
    if (first === undefined) return
    first.released = true
    this.#segments.shift()
    this.#guard(() => this.pool.recycle(first.name, first.header.segmentBytes))
  }

  close(): void {
    this.#active?.close()
    this.#active = undefined
    this.pool.close()
  }

  /** The last segment, with room for a group of that length. */
  #segmentFor(lengthBytes: number): LiveSegment {
    const last = this.#segments.at(-1)
    if (last !== undefined && this.#position + lengthBytes <= last.header.segmentBytes) return last
    this.sync()
    this.#rotations++
    return this.#guard(() => this.#startSegment(this.#nextHeader(lengthBytes)))
  }

  #nextHeader(lengthBytes: number): SegmentHeader {
    return {
      firstEpoch: this.#epoch,
      firstLsn: this.#writtenLsn,
      firstSequence: this.#sequence,
      segmentBytes: segmentBytesFor(lengthBytes, this.#segmentBytes),
      logId: this.#logId,
      previous: this.#previous,
      cut: false,
    }
  }

  /**
   * All that was written before is synced. Replaces an empty segment of the same first epoch, of which
   * it keeps the cut.
   */
  #startSegment(wanted: SegmentHeader): LiveSegment {
    const last = this.#segments.at(-1)
    const replaced = last?.header.firstEpoch === wanted.firstEpoch ? last : undefined
    const header = { ...wanted, cut: wanted.cut || replaced?.header.cut === true }
    this.#active?.close()
    this.#active = undefined
    this.#active = this.pool.createSegment(header)
    this.#position = SEGMENT_FIRST_GROUP_OFFSET
    if (replaced !== undefined) {
      replaced.released = true
      this.#segments.pop()
    }
    const segment: LiveSegment = {
      name: segmentName(header.firstEpoch),
      header,
      endLsn: header.firstLsn,
      endPosition: SEGMENT_FIRST_GROUP_OFFSET,
      lastEpoch: header.firstEpoch - 1,
      released: false,
    }
    this.#segments.push(segment)
    return segment
  }

  /** The new segment is the point of no return; then the void ones are released. */
  cut(lsn: Lsn, { sequence, previous }: { sequence: number; previous: number }): void {
    this.#guard(() => {
      const header = {
        ...this.#nextHeader(0),
        firstLsn: lsn,
        firstSequence: sequence,
        previous,
        cut: true,
      }
      const started = this.#startSegment(header)
      const before = this.#segments.slice(0, -1)
      const voided = before.filter((segment) => segment.header.firstLsn >= lsn)
      const kept = before.filter((segment) => segment.header.firstLsn < lsn)
      for (const segment of voided) segment.released = true
      for (const segment of kept) segment.endLsn = lsnOf(Math.min(segment.endLsn, lsn))
      this.#segments = [...kept, started]
      this.#cuts++
      this.#sequence = sequence
      this.#previous = previous
      this.#writtenLsn = lsn
      this.#durableLsn = lsn
      for (const { name, header } of voided) this.pool.recycle(name, header.segmentBytes)
    })
  }

  #file(): LogFile {
    if (this.#active === undefined) throw new LogClosedError(this.#store.location)
    return this.#active
  }

  /** Runs a change of files; its failure poisons. */
  #guard<T>(change: () => T): T {
    try {
      return change()
    } catch (error) {
      throw this.#poisoned(error)
    }
  }

  #poisoned(cause: unknown): LogPoisonedError {
    this.#poison ??= new LogPoisonedError(this.#store.location, cause)
    return this.#poison
  }
}

/** Since the log was opened. */
export interface GroupCounts {
  readonly groups: number
  readonly records: number
  readonly aborted: number
  readonly bodyBytes: number
  /** Syncs of groups; those of new segments and of the folder not counted. */
  readonly syncs: number
  readonly rotations: number
}

/**
 * How many bytes the runs of a group have.
 * @throws TypeError, RangeError or LogTooLargeError for what can be no group
 */
export function checkedBodyBytes(
  runs: readonly Uint8Array[],
  recordCount: number,
  abortedCount: number,
): number {
  let bodyBytes = 0
  for (const run of runs) {
    if (!(run instanceof Uint8Array)) throw new TypeError('a run is a Uint8Array')
    bodyBytes += run.length
  }
  if (bodyBytes === 0 || bodyBytes % GROUP_ALIGNMENT_BYTES !== 0) {
    throw new RangeError(
      `a body has a multiple of ${GROUP_ALIGNMENT_BYTES} bytes, not ${bodyBytes}`,
    )
  }
  if (bodyBytes > GROUP_BODY_BYTES_MAX) {
    throw new LogTooLargeError('group', bodyBytes, GROUP_BODY_BYTES_MAX)
  }
  const framesMax = bodyBytes / GROUP_ALIGNMENT_BYTES
  const frames = recordCount + abortedCount
  const whole = Number.isInteger(recordCount) && Number.isInteger(abortedCount)
  if (!whole || recordCount < 0 || abortedCount < 0 || frames < 1 || frames > framesMax) {
    throw new RangeError(
      `${recordCount} records and ${abortedCount} aborted in ${bodyBytes} bytes: from 1 to ${framesMax} frames`,
    )
  }
  return bodyBytes
}
