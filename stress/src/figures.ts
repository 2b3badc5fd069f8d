/** Figures of a report, from what a phase measured. */
import type { KillRound } from './kill-round.ts'
import { countOf, percentileMs } from './latencies.ts'
import type { LivePhaseResult } from './live-phase.ts'
import { KILL_KINDS, type Kill } from './load.ts'
import type { Figure } from './report.ts'

const MIB = 1024 * 1024

export function throughputFigures(phase: LivePhaseResult, recordBytes: number): Figure[] {
  const seconds = phase.durationMs / 1000
  const { stats, latencies } = phase
  return figuresIn('Throughput', [
    ['acknowledged', phase.acknowledgedTotal, 'records'],
    ['in', seconds, 's'],
    ['records', phase.acknowledgedTotal / seconds, '/s'],
    ['bytes of records', (recordBytes * phase.acknowledgedTotal) / seconds / 1e6, 'MB/s'],
    ['bytes of log', phase.bytes / seconds / 1e6, 'MB/s'],
    ...latencyRows(latencies),
    ['longest silence', phase.longestSilenceMs, 'ms'],
    ['records per sync', stats.records / Math.max(1, stats.syncs), ''],
    ['syncs', stats.syncs / seconds, '/s'],
    ['sync p50', stats.syncMs.p50, 'ms'],
    ['sync p99', stats.syncMs.p99, 'ms'],
    ['sync max', stats.syncMs.max, 'ms'],
    ['ring occupied, mean', (100 * phase.occupancy.meanBytes) / stats.ringCapacityBytes, '%'],
    ['ring occupied, max', (100 * phase.occupancy.maxBytes) / stats.ringCapacityBytes, '%'],
    ['waits for room', phase.spaceWaits, ''],
    ['aborted frames', stats.aborted, ''],
    ['checkpoints', phase.checkpoints, ''],
  ])
}

/** @param counts of a `Latencies` */
export function latencyRows(counts: readonly number[]): [string, number, string][] {
  if (countOf(counts) === 0) return []
  const ms = (percentile: number): number => percentileMs(counts, percentile) ?? 0
  return [
    ['acknowledgement p50', ms(50), 'ms'],
    ['acknowledgement p99', ms(99), 'ms'],
    ['acknowledgement p99.9', ms(99.9), 'ms'],
    ['acknowledgement max', ms(100), 'ms'],
  ]
}

/** Each kill by itself. */
export function killFigures(kills: readonly Kill[]): Figure[] {
  return figuresIn(
    'Killed workers',
    kills.map(({ kind, incarnation, atMs, detectedMs, progressMs }) => [
      `${kind}, incarnation ${incarnation}`,
      `at ${(atMs / 1000).toFixed(1)} s: gone after ${detectedMs.toFixed(1)} ms, the ring moved on ${progressMs.toFixed(1)} ms later`,
      '',
    ]),
  )
}

/** Many kills, by how they were done. */
export function deathFigures(kills: readonly Kill[]): Figure[] {
  return KILL_KINDS.flatMap((kind) => {
    const some = kills.filter((kill) => kill.kind === kind)
    return figuresIn(`Killed by ${kind}`, [
      ['workers', some.length, ''],
      ...spread('kill to exit', some, 'detectedMs'),
      ...spread('exit to progress', some, 'progressMs'),
      ...spread('silence around it', some, 'silenceMs'),
    ])
  })
}

function spread(
  name: string,
  kills: readonly Kill[],
  field: 'detectedMs' | 'progressMs' | 'silenceMs',
): [string, string, string][] {
  const sorted = kills.map((kill) => kill[field]).toSorted((a, b) => a - b)
  const at = (share: number): string =>
    (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0).toFixed(1)
  return [[name, `p50 ${at(0.5)}, p99 ${at(0.99)}, max ${at(1)}`, 'ms']]
}

export function memoryFigures(phase: LivePhaseResult): Figure[] {
  const first = phase.memory[0]
  const last = phase.memory.at(-1)
  if (first === undefined || last === undefined) return []
  const most = Math.max(...phase.memory.map(({ rssBytes }) => rssBytes))
  return figuresIn('Memory', [
    ['process, first second', first.rssBytes / MIB, 'MiB'],
    ['process, most', most / MIB, 'MiB'],
    ['process, at the end', last.rssBytes / MIB, 'MiB'],
    ["the log's thread, first second", first.logHeapBytes / MIB, 'MiB'],
    ["the log's thread, at the end", last.logHeapBytes / MIB, 'MiB'],
  ])
}

export function recoveryFigures(rounds: readonly KillRound[]): Figure[] {
  const sum = (of: (round: KillRound) => number): number =>
    rounds.reduce((total, round) => total + of(round), 0)
  const records = sum(({ recovery }) => recovery.records)
  const ms = sum(({ recoveryMs }) => recoveryMs)
  return figuresIn('SIGKILL and recovery', [
    ['processes killed', rounds.length, ''],
    ['acknowledged by them', sum(({ acknowledged }) => acknowledged), 'records'],
    ['records recovered', records, ''],
    ['recovery, mean', ms / Math.max(1, rounds.length), 'ms'],
    ['recovery, longest', Math.max(0, ...rounds.map(({ recoveryMs }) => recoveryMs)), 'ms'],
    ['recovery', records / Math.max(1e-3, ms / 1000), 'records/s'],
    ['torn tails dropped', rounds.filter(({ recovery }) => recovery.droppedBytes > 0).length, ''],
    ['bytes dropped', sum(({ recovery }) => recovery.droppedBytes), ''],
  ])
}

export function figuresIn(
  section: string,
  rows: readonly (readonly [string, number | string, string])[],
): Figure[] {
  return rows.map(([name, value, unit]) => ({ section, name, value, unit }))
}
