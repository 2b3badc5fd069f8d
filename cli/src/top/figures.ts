/** What two observations of a database say about the time between them. Pure. */
import { headOf, type Observation } from './observer.ts'
import type { ProcessState } from './participants.ts'

/** A line of `--json`. Null: it could not be told. */
export interface TopFigures {
  readonly time: string
  readonly file: string
  /** Closed cleanly. */
  readonly clean: boolean
  /** That the rates are of. Null: there was no observation before. */
  readonly intervalS: number | null
  readonly lastSequence: number | null
  readonly commits: number | null
  readonly commitsPerS: number | null
  /** Groups are what is synced at once. */
  readonly groupsPerS: number | null
  readonly log: {
    readonly bytes: number
    readonly segments: number
    readonly spares: number
    readonly bytesPerS: number | null
  } | null
  readonly fileBytes: number
  readonly pages: number
  readonly freePages: number
  readonly checkpoint: number
  readonly writer: {
    readonly pid: number | null
    readonly threadId: number | null
    readonly since: string | null
  } | null
  readonly waiters: number
  readonly processes: readonly ProcessFigures[]
}

export interface ProcessFigures {
  readonly pid: number | null
  readonly state: ProcessState['state']
  readonly since: string | null
  /** Of the log that it has not read, or still needs for its readers of changes. */
  readonly lagBytes: number | null
  /** From the oldest state that it may be reading to now. */
  readonly oldestBytes: number | null
}

export function figuresOf(now: Observation, before: Observation | undefined): TopFigures {
  const { description, log, lock, lastSequence } = now
  const intervalS = before === undefined ? null : (now.atMs - before.atMs) / 1000
  const perS = (count: number | null): number | null =>
    count === null || intervalS === null || intervalS <= 0 ? null : count / intervalS
  const sameLog = log !== undefined && before?.log?.logId === log.logId ? before.log : undefined
  const commits = risen(lastSequence, before?.lastSequence)
  return {
    time: timeOf(now.timeMs),
    file: description.file,
    clean: description.clean,
    intervalS,
    lastSequence: lastSequence ?? null,
    commits,
    commitsPerS: perS(commits),
    groupsPerS: perS(risen(log?.epoch, sameLog?.epoch)),
    log:
      log === undefined
        ? null
        : {
            bytes: log.bytes,
            segments: log.segments,
            spares: log.spares,
            bytesPerS: perS(risen(log.endLsn, sameLog?.endLsn)),
          },
    fileBytes: now.fileBytes,
    pages: description.pages,
    freePages: description.freePages,
    checkpoint: now.checkpoint,
    writer: writerOf(lock?.holder ?? null),
    waiters: lock?.waiters ?? 0,
    processes: now.processes.map((process) => processOf(process, now)),
  }
}

function risen(now: number | undefined, before: number | undefined): number | null {
  return now === undefined || before === undefined ? null : now - before
}

function writerOf(holder: NonNullable<Observation['lock']>['holder']): TopFigures['writer'] {
  if (holder === null) return null
  const { pid, threadId, sinceMs } = holder
  return { pid, threadId, since: sinceMs === null ? null : timeOf(sinceMs) }
}

function processOf(process: ProcessState, now: Observation): ProcessFigures {
  const { pid, state, sinceMs, reachedLsn, oldestLsn } = process
  const head = headOf(now)?.lsn
  const behind = (lsn: number | null): number | null =>
    lsn === null || head === undefined ? null : Math.max(0, head - lsn)
  return {
    pid,
    state,
    since: sinceMs === null ? null : timeOf(sinceMs),
    // Whose turn it is has applied all; alone, it says nothing of itself.
    lagBytes: isAloneAndWrites(process, now) ? 0 : behind(reachedLsn),
    oldestBytes: isAloneAndWrites(process, now) ? null : behind(oldestLsn),
  }
}

function isAloneAndWrites(process: ProcessState, { processes, lock }: Observation): boolean {
  const live = processes.filter(({ state }) => state === 'live')
  return live.length === 1 && live[0] === process && lock?.holder?.pid === process.pid
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString()
}
