/**
 * What a log must hold: the oracle's own account of everything that was written, certain and uncertain.
 * Plain data and arithmetic; it knows frames, groups and marks, and nothing of files.
 *
 * A call that changes the log is announced before it is made and confirmed once it has returned. What was
 * announced and not confirmed may have happened or not, whole.
 */
import { frameBytesOf } from '../frame.ts'

export interface ModelFrame {
  readonly lsn: number
  /** Of the record; of an aborted frame, that of the next record. */
  readonly sequence: number
  /** Undefined: aborted. */
  readonly record: Uint8Array | undefined
  readonly frameBytes: number
}

export interface ModelGroup {
  readonly epoch: number
  readonly firstLsn: number
  readonly endLsn: number
  readonly endSequence: number
  readonly frames: readonly ModelFrame[]
  /** In the file; a cut may have gone through the group since. */
  readonly bodyBytes: number
  /** Its header says that everything up to here is durable, if not more. */
  readonly claimedLsn: number
}

interface Base {
  readonly lsn: number
  readonly sequence: number
}

/** A cut that was announced: where, and the record number there. */
type Cut = Base

export class LogModel {
  /** Where the log begins. */
  base: Base = { lsn: 0, sequence: 1 }
  /** A release that was announced may have moved the beginning up to here. */
  releaseLsn = 0
  groups: ModelGroup[] = []
  open: ModelFrame[] = []
  openBytes = 0
  /** Up to where it was said to be on stable storage. */
  durableLsn = 0
  /** Up to where writes have returned. */
  writtenLsn = 0
  nextEpoch = 1
  /** No epoch below it may be given out again. */
  epochFloor = 1
  cut: Cut | undefined
  /** Nothing has happened since opening that may lose what was written but not synced. */
  writesCertain = true

  /** Just past the last announced group. */
  get groupsEnd(): Base {
    const last = this.groups.at(-1)
    return last === undefined ? this.base : { lsn: last.endLsn, sequence: last.endSequence }
  }

  get endLsn(): number {
    return this.groupsEnd.lsn + this.openBytes
  }

  get nextSequence(): number {
    let sequence = this.groupsEnd.sequence
    for (const { record } of this.open) if (record !== undefined) sequence++
    return sequence
  }

  /** What the next opening must bring back at least. */
  get requiredLsn(): number {
    return this.writesCertain ? Math.max(this.writtenLsn, this.durableLsn) : this.durableLsn
  }

  append(record: Uint8Array | undefined, lengthBytes: number): void {
    const frameBytes = frameBytesOf(lengthBytes)
    this.open.push({ lsn: this.endLsn, sequence: this.nextSequence, record, frameBytes })
    this.openBytes += frameBytes
  }

  /** The open frames are about to be written as one group. */
  flushBegins(): void {
    if (this.open.length === 0) return
    const { lsn } = this.groupsEnd
    this.groups.push({
      epoch: this.nextEpoch++,
      firstLsn: lsn,
      endLsn: lsn + this.openBytes,
      endSequence: this.nextSequence,
      frames: this.open,
      bodyBytes: this.openBytes,
      claimedLsn: this.durableLsn,
    })
    this.open = []
    this.openBytes = 0
  }

  /** All announced groups are written, and durable up to where the log says. */
  confirm(durableLsn: number): void {
    this.writtenLsn = this.groupsEnd.lsn
    this.durableLsn = durableLsn
    for (let at = this.groups.length - 1; at >= 0; at--) {
      const group = this.groups[at]
      if (group === undefined || group.endLsn > durableLsn) continue
      this.epochFloor = Math.max(this.epochFloor, group.epoch + 1)
      break
    }
  }

  /** A call failed: what the log calls durable by now is promised all the same. */
  claim(durableLsn: number): void {
    this.durableLsn = Math.max(this.durableLsn, durableLsn)
  }

  releaseBegins(lsn: number): void {
    this.releaseLsn = Math.max(this.releaseLsn, lsn)
  }

  /** What is before `firstLsn` is gone for good. */
  releaseDone(firstLsn: number): void {
    this.base = this.at(firstLsn) ?? this.base
    this.groups = this.groups.filter(({ endLsn }) => endLsn > firstLsn)
    this.releaseLsn = firstLsn
  }

  cutBegins(cut: Cut): void {
    this.cut = cut
  }

  /** The announced cut was refused before anything was changed; all is written and durable. */
  cutFailed(durableLsn: number): void {
    this.cut = undefined
    this.confirm(durableLsn)
  }

  cutDone(): void {
    if (this.cut === undefined) throw new Error('no cut has begun')
    this.adoptCut(this.cut)
  }

  /** The state as if the announced cut had happened; undefined when none was announced. */
  afterCut(): LogModel | undefined {
    if (this.cut === undefined) return undefined
    const after = new LogModel()
    Object.assign(after, this)
    after.adoptCut(this.cut)
    return after
  }

  private adoptCut(cut: Cut): void {
    const kept: ModelGroup[] = []
    for (const group of this.groups) {
      if (group.firstLsn >= cut.lsn) break
      kept.push(group.endLsn <= cut.lsn ? group : trimmed(group, cut))
    }
    this.groups = kept
    this.epochFloor = this.nextEpoch
    if (kept.length === 0) this.base = cut
    this.releaseLsn = Math.min(this.releaseLsn, cut.lsn)
    this.open = []
    this.openBytes = 0
    this.writtenLsn = cut.lsn
    this.durableLsn = cut.lsn
    this.cut = undefined
  }

  /** The record number due at the boundary of a frame; undefined when it is none. */
  at(lsn: number): Base | undefined {
    if (lsn === this.base.lsn) return this.base
    const group = this.groups.find(({ endLsn }) => lsn <= endLsn)
    if (group === undefined) return undefined
    if (lsn === group.endLsn) return this.groupBoundary(lsn)
    const frame = group.frames.find((candidate) => candidate.lsn === lsn)
    return frame === undefined ? undefined : { lsn, sequence: frame.sequence }
  }

  /** The record number due where one group ends and the next may begin. */
  groupBoundary(lsn: number): Base | undefined {
    if (lsn === this.base.lsn) return this.base
    const before = this.groups.find(({ endLsn }) => lsn === endLsn)
    return before === undefined ? undefined : { lsn, sequence: before.endSequence }
  }

  /** The log was opened and holds this range of what was announced: that is all there is now. */
  adopt(firstLsn: number, endLsn: number, nextEpoch: number): void {
    const end = this.groupBoundary(endLsn)
    this.base = this.groupBoundary(firstLsn) ?? { lsn: firstLsn, sequence: end?.sequence ?? 1 }
    this.groups = this.groups.filter(
      (group) => group.firstLsn >= firstLsn && group.endLsn <= endLsn,
    )
    this.releaseLsn = firstLsn
    this.open = []
    this.openBytes = 0
    this.writtenLsn = endLsn
    this.durableLsn = endLsn
    this.nextEpoch = nextEpoch
    this.epochFloor = nextEpoch
    this.cut = undefined
    this.writesCertain = true
  }
}

function trimmed(group: ModelGroup, cut: Cut): ModelGroup {
  return {
    ...group,
    endLsn: cut.lsn,
    endSequence: cut.sequence,
    frames: group.frames.filter(({ lsn }) => lsn < cut.lsn),
  }
}
