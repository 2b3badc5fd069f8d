import { type ErrorFacts, RingboltError } from '../errors.ts'

/**
 * The program or the call cannot be checked; says nothing about the checked code's correctness.
 * - `RINGBOLT_MODEL_NONDETERMINISTIC`: a thread did something else when run again with the same results
 * - `RINGBOLT_MODEL_SWALLOWED`: a thread caught what the checker threw to park it
 * - `RINGBOLT_MODEL_UNSUPPORTED`: an asynchronous thread, `waitAsync`, a write in `always`
 * - `RINGBOLT_MODEL_PROGRAM`: a program that makes no sense (sizes, names)
 * - `RINGBOLT_MODEL_SCHEDULE`: a schedule that is malformed, or does not fit the program
 * - `RINGBOLT_MODEL_VIOLATED`, `RINGBOLT_MODEL_INCOMPLETE`: from `assertHolds`
 */
export class ModelError extends RingboltError {
  constructor(
    reason:
      | 'NONDETERMINISTIC'
      | 'SWALLOWED'
      | 'UNSUPPORTED'
      | 'PROGRAM'
      | 'SCHEDULE'
      | 'VIOLATED'
      | 'INCOMPLETE',
    message: string,
    facts: ErrorFacts = {},
    cause?: unknown,
  ) {
    super(`RINGBOLT_MODEL_${reason}`, message, facts, cause)
  }
}

/** The message of anything thrown, for a sentence of our own. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : String(thrown)
}
