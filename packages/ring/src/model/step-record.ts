import { newFootprint } from './footprint.ts'
import type { HistoryNode } from './history.ts'

/** What a step did, for undoing it and for asking what it depends on. Reused between executions. */
export class StepRecord {
  thread = 0
  /** Number of this step among its thread's, from 1. */
  localStep = 0
  /** The step that had to come before this one could be taken at all (a wake's notify); -1: none. */
  enabledBy = -1
  readonly footprint = newFootprint()
  nodeBefore: HistoryNode | null = null
  /** Whether this step only woke up from the operation, which an earlier one had begun. */
  isWake = false
  result = 0
  resultBytes: Uint8Array | null = null
  parkedBefore = -1
  notifiedBefore = -1
  stepBefore = -1
  /** Threads woken, as bits. */
  woken = 0
  raceMark = 0
  /** Where memory was changed (-1: nowhere), and what was there: a word, or bytes. */
  changedAt = -1
  wordBefore = 0
  bytesBefore: Uint8Array | null = null

  clearEffects(): void {
    this.result = 0
    this.resultBytes = null
    this.woken = 0
    this.changedAt = -1
    this.bytesBefore = null
  }
}
