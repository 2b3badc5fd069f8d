/** Everything that is measured of document stores. */
import type { Benchmark } from '../program.ts'
import { variants } from './candidates.ts'
import { increments } from './increment-benchmarks.ts'
import { backups, integrity } from './operations-benchmarks.ts'
import { memory, openLarge, snapshots } from './process-benchmarks.ts'
import { gets, ranges } from './read-benchmarks.ts'
import { sharedInserts } from './shared-benchmarks.ts'
import { getsBeside } from './shared-read-benchmarks.ts'
import type { Candidate } from './store.ts'
import { bulkLoad, eventLoopDelay, inserts, mixed } from './write-benchmarks.ts'

const MANY = { threads: 4, inFlight: 64, blocking: false }
const FEW = { threads: 4, inFlight: 8, blocking: false }
const BLOCKING = { threads: 4, inFlight: 1, blocking: true }

/** @param candidates those that are installed */
export function documentBenchmarks(candidates: readonly Candidate[]): readonly Benchmark[] {
  const synced = candidates.filter(({ acknowledged }) => acknowledged === 'synced')
  const blocking = candidates.filter(({ oneThreadOnly }) => oneThreadOnly === undefined)
  const shareable = synced.filter(({ oneThreadOnly }) => oneThreadOnly === undefined)
  const ringbolt = candidates.find(({ name }) => name === 'ringbolt')
  return [
    gets(candidates),
    inserts(MANY, candidates),
    inserts(FEW, candidates),
    inserts(BLOCKING, blocking),
    mixed(MANY, synced),
    ranges(candidates),
    bulkLoad(synced),
    openLarge(candidates),
    ...(ringbolt === undefined ? [] : [snapshots(ringbolt)]),
    memory(candidates),
    eventLoopDelay(MANY, synced),
    sharedInserts(shareable),
    getsBeside(shareable),
    ...(ringbolt === undefined ? [] : alone([ringbolt, variants.unlocked])),
    ...(ringbolt === undefined ? [] : [backups, integrity, increments].map((of) => of(ringbolt))),
  ]
}

/** What a process pays for the possibility that others have its database open, while none has. */
function alone(candidates: readonly Candidate[]): readonly Benchmark[] {
  const under = 'a process alone, with the lock between processes and without: '
  return [inserts(MANY, candidates, under), gets(candidates, under)]
}
