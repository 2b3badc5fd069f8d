/**
 * The log that goes on from a checkpoint: is its chain whole, and does it begin where it has to? Somebody else may
 * append to it, or release its segments, meanwhile.
 */
import { inspectLog, type LogInspection } from '@ringbolt/wal'
import type { Meta } from '../space/meta.ts'
import type { Findings } from './integrity-report.ts'
import type { StoreFolders } from './store-folders.ts'

/**
 * Yields after each group; true: a moment's pause is due, what was found is looked at once more.
 * @param metaOf the newest, read again when the log does not fit it: a checkpoint may have come meanwhile
 * @returns how many bytes of the log were looked at
 */
export function* checkLog(
  folders: StoreFolders,
  metaOf: () => Meta,
  findings: Findings,
): Generator<boolean, number, undefined> {
  let meta = metaOf()
  for (;;) {
    if (meta.clean) return 0
    const store = folders.openLogFolder()
    if (store === undefined) {
      const now = metaOf()
      if (now.checkpoint === meta.checkpoint) return missing(folders, meta, findings)
      meta = now
      continue
    }
    const log = yield* inspectLog(store, { logId: meta.logId })
    const now = metaOf()
    const isSame = now.checkpoint === meta.checkpoint
    // The log of a meta that is not in use any more may have been let go of.
    if (!isSame && (log.findings.length > 0 || !fits(log, meta))) {
      meta = now
      continue
    }
    for (const { file, byteOffset, epoch, what, expected, actual } of log.findings) {
      const problem = `${file} at byte ${byteOffset}, epoch ${epoch}: ${what} is ${actual}, expected ${expected}`
      findings.add({ kind: 'log-chain', file, offset: byteOffset, what, expected, actual, problem })
    }
    if (!fits(log, meta)) mismatch(store.location, log, meta, findings)
    if (log.tornBytes > 0) {
      findings.note(`${log.tornBytes} bytes at the end of the log are torn, as a crash leaves them`)
    }
    return log.segments.reduce((sum, { usedBytes }) => sum + usedBytes, 0)
  }
}

function fits({ segments }: LogInspection, { logLsn }: Meta): boolean {
  const first = segments[0]?.firstLsn ?? Number.POSITIVE_INFINITY
  const end = segments.at(-1)?.endLsn ?? 0
  return first <= logLsn && logLsn <= end
}

function mismatch(file: string, { segments }: LogInspection, meta: Meta, findings: Findings): void {
  const first = segments[0]
  const expected = `one that goes on from LSN ${meta.logLsn}`
  const actual =
    first === undefined ? 'none' : `one from LSN ${first.firstLsn} to ${segments.at(-1)?.endLsn}`
  findings.add({ kind: 'log-chain', file, offset: 0, what: 'the log', expected, actual })
}

function missing(folders: StoreFolders, meta: Meta, findings: Findings): number {
  const file = `${folders.main.location}/${folders.mainName}`
  const expected = `one that goes on from LSN ${meta.logLsn}`
  const [what, actual] = ['the log', 'missing']
  findings.add({ kind: 'log-chain', file, offset: 0, what, expected, actual })
  return 0
}
