/** Figures of a report on documents, from what a phase measured. */
import { figuresIn, latencyRows } from '../figures.ts'
import type { Figure } from '../report.ts'
import type { DocumentOracleResult } from './document-oracle.ts'
import type { DocumentPhaseResult } from './document-phase.ts'
import type { Recovered } from './document-soak.ts'

const MIB = 1024 * 1024

export function documentFigures(phase: DocumentPhaseResult): Figure[] {
  const seconds = phase.durationMs / 1000
  const { stats } = phase
  return [
    ...figuresIn('Throughput', [
      ['acknowledged', phase.operations, 'operations'],
      ['in', seconds, 's'],
      ['operations', phase.operations / seconds, '/s'],
      ...latencyRows(phase.latencyUs),
      ['longest silence', phase.longestSilenceMs, 'ms'],
      ['main thread, event loop delay p99', phase.eventLoopDelayP99Ms, 'ms'],
      ['commits per sync', stats.log.commitsPerSync, ''],
      ['commits refused', stats.refusals.conflict + stats.refusals.definition, ''],
      ['checkpoints', stats.checkpoints.count, ''],
    ]),
    ...figuresIn('Memory', [
      ['process, first second', (phase.rssBytes[0] ?? 0) / MIB, 'MiB'],
      ['process, most', Math.max(0, ...phase.rssBytes) / MIB, 'MiB'],
      ['process, at the end', (phase.rssBytes.at(-1) ?? 0) / MIB, 'MiB'],
    ]),
  ]
}

export function recoveryFigures(
  recovered: Recovered | undefined,
  result: DocumentOracleResult | undefined,
): Figure[] {
  if (recovered === undefined || result === undefined) return []
  return figuresIn('SIGKILL and recovery', [
    ['acknowledged by the killed process', recovered.acknowledged, 'operations'],
    ['recovery', recovered.recoveryMs, 'ms'],
    ['documents compared', result.documents, ''],
    ['under way, and committed', result.unacknowledgedCommitted, 'operations'],
  ])
}
