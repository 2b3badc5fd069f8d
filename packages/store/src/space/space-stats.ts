/** What there is to be told of the space: plain counters, as they were at one moment. */
export interface SpaceStats {
  readonly frames: number
  readonly freeFrames: number
  /** Out of the table, waiting for readers that may be looking at them. */
  readonly limboFrames: number
  readonly dirtyPages: number
  /** Pages that the sequencer read from the file for itself. */
  readonly misses: number
  /** Pages that readers looked for. */
  readonly readerLookups: number
  /** Pages that readers read from the file for themselves; wraps at 2^32. */
  readonly readerMisses: number
  /** Pages that readers missed and that were read into memory for them. */
  readonly admissions: number
  readonly evictions: number
  /** Dirty pages written out for want of room. */
  readonly spills: number
  /** Pages gone from the newest state and not free yet. */
  readonly retiredWaiting: number
  readonly pins: number
  readonly pinsRevoked: number
  readonly publishedVersion: number
  /** That a slot or pin is at; the published one when there is no older. */
  readonly oldestVersion: number
}
