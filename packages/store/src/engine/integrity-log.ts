/**
 * The log that goes on from a checkpoint: is its chain whole, and does it begin where it has to? Somebody else may
 * append to it, or release its segments, meanwhile.
 */
import {
  inspectLog,
  type LogInspection,
  LogIoError,
  LogNotFoundError,
  type LogStore,
} from '@ringbolt/wal'
import type { Meta } from '../space/meta.ts'
import type { Findings } from './integrity-report.ts'
import type { StoreFolders } from './store-folders.ts'

const ATTEMPTS_MAX = 20

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
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const meta = metaOf()
    if (meta.clean) return 0
    const store = folders.openLogFolder()
    const log = store && (yield* inspect(store, meta))
    const isSound = log !== undefined && log.findings.length === 0 && fits(log, meta)
    // The log of a meta that is not in use any more may have been let go of.
    if (isSound || metaOf().checkpoint === meta.checkpoint) {
      if (store === undefined || log === undefined) return missing(folders, meta, findings)
      return tell(store.location, log, meta, findings)
    }
    yield true
  }
  findings.note(`the log could not be told: ${ATTEMPTS_MAX} times a checkpoint came in between`)
  return 0
}

/** Undefined when the folder went away meanwhile, as a clean close makes it. */
function* inspect(
  store: LogStore,
  { logId }: Meta,
): Generator<boolean, LogInspection | undefined, undefined> {
  try {
    return yield* inspectLog(store, { logId })
  } catch (error) {
    if (error instanceof LogIoError && error.facts['errno'] === 'ENOENT') return undefined
    if (error instanceof LogNotFoundError) return undefined
    throw error
  }
}

function tell(location: string, log: LogInspection, meta: Meta, findings: Findings): number {
  for (const { file, byteOffset, epoch, what, expected, actual } of log.findings) {
    const problem = `${file} at byte ${byteOffset}, epoch ${epoch}: ${what} is ${actual}, expected ${expected}`
    findings.add({ kind: 'log-chain', file, offset: byteOffset, what, expected, actual, problem })
  }
  if (!fits(log, meta)) mismatch(location, log, meta, findings)
  if (log.tornBytes > 0) {
    findings.note(`${log.tornBytes} bytes at the end of the log are torn, as a crash leaves them`)
  }
  return log.segments.reduce((sum, { usedBytes }) => sum + usedBytes, 0)
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
