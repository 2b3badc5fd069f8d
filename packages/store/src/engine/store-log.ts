/**
 * The log that belongs to a main file: found, made, let go of.
 *
 * The meta in use says which log goes on from it, and whether anything has to be replayed. Cases, by what a
 * crash can leave:
 *
 *   meta       log folder                        what happened                   what becomes of it
 *   clean      none, or empty                    closed cleanly                  a new log
 *   clean      the meta's own log, any part      a close, after the meta         removed; a new log
 *   clean      another id, no record             an open, before its meta        removed; a new log
 *   clean      another id, records               somebody else's log             LogMismatchError
 *   open       the meta's own log                a crash                         replayed from the meta's place
 *   open       none, another, or one that ends   files were deleted or mixed     StoreCorruptError or
 *              before or begins after that place                                 LogMismatchError
 *
 * A new log exists, durable, before the meta names it; nothing is acknowledged before that meta is durable.
 */
import {
  LogMismatchError,
  LogNotFoundError,
  type LogStore,
  type Lsn,
  lsnOf,
  removeLog,
  SegmentedLog,
  type SegmentedLogOptions,
} from '@ringbolt/wal'
import { StoreCorruptError } from '../errors.ts'
import type { MainFile } from '../space/main-file.ts'
import type { Meta } from '../space/meta.ts'
import type { StoreFolders } from './store-folders.ts'

const LOG_ID_BYTES = 16

export interface StoreLog {
  readonly log: SegmentedLog
  /** Where replay begins; undefined: there is nothing to replay. */
  readonly replayFrom: Lsn | undefined
}

export interface StoreLogOptions extends Pick<SegmentedLogOptions, 'sync' | 'segmentBytes'> {
  readonly recordLengthMaxBytes: number
  readonly randomBytes: (count: number) => Uint8Array
}

/** For writing: the log to go on with. */
export function openStoreLog(
  folders: StoreFolders,
  main: MainFile,
  options: StoreLogOptions,
): StoreLog {
  const { randomBytes, ...logOptions } = options
  const { meta } = main
  const store = folders.openLogFolder()
  if (!meta.clean) return logToReplay(store, main, logOptions)
  if (store !== undefined) removeLeftover(store, meta)
  const log = SegmentedLog.open(folders.makeLogFolder(), {
    ...logOptions,
    create: true,
    logId: randomBytes(LOG_ID_BYTES),
  })
  main.putMeta({ clean: false, logId: log.logId, logLsn: 0, baseSequence: meta.sequence })
  return { log, replayFrom: undefined }
}

/** For reading only: what is to be replayed in memory; undefined after a clean close. */
export function openStoreLogToRead(
  folders: StoreFolders,
  main: MainFile,
  options: Omit<StoreLogOptions, 'randomBytes'>,
): StoreLog | undefined {
  if (main.meta.clean) return undefined
  return logToReplay(folders.openLogFolder(), main, { ...options, readOnly: true })
}

/** After a clean close: everything that the log holds stands in the main file, and its meta says so. */
export function removeStoreLog(folders: StoreFolders, logId: Uint8Array): void {
  const store = folders.openLogFolder()
  if (store === undefined) return
  removeLog(store, logId)
  folders.removeLogFolder()
}

function logToReplay(
  store: LogStore | undefined,
  main: MainFile,
  options: SegmentedLogOptions,
): StoreLog {
  const { meta, place } = main
  const corrupt = (expected: string, actual: string, cause?: unknown): StoreCorruptError =>
    new StoreCorruptError({ file: place, offset: 0 }, 'the log', expected, actual, cause)
  const log = openExisting(store, meta.logId, options)
  if (log === undefined) throw corrupt(`one that goes on from LSN ${meta.logLsn}`, 'missing')
  if (log.firstLsn > meta.logLsn || log.writtenLsn < meta.logLsn) {
    const actual = `one from LSN ${log.firstLsn} to ${log.writtenLsn}`
    log.close()
    throw corrupt(`one that goes on from LSN ${meta.logLsn}`, actual)
  }
  return { log, replayFrom: lsnOf(meta.logLsn) }
}

/** @throws LogMismatchError when it is another database's */
function openExisting(
  store: LogStore | undefined,
  logId: Uint8Array | undefined,
  options: SegmentedLogOptions,
): SegmentedLog | undefined {
  if (store === undefined) return undefined
  try {
    return SegmentedLog.open(store, logId === undefined ? options : { ...options, logId })
  } catch (error) {
    if (error instanceof LogNotFoundError) return undefined
    throw error
  }
}

function removeLeftover(store: LogStore, { logId }: Meta): void {
  try {
    removeLog(store, logId)
  } catch (error) {
    if (!(error instanceof LogMismatchError)) throw error
    removeUnused(store, error)
  }
}

/** A log that an open made, and that no meta ever named. @param mismatch thrown when it has records */
function removeUnused(store: LogStore, mismatch: LogMismatchError): void {
  const log = openExisting(store, undefined, { readOnly: true })
  if (log === undefined) throw mismatch
  const { logId, endLsn } = log
  log.close()
  if (endLsn > 0) throw mismatch
  removeLog(store, logId)
}
