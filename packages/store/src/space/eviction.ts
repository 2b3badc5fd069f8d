/**
 * Which pages leave memory: a clock's hand goes over the frames, passes those used since it came by last, and
 * takes the others. Clean ones go at once; dirty ones are collected, from one call to the next, until there is
 * a batch of them: that is written in order of its place, swept, and goes then. So clean and dirty pages go in
 * turn, and a cache full of dirty ones does not keep out what is read.
 *
 * Threads: the sequencer's own. Readers say what they use by a plain byte for each frame; one that is lost
 * costs a page that is read from the file again.
 *
 * What was evicted is in limbo, not free. A database in memory evicts nothing; one that is open for reading only
 * evicts nothing that the log's replay has changed.
 */
import { PAGE_BYTES, PAGE_KIND_BYTE, PAGE_LEVEL_BYTE, PageKind } from '../page/page.ts'
import type { Frames } from './frames.ts'
import type { Region } from './region.ts'
import type { WriteBack } from './write-back.ts'

/** Used pages are passed in the first round, pages whose children are dirty perhaps in the second. */
const ROUNDS_MAX = 4
const BATCH_MIN = 16
const BATCH_MAX = 128
const BATCH_SHARE = 16
const PASSES_MAX = 8

export interface EvictionCounts {
  evictions: number
  spills: number
}

export class Eviction {
  readonly counts: EvictionCounts = { evictions: 0, spills: 0 }
  readonly #region: Region
  readonly #frames: Frames
  readonly #writeBack: WriteBack
  /** Writes what is written within in order of its place. */
  readonly #gather: (write: () => void) => void
  readonly #sweep: () => void
  readonly #maySpill: boolean
  readonly #batchMax: number
  #hand = 0
  /** Dirty frames that the hand found unused, until there are enough of them. */
  #cold: number[] = []

  constructor(
    region: Region,
    frames: Frames,
    writeBack: WriteBack,
    gather: (write: () => void) => void,
    sweep: () => void,
    maySpill: boolean,
  ) {
    this.#region = region
    this.#frames = frames
    this.#writeBack = writeBack
    this.#gather = gather
    this.#sweep = sweep
    this.#maySpill = maySpill
    const share = Math.floor(frames.count / BATCH_SHARE)
    this.#batchMax = Math.min(BATCH_MAX, Math.max(BATCH_MIN, share))
  }

  /** Evicts `wanted` pages or some more, fewer when there are no more; returns how many. */
  evict(wanted: number): number {
    let evicted = 0
    for (let round = 0; round < ROUNDS_MAX && evicted < wanted; round++) {
      evicted += this.#round(wanted - evicted)
      if (evicted >= wanted) break
      evicted += this.#spillCold()
      // Those that a checkpoint has written.
      this.#sweep()
    }
    return evicted
  }

  /** Once around, at the most. */
  #round(wanted: number): number {
    const frames = this.#frames
    let evicted = 0
    for (let passed = 0; passed < frames.count && evicted < wanted; passed++) {
      const frame = this.#hand
      this.#hand = (frame + 1) % frames.count
      if (!frames.isResident(frame) || frames.takeReferenced(frame)) continue
      if (frames.isEvictable(frame)) {
        this.#evict(frame)
        evicted++
      } else if (this.#maySpill && frames.isDirty(frame)) {
        this.#cold.push(frame)
        if (this.#cold.length >= this.#batchMax) evicted += this.#spillCold()
      }
    }
    return evicted
  }

  #evict(frame: number): void {
    this.#frames.evict(frame)
    this.counts.evictions++
  }

  /** Writes the cold pages collected, as far as those that they refer to are written, and evicts them. */
  #spillCold(): number {
    // They may have been collected some time ago, and twice.
    const cold = [...new Set(this.#cold)].filter((frame) => this.#frames.isDirty(frame))
    this.#cold = []
    if (cold.length === 0) return 0
    cold.sort((a, b) => this.#rank(a) - this.#rank(b))
    const written: number[] = []
    this.#gather(() => this.#writeFrom(cold, written))
    this.counts.spills += written.length
    this.#sweep()
    for (const frame of written) this.#evict(frame)
    return written.length
  }

  /** Children before those that refer to them, as far as levels tell; the rest in further passes. */
  #writeFrom(cold: readonly number[], written: number[]): void {
    let left = cold
    for (let pass = 0; pass < PASSES_MAX && left.length > 0; pass++) {
      const stuck: number[] = []
      for (const frame of left) {
        if (this.#writeBack.tryWrite(frame)) written.push(frame)
        else stuck.push(frame)
      }
      if (stuck.length === left.length) return
      left = stuck
    }
  }

  #rank(frame: number): number {
    const { bytes } = this.#region
    const start = frame * PAGE_BYTES
    const kind = bytes[start + PAGE_KIND_BYTE]
    if (kind === PageKind.overflow) return -1
    if (kind === PageKind.directory) return 256
    return bytes[start + PAGE_LEVEL_BYTE]!
  }
}
