/** Where the sequencer's figures come from: asks each part what it knows. */
import type { Ring } from '@ringbolt/ring'
import type { SegmentedLog } from '@ringbolt/wal'
import type { LogArchive } from '../backup/log-archive.ts'
import type { StoreSink } from '../sequencer/store-sink.ts'
import type { Checkpointer } from './checkpointer.ts'
import type { TimedLog } from './engine-log.ts'
import type { LogHolds } from './log-holds.ts'
import type { RecoveredState } from './recovery.ts'
import type { StateAges } from './state-ages.ts'
import type { StoreCounters } from './stats.ts'

export interface StatsParts {
  readonly state: RecoveredState
  readonly sink: StoreSink
  readonly log: TimedLog
  readonly ring: Ring
  readonly ringUsedBytesMax: number
  readonly checkpointer: Checkpointer | undefined
  readonly ages: StateAges
  readonly holds: LogHolds
  readonly archive: LogArchive | undefined
  /** While this process may write. */
  readonly ownLog: SegmentedLog | undefined
  readonly sharing: SharingFigures
  readonly nowMs: number
}

export interface SharingFigures {
  readonly others: number
  readonly turns: number
  readonly turnWaitMs: number
  readonly turnWaitMsMax: number
  readonly busy: number
}

export function countersOf(parts: StatsParts): StoreCounters {
  const { sink, log, ring, checkpointer } = parts
  const { refusals } = sink
  return {
    sequence: sink.published.sequence,
    commits: sink.commits,
    refusedConflict: refusals.conflict,
    refusedDefinition: refusals.definition,
    refusedFull: refusals.full,
    refusedMalformed: refusals.malformed,
    groups: log.groups,
    slowSyncs: log.slowSyncs,
    slowSyncMs: log.slowSyncMs,
    ringBytes: ring.capacityBytes,
    ringUsedBytes: ring.occupiedBytes,
    ringUsedBytesMax: parts.ringUsedBytesMax,
    threadsAttached: ring.producersAttached,
    checkpoints: checkpointer?.count ?? 0,
    checkpointMs: checkpointer?.lastMs ?? 0,
    archivedSegments: parts.archive?.segments ?? 0,
    archiveFailures: parts.archive?.failures ?? 0,
    ...parts.sharing,
    ...logFigures(parts),
    ...pageFigures(parts),
    ...changesFigures(parts),
  }
}

function logFigures({ ownLog: segments }: StatsParts) {
  let logFileBytes = 0
  for (const { header } of segments?.segments ?? []) logFileBytes += header.segmentBytes
  return {
    logBytes: segments === undefined ? 0 : segments.endLsn - segments.firstLsn,
    logFileBytes,
    logSegments: segments?.segments.length ?? 0,
    logBytesWritten: segments?.stats().bodyBytes ?? 0,
  }
}

function pageFigures({ state: { space, pageIds }, sink, ages, nowMs }: StatsParts) {
  const pages = space.stats
  ages.note(pages.publishedVersion, sink.published.sequence, nowMs)
  const oldest = ages.oldest(pages.oldestVersion, nowMs)
  return {
    filePages: pageIds.end,
    freePages: pageIds.freeCount,
    frames: pages.frames,
    freeFrames: pages.freeFrames,
    dirtyFrames: pages.dirtyPages,
    lookups: pages.readerLookups,
    misses: pages.readerMisses,
    sequencerMisses: pages.misses,
    admissions: pages.admissions,
    evictions: pages.evictions,
    spills: pages.spills,
    retiredPages: pages.retiredWaiting,
    pins: pages.pins,
    pinsRevoked: pages.pinsRevoked,
    oldestSequence: oldest.sequence,
    oldestMs: oldest.ageMs,
  }
}

function changesFigures({ holds }: StatsParts) {
  const { readers, oldest } = holds.held()
  return { changesReaders: readers, changesSequence: readers === 0 ? 0 : oldest }
}
