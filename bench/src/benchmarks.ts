/** Everything that is measured, by program. */
import type { LoadShape } from './append-work.ts'
import { blockingLatency, sideBySide, slowerDisk } from './log-benchmarks.ts'
import { type Candidate, lmdb, ringbolt, sqlite } from './log-candidates.ts'
import { micro } from './micro.ts'
import type { Benchmark } from './program.ts'
import { recovery } from './recovery.ts'
import { transferBenchmark } from './transfer-benchmarks.ts'

const transfers = [64, 256].flatMap((recordBytes) =>
  [1, 2, 4].map((producers) => transferBenchmark(producers, recordBytes)),
)

/** `pnpm bench`. */
export const ownBenchmarks: readonly Benchmark[] = [
  micro,
  ...transfers,
  slowerDisk(1),
  blockingLatency(4),
  recovery,
]

const candidates: readonly Candidate[] = [
  ringbolt('ringbolt'),
  lmdb('lmdb-js, overlappingSync: false', 'synced'),
  lmdb('lmdb-js, default', 'at its commit'),
  sqlite('better-sqlite3, synchronous=FULL', 1),
  sqlite('better-sqlite3, 64 rows a transaction', 64),
]

const shapes: readonly LoadShape[] = [
  { threads: 4, inFlight: 64, blocking: false },
  { threads: 4, inFlight: 8, blocking: false },
  { threads: 4, inFlight: 1, blocking: true },
]

/** The log alone beside other databases; a part of `pnpm bench:peers`. */
export const logPeerBenchmarks: readonly Benchmark[] = shapes.map((shape) =>
  sideBySide(shape, candidates),
)
