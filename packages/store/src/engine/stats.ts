/**
 * Figures of an open database, in shared memory: the sequencer writes, any thread reads without asking.
 * Each is a 64-bit float, whole by itself; together they are no cut through one moment. `docs/MONITORING.md` has them
 * all, for those who watch a database.
 */
import { HISTOGRAM_BYTES, type Latency, LatencyHistogram } from './latency-histogram.ts'

/** Counts are since the database was opened; sizes and states are of now: 10 ms ago, or a second while nothing is done. */
export interface StoreStats {
  /** Since the database was opened in this process, in ms. */
  readonly uptimeMs: number
  /** Of the newest published commit. */
  readonly sequence: number
  readonly commits: number
  /** Commands that were refused, and changed nothing. Most are tried again, by themselves. */
  readonly refusals: {
    /** What they had read was changed meanwhile, or a unique value taken. */
    readonly conflict: number
    /** Their maker did not know of a change of the collection's definition. */
    readonly definition: number
    /** There was no room. */
    readonly full: number
    /** They made no sense: a bug. */
    readonly malformed: number
  }
  readonly log: {
    /** Of records that the log holds. */
    readonly bytes: number
    /** Of its segment files, spare ones not counted. */
    readonly fileBytes: number
    readonly segments: number
    /** Written groups: of one or more commits each, now and then of upkeep alone. */
    readonly groups: number
    /** Of records written. */
    readonly bytesWritten: number
    /** How long syncs took, those asked for to slow them down included. */
    readonly syncs: Latency
    /** 0 as long as there was no sync. */
    readonly commitsPerSync: number
  }
  readonly file: {
    /** Pages that are not written yet included. */
    readonly bytes: number
    /** Of 8 KiB, free ones included. */
    readonly pages: number
    readonly freePages: number
  }
  readonly cache: {
    /** Frames of 8 KiB. */
    readonly frames: number
    readonly freeFrames: number
    /** Frames whose pages are newer than the file. */
    readonly dirtyFrames: number
    /** Pages that readers looked for, in all threads. */
    readonly lookups: number
    /** Pages that readers did not find, and read from the file themselves. */
    readonly misses: number
    /** Of lookups, from 0 to 1; 1 as long as there was none. */
    readonly hitRate: number
    /** Pages that the sequencer read from the file for itself. */
    readonly sequencerMisses: number
    /** Pages that readers had missed, and that were read into the cache for them. */
    readonly admissions: number
    readonly evictions: number
    /** Pages written before a checkpoint, for want of room. */
    readonly spills: number
  }
  readonly ring: {
    readonly bytes: number
    /** Reserved, and not yet in the log. */
    readonly usedBytes: number
    /** The most that the sequencer has found, before a group. */
    readonly usedBytesMax: number
  }
  readonly checkpoints: {
    readonly count: number
    /** How long the last one took, commits in between included, in ms. */
    readonly lastMs: number
  }
  readonly snapshots: {
    /** Snapshots, transactions and iterations. */
    readonly open: number
    /** Given up because of their age. */
    readonly revoked: number
    /** The oldest state that somebody looks at: the newest when there is no older. */
    readonly oldestSequence: number
    /** Since when it is no longer the newest, in ms; 0 when it is. */
    readonly oldestMs: number
    /** Pages gone from the newest state that are kept for older ones. */
    readonly retiredPages: number
  }
  readonly changes: {
    /** Iterators of `changes()` that are open. */
    readonly readers: number
    /** How many commits the slowest of them is behind. */
    readonly behind: number
  }
  readonly threads: {
    readonly attached: number
  }
  readonly archive: {
    /** Segments of the log that were copied into it. */
    readonly segments: number
    /** Attempts to do so that failed: while it rises, `log.bytes` grows. */
    readonly failures: number
  }
  readonly processes: {
    /** That had the database open when this one last looked. */
    readonly others: number
    /** How often this one waited for its turn to write, and had it. */
    readonly turns: number
    /** All these waits together, in ms. */
    readonly turnWaitMs: number
    readonly turnWaitMsMax: number
    /** How often the turn was not had within `busyTimeout`. */
    readonly busy: number
  }
}

const NAMES = [
  'sequence',
  'commits',
  'refusedConflict',
  'refusedDefinition',
  'refusedFull',
  'refusedMalformed',
  'groups',
  'logBytes',
  'logFileBytes',
  'logSegments',
  'logBytesWritten',
  'filePages',
  'freePages',
  'frames',
  'freeFrames',
  'dirtyFrames',
  'lookups',
  'misses',
  'sequencerMisses',
  'admissions',
  'evictions',
  'spills',
  'ringBytes',
  'ringUsedBytes',
  'ringUsedBytesMax',
  'checkpoints',
  'checkpointMs',
  'pins',
  'pinsRevoked',
  'oldestSequence',
  'oldestMs',
  'retiredPages',
  'changesReaders',
  'changesSequence',
  'threadsAttached',
  'slowSyncs',
  'slowSyncMs',
  'archivedSegments',
  'archiveFailures',
  'others',
  'turns',
  'turnWaitMs',
  'turnWaitMsMax',
  'busy',
] as const

/** What the sequencer counts. */
export type StoreCounters = Readonly<Record<(typeof NAMES)[number], number>>

const COUNTERS_BYTES: number = NAMES.length * 8

export const STATS_BYTES: number = COUNTERS_BYTES + HISTOGRAM_BYTES

const PAGE_BYTES = 8192

export class StatsBoard {
  /** Of the log's syncs. */
  readonly syncs: LatencyHistogram
  readonly #values: Float64Array

  constructor(buffer: SharedArrayBuffer) {
    this.#values = new Float64Array(buffer, 0, NAMES.length)
    this.syncs = new LatencyHistogram(buffer, COUNTERS_BYTES)
  }

  write(counters: StoreCounters): void {
    for (let at = 0; at < NAMES.length; at++) this.#values[at] = counters[NAMES[at]!]
  }

  counters(): StoreCounters {
    const counters = Object.fromEntries(NAMES.map((name, at) => [name, this.#values[at] ?? 0]))
    // A value for each name, and nothing else.
    // oxlint-disable-next-line no-unsafe-type-assertion
    return counters as StoreCounters
  }

  /** @param newest the newest published commit's sequence, where it is known more exactly */
  read(uptimeMs: number, newest = 0): StoreStats {
    const now = this.counters()
    const syncs = this.syncs.read()
    const sequence = Math.max(now.sequence, newest)
    return {
      uptimeMs,
      sequence,
      commits: now.commits,
      refusals: {
        conflict: now.refusedConflict,
        definition: now.refusedDefinition,
        full: now.refusedFull,
        malformed: now.refusedMalformed,
      },
      log: {
        bytes: now.logBytes,
        fileBytes: now.logFileBytes,
        segments: now.logSegments,
        groups: now.groups,
        bytesWritten: now.logBytesWritten,
        syncs,
        commitsPerSync: syncs.count === 0 ? 0 : now.commits / syncs.count,
      },
      file: {
        bytes: now.filePages * PAGE_BYTES,
        pages: now.filePages,
        freePages: now.freePages,
      },
      cache: {
        frames: now.frames,
        freeFrames: now.freeFrames,
        dirtyFrames: now.dirtyFrames,
        lookups: now.lookups,
        misses: now.misses,
        hitRate: now.lookups === 0 ? 1 : Math.max(0, 1 - now.misses / now.lookups),
        sequencerMisses: now.sequencerMisses,
        admissions: now.admissions,
        evictions: now.evictions,
        spills: now.spills,
      },
      ring: {
        bytes: now.ringBytes,
        usedBytes: now.ringUsedBytes,
        usedBytesMax: now.ringUsedBytesMax,
      },
      checkpoints: { count: now.checkpoints, lastMs: now.checkpointMs },
      snapshots: {
        open: now.pins,
        revoked: now.pinsRevoked,
        oldestSequence: now.oldestSequence,
        oldestMs: now.oldestMs,
        retiredPages: now.retiredPages,
      },
      changes: {
        readers: now.changesReaders,
        behind: now.changesReaders === 0 ? 0 : Math.max(0, sequence - now.changesSequence),
      },
      threads: { attached: now.threadsAttached },
      archive: { segments: now.archivedSegments, failures: now.archiveFailures },
      processes: {
        others: now.others,
        turns: now.turns,
        turnWaitMs: now.turnWaitMs,
        turnWaitMsMax: now.turnWaitMsMax,
        busy: now.busy,
      },
    }
  }
}
