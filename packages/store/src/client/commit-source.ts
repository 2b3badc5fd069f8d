/** The seam between changes as users see them and the log: committed commands in their order. */

export interface CommittedCommand {
  readonly sequence: number
  /** When its group was written: milliseconds since 1970, by the clock of whoever wrote it. */
  readonly timeMs: number
  /** The command stands in [start, end); the bytes do not change any more. */
  readonly bytes: Buffer
  readonly start: number
  readonly end: number
  /** Where it stands, for messages. */
  readonly file: string
  readonly offset: number
}

export interface CommitSource {
  /** Every commit up to it was given, or is not wanted. */
  readonly sequence: number
  /**
   * The next commit; undefined when all that is acknowledged was given.
   * @throws ChangesGoneError; the errors of a damaged or unreadable log
   */
  next(): CommittedCommand | undefined
  /**
   * Resolves when there is more to come, true; false once the database, or the source, is closed.
   * @throws what ended the sequencer; the signal's reason
   */
  more(signal: AbortSignal | undefined): Promise<boolean>
  /** There is nothing more from now on, but its place in the log is kept. */
  stop(): void
  /** The same, and lets go of the place. Idempotent. */
  close(): void
}

/** @param from the last commit that is not wanted; undefined: the newest */
export type OpenCommits = (from: number | undefined) => CommitSource
