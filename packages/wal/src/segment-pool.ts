/**
 * Spare segments: files of full size, zero-filled or recycled, synced, ready to become the next
 * segment, so that a commit's sync changes no metadata.
 *
 * Invariants
 *  P1 A file named `spare-<n>` is whole: its length and its blocks are on the disk. One that is still
 *     being filled is named `spare-<n>.new`: it is gone on with by who resumes a log, and removed when a log is opened.
 *  P2 What a recycled spare holds is older than every group that is yet to be written: its groups
 *     have lower epochs, so that recovery never takes them for successors.
 *
 * A crash leaves at most one `.new` file, or a spare without need. Failing to prepare a spare ahead
 * of need is no failure of the log: it is kept in `prepareFailure`, and the rotation that then has to
 * make one itself fails aloud if it still cannot.
 */
import { SEGMENT_FIRST_GROUP_OFFSET, TERMINATOR_BYTES } from './layout.ts'
import type { LogFile, LogStore } from './log-store.ts'
import {
  encodeSegmentHeader,
  type SegmentHeader,
  segmentName,
  spareName,
  spareOrdinal,
  unfinishedName,
  unfinishedOrdinal,
} from './segment.ts'

const STEP_BYTES = 1024 * 1024
const ZEROS: Buffer = Buffer.alloc(STEP_BYTES)

interface Filling {
  readonly ordinal: number
  readonly file: LogFile
  filledBytes: number
}

export class SegmentPool {
  readonly #store: LogStore
  readonly #segmentBytes: number
  readonly #sparesMax: number
  #spares: number[] = []
  #filling: Filling | undefined
  #nextOrdinal = 1
  /** Why the last attempt to prepare a spare ahead of need failed; undefined when it did not. */
  prepareFailure: unknown = undefined
  created = 0
  recycled = 0

  constructor(store: LogStore, segmentBytes: number, sparesMax: number) {
    this.#store = store
    this.#segmentBytes = segmentBytes
    this.#sparesMax = sparesMax
  }

  get readyCount(): number {
    return this.#spares.length
  }

  /**
   * Takes stock of the folder: keeps whole spares of the right size up to the bound, removes others.
   * @param keep false for a new log: spares of an earlier one may hold any epoch (P2)
   * @param goOn with the one that somebody was filling
   */
  adopt(keep: boolean, goOn: boolean): void {
    let changed = false
    for (const name of this.#store.list()) {
      const ordinal = spareOrdinal(name)
      const unfinished = unfinishedOrdinal(name)
      if (ordinal === undefined && unfinished === undefined) continue
      this.#nextOrdinal = Math.max(this.#nextOrdinal, (ordinal ?? unfinished ?? 0) + 1)
      if (ordinal !== undefined && keep && this.#wanted(name)) {
        this.#spares.push(ordinal)
      } else if (unfinished !== undefined && goOn && this.#goOnFilling(name, unfinished)) {
        continue
      } else {
        this.#store.remove(name)
        changed = true
      }
    }
    if (changed) this.#store.syncFolder()
  }

  #wanted(name: string): boolean {
    if (this.#spares.length >= this.#sparesMax) return false
    const file = this.#store.open(name)
    try {
      return file.length() === this.#segmentBytes
    } finally {
      file.close()
    }
  }

  #goOnFilling(name: string, ordinal: number): boolean {
    if (this.#filling !== undefined || this.#sparesMax === 0) return false
    const file = this.#store.open(name)
    const filledBytes = file.length()
    if (filledBytes > this.#segmentBytes) {
      file.close()
      return false
    }
    // The sync of its last step covers what another process has written of it.
    this.#filling = { ordinal, file, filledBytes }
    return true
  }

  /**
   * One bounded step towards one ready spare: at most 1 MiB of zeros and a sync.
   * @returns true while there is more to do
   */
  prepareStep(): boolean {
    if (this.#spares.length > 0 || this.#sparesMax === 0 || this.prepareFailure !== undefined) {
      return false
    }
    try {
      this.#filling ??= this.#beginFilling()
      this.#fillStep(this.#filling, this.#segmentBytes)
      this.#filling.file.sync()
      if (this.#filling.filledBytes < this.#segmentBytes) return true
      this.#finishFilling(this.#filling)
    } catch (error) {
      this.prepareFailure = error
      this.#abandonFilling()
    }
    return false
  }

  /**
   * Makes a segment of a spare: header and terminator written and synced, renamed, the folder synced.
   * After a crash there is either no such segment or all of it.
   * @returns the segment's file, open under its final name
   */
  createSegment(header: SegmentHeader): LogFile {
    const { name, file } =
      header.segmentBytes === this.#segmentBytes ? this.#take() : this.#make(header.segmentBytes)
    const finalName = segmentName(header.firstEpoch)
    try {
      try {
        file.writeAt(0, [encodeSegmentHeader(header), ZEROS.subarray(0, TERMINATOR_BYTES)])
        file.sync()
      } finally {
        file.close()
      }
      this.#store.rename(name, finalName)
    } catch (error) {
      this.#removeQuietly(name)
      throw error
    }
    this.#store.syncFolder()
    this.prepareFailure = undefined
    return this.#store.open(finalName)
  }

  /** Turns a released segment into a spare, or removes it. The folder is synced. */
  recycle(name: string, segmentBytes: number): void {
    if (segmentBytes === this.#segmentBytes && this.#spares.length < this.#sparesMax) {
      const ordinal = this.#nextOrdinal++
      this.#store.rename(name, spareName(ordinal))
      this.#store.syncFolder()
      this.#spares.push(ordinal)
      this.recycled++
    } else {
      this.#store.remove(name)
      this.#store.syncFolder()
    }
    this.prepareFailure = undefined
  }

  close(): void {
    if (this.#filling !== undefined) this.#abandonFilling()
  }

  /** Leaves what it is filling to who resumes the log. */
  letGo(): void {
    this.#filling?.file.close()
    this.#filling = undefined
  }

  #take(): { name: string; file: LogFile } {
    if (this.#spares.length === 0 && this.#filling !== undefined) {
      const filling = this.#filling
      this.#filling = undefined
      return this.#fillAll(filling, this.#segmentBytes)
    }
    const ordinal = this.#spares.shift()
    if (ordinal === undefined) return this.#make(this.#segmentBytes)
    const name = spareName(ordinal)
    return { name, file: this.#store.open(name) }
  }

  #make(segmentBytes: number): { name: string; file: LogFile } {
    return this.#fillAll(this.#beginFilling(), segmentBytes)
  }

  #fillAll(filling: Filling, segmentBytes: number): { name: string; file: LogFile } {
    const { file, ordinal } = filling
    try {
      while (filling.filledBytes < segmentBytes) this.#fillStep(filling, segmentBytes)
    } catch (error) {
      this.#discard(filling)
      throw error
    }
    return { name: unfinishedName(ordinal), file }
  }

  #beginFilling(): Filling {
    const ordinal = this.#nextOrdinal++
    const file = this.#store.create(unfinishedName(ordinal))
    this.created++
    return { ordinal, file, filledBytes: 0 }
  }

  #fillStep(filling: Filling, segmentBytes: number): void {
    const stepBytes = Math.min(STEP_BYTES, segmentBytes - filling.filledBytes)
    if (stepBytes === 0) return
    filling.file.writeAt(filling.filledBytes, [ZEROS.subarray(0, stepBytes)])
    filling.filledBytes += stepBytes
  }

  #finishFilling({ ordinal, file }: Filling): void {
    file.close()
    this.#filling = undefined
    this.#store.rename(unfinishedName(ordinal), spareName(ordinal))
    this.#store.syncFolder()
    this.#spares.push(ordinal)
  }

  #abandonFilling(): void {
    const filling = this.#filling
    this.#filling = undefined
    if (filling !== undefined) this.#discard(filling)
  }

  #discard({ ordinal, file }: Filling): void {
    file.close()
    this.#removeQuietly(unfinishedName(ordinal))
  }

  /** Leaves nothing half made behind; if the disk refuses even that, the next open does it. */
  #removeQuietly(name: string): void {
    try {
      this.#store.remove(name)
    } catch (error) {
      this.prepareFailure ??= error
    }
  }
}

/** The size of a segment that a group of `groupLengthBytes` fits into: whole blocks. */
export function segmentBytesFor(groupLengthBytes: number, segmentBytes: number): number {
  const neededBytes = SEGMENT_FIRST_GROUP_OFFSET + groupLengthBytes
  if (neededBytes <= segmentBytes) return segmentBytes
  return Math.ceil(neededBytes / SEGMENT_FIRST_GROUP_OFFSET) * SEGMENT_FIRST_GROUP_OFFSET
}
