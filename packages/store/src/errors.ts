/**
 * The store's errors. `code` never changes between major versions; the facts stand in fields.
 */
import { type ErrorFacts, RingboltError } from '@ringbolt/ring'

/** Where in a file something is not as it must be. */
export interface StorePlace {
  readonly file: string
  readonly offset: number
}

/** A page, meta or record that is not what it has to be. `RINGBOLT_CORRUPT` */
export class StoreCorruptError extends RingboltError {
  constructor(
    place: StorePlace,
    what: string,
    expected: string | number,
    actual: string | number,
    cause?: unknown,
  ) {
    super(
      'RINGBOLT_CORRUPT',
      `${place.file} at byte ${place.offset}: ${what} is ${actual}, expected ${expected}`,
      { ...place, what, expected, actual },
      cause,
    )
  }
}

/** The file is another program's. `RINGBOLT_FOREIGN` */
export class StoreForeignError extends RingboltError {
  constructor(file: string, reason: string) {
    super('RINGBOLT_FOREIGN', `${file} is not a Ringbolt database: ${reason}`, { file, reason })
  }
}

/** The file was made by a newer version. `RINGBOLT_VERSION` */
export class StoreVersionError extends RingboltError {
  constructor(file: string, expected: number, actual: number) {
    super(
      'RINGBOLT_VERSION',
      `${file} has format version ${actual}; this release reads up to ${expected}`,
      { file, expected, actual },
    )
  }
}

/** Under the file's name others have another database open, or another lock file. `RINGBOLT_REPLACED` */
export class StoreReplacedError extends RingboltError {
  constructor(file: string) {
    super(
      'RINGBOLT_REPLACED',
      `${file} is not what other processes have open under this name: its files, or its lock file, were renamed, replaced or deleted meanwhile; nothing was changed. Close it everywhere first`,
      { file },
    )
  }
}

/** There is no room: cache, file or a fixed table is full. `RINGBOLT_FULL` */
export class StoreFullError extends RingboltError {
  constructor(what: string, facts: ErrorFacts = {}, cause?: unknown) {
    super('RINGBOLT_FULL', what, facts, cause)
  }
}

/** A document, key or transaction beyond its limit. `RINGBOLT_TOO_LARGE` */
export class StoreTooLargeError extends RingboltError {
  constructor(what: string, actual: number, limit: number, unit = 'bytes') {
    super('RINGBOLT_TOO_LARGE', `${what} of ${actual} ${unit} exceeds the limit of ${limit}`, {
      what,
      actual,
      limit,
      unit,
    })
  }
}

/** The database, or this attachment to it, is closed. `RINGBOLT_CLOSED` */
export class StoreClosedError extends RingboltError {
  constructor(what: string) {
    super('RINGBOLT_CLOSED', `${what} is closed`, { what })
  }
}

/** A write to a database that was opened to be read only. `RINGBOLT_READ_ONLY` */
export class StoreReadOnlyError extends RingboltError {
  constructor() {
    super('RINGBOLT_READ_ONLY', 'the database was opened read-only: it takes no writes')
  }
}

/** The snapshot is older than the bound on its age. `RINGBOLT_SNAPSHOT_EXPIRED` */
export class SnapshotExpiredError extends RingboltError {
  constructor(ageMaxMs: number) {
    super(
      'RINGBOLT_SNAPSHOT_EXPIRED',
      `the snapshot is older than ${ageMaxMs} ms (snapshotAgeMaxMs) and was given up`,
      { ageMaxMs },
    )
  }
}

/**
 * The log, and its archive, no longer reach back to where changes are to begin, or the database has no such commit:
 * it is another one, or was restored to an earlier state. `RINGBOLT_CHANGES_GONE`
 */
export class ChangesGoneError extends RingboltError {
  /** @param oldest the lowest sequence that changes can begin from, when `from` is too low; else the newest commit */
  constructor(from: number, oldest: number) {
    const why =
      from > oldest
        ? `the newest commit is ${oldest}`
        : `what is there begins after commit ${oldest}: read the documents themselves, then go on from there`
    super('RINGBOLT_CHANGES_GONE', `there are no changes from commit ${from} on: ${why}`, {
      from,
      oldest,
    })
  }
}

/** The database has no log, being in memory: there are no changes to read. `RINGBOLT_CHANGES_UNAVAILABLE` */
export class ChangesUnavailableError extends RingboltError {
  constructor() {
    super(
      'RINGBOLT_CHANGES_UNAVAILABLE',
      'a database in memory keeps no log, so that it has no changes to read',
    )
  }
}

/** An update of a document that is not there. `RINGBOLT_NOT_FOUND` */
export class NotFoundError extends RingboltError {
  constructor(collection: string, id: number | string) {
    super('RINGBOLT_NOT_FOUND', `collection ${collection} has no document with id ${quoted(id)}`, {
      collection,
      id,
    })
  }
}

/** Another document has the id, or the value of a unique index. `RINGBOLT_UNIQUE` */
export class UniqueError extends RingboltError {
  /** @param index `id` for the id itself */
  constructor(collection: string, index: string, value: string) {
    super(
      'RINGBOLT_UNIQUE',
      `collection ${collection} has another document whose ${index} is ${value}`,
      { collection, index, value },
    )
  }
}

/** Others changed what was read, each time that it was tried. `RINGBOLT_CONFLICT` */
export class ConflictError extends RingboltError {
  constructor(what: string, attempts: number) {
    super('RINGBOLT_CONFLICT', `${what} met a conflict each of ${attempts} times`, {
      what,
      attempts,
    })
  }
}

/** No such collection in the database. `RINGBOLT_UNKNOWN_COLLECTION` */
export class UnknownCollectionError extends RingboltError {
  constructor(collection: string) {
    super(
      'RINGBOLT_UNKNOWN_COLLECTION',
      `there is no collection ${collection} in this database: open it with the collection's definition`,
      { collection },
    )
  }
}

/** No such index in the collection. `RINGBOLT_UNKNOWN_INDEX` */
export class UnknownIndexError extends RingboltError {
  constructor(collection: string, index: string, problem = 'is not there') {
    super('RINGBOLT_UNKNOWN_INDEX', `index ${index} of collection ${collection} ${problem}`, {
      collection,
      index,
    })
  }
}

/** The collection's definition and what the database has of it do not go together. `RINGBOLT_DEFINITION` */
export class DefinitionError extends RingboltError {
  constructor(collection: string, problem: string, facts: ErrorFacts = {}) {
    super('RINGBOLT_DEFINITION', `collection ${collection}: ${problem}`, { collection, ...facts })
  }
}

/** A document could not be brought to the definition's version. `RINGBOLT_MIGRATION` */
export class MigrationError extends RingboltError {
  constructor(
    collection: string,
    id: number | string,
    version: number,
    why: string,
    cause?: unknown,
  ) {
    super(
      'RINGBOLT_MIGRATION',
      `collection ${collection}: document ${quoted(id)} of version ${version} ${why}`,
      { collection, id, version },
      cause,
    )
  }
}

/** A blocking write met something that can only be awaited. `RINGBOLT_ASYNC` */
export class AsyncInSyncError extends RingboltError {
  constructor(what: string) {
    super('RINGBOLT_ASYNC', `${what} returned a promise, which a blocking call cannot wait for`, {
      what,
    })
  }
}

/** The sequencer could not make sense of a command: a bug of this library, nothing was changed. `RINGBOLT_COMMAND` */
export class CommandRefusedError extends RingboltError {
  constructor(operation: number) {
    super(
      'RINGBOLT_COMMAND',
      `the sequencer refused a command as malformed at operation ${operation}`,
      {
        operation,
      },
    )
  }
}

/** A transaction used where it must not be: after its end, or inside another one. `RINGBOLT_TRANSACTION` */
export class TransactionError extends RingboltError {
  constructor(problem: string) {
    super('RINGBOLT_TRANSACTION', problem)
  }
}

/** The transaction did not end in time; nothing of it was committed. `RINGBOLT_TIMEOUT` */
export class TransactionTimeoutError extends RingboltError {
  constructor(timeoutMs: number) {
    super('RINGBOLT_TIMEOUT', `the transaction took longer than ${timeoutMs} ms`, { timeoutMs })
  }
}

function quoted(id: number | string): string {
  return typeof id === 'string' ? JSON.stringify(id) : String(id)
}

/** Closing waited in vain for commands that are reserved and not published. `RINGBOLT_BUSY` */
export class StoreClosingError extends RingboltError {
  constructor(unpublishedBytes: number, timeoutMs: number) {
    super(
      'RINGBOLT_BUSY',
      `${unpublishedBytes} bytes of commands are reserved and not published after ${timeoutMs} ms`,
      { unpublishedBytes, timeoutMs },
    )
  }
}

/** The sequencer's thread ended by itself. `RINGBOLT_SEQUENCER` */
export class SequencerThreadError extends RingboltError {
  constructor(exitCode: number) {
    super('RINGBOLT_SEQUENCER', `the sequencer's thread ended with exit code ${exitCode}`, {
      exitCode,
    })
  }
}

/** The file was changed each time while it was read: somebody has it open. `RINGBOLT_BUSY` */
export class StoreChangingError extends RingboltError {
  constructor(file: string, attempts: number) {
    super(
      'RINGBOLT_BUSY',
      `${file} is being written to: it changed each of ${attempts} times that it was looked through`,
      { file, attempts },
    )
  }
}
