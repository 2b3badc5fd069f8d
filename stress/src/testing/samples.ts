/** Figures of processes that never ran. */
import type { DatabaseCounters } from '../harness/database-counters.ts'
import type { ProcessSample } from '../harness/process-protocol.ts'
import { Latencies } from '../latencies.ts'

const NO_COUNTERS: DatabaseCounters = {
  commits: 0,
  refusals: 0,
  syncs: 0,
  syncMsTotal: 0,
  turns: 0,
  turnWaitMs: 0,
  logBytes: 0,
  filePages: 0,
}

/** @param latenciesMs each was taken once */
export function sampleOf(
  changes: Partial<Omit<ProcessSample, 'counters' | 'latencies'>> & {
    readonly counters?: Partial<DatabaseCounters>
  } = {},
  latenciesMs: readonly number[] = [],
): ProcessSample {
  const latencies = Latencies.create()
  for (const ms of latenciesMs) latencies.record(ms)
  return {
    elapsedMs: 1000,
    operations: 0,
    reads: 0,
    silenceMs: 0,
    rssBytes: 0,
    eventLoopDelayP99Ms: 0,
    freshnessChecks: 0,
    freshnessFindings: [],
    stats: {},
    underWay: true,
    ...changes,
    latencies: latencies.counts(),
    counters: { ...NO_COUNTERS, ...changes.counters },
  }
}
