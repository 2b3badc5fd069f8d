import { errorToPlain, RingboltError } from './errors.ts'

/** A record that can never fit, refused before anything is reserved. `RINGBOLT_TOO_LARGE` */
export class RecordTooLargeError extends RingboltError {
  constructor(recordLengthBytes: number, recordLengthMaxBytes: number) {
    super(
      'RINGBOLT_TOO_LARGE',
      `record of ${recordLengthBytes} bytes exceeds the ring's largest, ${recordLengthMaxBytes} bytes`,
      { recordLengthBytes, recordLengthMaxBytes },
    )
  }
}

/** The deadline passed before there was room. Nothing was reserved. `RINGBOLT_TIMEOUT` */
export class RingFullError extends RingboltError {
  constructor(recordLengthBytes: number, timeoutMs: number, capacityBytes: number) {
    super(
      'RINGBOLT_TIMEOUT',
      `no room for a record of ${recordLengthBytes} bytes in a ring of ${capacityBytes} within ${timeoutMs} ms`,
      { recordLengthBytes, timeoutMs, capacityBytes },
    )
  }
}

/** The consumer failed: its cause, for every producer, for good. `RINGBOLT_POISONED` */
export class RingPoisonedError extends RingboltError {
  constructor(cause: unknown) {
    const plain = errorToPlain(cause)
    super('RINGBOLT_POISONED', `the ring's consumer failed: ${plain.message}`, {}, cause)
  }
}

/** Use after close. `RINGBOLT_CLOSED` */
export class RingClosedError extends RingboltError {
  constructor() {
    super('RINGBOLT_CLOSED', 'the ring is closed')
  }
}

/** `resetAfterDrain` while something is reserved or not drained. `RINGBOLT_BUSY` */
export class RingNotDrainedError extends RingboltError {
  constructor(tail: number, committed: number, flush: number, claimsOpen: number) {
    super(
      'RINGBOLT_BUSY',
      `the ring is not drained: reserved up to ${tail}, committed to ${committed}, freed to ${flush}, ${claimsOpen} claims open`,
      { tail, committed, flush, claimsOpen },
    )
  }
}

/** All claim slots are taken, or the consumer's place is. `RINGBOLT_SLOTS` */
export class NoSlotError extends RingboltError {
  constructor(what: string, slotCount: number) {
    super('RINGBOLT_SLOTS', `no free ${what}: all ${slotCount} are taken`, { slotCount })
  }
}

/** Memory that is no ring, or a ring whose words contradict each other. `RINGBOLT_CORRUPT` */
export class RingCorruptError extends RingboltError {
  constructor(what: string, expected: number | string, actual: number | string) {
    super('RINGBOLT_CORRUPT', `${what}: expected ${expected}, found ${actual}`, {
      expected,
      actual,
    })
  }
}
