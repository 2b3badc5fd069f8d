/**
 * A database looked at time and again from outside: what its files, its lock and its presences say. It takes no part:
 * nothing is opened for writing, nothing is held, so what is read may be gone a moment later.
 *
 * The whole file is described, which reads the whole log, only when a checkpoint has come since, or something may have
 * come that nobody says while nothing is committed; otherwise the newest segment is read.
 */
import { statSync } from 'node:fs'
import { isRingboltError } from '@ringbolt/ring'
import { describeFile, type FileDescription, type SharedHead } from 'ringbolt'
import { firstSegmentOf, type LogEnd, logEndOf } from './log-end.ts'
import { type Participants, participantsOf } from './participants.ts'

/** What there is at one moment. */
export interface Observation extends Participants {
  /** Wall clock, ms. */
  readonly timeMs: number
  /** Monotonic, ms. */
  readonly atMs: number
  /** As of the newest checkpoint that could be read. */
  readonly description: FileDescription
  readonly fileBytes: number
  /** The number that is known of the newest. */
  readonly checkpoint: number
  readonly log: LogEnd | undefined
  /** Of the last commit. Undefined: the log changed too quickly for it to be told. */
  readonly lastSequence: number | undefined
}

export interface ObserverClock {
  readonly wallMs: () => number
  readonly monotonicMs: () => number
}

const LOG_FOLDER_SUFFIX = '-wal'
const ATTEMPTS_MAX = 5

export class Observer {
  readonly #clock: ObserverClock
  #description: FileDescription
  /** Of the file, before it was described. */
  #changedMs: number | undefined
  /** Of the log, when it was looked at last. */
  #epoch: number | undefined
  /** Of the log with that id: what a record's ordinal is added to for its commit. */
  #base: { readonly logId: string; readonly sequence: number } | undefined

  /** @throws what `describeFile` says of a file that is none */
  constructor(path: string, clock: ObserverClock) {
    this.#clock = clock
    this.#description = describeFile(path)
  }

  async observe(): Promise<Observation> {
    const { file } = this.#description
    const participants = await participantsOf(file)
    const log = this.#look(participants)
    const lastSequence = this.#lastSequence(log)
    const description = this.#description
    return {
      ...participants,
      timeMs: this.#clock.wallMs(),
      atMs: this.#clock.monotonicMs(),
      description,
      fileBytes: statSync(file, { throwIfNoEntry: false })?.size ?? description.fileBytes,
      checkpoint: Math.max(description.checkpoint, headOf(participants)?.checkpoint ?? 0),
      log,
      lastSequence,
    }
  }

  #look(participants: Participants): LogEnd | undefined {
    const folder = this.#description.file + LOG_FOLDER_SUFFIX
    const log = logEndOf(folder)
    const isIdle = log?.epoch === this.#epoch
    this.#epoch = log?.epoch
    if (!this.#isNewest(headOf(participants), isIdle)) this.#describe()
    return this.#description.clean ? undefined : (log ?? logEndOf(folder))
  }

  /** A checkpoint is said with the next commit: until that comes, only the file can tell. */
  #isNewest(head: SharedHead | undefined, isIdle: boolean): boolean {
    const { checkpoint, clean, file } = this.#description
    if (clean || head === undefined || head.checkpoint > checkpoint) return false
    return !isIdle || changedMsOf(file) === this.#changedMs
  }

  #describe(): void {
    const { file } = this.#description
    this.#changedMs = changedMsOf(file)
    try {
      this.#description = describeFile(file)
    } catch (error) {
      // Checkpoints come more quickly than they can be read: the next look may have more luck.
      if (!isRingboltError(error) || error.code !== 'RINGBOLT_BUSY') throw error
    }
  }

  #lastSequence(log: LogEnd | undefined): number | undefined {
    const { clean, lastSequence, checkpointSequence } = this.#description
    if (log === undefined) return clean ? lastSequence : undefined
    if (this.#base?.logId !== log.logId) this.#findBase(log.logId)
    if (this.#base?.logId !== log.logId) return undefined
    return Math.max(checkpointSequence, this.#base.sequence + log.endSequence - 1)
  }

  /** A description counts records from the first segment on: as long as that one stays, it tells ordinal and commit. */
  #findBase(logId: string): void {
    const { file } = this.#description
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const first = firstSegmentOf(file + LOG_FOLDER_SUFFIX, logId)
      this.#describe()
      const { log, lastSequence } = this.#description
      const still = firstSegmentOf(file + LOG_FOLDER_SUFFIX, logId)
      if (first === undefined || log === undefined || first.name !== still?.name) continue
      const endSequence = first.firstSequence + log.records
      this.#base = { logId, sequence: lastSequence - (endSequence - 1) }
      return
    }
  }
}

function changedMsOf(file: string): number | undefined {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs
}

/** What was said last counts as long as somebody is there who could have said more. */
export function headOf({ lock, processes }: Participants): SharedHead | undefined {
  return processes.some(({ state }) => state === 'live') ? lock?.head : undefined
}
