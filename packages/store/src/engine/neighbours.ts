/**
 * Other processes that have the same database open, as the sequencer sees them: what they need, and what the
 * one that may write says to all. See docs/PROTOCOL.md.
 *
 * Positions in the log are what processes have in common: versions and frames are each one's own.
 */
import type { SharedHead } from './shared-head.ts'

/** Of all others. */
export interface NeighboursNeeds {
  /** The oldest place in the log at whose state any of them may be reading. Infinity: there are no others. */
  readonly oldestLsn: number
  /** Up to where each of them has read the log. */
  readonly reachedLsn: number
}

export const NO_NEEDS: NeighboursNeeds = {
  oldestLsn: Number.POSITIVE_INFINITY,
  reachedLsn: Number.POSITIVE_INFINITY,
}

export interface Neighbours {
  /** What the others state; may be a moment old, which errs towards keeping too much. */
  needs(): NeighboursNeeds
  /** States what this process needs. */
  state(needs: NeighboursNeeds): void
  /** Undefined: nobody has ever said. */
  readHead(): SharedHead | undefined
  /** Only while it is this one's turn. */
  writeHead(head: SharedHead): void
}
