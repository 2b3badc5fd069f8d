import { RingboltError } from '@ringbolt/ring'

/** Nothing was acknowledged for too long: to anybody, or to one of them. `RINGBOLT_SILENT` */
export class SilenceError extends RingboltError {
  constructor(silenceMs: number, silenceMaxMs: number, whom?: string) {
    const to = whom === undefined ? '' : ` to ${whom}`
    super(
      'RINGBOLT_SILENT',
      `nothing was acknowledged${to} for ${Math.round(silenceMs)} ms, the watchdog allows ${silenceMaxMs}`,
      { silenceMs, silenceMaxMs },
    )
  }
}

/** A worker of a load failed by itself: nobody had ended it. `RINGBOLT_WORKER` */
export class WorkerFailedError extends RingboltError {
  constructor(incarnation: number, cause: unknown) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    super(
      'RINGBOLT_WORKER',
      `incarnation ${incarnation} failed by itself: ${reason}`,
      { incarnation },
      cause,
    )
  }
}

/** A process that a run needs ended before it had said what it had to. `RINGBOLT_CHILD` */
export class ChildEndedError extends RingboltError {
  constructor(what: string, exitCode: number | null, signal: string | null, output: string) {
    super(
      'RINGBOLT_CHILD',
      `${what} ended early, exit code ${exitCode}, signal ${signal}: ${output.trim() || 'no output'}`,
      { exitCode, signal },
    )
  }
}

/** The folder holds something that the oracle knows nothing of. `RINGBOLT_NOT_EMPTY` */
export class FolderInUseError extends RingboltError {
  constructor(folder: string, entry: string) {
    super(
      'RINGBOLT_NOT_EMPTY',
      `${folder} is not empty, it holds ${entry}: a run starts with a log of its own`,
      { folder, entry },
    )
  }
}

/** A document that was read is not what it must be. `RINGBOLT_DOCUMENT` */
export class DocumentFaultError extends RingboltError {
  constructor(serial: string, fault: string) {
    super('RINGBOLT_DOCUMENT', `document ${serial}: ${fault}`, { serial, fault })
  }
}
