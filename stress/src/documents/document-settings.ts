/** What all runs on documents have in common. Plain data: it goes to child processes as JSON. */
import type { OpenOptions } from 'ringbolt'
import { items } from './collection.ts'
import type { LaneRules } from './lane.ts'

export interface DocumentSettings {
  readonly seed: number
  /** Of each process. */
  readonly workers: number
  /** Operations under way per worker. */
  readonly lanes: number
  /** Live documents of a worker at most. */
  readonly documentsMax: number
  /** One operation at a time, blocking its thread. */
  readonly blocking: boolean
  readonly sync: 'full' | 'normal' | 'off'
  readonly cacheBytes: number
  /** A checkpoint begins whenever the log has grown by this much. */
  readonly checkpointLogBytes: number
  /** Added to each sync of the log: a slower disk. */
  readonly syncDelayMs: number
  /** How long nothing may be acknowledged before a run fails. */
  readonly silenceMaxMs: number
}

const MIB = 1024 * 1024

export const DOCUMENT_SETTINGS_DEFAULT: Omit<DocumentSettings, 'seed'> = {
  workers: 4,
  lanes: 64,
  documentsMax: 100_000,
  blocking: false,
  sync: 'full',
  // So little that pages leave memory, and checkpoints come and go, in a run of seconds.
  cacheBytes: 32 * MIB,
  checkpointLogBytes: 8 * MIB,
  syncDelayMs: 0,
  silenceMaxMs: 5000,
}

export function lanesOf({ seed, lanes, documentsMax }: DocumentSettings): LaneRules {
  return { seed, lanes, liveMax: Math.ceil(documentsMax / lanes) }
}

export function openOptionsOf(settings: DocumentSettings): OpenOptions & {
  readonly collections: readonly [typeof items]
} {
  const { sync, cacheBytes, checkpointLogBytes, syncDelayMs, workers } = settings
  return {
    collections: [items],
    sync,
    cacheBytes,
    checkpointLogBytes,
    syncDelayMs,
    // Twice: a dead one's place is free only once the sequencer has seen to it.
    threadsMax: 2 * workers + 8,
  }
}
