/**
 * Holds the log against the meta that was taken: do the two together hold every commit? Pure.
 *
 * The cases, n being the checkpoint that was taken:
 *
 *   found                                    means
 *   log begins at or before n's LSN          all is there: n, then the log from that LSN on
 *   log begins behind it                     a later checkpoint was durable, its meta has been damaged since
 *   log ends before it                       the log has lost what was synced before n was
 *   no log, n not clean                      somebody removed it, or n + 1 was the clean close and is damaged
 *   no log, n clean                          a clean close
 *   n clean, its own log, nothing behind     the crash hit the clean close, or the opening after it: the
 *     n's LSN                                log is empty or all in n, and may be removed
 *   n clean, another log, empty              the crash hit the opening: log made, its meta not yet durable
 *   n clean, another log with records        n + 1 named that log before its first commit: its meta is damaged
 *   n not clean, another log                 another database's log, or a meta that was damaged
 */
import { MainFileLogError } from './main-file-errors.ts'
import { META_FLAGS_OFFSET, META_LOG_ID_OFFSET, META_LOG_LSN_OFFSET } from './main-layout.ts'
import { type MetaChoice, metaOffset, metaSlot } from './meta.ts'

/** What stands in the log's folder. */
export interface LogExtent {
  readonly logId: Uint8Array
  readonly firstLsn: number
  readonly endLsn: number
}

/** `replay`: from the meta's LSN. `nothing`: the log, if there is one, is over and may be removed. */
export type LogVerdict = 'replay' | 'nothing'

/** @throws MainFileLogError where commits are missing between the two */
export function checkLog(
  { meta, other }: MetaChoice,
  log: LogExtent | undefined,
  file: string,
): LogVerdict {
  const refuse = (
    offset: number,
    what: string,
    expected: string,
    actual: string | number,
  ): never => {
    const at = metaOffset(metaSlot(meta.checkpoint)) + offset
    throw new MainFileLogError(file, { offset: at, what, expected, actual }, other)
  }
  if (log === undefined) {
    if (meta.clean) return 'nothing'
    return refuse(META_LOG_ID_OFFSET, 'log', idText(meta.logId), 'missing')
  }
  if (idText(log.logId) !== idText(meta.logId)) {
    if (meta.clean && log.endLsn === 0) return 'nothing'
    return refuse(META_LOG_ID_OFFSET, 'log id', idText(meta.logId), idText(log.logId))
  }
  if (log.firstLsn > meta.logLsn) {
    const expected = `at most ${meta.logLsn}`
    return refuse(META_LOG_LSN_OFFSET, 'first LSN of the log', expected, log.firstLsn)
  }
  if (log.endLsn < meta.logLsn) {
    const expected = `at least ${meta.logLsn}`
    return refuse(META_LOG_LSN_OFFSET, 'end of the log', expected, log.endLsn)
  }
  if (!meta.clean) return 'replay'
  if (log.endLsn === meta.logLsn) return 'nothing'
  return refuse(META_FLAGS_OFFSET, 'end of the log', `${meta.logLsn}, closed cleanly`, log.endLsn)
}

function idText(logId: Uint8Array): string {
  return Buffer.from(logId).toString('hex')
}
