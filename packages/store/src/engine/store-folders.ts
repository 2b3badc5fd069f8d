/**
 * Where a database's files are: `app.db` in its folder, and the log's segments in `app.db-wal`.
 * The seam through which recovery and checkpoint reach both; production and the simulated disk fill it.
 */
import type { LogStore } from '@ringbolt/wal'

export interface StoreFolders {
  /** The folder of the main file. */
  readonly main: LogStore
  /** The main file's name in it. */
  readonly mainName: string
  /** The log's folder; undefined when there is none. */
  openLogFolder(): LogStore | undefined
  /** Makes the log's folder when it is missing. */
  makeLogFolder(): LogStore
  /** Where the log is kept before it is released; undefined: it is not. */
  readonly archive?: LogStore | undefined
  /** Removes the log's folder once the log is gone from it; fails when somebody else's files are there. */
  removeLogFolder(): void
}
