/** What `open` takes, and the defaults. */
import type { LockOptions } from '@ringbolt/locks'

export interface OpenOptions {
  /** Make the database when there is none. Default true. */
  readonly create?: boolean
  /** Change nothing, and refuse every write. Default false. */
  readonly readOnly?: boolean
  /**
   * `full` (default): acknowledged means on stable storage. `normal`: acknowledged means handed to the
   * operating system, synced within `maxWaitMs` (default 100): a crash of the machine may lose the last
   * moments, one of the process nothing. `off`: synced at checkpoints only.
   */
  readonly sync?: 'full' | 'normal' | 'off'
  /** With `full`: how long a commit may wait for others to share its sync. Default 0, at once. */
  readonly maxWaitMs?: number
  /** How long to wait for another process, or handle, that has the database open, in ms. Default 5,000. */
  readonly busyTimeout?: number
  /**
   * How old what is read may be, in ms, while another process writes. Default 0: a read shows all that any process had
   * acknowledged before it began.
   */
  readonly readStalenessMs?: number
  /** False: no lock between processes; the caller knows that this one is alone. Default true. */
  readonly crossProcessLock?: boolean
  /** The lock's method, for a new database; an existing one has it recorded. */
  readonly lockMethod?: LockOptions['method']
  /** Shared memory for pages, from 1 MiB to 3.5 GiB. For `:memory:` the most that it holds. Default 256 MiB. */
  readonly cacheBytes?: number
  /** Size of the ring: a power of two from 64 KiB to 1 GiB. Default 4 MiB. */
  readonly ringBytes?: number
  /** How many threads may be attached at once. Default 64. */
  readonly threadsMax?: number
  /** How many snapshots, transactions and iterations may be open at once, in all threads. Default 1,024. */
  readonly snapshotsMax?: number
  /** A snapshot older than this is given up when pages are short of it. Default 10 minutes. */
  readonly snapshotAgeMaxMs?: number
  /** A checkpoint begins by itself when the log has grown by this much. Default 64 MiB. */
  readonly checkpointLogBytes?: number
  /** A checkpoint begins by itself this long after the first change since the last. Default 60,000. */
  readonly checkpointIntervalMs?: number
  /**
   * How much of the log is kept, beyond what recovery needs, for iterators of `changes()` that have not read it yet.
   * Default 256 MiB; 0: nothing.
   */
  readonly keepLogBytes?: number
  /** Size of a log segment: a multiple of 4,096 from 8,192 to 1 GiB. Default 16 MiB. */
  readonly segmentBytes?: number
  /**
   * A folder, made when it is missing, in which the log is kept before it is released: with a backup it gives every
   * later moment, see `restore`. While it takes nothing the log stays beside the database, and grows.
   */
  readonly archive?: string
  /** Added to each sync of the log: shows how the database would do on a slower disk. Default 0. */
  readonly syncDelayMs?: number
}

const MIB = 1024 * 1024
const BUSY_TIMEOUT_MS = 5000

/** How a process is tied to others; undefined: it is alone by construction. */
export interface LinkOptions {
  readonly method: LockOptions['method']
  readonly busyTimeoutMs: number
}

export function linkOptionsOf(options: OpenOptions): LinkOptions | undefined {
  if (options.crossProcessLock === false) return undefined
  return { method: options.lockMethod, busyTimeoutMs: options.busyTimeout ?? BUSY_TIMEOUT_MS }
}

export interface StoreSettings {
  readonly create: boolean
  readonly readOnly: boolean
  readonly sync: 'full' | 'normal' | 'off'
  readonly maxWaitMs: number
  readonly cacheBytes: number
  readonly ringBytes: number
  readonly threadsMax: number
  readonly snapshotsMax: number
  readonly snapshotAgeMaxMs: number
  readonly checkpointLogBytes: number
  readonly checkpointIntervalMs: number
  readonly checkpointPagesPerStep: number
  readonly keepLogBytes: number
  readonly segmentBytes: number
  readonly syncDelayMs: number
  readonly archive?: string | undefined
}

const NORMAL_WAIT_MS = 100
const CHECKPOINT_PAGES_PER_STEP = 64
/** An hour: nobody means more. */
const DURATION_MAX_MS = 3_600_000
/** As the log has it. */
const SEGMENT_BYTES_MIN = 8192
const SEGMENT_BLOCK_BYTES = 4096

/** @throws RangeError or TypeError for what cannot be, before anything is touched */
export function settingsOf(options: OpenOptions): StoreSettings {
  const sync = options.sync ?? 'full'
  if (!['full', 'normal', 'off'].includes(sync)) {
    throw new TypeError(`sync must be full, normal or off, not ${sync}`)
  }
  const settings: StoreSettings = {
    create: options.create ?? true,
    readOnly: options.readOnly ?? false,
    sync,
    maxWaitMs: options.maxWaitMs ?? (sync === 'normal' ? NORMAL_WAIT_MS : 0),
    cacheBytes: options.cacheBytes ?? 256 * MIB,
    ringBytes: options.ringBytes ?? 4 * MIB,
    threadsMax: options.threadsMax ?? 64,
    snapshotsMax: options.snapshotsMax ?? 1024,
    snapshotAgeMaxMs: options.snapshotAgeMaxMs ?? 600_000,
    checkpointLogBytes: options.checkpointLogBytes ?? 64 * MIB,
    checkpointIntervalMs: options.checkpointIntervalMs ?? 60_000,
    checkpointPagesPerStep: CHECKPOINT_PAGES_PER_STEP,
    keepLogBytes: options.keepLogBytes ?? 256 * MIB,
    segmentBytes: options.segmentBytes ?? 16 * MIB,
    syncDelayMs: options.syncDelayMs ?? 0,
    archive: options.archive,
  }
  within('cacheBytes', settings.cacheBytes, MIB, 3584 * MIB)
  within('ringBytes', settings.ringBytes, 64 * 1024, 1024 * MIB)
  if (!Number.isInteger(Math.log2(settings.ringBytes))) {
    throw new RangeError(`ringBytes must be a power of two, not ${settings.ringBytes}`)
  }
  wholeWithin('threadsMax', settings.threadsMax, 1, 1024)
  wholeWithin('snapshotsMax', settings.snapshotsMax, 1, 65_536)
  wholeWithin('segmentBytes', settings.segmentBytes, SEGMENT_BYTES_MIN, 1024 * MIB)
  if (settings.segmentBytes % SEGMENT_BLOCK_BYTES !== 0) {
    throw new RangeError(
      `segmentBytes must be a multiple of ${SEGMENT_BLOCK_BYTES}, not ${settings.segmentBytes}`,
    )
  }
  wholeWithin('keepLogBytes', settings.keepLogBytes, 0, Number.MAX_SAFE_INTEGER)
  within('maxWaitMs', settings.maxWaitMs, 0, DURATION_MAX_MS)
  within('syncDelayMs', settings.syncDelayMs, 0, DURATION_MAX_MS)
  within('snapshotAgeMaxMs', settings.snapshotAgeMaxMs, 1, Number.MAX_SAFE_INTEGER)
  within('checkpointLogBytes', settings.checkpointLogBytes, 1, Number.MAX_SAFE_INTEGER)
  within('checkpointIntervalMs', settings.checkpointIntervalMs, 1, Number.MAX_SAFE_INTEGER)
  within('readStalenessMs', options.readStalenessMs ?? 0, 0, DURATION_MAX_MS)
  within('busyTimeout', options.busyTimeout ?? 0, 0, Number.MAX_SAFE_INTEGER)
  return settings
}

function within(name: string, value: number, min: number, max: number): void {
  if (typeof value === 'number' && value >= min && value <= max) return
  throw new RangeError(`${name} must be from ${min} to ${max}, not ${value}`)
}

function wholeWithin(name: string, value: number, min: number, max: number): void {
  within(name, value, min, max)
  if (!Number.isInteger(value)) throw new RangeError(`${name} must be whole, not ${value}`)
}
