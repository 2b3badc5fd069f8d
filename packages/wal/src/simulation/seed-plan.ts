/** What a seed stands for: a log's geometry, and for each round what is done and what goes wrong. Pure. */
import type { RecoveryPolicy } from '../recovery-report.ts'
import type { SyncPolicy } from '../segmented-log-options.ts'
import type { CrashKind, CrashPlan, DiskCall, FaultPlan } from './disk-plans.ts'
import type { Random } from './random.ts'

export type OperationKind =
  | 'append'
  | 'appendAndSync'
  | 'writeGroup'
  | 'flush'
  | 'sync'
  | 'acknowledge'
  | 'ensureDurable'
  | 'prepareStep'
  | 'truncateBefore'
  | 'truncateAfter'
  | 'truncate'
  | 'cleanupSegments'
  | 'read'

export interface Geometry {
  readonly sectorBytes: number
  readonly segmentBytes: number
  readonly groupBytesMax: number
  readonly sparesMax: number
  readonly sync: SyncPolicy
  readonly recordBytesMax: number
  /** Most records have this length: what is written after a crash then lies just where the lost did. 0: not so. */
  readonly recordBytesUsual: number
  /** One record in so many is larger than a segment; 0: none. */
  readonly hugeEvery: number
  readonly evictChance: number
  readonly rounds: number
}

export interface RoundPlan {
  readonly operations: number
  readonly weights: readonly (readonly [OperationKind, number])[]
  readonly crash: CrashPlan | undefined
  /** The crash plan counts the calls of opening; otherwise from when the log is open. */
  readonly crashWhileOpening: boolean
  readonly faults: readonly FaultPlan[]
  readonly faultsWhileOpening: boolean
  /** Bytes beyond what is on the disk when the round begins; undefined: no bound. */
  readonly freeBytes: number | undefined
  readonly ending: CrashKind | 'close'
  /** Of a round in which the log was poisoned: what a failed sync lost shows after the next crash only. */
  readonly endingPoisoned: CrashKind | 'close'
  /** Opens read-only before it opens for writing: that must find the same and change nothing. */
  readonly looksFirst: boolean
  readonly opensTwice: boolean
  /** After a crash alone, salvage must keep what the default policy keeps. */
  readonly recovery: RecoveryPolicy
  /** Options may change from one opening to the next. */
  readonly changed: Partial<Geometry>
}

const CRASH_CALLS: readonly (readonly [DiskCall | 'any', number])[] = [
  ['write', 30],
  ['sync', 20],
  ['syncFolder', 14],
  ['rename', 12],
  ['create', 7],
  ['remove', 6],
  ['open', 4],
  ['read', 2],
  ['list', 1],
  ['length', 1],
  ['any', 8],
]

const FAULT_CALLS: readonly (readonly [DiskCall, number])[] = [
  ['write', 30],
  ['sync', 40],
  ['syncFolder', 8],
  ['rename', 8],
  ['create', 6],
  ['remove', 4],
  ['open', 3],
  ['read', 2],
]

const KIB = 1024

export function drawGeometry(random: Random): Geometry {
  // A spare of more than 1 MiB is prepared in several steps.
  const large = random.below(400) === 0
  return {
    sectorBytes: large ? 4 * KIB : random.pick([512, 4 * KIB]),
    segmentBytes: large ? 2_304 * KIB : random.pick([8, 8, 12, 16, 32, 64]) * KIB,
    groupBytesMax: random.pick([64, 512, 4 * KIB, 32 * KIB, KIB * KIB]),
    sparesMax: random.below(4),
    sync: random.pick(['full', 'full', 'full', 'normal', 'off'] as const),
    recordBytesMax: random.pick([16, 200, 200, 2_000, 6_000]),
    recordBytesUsual: random.chance(0.3) ? random.between(1, random.between(1, 3_000)) : 0,
    hugeEvery: large ? 0 : random.pick([0, 0, 0, 60]),
    evictChance: random.pick([0, 0, 0.5]),
    rounds: random.between(2, 4),
  }
}

export function drawRound(random: Random, geometry: Geometry, round: number): RoundPlan {
  const crashWhileOpening = random.chance(round === 0 ? 0.1 : 0.35)
  const faultsWhileOpening = random.chance(0.3)
  return {
    operations: random.pick([3, 10, 20, 40]),
    weights: drawWeights(random),
    crash: random.chance(0.75) ? drawCrash(random, crashWhileOpening) : undefined,
    crashWhileOpening,
    faults: random.chance(0.3) ? drawFaults(random) : [],
    faultsWhileOpening,
    freeBytes: random.chance(0.1) ? random.below(3 * geometry.segmentBytes) : undefined,
    ending: random.pick(['power', 'power', 'power', 'kill', 'kill', 'close'] as const),
    endingPoisoned: random.pick(['power', 'kill', 'kill', 'close'] as const),
    // A file that is opened may show other bytes where pages are evicted.
    looksFirst:
      !crashWhileOpening && !faultsWhileOpening && geometry.evictChance === 0 && random.chance(0.2),
    opensTwice: random.chance(0.15),
    recovery: random.chance(0.05) ? 'salvage' : 'torn-tail',
    changed: round > 0 && random.chance(0.15) ? drawChange(random) : {},
  }
}

function drawChange(random: Random): Partial<Geometry> {
  return {
    segmentBytes: random.pick([8, 12, 16, 32]) * KIB,
    sparesMax: random.below(4),
    sync: random.pick(['full', 'normal', 'off'] as const),
    groupBytesMax: random.pick([64, 4 * KIB]),
  }
}

/** Each round likes some operations more than others. */
function drawWeights(random: Random): readonly (readonly [OperationKind, number])[] {
  const often = (weight: number): number => random.pick([0, weight, weight, 3 * weight])
  return [
    ['append', 20 + often(20)],
    ['appendAndSync', often(8)],
    ['writeGroup', often(8)],
    ['flush', 1 + often(6)],
    ['sync', often(5)],
    ['acknowledge', often(3)],
    ['ensureDurable', often(2)],
    ['prepareStep', often(4)],
    ['truncateBefore', often(3)],
    ['truncateAfter', often(1)],
    ['truncate', random.chance(0.2) ? 1 : 0],
    ['cleanupSegments', often(1)],
    ['read', often(1)],
  ]
}

function drawCrash(random: Random, whileOpening: boolean): CrashPlan {
  const call = random.weighted(CRASH_CALLS)
  const nthMax = whileOpening ? (call === 'any' ? 20 : 3) : call === 'any' ? 60 : 12
  return {
    call,
    nth: random.between(1, random.between(1, nthMax)),
    phase: random.pick(['before', 'middle', 'after'] as const),
    kind: random.pick(['power', 'power', 'kill'] as const),
  }
}

function drawFaults(random: Random): FaultPlan[] {
  return Array.from({ length: random.between(1, 2) }, () => {
    const call = random.weighted(FAULT_CALLS)
    const isSpace = (call === 'write' || call === 'create') && random.chance(0.4)
    return {
      call,
      nth: random.between(1, random.between(1, 12)),
      forever: random.chance(0.3),
      errno: isSpace ? 'ENOSPC' : 'EIO',
      syncLoss: random.pick(['lost', 'lost', 'lost', 'lost', 'reverted', 'kept', 'mixed'] as const),
    }
  })
}

/** Bytes of records: chance, zeros, and what looks like the log's own. */
type Filling = 'chance' | 'zeros' | 'echo'

export interface RecordPlan {
  /** Undefined: as many as just fill the segment, or come close to it. */
  readonly lengthBytes: number | undefined
  readonly filling: Filling
}

export function drawRecord(random: Random, geometry: Geometry): RecordPlan {
  const { hugeEvery, recordBytesMax, recordBytesUsual, segmentBytes } = geometry
  const huge = hugeEvery > 0 && random.below(hugeEvery) === 0
  const filling = random.weighted([
    ['chance', 8],
    ['zeros', 1],
    ['echo', 1],
  ])
  if (recordBytesUsual > 0 && random.chance(0.9)) return { lengthBytes: recordBytesUsual, filling }
  if (random.below(25) === 0) return { lengthBytes: undefined, filling }
  const lengthBytes = huge
    ? random.between(segmentBytes / 2, 2.5 * segmentBytes)
    : random.between(1, random.between(1, recordBytesMax))
  return { lengthBytes, filling }
}
