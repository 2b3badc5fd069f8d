/**
 * Opening a log: which segments are live, where the log ends, what is to be repaired.
 *
 * Contract. Runs before anything is appended, by the one thread that owns the log. Everything up to
 * the first bad group is kept. Running it again, after a crash at any of its own calls too, gives the
 * same log.
 *
 * What stands in the files after a crash, and what becomes of it (policy `torn-tail`):
 *  C1 The crash hit a group's write. Any subset of its sectors may have arrived. If the header's first
 *     are absent, the terminator of the group before ends the log. Otherwise the group is bad, no sound
 *     header behind it says that it was synced, and it is dropped.
 *  C2 Several groups were written since the last sync, and an early one is bad while later ones are
 *     whole. The headers of all of them say `durableEpoch` below the bad one's epoch: all dropped.
 *  C3 A group is bad whose epoch some later sound header calls durable, or that a later segment
 *     follows (a segment is synced before the next one gets its name). No crash makes that: refused.
 *  C4 Whatever stands behind the end is overwritten with zeros and synced before anything is accepted,
 *     even where the log ends cleanly: of a group whose first sector is missing the rest may be there,
 *     and the first sector of the next group's write, the same epoch at the same place, would complete
 *     it. A crash in between leaves fewer of its bytes: C1, C2.
 *  C5 The last good groups may be in the page cache only, after a failed sync even in pages that the
 *     kernel calls clean and may evict at any moment. What no header proves synced is read once more,
 *     checked, written again, the very bytes that were checked, and synced.
 *  C6 The crash hit a rotation. A `.seg` name appears only after its header was synced: either the
 *     segment is there and empty, or a spare is.
 *  C7 The crash hit `truncateBefore`. Segments are released from the oldest on, each made certain
 *     before the next: what remains is a suffix.
 *  C8 The crash hit `truncateAfter`. The new segment, marked as a cut, makes void what earlier ones
 *     hold at or past its first LSN, in whatever subset they are still there; void ones are released.
 *  C9 A segment recycled since the last open holds groups of lower epochs behind its end: they are never
 *     successors, and no mixture of one with a torn new group has a sound checksum.
 *  C10 Names may be there that are not certain: the process was killed, or the folder's sync failed, after
 *     a rename. The folder is synced before anything is built on them.
 *
 * Salvage keeps the same prefix. It first removes the spares, then copies the bad segment, then renames
 * later segments, newest first, and then overwrites the bad tail: after a crash in between, the bad
 * group still stands where it stood, or nothing behind it does.
 */
import { LogCorruptError, LogVersionError, type Mismatch } from './errors.ts'
import { hex } from './group.ts'
import { SEGMENT_FIRST_GROUP_OFFSET } from './layout.ts'
import type { LogFile, LogStore } from './log-store.ts'
import { type Lsn, lsnOf } from './lsn.ts'
import {
  boundOf,
  chooseLive,
  type Headed,
  placeOf,
  type RecoveryOptions,
  readHeader,
  readHeaders,
  soundHeader,
  withFile,
} from './recovery-headers.ts'
import { putAside, removeSpares, rewriteUnproven, zeroTail } from './recovery-repair.ts'
import type { LeftOut, RecoveryPolicy, RecoveryReport } from './recovery-report.ts'
import { type ChainLink, type ScanEnd, type SegmentScan, scanSegment } from './recovery-scan.ts'
import { scanTail, type TailEvidence } from './recovery-tail.ts'
import { epochOfName, type SegmentHeader } from './segment.ts'

/** A segment that holds a part of the log. */
export interface LiveSegment {
  readonly name: string
  readonly header: SegmentHeader
  /** Just past its last live frame. */
  endLsn: Lsn
  /** Just past its last group, in the file. */
  endPosition: number
  lastEpoch: number
  /** No longer part of the log: an iterator that stands in it must stop. */
  released: boolean
}

export interface RecoveredLog {
  readonly segments: LiveSegment[]
  /** What the next group must say. */
  readonly link: ChainLink
  readonly logId: Uint8Array | undefined
  /** Segments that a cut has made void: to be released. */
  readonly voidSegments: readonly { readonly name: string; readonly segmentBytes: number }[]
  /** The last segment ends where one begins that was left out: it takes no more groups. */
  readonly sealed: boolean
  /** Taken over from a writer that let go of it in good order. */
  readonly resumed: boolean
  readonly report: RecoveryReport
}

interface Scanned {
  readonly name: string
  readonly header: SegmentHeader
  readonly scan: SegmentScan
}

/** Why the log ends before its files do. */
export interface Stop {
  readonly name: string
  readonly byteOffset: number
  readonly epoch: number
  readonly mismatch: Mismatch
  /** What may be there legitimately after a crash. */
  readonly torn: boolean
}

export function recover(store: LogStore, options: RecoveryOptions): RecoveredLog {
  // A process that died may have left names that no power failure would (C10).
  if (!options.readOnly) store.syncFolder()
  const named = readHeaders(store, options)
  const firstBad = named.findIndex(({ read }) => !read.ok)
  const bad = firstBad < 0 ? [] : named.slice(firstBad).map(({ name }) => name)
  const logId = options.logId ?? named.map(({ read }) => read.ok && read.header.logId).find(Boolean)
  const bound = boundOf(store, bad[0], logId || undefined)
  const sound = named.slice(0, named.length - bad.length).map(soundHeader)
  const { live, voided } = chooseLive(sound, bound)
  const { scanned, stop, tail } = scanAll(store, live, options, bad.length > 0, bound)
  const left = [...live.slice(scanned.length).map(({ name }) => name), ...bad]
  const leftOut =
    options.policy === 'salvage' ? aside(store, options, scanned, stop, tail, left) : []
  const last = scanned.at(-1)
  if (last !== undefined && !options.readOnly && !repairLast(store, last, tail)) {
    // The file reads differently than a moment ago (C5); each time round the log is shorter.
    return recover(store, options)
  }
  return {
    segments: scanned.map(toLive),
    link: last?.scan.link ?? emptyLink(left),
    logId: logId || undefined,
    voidSegments: voided.map(({ name, header }) => ({ name, segmentBytes: header.segmentBytes })),
    sealed: last !== undefined && tail === undefined,
    resumed: false,
    report: makeReport(options.policy, scanned, stop, tail, leftOut),
  }
}

interface ScannedAll {
  readonly scanned: Scanned[]
  readonly stop: Stop | undefined
  readonly tail: TailEvidence | undefined
}

/** Scans from the oldest to where the log ends; throws where the policy refuses. */
function scanAll(
  store: LogStore,
  live: readonly Headed[],
  options: RecoveryOptions,
  moreFollow: boolean,
  bound: number,
): ScannedAll {
  const scanned: Scanned[] = []
  for (const [index, { name, header }] of live.entries()) {
    const before = scanned.at(-1)
    const broken = before === undefined ? undefined : linkMismatch(header, before.scan.link)
    if (broken !== undefined) {
      const stop: Stop = {
        name,
        byteOffset: 0,
        epoch: header.firstEpoch,
        mismatch: broken,
        torn: false,
      }
      refuse(store, stop, options)
      return { scanned, stop, tail: undefined }
    }
    const next = live[index + 1]?.header
    const lsnLimit = next?.firstLsn ?? bound
    const result = withFile(store, name, (file) => {
      const scan = scanSegment(file, header, lsnLimit)
      const whole = scan.link.lsn >= lsnLimit && scan.end.kind === 'end'
      const tail = whole ? undefined : scanTail(file, header, scan.position, scan.link.epoch)
      return { scan, tail }
    })
    scanned.push({ name, header, scan: result.scan })
    if (result.tail === undefined) continue
    const stop = stopAt(name, result.scan, result.tail, next ?? (moreFollow ? 'more' : undefined))
    if (stop !== undefined) refuse(store, stop, options, result.scan.end)
    return { scanned, stop, tail: result.tail }
  }
  return { scanned, stop: undefined, tail: undefined }
}

export function linkMismatch(header: SegmentHeader, link: ChainLink): Mismatch | undefined {
  const { firstEpoch, firstLsn, firstSequence, previous, cut } = header
  // After a cut, epochs of void groups are missing.
  if (cut ? firstEpoch < link.epoch : firstEpoch !== link.epoch) {
    return { what: 'first epoch', expected: link.epoch, actual: firstEpoch }
  }
  if (firstLsn !== link.lsn) return { what: 'first LSN', expected: link.lsn, actual: firstLsn }
  if (firstSequence !== link.sequence) {
    return { what: 'first sequence', expected: link.sequence, actual: firstSequence }
  }
  if (previous !== link.previous) {
    return { what: 'previous checksum', expected: hex(link.previous), actual: hex(previous) }
  }
  return undefined
}

/** Tells a clean end, an unsynced tail (C1, C2) and damage (C3) apart. */
export function stopAt(
  name: string,
  scan: SegmentScan,
  tail: TailEvidence,
  next: SegmentHeader | 'more' | undefined,
): Stop | undefined {
  const { end, link, position } = scan
  const mismatch: Mismatch =
    end.kind === 'bad'
      ? end.mismatch
      : { what: 'group', expected: `epoch ${link.epoch}`, actual: 'the end of the segment' }
  const byteOffset = end.kind === 'bad' ? end.byteOffset : position
  const stop = { name, byteOffset, epoch: link.epoch, mismatch }
  if (next !== undefined && (next !== 'more' || end.kind === 'bad')) return { ...stop, torn: false }
  if (tail.durableEpoch >= link.epoch) return { ...stop, torn: false }
  if (end.kind === 'bad') return { ...stop, torn: !end.misplaced && !end.newer }
  return tail.groupsSound > 0 ? { ...stop, torn: true } : undefined
}

function refuse(store: LogStore, stop: Stop, options: RecoveryOptions, end?: ScanEnd): void {
  const place = { ...placeOf(store, stop.name, stop.byteOffset), epoch: stop.epoch }
  if (end?.kind === 'bad' && end.newer) throw new LogVersionError(place, stop.mismatch)
  if (options.policy === 'salvage') return
  if (options.policy === 'torn-tail' && stop.torn) return
  throw new LogCorruptError(place, stop.mismatch)
}

/** Puts aside what salvage leaves out: the bad segment's tail and all later segments. */
function aside(
  store: LogStore,
  options: RecoveryOptions,
  scanned: readonly Scanned[],
  stop: Stop | undefined,
  tail: TailEvidence | undefined,
  later: readonly string[],
): LeftOut[] {
  const last = scanned.at(-1)
  const leftOut: LeftOut[] = []
  // First: epochs of what is left out are given out again, and a spare may hold some of them.
  if (!options.readOnly && (stop !== undefined || later.length > 0)) removeSpares(store)
  if (last !== undefined && stop !== undefined && tail !== undefined && stop.name === last.name) {
    const keptAs = options.readOnly ? null : putAside(store, last.name, 'copy')
    leftOut.push({
      segment: last.name,
      byteOffset: last.scan.position,
      byteLength: tail.contentEnd - last.scan.position,
      firstEpoch: last.scan.link.epoch,
      groupsSound: tail.groupsSound,
      reason: reasonOf(stop.mismatch),
      keptAs,
    })
  }
  for (const name of later.toReversed()) {
    const bad = stop?.name === name ? reasonOf(stop.mismatch) : undefined
    const summary = withFile(store, name, (file) => summarize(file, name, bad))
    const keptAs = options.readOnly ? null : putAside(store, name, 'rename')
    leftOut.push({ ...summary, segment: name, keptAs })
  }
  return leftOut.toSorted((a, b) => (a.segment < b.segment ? -1 : 1))
}

/** What a left out segment holds, as far as it can be told. */
function summarize(
  file: LogFile,
  name: string,
  bad: string | undefined,
): Omit<LeftOut, 'segment' | 'keptAs'> {
  const read = readHeader(file, epochOfName(name))
  const byteLength = file.length()
  const common = { byteOffset: 0, byteLength, firstEpoch: epochOfName(name) }
  if (!read.ok) return { ...common, groupsSound: 0, reason: reasonOf(read.mismatch) }
  const { groupsSound } = scanTail(
    file,
    read.header,
    SEGMENT_FIRST_GROUP_OFFSET,
    read.header.firstEpoch,
  )
  return { ...common, groupsSound, reason: bad ?? 'follows a bad group' }
}

/**
 * @param tail what stands behind the end; undefined when a later, left out, segment bounds it
 * @returns false when what was scanned is not there any more
 */
function repairLast(store: LogStore, last: Scanned, tail: TailEvidence | undefined): boolean {
  const { header, scan } = last
  const { position, unprovenPosition, link } = scan
  return withFile(store, last.name, (file) => {
    if (!rewriteUnproven(file, header.logId, unprovenPosition, position, link.previous))
      return false
    const zeroed = tail !== undefined && zeroTail(file, position, header.segmentBytes, tail)
    if (zeroed || position > unprovenPosition) file.sync()
    return true
  })
}

function toLive({ name, header, scan }: Scanned): LiveSegment {
  return {
    name,
    header,
    endLsn: lsnOf(scan.link.lsn),
    endPosition: scan.position,
    lastEpoch: scan.link.epoch - 1,
    released: false,
  }
}

/** Nothing could be kept: epochs go on after those that file names speak of. */
function emptyLink(left: readonly string[]): ChainLink {
  const epoch = left.reduce((highest, name) => Math.max(highest, epochOfName(name)), 0) + 1
  return { epoch, lsn: 0, sequence: 1, previous: 0 }
}

function makeReport(
  policy: RecoveryPolicy,
  scanned: readonly Scanned[],
  stop: Stop | undefined,
  tail: TailEvidence | undefined,
  leftOut: readonly LeftOut[],
): RecoveryReport {
  const last = scanned.at(-1)?.scan
  const sum = (field: 'groups' | 'records' | 'aborted'): number =>
    scanned.reduce((total, { scan }) => total + scan[field], 0)
  const dropped = stop !== undefined && last !== undefined && tail !== undefined
  return {
    policy,
    created: false,
    groups: sum('groups'),
    records: sum('records'),
    aborted: sum('aborted'),
    firstLsn: scanned[0]?.header.firstLsn ?? lsnOf(0),
    endLsn: lsnOf(last?.link.lsn ?? 0),
    lastEpoch: (last?.link.epoch ?? 1) - 1,
    droppedBytes: dropped ? tail.contentEnd - last.position : 0,
    droppedGroups: dropped ? tail.groupsSound : 0,
    leftOut,
    reason: stop === undefined ? (leftOut[0]?.reason ?? 'clean') : reasonOf(stop.mismatch),
  }
}

function reasonOf({ what, expected, actual }: Mismatch): string {
  return `${what}: expected ${expected}, found ${actual}`
}
