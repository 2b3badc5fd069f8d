import { RingboltError } from '@ringbolt/ring'

/** The command did not get through in time. `outcome` says what becomes of it. `RINGBOLT_TIMEOUT` */
export class CommitTimeoutError extends RingboltError {
  constructor(timeoutMs: number, outcome: string, cause?: unknown) {
    super(
      'RINGBOLT_TIMEOUT',
      `the command did not get through within ${timeoutMs} ms: ${outcome}`,
      { timeoutMs, outcome },
      cause,
    )
  }
}
