/**
 * A log that all threads of a process write: one ring, one log thread, one folder of segments.
 *
 *   thread A ─┐                  ┌──────────────┐
 *   thread B ─┼─ append ─► ring ─► log thread   ├─► segments, synced
 *   thread C ─┘                  └──────┬───────┘
 *        ▲                              │
 *        └────── watermarks ◄───────────┘
 *
 * Threads: `openLog` in any one thread, the owner; `attachLog(log.share())` in any other. A thread
 * that ends takes nothing with it: see `reportThreadDeath`, which `openLog` calls by itself for the
 * workers that the owner's thread starts from then on.
 *
 * Crash: whatever was acknowledged is there after `openLog`; what was not is there whole or not at
 * all, and nothing follows a gap.
 */
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import {
  AtomicsMemory,
  attachProducer,
  errorFromPlain,
  errorToPlain,
  openRing,
  poisonRing,
  type Ring,
  threadEnvironment,
} from '@ringbolt/ring'
import { LogClosedError, LogThreadError } from './errors.ts'
import { FileStore } from './file-store.ts'
import { type AcknowledgedBy, LogClient } from './log-client.ts'
import type { FlushPolicy } from './log-consumer.ts'
import type { LogReply, LogThreadStats, LogThreadWork, OpenedMessage } from './log-thread.ts'
import type { Lsn } from './lsn.ts'
import type { RecoveryPolicy, RecoveryReport } from './recovery-report.ts'
import type { LogRecord } from './segmented-log-reader.ts'
import { type LogSnapshot, readShared } from './shared-log-reader.ts'
import { Watermarks } from './watermarks.ts'

/** A lock that keeps other processes out, `@ringbolt/locks` for one. */
export interface LogLock {
  acquire(): Promise<{ release(): Promise<void> }>
}

export interface LogOptions {
  /** Make the folder's log when there is none. Default true. */
  readonly create?: boolean
  /**
   * `full` (default): acknowledged means on stable storage. `normal`: acknowledged means handed to
   * the operating system, synced within `maxWaitMs` (default 100). `off`: synced only by `flush`,
   * `waitFor`, `close` and at the end of a segment.
   */
  readonly sync?: 'full' | 'normal' | 'off'
  /** With `full`: how long a record may wait for others to share its sync. Default 0, at once. */
  readonly maxWaitMs?: number
  /** `manual`: no sync unless somebody asks, with `flush` or `waitFor`. Default `automatic`. */
  readonly flush?: 'automatic' | 'manual'
  /** Size of the ring: a power of two. The longest record is 4 bytes less. Default 4 MiB. */
  readonly ringBytes?: number
  /** How many threads may be attached at once. Default 64. */
  readonly threadsMax?: number
  /** Size of a segment file. Default 16 MiB. */
  readonly segmentBytes?: number
  /** What to do about a damaged log: see `RecoveryPolicy`. Default `torn-tail`. */
  readonly recovery?: RecoveryPolicy
  /** Held from before the log is opened until it is closed. */
  readonly lock?: LogLock
  /** Added to each sync: shows how the log would do on a slower disk. */
  readonly syncDelayMs?: number
}

/** What another thread needs to attach; survives `postMessage` and `workerData`. */
export interface LogHandle {
  readonly ring: SharedArrayBuffer
  readonly watermarks: SharedArrayBuffer
  readonly acknowledgedBy: AcknowledgedBy
}

export interface SharedLogStats extends LogThreadStats {
  readonly ringOccupiedBytes: number
  readonly ringCapacityBytes: number
  readonly spaceWaits: number
  readonly threadsAttached: number
}

const RING_BYTES_DEFAULT = 4 * 1024 * 1024
const THREADS_MAX_DEFAULT = 64
const NORMAL_WAIT_MS_DEFAULT = 100

/**
 * Opens the log in a folder, recovering it first, and starts its thread.
 * @throws typed errors of the log: see `errors.ts`; nothing is left behind by a failed open
 */
export async function openLog(folder: string, options: LogOptions = {}): Promise<Log> {
  const held = await options.lock?.acquire()
  try {
    return await startLog(folder, options, async () => await held?.release())
  } catch (error) {
    await held?.release()
    throw error
  }
}

/** Attaches this thread to a log that another thread of the process has opened. */
export function attachLog(handle: LogHandle): LogClient {
  return new LogClient(
    attachProducer(handle.ring),
    new Watermarks(new AtomicsMemory(handle.watermarks)),
    handle.acknowledgedBy,
    threadEnvironment,
  )
}

async function startLog(
  folder: string,
  options: LogOptions,
  release: () => Promise<void>,
): Promise<Log> {
  const { sync = 'full' } = options
  const workerData: LogThreadWork = {
    folder,
    create: options.create ?? true,
    recovery: options.recovery ?? 'torn-tail',
    segmentBytes: options.segmentBytes,
    ringBytes: options.ringBytes ?? RING_BYTES_DEFAULT,
    slotCount: options.threadsMax ?? THREADS_MAX_DEFAULT,
    flush: flushPolicyOf(options),
    syncDelayMs: options.syncDelayMs ?? 0,
  }
  const worker = new Worker(new URL('./log-thread.js', import.meta.url), {
    workerData,
    name: 'ringbolt-log',
    // Flags of the program's own, as `--input-type`, are not for a file of ours.
    execArgv: [],
  })
  // Listened for from the start: when this thread was busy, `message` and `exit` come in one go.
  const exited = new Promise((resolve) => worker.once('exit', resolve))
  const message = await firstMessage(worker)
  if (message.kind === 'failed') {
    await exited
    throw errorFromPlain(message.error)
  }
  const { ring, watermarks, recovery } = message
  const acknowledgedBy = sync === 'full' ? 'durable' : 'written'
  return new Log(folder, worker, { ring, watermarks, acknowledgedBy }, recovery, release)
}

function firstMessage(worker: Worker): Promise<OpenedMessage> {
  return new Promise((resolve, reject) => {
    worker.once('message', resolve)
    worker.once('error', reject)
    worker.once('exit', (code) => reject(new LogThreadError(code)))
  })
}

function flushPolicyOf({ sync = 'full', flush = 'automatic', maxWaitMs }: LogOptions): FlushPolicy {
  if (flush === 'manual' || sync === 'off') return { kind: 'manual' }
  if (sync === 'normal') return { kind: 'group', maxWaitMs: maxWaitMs ?? NORMAL_WAIT_MS_DEFAULT }
  return maxWaitMs === undefined || maxWaitMs === 0
    ? { kind: 'each' }
    : { kind: 'group', maxWaitMs }
}

type Request =
  | { readonly op: 'stats' | 'snapshot' | 'close' }
  | { readonly op: 'truncateBefore'; readonly lsn: number }

/** What goes to the log's thread. */
export type LogRequest = Request & { readonly id: number }

/** An open log, in the thread that opened it. Also a client: it appends like any other thread. */
export class Log extends LogClient {
  /** What opening found and did. */
  readonly recovery: RecoveryReport
  readonly #folder: string
  readonly #worker: Worker
  readonly #handle: LogHandle
  readonly #ringView: Ring
  readonly #marks: Watermarks
  readonly #release: () => Promise<void>
  readonly #replies = new Map<number, (reply: LogReply) => void>()
  readonly #unwatch: () => void
  #nextRequestId = 0
  #closing: Promise<void> | undefined
  /** Why the thread answers no more. */
  #ended: Error | undefined

  constructor(
    folder: string,
    worker: Worker,
    handle: LogHandle,
    recovery: RecoveryReport,
    release: () => Promise<void>,
  ) {
    const marks = new Watermarks(new AtomicsMemory(handle.watermarks))
    super(attachProducer(handle.ring), marks, handle.acknowledgedBy, threadEnvironment)
    this.recovery = recovery
    this.#folder = folder
    this.#worker = worker
    this.#handle = handle
    this.#ringView = openRing(handle.ring)
    this.#marks = marks
    this.#release = release
    this.#unwatch = watchWorkers(this.#ringView)
    worker.on('message', (reply: LogReply) => this.#settle(reply))
    worker.on('error', (error) => this.#threadEnded(error))
    worker.on('exit', (code) => this.#threadEnded(new LogThreadError(code)))
    worker.unref()
  }

  /** For `attachLog` in another thread of this process. */
  share(): LogHandle {
    return this.#handle
  }

  /** Writes and syncs all that was appended before the call, by any thread. */
  async flush(): Promise<void> {
    const { stats } = await this.#request({ op: 'stats' })
    await this.durableUpTo(stats.reservedLsn)
  }

  /**
   * The records from `from` (default: the oldest there is) up to what was durable at the call, in
   * order, while appending goes on.
   * @throws LogTruncatedError when `from` is not in the log, or is let go of before it was read
   */
  read(from?: Lsn): AsyncGenerator<LogRecord, void, undefined> {
    const store = new FileStore(this.#folder, { readOnly: true })
    return readShared(store, () => this.#snapshot(), from, this.#marks.durableLsn)
  }

  /** Lets go of all whole segments before this LSN; records from it on stay readable. */
  async truncateBefore(lsn: Lsn): Promise<void> {
    await this.#request({ op: 'truncateBefore', lsn })
  }

  async stats(): Promise<SharedLogStats> {
    const { stats } = await this.#request({ op: 'stats' })
    return {
      ...stats,
      ringOccupiedBytes: this.#ringView.occupiedBytes,
      ringCapacityBytes: this.#ringView.capacityBytes,
      spaceWaits: this.#ringView.spaceWaits,
      threadsAttached: this.#ringView.producersAttached,
    }
  }

  /**
   * Tells that a thread has ended and will run no more, so that what it held in the ring is closed.
   * Done by itself for workers that the owner's thread starts while the log is open.
   */
  reportThreadDeath(threadId: number): void {
    this.#ringView.reportThreadDeath(threadId)
  }

  /** Takes no more appends, writes and syncs those that are there, ends the thread. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #close(): Promise<void> {
    const exited = once(this.#worker, 'exit')
    try {
      await this.#request({ op: 'close' })
      await threadEnvironment.alive(exited)
    } finally {
      this.#unwatch()
      await this.#release()
    }
  }

  async #snapshot(): Promise<LogSnapshot> {
    const { snapshot } = await this.#request({ op: 'snapshot' })
    if (snapshot === null) throw new Error('a snapshot was asked for, and none came')
    return snapshot
  }

  #request(request: Request): Promise<Extract<LogReply, { kind: 'done' }>> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended)
    const id = this.#nextRequestId++
    const reply = new Promise<LogReply>((resolve) => this.#replies.set(id, resolve))
    const message: LogRequest = { ...request, id }
    this.#worker.postMessage(message)
    // The thread looks for messages when this count has changed.
    this.#marks.announceRequest()
    this.#ringView.ringDoorbell()
    return threadEnvironment.alive(reply).then((settled) => {
      if (settled.kind === 'done') return settled
      throw errorFromPlain(settled.error)
    })
  }

  #settle(reply: LogReply): void {
    this.#replies.get(reply.id)?.(reply)
    this.#replies.delete(reply.id)
  }

  /** The log's thread is gone: nobody is going to acknowledge or answer anything. */
  #threadEnded(cause: Error): void {
    const asked = this.#closing !== undefined
    this.#ended ??= asked ? new LogClosedError(this.#folder) : cause
    if (!asked) {
      poisonRing(this.#ringView, cause)
      this.#marks.wakeAll()
    }
    for (const [id, resolve] of this.#replies) {
      resolve({ kind: 'failed', id, error: errorToPlain(this.#ended) })
    }
    this.#replies.clear()
  }
}

/** Reports the deaths of all workers started by this thread from now on, until called off. */
function watchWorkers(ring: Ring): () => void {
  const onWorker = (worker: Worker): void => {
    const { threadId } = worker
    worker.once('exit', () => ring.reportThreadDeath(threadId))
  }
  process.on('worker', onWorker)
  return () => process.off('worker', onWorker)
}
