/**
 * Looks through a log's files and says what stands there and what is wrong: for those who check, not for those who
 * go on writing. Changes nothing; somebody else may append to the log, or release segments, meanwhile.
 *
 * A group that is being written while it is read looks torn, and a segment that is released looks like anything at
 * all. So what was found is looked at again: damage is still there then, the same at the same place. A group of
 * which a later one says that it was durable had been written by then, so the second look tells for sure.
 */
import { FRAME_HEADER_BYTES } from '@ringbolt/ring'
import { LogIoError, LogNotFoundError, type Mismatch } from './errors.ts'
import { frameBytesOf, frameHeader, recordLengthOf } from './frame.ts'
import { viewOf } from './group.ts'
import type { LogFile, LogStore } from './log-store.ts'
import { linkMismatch, type Stop, stopAt } from './recovery.ts'
import { chooseLive, readHeader } from './recovery-headers.ts'
import { type ChainLink, scanGroups } from './recovery-scan.ts'
import { scanTail } from './recovery-tail.ts'
import { epochOfName, idText, isSegmentName, type SegmentHeader, spareOrdinal } from './segment.ts'
import type { Group } from './segment-reader.ts'

/** What a segment holds, as far as the chain is sound. */
export interface SegmentInspection {
  readonly name: string
  readonly segmentBytes: number
  /** Up to the end of its last group. */
  readonly usedBytes: number
  readonly firstEpoch: number
  /** Below `firstEpoch` when it has no group. */
  readonly lastEpoch: number
  readonly firstLsn: number
  readonly endLsn: number
  readonly firstSequence: number
  /** One past the last record's. */
  readonly endSequence: number
  readonly groups: number
  readonly records: number
  readonly aborted: number
  /** What segments before it hold from its first LSN on is void. */
  readonly cut: boolean
}

/** A check that failed, and where. */
export interface LogFinding extends Mismatch {
  /** Folder and file. */
  readonly file: string
  readonly byteOffset: number
  readonly epoch: number
}

export interface LogInspection {
  /** As hexadecimal text; undefined without a segment. */
  readonly logId: string | undefined
  readonly segments: readonly SegmentInspection[]
  /** Files kept to become segments. */
  readonly spares: number
  /** Behind the end, of groups that nobody was told are durable: what a crash leaves. */
  readonly tornBytes: number
  readonly findings: readonly LogFinding[]
}

export interface InspectOptions {
  /** The log that is expected; any when undefined. */
  readonly logId?: Uint8Array
  /** Gets each sound group in order; its bytes last until it returns. */
  readonly onGroup?: (group: InspectedGroup) => void
}

export interface InspectedGroup {
  readonly segment: string
  readonly byteOffset: number
  readonly epoch: number
  readonly firstLsn: number
  readonly firstSequence: number
  readonly recordCount: number
  readonly abortedCount: number
  readonly laneCount: number
  readonly durableEpoch: number
  readonly body: Uint8Array
}

/** How often the log may be looked through before what is found counts as fleeting. */
const LOOKS_MAX = 10

/**
 * Yields after each group, and, with `true`, before it looks again at what it found: a moment's pause is due.
 * @throws LogIoError; LogNotFoundError when all segments went away each time before they could be read
 */
export function* inspectLog(
  store: LogStore,
  options: InspectOptions = {},
): Generator<boolean, LogInspection, undefined> {
  let before: readonly LogFinding[] = []
  for (let looks = 1; ; looks++) {
    // Groups are told once, by the first look.
    const onGroup = looks === 1 ? options.onGroup : undefined
    const look = new Look(store, options.logId, onGroup)
    const seen = yield* look.steps()
    const known = new Set(before.map(keyOf))
    const lasting = seen.findings.filter((finding) => known.has(keyOf(finding)))
    const isCertain = lasting.length === seen.findings.length && !look.isEmptied
    if (isCertain) return { ...seen, findings: lasting }
    if (looks >= LOOKS_MAX) {
      if (look.isEmptied) throw new LogNotFoundError(store.location)
      return { ...seen, findings: lasting }
    }
    before = seen.findings
    yield true
  }
}

function keyOf({ file, byteOffset, what, expected, actual }: LogFinding): string {
  return JSON.stringify([file, byteOffset, what, expected, actual])
}

class Look {
  readonly #store: LogStore
  readonly #onGroup: InspectOptions['onGroup']
  readonly #findings: LogFinding[] = []
  readonly #segments: SegmentInspection[] = []
  #logId: Uint8Array | undefined
  #tornBytes = 0
  #released = 0

  constructor(store: LogStore, logId: Uint8Array | undefined, onGroup: InspectOptions['onGroup']) {
    this.#store = store
    this.#logId = logId
    this.#onGroup = onGroup
  }

  /** Whether there were segments, and all were gone before they could be read. */
  get isEmptied(): boolean {
    return this.#released > 0 && this.#segments.length === 0
  }

  *steps(): Generator<boolean, LogInspection, undefined> {
    const names = this.#store.list()
    const live = this.#live(names.filter(isSegmentName).toSorted())
    let link: ChainLink | undefined
    for (const [index, { name, header }] of live.entries()) {
      const file = this.#open(name)
      // Released, and all before it: the chain begins behind it.
      if (file === undefined) {
        link = undefined
        continue
      }
      if (link !== undefined) this.#link(name, header, link)
      link = yield* this.#segment(file, name, header, live[index + 1]?.header)
    }
    return {
      logId: this.#logId === undefined ? undefined : idText(this.#logId),
      segments: this.#segments,
      spares: names.filter((name) => spareOrdinal(name) !== undefined).length,
      tornBytes: this.#tornBytes,
      findings: this.#findings,
    }
  }

  /** The segments with a sound header of this log that no cut has made void. */
  #live(names: readonly string[]): { name: string; header: SegmentHeader }[] {
    const sound: { name: string; header: SegmentHeader }[] = []
    for (const name of names) {
      const file = this.#open(name)
      if (file === undefined) continue
      const read = readHeader(file, epochOfName(name))
      file.close()
      if (!read.ok) {
        this.#find(name, read.byteOffset, epochOfName(name), read.mismatch)
        continue
      }
      this.#logId ??= read.header.logId
      if (Buffer.compare(read.header.logId, this.#logId) === 0) {
        sound.push({ name, header: read.header })
        continue
      }
      const [expected, actual] = [idText(this.#logId), idText(read.header.logId)]
      this.#find(name, 0, epochOfName(name), { what: 'log id', expected, actual })
    }
    return chooseLive(sound, Number.POSITIVE_INFINITY).live
  }

  /** Undefined when it was released since it was listed. */
  #open(name: string): LogFile | undefined {
    try {
      return this.#store.open(name)
    } catch (error) {
      if (error instanceof LogIoError && error.facts['errno'] === 'ENOENT') {
        this.#released++
        return undefined
      }
      throw error
    }
  }

  #link(name: string, header: SegmentHeader, link: ChainLink): void {
    const broken = linkMismatch(header, link)
    if (broken !== undefined) this.#find(name, 0, header.firstEpoch, broken)
  }

  *#segment(
    file: LogFile,
    name: string,
    header: SegmentHeader,
    next: SegmentHeader | undefined,
  ): Generator<boolean, ChainLink, undefined> {
    const lsnLimit = next?.firstLsn ?? Number.POSITIVE_INFINITY
    try {
      const groups = scanGroups(file, header, lsnLimit)
      let step = groups.next()
      for (; step.done !== true; step = groups.next()) {
        this.#onGroup?.(groupOf(name, step.value))
        yield false
      }
      const scan = step.value
      const isWhole = scan.link.lsn >= lsnLimit && scan.end.kind === 'end'
      if (!isWhole) {
        const tail = scanTail(file, header, scan.position, scan.link.epoch)
        const stop = stopAt(name, scan, tail, next)
        if (stop !== undefined) this.#stop(stop, tail.contentEnd - scan.position)
      }
      this.#segments.push({
        name,
        segmentBytes: header.segmentBytes,
        usedBytes: scan.position,
        firstEpoch: header.firstEpoch,
        lastEpoch: scan.link.epoch - 1,
        firstLsn: header.firstLsn,
        endLsn: scan.link.lsn,
        firstSequence: header.firstSequence,
        endSequence: scan.link.sequence,
        groups: scan.groups,
        records: scan.records,
        aborted: scan.aborted,
        cut: header.cut,
      })
      return scan.link
    } finally {
      file.close()
    }
  }

  #stop({ name, byteOffset, epoch, mismatch, torn }: Stop, bytes: number): void {
    if (torn) this.#tornBytes += Math.max(0, bytes)
    else this.#find(name, byteOffset, epoch, mismatch)
  }

  #find(name: string, byteOffset: number, epoch: number, mismatch: Mismatch): void {
    const file = `${this.#store.location}/${name}`
    this.#findings.push({ file, byteOffset, epoch, ...mismatch })
  }
}

function groupOf(segment: string, { header, position, body }: Group): InspectedGroup {
  const { epoch, firstLsn, firstSequence, recordCount, abortedCount } = header
  const { laneCount, durableEpoch } = header
  return {
    segment,
    byteOffset: position,
    epoch,
    firstLsn,
    firstSequence,
    recordCount,
    abortedCount,
    laneCount,
    durableEpoch,
    body,
  }
}

/** The records of a group, aborted frames left out; each lasts as long as the group. */
export function forEachRecord(
  { body, firstLsn, firstSequence }: InspectedGroup,
  visit: (record: { sequence: number; lsn: number; record: Uint8Array }) => void,
): void {
  const view = viewOf(body)
  let sequence = firstSequence
  for (let at = 0; at < body.length; ) {
    const frame = frameHeader(view, at)
    const length = recordLengthOf(frame)
    const start = at + FRAME_HEADER_BYTES
    if (frame > 0) {
      visit({ sequence, lsn: firstLsn + at, record: body.subarray(start, start + length) })
      sequence++
    }
    at += frameBytesOf(length)
  }
}
