/** What a seed stands for: a database's settings and workload, and for each round what goes wrong. Pure. */
import type { CrashKind, CrashPlan, DiskCall, FaultPlan, Random } from '@ringbolt/wal/simulation'

export type OperationKind =
  | 'commit'
  | 'burst'
  | 'step'
  | 'settle'
  | 'read'
  | 'scan'
  | 'slowRead'
  | 'pin'
  | 'readPinned'
  | 'unpin'
  | 'checkpoint'
  | 'sync'
  | 'die'
  | 'pass time'

/** `wide`: long ones with nothing in common, so that branches hold few of them. */
export type KeyStyle = 'short' | 'long' | 'wide' | 'prefixed' | 'mixed'

export interface Geometry {
  /** No files: nothing outlives a session, and what does not fit is refused. */
  readonly inMemory: boolean
  readonly sectorBytes: number
  readonly segmentBytes: number
  readonly ringBytes: number
  /** Shared frames of the cache. */
  readonly cacheFrames: number
  readonly checkpointLogBytes: number
  readonly checkpointIntervalMs: number
  readonly checkpointPagesPerStep: number
  readonly snapshotAgeMaxMs: number
  readonly maxWaitMs: number
  /** How much passes between two operations, at the most. */
  readonly pauseMsMax: number
  readonly sync: 'full' | 'normal' | 'off'
  readonly clients: number
  /** How many different keys there are in a tree. */
  readonly keySpace: number
  readonly keyStyle: KeyStyle
  readonly valueBytesMax: number
  /** One value in so many takes overflow pages; 0: none. */
  readonly overflowEvery: number
  readonly overflowBytesMax: number
  /** Operations of the largest transactions. */
  readonly operationsMax: number
  readonly trees: readonly number[]
  readonly evictChance: number
  readonly rounds: number
}

export interface RoundPlan {
  readonly operations: number
  readonly weights: readonly (readonly [OperationKind, number])[]
  readonly crash: CrashPlan | undefined
  /** When the crash plan begins to count calls. */
  readonly crashAt: Stage
  readonly faults: readonly FaultPlan[]
  readonly faultsAt: Stage
  /** Bytes beyond what is on the disk when the round begins; undefined: no bound. */
  readonly freeBytes: number | undefined
  readonly ending: CrashKind | 'close'
  readonly endingPoisoned: CrashKind | 'close'
  /** Opens read-only before it opens for writing: that must find the same and change nothing. */
  readonly looksFirst: boolean
  readonly opensTwice: boolean
  readonly changed: Partial<Geometry>
}

export type Stage = 'opening' | 'working' | 'closing'

const KIB = 1024

const CRASH_CALLS: readonly (readonly [DiskCall | 'any', number])[] = [
  ['write', 30],
  ['sync', 25],
  ['syncFolder', 8],
  ['rename', 8],
  ['create', 5],
  ['remove', 6],
  ['truncate', 2],
  ['open', 3],
  ['read', 3],
  ['list', 1],
  ['length', 1],
  ['any', 12],
]

const FAULT_CALLS: readonly (readonly [DiskCall, number])[] = [
  ['write', 34],
  ['sync', 40],
  ['syncFolder', 5],
  ['rename', 5],
  ['create', 4],
  ['remove', 4],
  ['truncate', 2],
  ['open', 3],
  ['read', 6],
]

export function drawGeometry(random: Random): Geometry {
  // Enough data that pages are evicted and read again.
  const large = random.chance(0.15)
  const inMemory = random.chance(0.04)
  const keyStyle = random.pick(['short', 'short', 'long', 'wide', 'prefixed', 'mixed'] as const)
  return {
    inMemory,
    sectorBytes: random.pick([512, 4 * KIB]),
    segmentBytes: random.pick([8, 16, 32, 64]) * KIB,
    ringBytes: random.pick([4, 8, 16, 64]) * KIB,
    cacheFrames: large ? random.pick([80, 96]) : random.pick([80, 96, 160]),
    checkpointLogBytes: random.pick([1, 4, 16, 64, 1024]) * KIB,
    checkpointIntervalMs: random.pick([10, 1_000, 1_000_000]),
    snapshotAgeMaxMs: random.pick([50, 1_000_000]),
    checkpointPagesPerStep: random.fork('pages').pick([1, 2, 5, 64]),
    maxWaitMs: random.pick([0, 0, 5]),
    pauseMsMax: random.pick([0, 3, 60]),
    sync: random.pick(['full', 'full', 'full', 'normal', 'off'] as const),
    clients: random.between(1, 4),
    keySpace: random.pick([4, 20, 60, 200]),
    keyStyle,
    valueBytesMax: random.pick([16, 160, 600, 2_048]),
    overflowEvery: large ? random.pick([3, 8]) : random.pick([0, 0, 20, 60]),
    overflowBytesMax: large ? 60 * KIB : 20 * KIB,
    operationsMax: large ? 30 : random.pick([1, 3, 10, 30]),
    trees: drawTrees(random),
    evictChance: random.pick([0, 0, 0.5]),
    rounds: random.between(1, 3),
  }
}

/** Indexes in several directory pages, and some that share one. */
function drawTrees(random: Random): number[] {
  const pool = [1, 2, 3, 254, 255, 256, 600, 2_039]
  const trees = new Set<number>([0])
  const count = random.between(1, 4)
  while (trees.size < 1 + count) trees.add(random.pick(pool))
  return [...trees]
}

export function drawRound(random: Random, geometry: Geometry, round: number): RoundPlan {
  const crashAt = drawStage(random, round)
  const faultsAt = drawStage(random, round)
  const { inMemory } = geometry
  return {
    operations: random.pick([2, 6, 12, 25]),
    weights: drawWeights(random),
    crash: !inMemory && random.chance(0.75) ? drawCrash(random, crashAt) : undefined,
    crashAt,
    faults: !inMemory && random.chance(0.25) ? drawFaults(random) : [],
    faultsAt,
    freeBytes: random.chance(0.08) ? random.below(200 * KIB) : undefined,
    ending: inMemory
      ? 'close'
      : random.pick(['power', 'power', 'kill', 'kill', 'close', 'close'] as const),
    endingPoisoned: random.pick(['power', 'kill', 'kill', 'close'] as const),
    looksFirst:
      !inMemory &&
      crashAt !== 'opening' &&
      faultsAt !== 'opening' &&
      geometry.evictChance === 0 &&
      random.chance(0.2),
    opensTwice: !inMemory && random.chance(0.12),
    changed: round > 0 && random.chance(0.25) ? drawChange(random) : {},
  }
}

function drawStage(random: Random, round: number): Stage {
  if (random.chance(round === 0 ? 0.1 : 0.3)) return 'opening'
  return random.chance(0.15) ? 'closing' : 'working'
}

function drawChange(random: Random): Partial<Geometry> {
  return {
    segmentBytes: random.pick([8, 16, 32]) * KIB,
    ringBytes: random.pick([4, 16, 64]) * KIB,
    cacheFrames: random.pick([80, 160]),
    checkpointLogBytes: random.pick([1, 16, 1024]) * KIB,
    sync: random.pick(['full', 'normal', 'off'] as const),
  }
}

/** Each round likes some operations more than others. */
function drawWeights(random: Random): readonly (readonly [OperationKind, number])[] {
  const often = (weight: number): number => random.pick([0, weight, weight, 3 * weight])
  return [
    ['commit', 20 + often(20)],
    ['burst', often(10)],
    ['step', 10 + often(10)],
    ['settle', often(6)],
    ['read', often(4)],
    ['scan', often(2)],
    ['slowRead', often(3)],
    ['pin', often(3)],
    ['readPinned', often(3)],
    ['unpin', often(2)],
    ['checkpoint', often(4)],
    ['sync', often(2)],
    ['die', often(2)],
    ['pass time', often(2)],
  ]
}

function drawCrash(random: Random, stage: Stage): CrashPlan {
  const call = random.weighted(CRASH_CALLS)
  const nthMax = stage === 'working' ? (call === 'any' ? 80 : 12) : call === 'any' ? 30 : 3
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
      syncLoss: random.pick(['lost', 'lost', 'lost', 'reverted', 'kept', 'mixed'] as const),
    }
  })
}
