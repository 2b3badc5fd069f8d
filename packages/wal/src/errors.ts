import { type ErrorFacts, errorToPlain, RingboltError } from '@ringbolt/ring'

/** Where in the log's files something was found. */
export interface LogPlace {
  /** Folder and file. */
  readonly file: string
  readonly byteOffset: number
  /** The epoch that was due there, or that the file is named after. */
  readonly epoch: number
}

/** What a check found: the name of the check, and both values. */
export interface Mismatch {
  readonly what: string
  readonly expected: number | string
  readonly actual: number | string
}

function mismatchText(place: LogPlace, { what, expected, actual }: Mismatch): string {
  return `${place.file} at byte ${place.byteOffset}, epoch ${place.epoch}: ${what}: expected ${expected}, found ${actual}`
}

/** Bytes that were durable are wrong. `what` names the check. `RINGBOLT_CORRUPT` */
export class LogCorruptError extends RingboltError {
  constructor(place: LogPlace, mismatch: Mismatch) {
    super('RINGBOLT_CORRUPT', mismatchText(place, mismatch), { ...place, ...mismatch })
  }
}

/** A file that bears a segment's name and is none. `RINGBOLT_FOREIGN` */
export class LogForeignError extends RingboltError {
  constructor(place: LogPlace, mismatch: Mismatch) {
    super('RINGBOLT_FOREIGN', mismatchText(place, mismatch), { ...place, ...mismatch })
  }
}

/** A log of a version, or with flags, that this program does not know. `RINGBOLT_VERSION` */
export class LogVersionError extends RingboltError {
  constructor(place: LogPlace, mismatch: Mismatch) {
    super('RINGBOLT_VERSION', mismatchText(place, mismatch), { ...place, ...mismatch })
  }
}

/** A log, or one segment, of another database. `RINGBOLT_WRONG_LOG` */
export class LogMismatchError extends RingboltError {
  constructor(place: LogPlace, mismatch: Mismatch) {
    super('RINGBOLT_WRONG_LOG', mismatchText(place, mismatch), { ...place, ...mismatch })
  }
}

/** Another folder stands where the one that is open was: it was renamed or replaced. `RINGBOLT_REPLACED` */
export class LogFolderReplacedError extends RingboltError {
  constructor(location: string, expected: string, actual: string) {
    super(
      'RINGBOLT_REPLACED',
      `${location} is another folder than the one that was opened, which was renamed or replaced meanwhile: expected ${expected}, found ${actual}`,
      { location, expected, actual },
    )
  }
}

/** There is no log, and none was to be made. `RINGBOLT_NOT_FOUND` */
export class LogNotFoundError extends RingboltError {
  constructor(location: string) {
    super('RINGBOLT_NOT_FOUND', `no log in ${location}`, { location })
  }
}

/** A write or a sync failed; nothing more is accepted. `cause` is the first failure. `RINGBOLT_POISONED` */
export class LogPoisonedError extends RingboltError {
  constructor(location: string, cause: unknown) {
    super(
      'RINGBOLT_POISONED',
      `the log in ${location} failed and must be reopened: ${errorToPlain(cause).message}`,
      { location },
      cause,
    )
  }
}

/** Use after close. `RINGBOLT_CLOSED` */
export class LogClosedError extends RingboltError {
  constructor(location: string) {
    super('RINGBOLT_CLOSED', `the log in ${location} is closed`, { location })
  }
}

/** A change of a log that was opened read-only. `RINGBOLT_READ_ONLY` */
export class LogReadOnlyError extends RingboltError {
  constructor(location: string, operation: string) {
    super('RINGBOLT_READ_ONLY', `${operation}: the log in ${location} is open read-only`, {
      location,
      operation,
    })
  }
}

/** A record, an image or a group that can never be written. Nothing was changed. `RINGBOLT_TOO_LARGE` */
export class LogTooLargeError extends RingboltError {
  constructor(what: string, lengthBytes: number, lengthMaxBytes: number) {
    super(
      'RINGBOLT_TOO_LARGE',
      `${what} of ${lengthBytes} bytes exceeds the largest allowed, ${lengthMaxBytes} bytes`,
      { lengthBytes, lengthMaxBytes },
    )
  }
}

/** The asked for position was released, or cut off. `RINGBOLT_TRUNCATED` */
export class LogTruncatedError extends RingboltError {
  constructor(lsn: number, firstLsn: number, endLsn: number) {
    super(
      'RINGBOLT_TRUNCATED',
      `LSN ${lsn} is not in the log, which holds ${firstLsn} up to ${endLsn}`,
      { lsn, firstLsn, endLsn },
    )
  }
}

/** What was waited for was not reached in time; it may still be. `RINGBOLT_TIMEOUT` */
export class LogTimeoutError extends RingboltError {
  constructor(awaited: number, reached: number, timeoutMs: number, unit = 'LSN') {
    super(
      'RINGBOLT_TIMEOUT',
      `${unit} ${awaited} not durable within ${timeoutMs} ms: it is so up to ${reached}`,
      { awaited, reached, timeoutMs, unit },
    )
  }
}

/** The log's thread ended by itself. `RINGBOLT_LOG_THREAD` */
export class LogThreadError extends RingboltError {
  constructor(exitCode: number) {
    super('RINGBOLT_LOG_THREAD', `the log's thread ended with exit code ${exitCode}`, { exitCode })
  }
}

/** Closing waited in vain for records that are reserved and not published. `RINGBOLT_BUSY` */
export class LogCloseError extends RingboltError {
  constructor(unpublishedBytes: number, timeoutMs: number) {
    super(
      'RINGBOLT_BUSY',
      `${unpublishedBytes} bytes are reserved and not published after ${timeoutMs} ms`,
      { unpublishedBytes, timeoutMs },
    )
  }
}

/** A commit record or an epoch that contradicts what it is part of. `RINGBOLT_EPOCH` */
export class LogEpochError extends RingboltError {
  constructor(mismatch: Mismatch, facts: ErrorFacts = {}) {
    const { what, expected, actual } = mismatch
    super('RINGBOLT_EPOCH', `${what}: expected ${expected}, found ${actual}`, {
      ...facts,
      ...mismatch,
    })
  }
}

/** The file system refused. `errno` is its name for the reason: `ENOSPC`, `EIO`, … `RINGBOLT_IO` */
export class LogIoError extends RingboltError {
  constructor(operation: string, file: string, cause: unknown, facts: ErrorFacts = {}) {
    const { code, message } = errorToPlain(cause)
    super(
      'RINGBOLT_IO',
      `${operation} ${file}: ${message}`,
      { operation, file, errno: code, ...facts },
      cause,
    )
  }
}
