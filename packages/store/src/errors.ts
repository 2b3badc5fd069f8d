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

/** There is no room: cache, file or a fixed table is full. `RINGBOLT_FULL` */
export class StoreFullError extends RingboltError {
  constructor(what: string, facts: ErrorFacts = {}, cause?: unknown) {
    super('RINGBOLT_FULL', what, facts, cause)
  }
}

/** A document, key or transaction beyond its limit. `RINGBOLT_TOO_LARGE` */
export class StoreTooLargeError extends RingboltError {
  constructor(what: string, actual: number, limit: number) {
    super('RINGBOLT_TOO_LARGE', `${what} of ${actual} bytes exceeds the limit of ${limit}`, {
      what,
      actual,
      limit,
    })
  }
}

/** The database, or this attachment to it, is closed. `RINGBOLT_CLOSED` */
export class StoreClosedError extends RingboltError {
  constructor(what: string) {
    super('RINGBOLT_CLOSED', `${what} is closed`, { what })
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
