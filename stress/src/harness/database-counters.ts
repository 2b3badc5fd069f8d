/** What the harness takes of the database's own figures; here alone it knows their names. */
import type { StoreStats } from 'ringbolt'

export interface DatabaseCounters {
  /** Since the database was opened, as the five that follow. */
  readonly commits: number
  readonly refusals: number
  readonly syncs: number
  readonly syncMsTotal: number
  /** How often the process took its turn to write over from another. */
  readonly turns: number
  readonly turnWaitMs: number
  /** Now. */
  readonly logBytes: number
  readonly filePages: number
}

export function countersOf(stats: StoreStats): DatabaseCounters {
  const { commits, refusals, log, file, processes } = stats
  return {
    commits,
    refusals: Object.values(refusals).reduce((sum, count) => sum + count, 0),
    syncs: log.syncs.count,
    syncMsTotal: log.syncs.totalMs,
    turns: processes.turns,
    turnWaitMs: processes.turnWaitMs,
    logBytes: log.bytes,
    filePages: file.pages,
  }
}
