/**
 * One incarnation's appends: as many in flight as allowed, the next one as soon as the earliest of
 * them is acknowledged, until told to stop.
 *
 * The ordinals that are issued and those acknowledged without a gap never differ by more than
 * `inFlightMax`: the oracle counts on it.
 */
import type { Workload } from './workload.ts'

/** What the loop needs of a log. */
interface Appender {
  append(record: Uint8Array): Promise<unknown>
}

export interface AppendLoopOptions {
  readonly appender: Appender
  readonly workload: Workload
  readonly incarnation: number
  readonly inFlightMax: number
  readonly nowMs: () => number
  /** Looked at before each append. */
  readonly stopped: () => boolean
  /** The first `count` ordinals are acknowledged. Called after each acknowledgement that adds to them. */
  readonly onAcknowledged: (count: number) => void
  readonly onLatency: (ms: number) => void
}

interface InFlight {
  readonly buffer: Buffer
  startedMs: number
  acknowledged: boolean
}

/** Resolves once told to stop and all is acknowledged; rejects with the first failed append. */
export function appendUntilStopped(options: AppendLoopOptions): Promise<void> {
  const { appender, workload, incarnation, inFlightMax, nowMs } = options
  const places: InFlight[] = Array.from({ length: inFlightMax }, () => ({
    buffer: Buffer.alloc(workload.recordBytesMax),
    startedMs: 0,
    acknowledged: false,
  }))
  const placeOf = (ordinal: number): InFlight => places[ordinal % inFlightMax]!
  let issued = 0
  let contiguous = 0

  return new Promise((resolve, reject) => {
    const issue = (): void => {
      while (issued - contiguous < inFlightMax && !options.stopped()) {
        const ordinal = issued++
        const place = placeOf(ordinal)
        const length = workload.encode(place.buffer, incarnation, ordinal)
        place.startedMs = nowMs()
        appender
          .append(place.buffer.subarray(0, length))
          .then(() => onAppended(ordinal))
          .catch(reject)
      }
      if (issued === contiguous && options.stopped()) resolve()
    }
    const onAppended = (ordinal: number): void => {
      const place = placeOf(ordinal)
      place.acknowledged = true
      options.onLatency(nowMs() - place.startedMs)
      if (ordinal !== contiguous) return
      while (contiguous < issued && placeOf(contiguous).acknowledged) {
        placeOf(contiguous).acknowledged = false
        contiguous++
      }
      options.onAcknowledged(contiguous)
      issue()
    }
    issue()
  })
}

/** The same with one record at a time, blocking the thread in between. */
export function appendBlockingUntilStopped(
  options: Omit<AppendLoopOptions, 'appender' | 'inFlightMax'> & {
    readonly appendSync: (record: Uint8Array) => unknown
  },
): void {
  const { workload, incarnation, nowMs } = options
  const buffer = Buffer.alloc(workload.recordBytesMax)
  for (let ordinal = 0; !options.stopped(); ordinal++) {
    const length = workload.encode(buffer, incarnation, ordinal)
    const startedMs = nowMs()
    options.appendSync(buffer.subarray(0, length))
    options.onLatency(nowMs() - startedMs)
    options.onAcknowledged(ordinal + 1)
  }
}
