import {
  LOG_ID_BYTES,
  SEGMENT_BLOCK_BYTES,
  SEGMENT_BYTES_DEFAULT,
  SEGMENT_BYTES_MIN,
} from './layout.ts'
import type { RecoveryPolicy } from './recovery-report.ts'

/**
 * What an acknowledgement promises.
 * `full`: the record is on stable storage. `normal`: it is written, and synced at intervals, at
 * rotation and at close; the last moments may be lost with the machine, not with the process.
 * `off`: it is written; only rotation syncs.
 */
export type SyncPolicy = 'full' | 'normal' | 'off'

export interface SegmentedLogOptions {
  /** Make the log when there is none. Default false. */
  readonly create?: boolean
  /** 16 bytes that no other log has: needed to make one; when opening, the id that is expected. */
  readonly logId?: Uint8Array
  /** Size of a segment file, a multiple of 4096 from 8192. Default 16 MiB. */
  readonly segmentBytes?: number
  /** The largest record, up to 2^31-1. Default 128 MiB. */
  readonly recordLengthMaxBytes?: number
  /** An open group is written by itself when it reaches this. Default 1 MiB. */
  readonly groupBytesMax?: number
  /** How many released segments are kept for reuse. Default 2. */
  readonly sparesMax?: number
  /** Default `full`. */
  readonly sync?: SyncPolicy
  /** Default `torn-tail`. */
  readonly recovery?: RecoveryPolicy
  /** Changes nothing, not even to repair. Default false. */
  readonly readOnly?: boolean
}

export type CheckedOptions = Required<Omit<SegmentedLogOptions, 'logId'>> & {
  readonly logId: Uint8Array | undefined
}

const MIB = 1024 * 1024
const RECORD_LENGTH_MAX = 2 ** 31 - 1

/** @throws RangeError or TypeError for what cannot be, before anything is touched */
export function checkOptions(options: SegmentedLogOptions): CheckedOptions {
  const { logId } = options
  const checked: CheckedOptions = {
    create: options.create ?? false,
    logId: logId === undefined ? undefined : new Uint8Array(logId),
    segmentBytes: options.segmentBytes ?? SEGMENT_BYTES_DEFAULT,
    recordLengthMaxBytes: options.recordLengthMaxBytes ?? 128 * MIB,
    groupBytesMax: options.groupBytesMax ?? MIB,
    sparesMax: options.sparesMax ?? 2,
    sync: options.sync ?? 'full',
    recovery: options.recovery ?? 'torn-tail',
    readOnly: options.readOnly ?? false,
  }
  if (logId !== undefined && logId.length !== LOG_ID_BYTES) {
    throw new RangeError(`a log id has ${LOG_ID_BYTES} bytes, not ${logId.length}`)
  }
  if (checked.create && checked.readOnly) {
    throw new TypeError('a log cannot be made by a read-only open')
  }
  assertWithin('segmentBytes', checked.segmentBytes, SEGMENT_BYTES_MIN, Number.MAX_SAFE_INTEGER)
  if (checked.segmentBytes % SEGMENT_BLOCK_BYTES !== 0) {
    throw new RangeError(
      `segmentBytes is a multiple of ${SEGMENT_BLOCK_BYTES}, not ${checked.segmentBytes}`,
    )
  }
  assertWithin('recordLengthMaxBytes', checked.recordLengthMaxBytes, 1, RECORD_LENGTH_MAX)
  assertWithin('groupBytesMax', checked.groupBytesMax, 1, RECORD_LENGTH_MAX)
  assertWithin('sparesMax', checked.sparesMax, 0, 1_000_000)
  assertOneOf('sync', checked.sync, ['full', 'normal', 'off'])
  assertOneOf('recovery', checked.recovery, ['torn-tail', 'strict', 'salvage'])
  return checked
}

function assertWithin(name: string, value: number, from: number, to: number): void {
  if (!Number.isSafeInteger(value) || value < from || value > to) {
    throw new RangeError(`${name} is from ${from} to ${to}, not ${value}`)
  }
}

function assertOneOf(name: string, value: string, values: readonly string[]): void {
  if (!values.includes(value)) {
    throw new RangeError(`${name} is one of ${values.join(', ')}, not ${value}`)
  }
}
