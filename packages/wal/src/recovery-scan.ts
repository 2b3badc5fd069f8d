/**
 * Reads segments and says what stands there. Changes nothing and decides nothing.
 *
 * Every length and position is checked against the file's real length before use; memory is bounded
 * by the largest sound group.
 */
import type { Mismatch } from './errors.ts'
import { framesBefore, isZero } from './frame.ts'
import { type GroupHeader, hex } from './group.ts'
import { GROUP_BYTES_MIN, SEGMENT_FIRST_GROUP_OFFSET, TERMINATOR_BYTES } from './layout.ts'
import type { LogFile } from './log-store.ts'
import { idText, type SegmentHeader } from './segment.ts'
import { type Group, SegmentReader } from './segment-reader.ts'

/** What the next group must say: the state of the chain between two groups. */
export interface ChainLink {
  readonly epoch: number
  readonly lsn: number
  readonly sequence: number
  readonly previous: number
}

export function linkOfHeader(header: SegmentHeader): ChainLink {
  return {
    epoch: header.firstEpoch,
    lsn: header.firstLsn,
    sequence: header.firstSequence,
    previous: header.previous,
  }
}

export function linkAfter({ header, checksum }: Group): ChainLink {
  return {
    epoch: header.epoch + 1,
    lsn: header.firstLsn + header.bodyBytes,
    sequence: header.firstSequence + header.recordCount,
    previous: checksum,
  }
}

/** Why the scan of a segment stopped. */
export type ScanEnd =
  /** A terminator, no room for a group, the cut's LSN, or a recycled file's old group. */
  | { readonly kind: 'end' }
  | {
      readonly kind: 'bad'
      readonly byteOffset: number
      readonly mismatch: Mismatch
      readonly newer: boolean
      /** The group is sound in itself and of this log, so that no crash can have made it. */
      readonly misplaced: boolean
      readonly header: GroupHeader | undefined
    }

export interface SegmentScan {
  readonly end: ScanEnd
  /** Just past the last good group. */
  readonly position: number
  readonly link: ChainLink
  readonly groups: number
  readonly records: number
  readonly aborted: number
  /** The last epoch that a group of this segment says was synced, or that the segment implies. */
  readonly durableEpoch: number
  /** Where the groups begin that nothing proves synced. */
  readonly unprovenPosition: number
}

/**
 * Follows the chain from the segment's first group.
 * @param lsnLimit stops at this LSN, where a later segment takes over
 */
export function scanSegment(file: LogFile, header: SegmentHeader, lsnLimit: number): SegmentScan {
  const groups = scanGroups(file, header, lsnLimit)
  for (let next = groups.next(); ; next = groups.next()) if (next.done === true) return next.value
}

/** The same, group by group; one that was yielded is good up to here, its bytes last until the next. */
export function* scanGroups(
  file: LogFile,
  header: SegmentHeader,
  lsnLimit: number,
): Generator<Group, SegmentScan, undefined> {
  const limit = Math.min(file.length(), header.segmentBytes)
  const reader = new SegmentReader(file, header.logId, true)
  let link = linkOfHeader(header)
  let position = SEGMENT_FIRST_GROUP_OFFSET
  let groups = 0
  let records = 0
  let aborted = 0
  let durableEpoch = header.firstEpoch - 1
  const unproven = new UnprovenGroups()
  let end: ScanEnd | undefined
  while (end === undefined) {
    if (link.lsn >= lsnLimit) {
      end = { kind: 'end' }
      break
    }
    if (limit - position < GROUP_BYTES_MIN) {
      end = outOfRoom(header, limit, position)
      break
    }
    const terminator = reader.bytes(position, TERMINATOR_BYTES, limit)
    if (isZero(terminator)) {
      end = { kind: 'end' }
      break
    }
    const read = reader.group(position, limit)
    if (!read.ok) {
      const stale = read.header !== undefined && isStale(read.header, link)
      end = stale ? { kind: 'end' } : { kind: 'bad', misplaced: false, ...read }
      break
    }
    const { group } = read
    const mismatch = chainMismatch(group.header, header, link)
    if (mismatch !== undefined) {
      end = isStale(group.header, link)
        ? { kind: 'end' }
        : {
            kind: 'bad',
            byteOffset: position,
            mismatch,
            newer: false,
            misplaced: group.header.foreignId === undefined,
            header: group.header,
          }
      break
    }
    unproven.add(group.header.epoch, position, group.header.durableEpoch)
    durableEpoch = Math.max(durableEpoch, group.header.durableEpoch)
    groups++
    records += group.header.recordCount
    aborted += group.header.abortedCount
    link = linkAfter(group)
    position = group.endPosition
    if (link.lsn > lsnLimit) {
      const { firstLsn, firstSequence, recordCount, abortedCount } = group.header
      const before = framesBefore(group.body, lsnLimit - firstLsn)
      if (before === undefined) {
        end = { kind: 'bad', ...cutInsideFrame(group, lsnLimit) }
      } else {
        // What the cut has made void does not count.
        records -= recordCount - before.records
        aborted -= abortedCount - before.aborted
        link = { ...link, lsn: lsnLimit, sequence: firstSequence + before.records }
      }
    }
    yield group
  }
  const unprovenPosition = unproven.firstPosition ?? position
  return {
    end,
    position,
    link,
    groups,
    records,
    aborted,
    durableEpoch,
    unprovenPosition,
  }
}

/** The end by lack of room: clean only when the file has its whole length. */
function outOfRoom(header: SegmentHeader, limit: number, position: number): ScanEnd {
  if (limit === header.segmentBytes) return { kind: 'end' }
  const mismatch = { what: 'segment length', expected: header.segmentBytes, actual: limit }
  const newer = false
  return { kind: 'bad', byteOffset: position, mismatch, newer, misplaced: false, header: undefined }
}

function cutInsideFrame(group: Group, lsn: number): Omit<ScanEnd & { kind: 'bad' }, 'kind'> {
  const mismatch = { what: 'cut position', expected: "a frame's first byte", actual: lsn }
  const { position: byteOffset, header } = group
  return { byteOffset, mismatch, newer: false, misplaced: true, header }
}

/** Left by the file's earlier life. */
function isStale(group: GroupHeader, link: ChainLink): boolean {
  return group.foreignId === undefined && group.epoch < link.epoch
}

export function chainMismatch(
  group: GroupHeader,
  segment: SegmentHeader,
  link: ChainLink,
): Mismatch | undefined {
  if (group.foreignId !== undefined) {
    return { what: 'group log id', expected: idText(segment.logId), actual: group.foreignId }
  }
  if (group.epoch !== link.epoch) return differs('group epoch', link.epoch, group.epoch)
  if (group.previous !== link.previous) {
    return differs('previous checksum', hex(link.previous), hex(group.previous))
  }
  if (group.firstLsn !== link.lsn) return differs('group first LSN', link.lsn, group.firstLsn)
  if (group.firstSequence !== link.sequence) {
    return differs('group first sequence', link.sequence, group.firstSequence)
  }
  if (group.durableEpoch >= group.epoch) {
    return differs('group durable epoch', `below ${group.epoch}`, group.durableEpoch)
  }
  return undefined
}

function differs(what: string, expected: number | string, actual: number | string): Mismatch {
  return { what, expected, actual }
}

/** The groups that no later one says were synced, from the oldest. */
class UnprovenGroups {
  readonly #epochs: number[] = []
  readonly #positions: number[] = []
  #first = 0

  add(epoch: number, position: number, durableEpoch: number): void {
    while (this.#first < this.#epochs.length && (this.#epochs[this.#first] ?? 0) <= durableEpoch) {
      this.#first++
    }
    this.#epochs.push(epoch)
    this.#positions.push(position)
  }

  get firstPosition(): number | undefined {
    return this.#positions[this.#first]
  }
}
