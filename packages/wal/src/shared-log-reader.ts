/**
 * Reading a shared log beside its thread, in the caller's thread and through files of its own. The
 * log's thread only says which segments there are and how far they are written; a segment that it
 * releases and reuses meanwhile is noticed, since each group says at which LSN it begins.
 */
import { LogTruncatedError } from './errors.ts'
import type { LogStore } from './log-store.ts'
import type { Lsn } from './lsn.ts'
import type { LiveSegment } from './recovery.ts'
import { type LogRecord, type LogSource, readRecords } from './segmented-log-reader.ts'

/** What the log's thread says of its files, at one moment. */
export interface LogSnapshot {
  readonly segments: readonly LiveSegment[]
  readonly writtenLsn: Lsn
}

/**
 * The records from `from` (or from the beginning) up to `to`, which must be written by now.
 * @throws LogTruncatedError when `from` is not in the log, or is let go of before it was read
 */
export async function* readShared(
  store: LogStore,
  snapshot: () => Promise<LogSnapshot>,
  from: Lsn | undefined,
  to: number,
): AsyncGenerator<LogRecord, void, undefined> {
  const source = sourceOf(store, await snapshot())
  const begin = from ?? source.segments[0]?.header.firstLsn ?? source.writtenLsn
  let due: number = begin
  try {
    for (const record of readRecords(source, begin, to)) {
      yield record
      due = record.lsn
    }
  } catch (error) {
    const now = await snapshot()
    const firstLsn = now.segments[0]?.header.firstLsn ?? now.writtenLsn
    // Whatever was found, it was found in a file that is no longer that part of the log.
    if (due < firstLsn) throw new LogTruncatedError(due, firstLsn, now.writtenLsn)
    throw error
  }
}

function sourceOf(store: LogStore, { segments, writtenLsn }: LogSnapshot): LogSource {
  return { store, segments, writtenLsn, cuts: 0, assertReadable: () => undefined }
}
