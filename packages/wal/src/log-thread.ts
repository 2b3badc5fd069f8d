/**
 * The log's thread: composition root of the log over the ring. Real files, the real clock, requests
 * from the owner. It blocks in shared memory when there is nothing to do and never returns to its
 * event loop until the log is closed.
 */
import { randomBytes } from 'node:crypto'
import { createHistogram } from 'node:perf_hooks'
import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import {
  AtomicsMemory,
  assertRingSizes,
  attachConsumer,
  createRing,
  errorToPlain,
  type PlainError,
  type RingConsumer,
} from '@ringbolt/ring'
import { LogCloseError, LogNotFoundError } from './errors.ts'
import { FileStore } from './file-store.ts'
import { LOG_ID_BYTES, SEGMENT_BYTES_DEFAULT } from './layout.ts'
import { type FlushPolicy, type GroupSink, LogConsumer } from './log-consumer.ts'
import { lsnOf } from './lsn.ts'
import type { RecoveryPolicy, RecoveryReport } from './recovery-report.ts'
import { SegmentedLog } from './segmented-log.ts'
import { checkOptions } from './segmented-log-options.ts'
import type { LogRequest } from './shared-log.ts'
import type { LogSnapshot } from './shared-log-reader.ts'
import { WATERMARK_BYTES, Watermarks } from './watermarks.ts'

export interface LogThreadWork {
  readonly folder: string
  readonly create: boolean
  readonly recovery: RecoveryPolicy
  readonly segmentBytes: number | undefined
  readonly ringBytes: number
  readonly slotCount: number
  readonly flush: FlushPolicy
  readonly syncDelayMs: number
}

export type OpenedMessage =
  | {
      readonly kind: 'opened'
      readonly ring: SharedArrayBuffer
      readonly watermarks: SharedArrayBuffer
      readonly recovery: RecoveryReport
    }
  | { readonly kind: 'failed'; readonly error: PlainError }

/** Counts since the log was opened; times in milliseconds. */
export interface LogThreadStats {
  readonly records: number
  readonly aborted: number
  readonly groups: number
  readonly syncs: number
  readonly firstLsn: number
  readonly endLsn: number
  readonly durableLsn: number
  /** Up to where the ring is reserved: everything that was appended lies before it. */
  readonly reservedLsn: number
  readonly segments: number
  readonly syncMs: { readonly p50: number; readonly p99: number; readonly max: number }
  readonly heapUsedBytes: number
}

export type LogReply =
  | {
      readonly kind: 'done'
      readonly id: number
      readonly stats: LogThreadStats
      readonly snapshot: LogSnapshot | null
    }
  | { readonly kind: 'failed'; readonly id: number; readonly error: PlainError }

/** How long a close waits for records that are reserved and not published. */
const CLOSE_WAIT_MS = 10_000

/** How long it sleeps between looks at a range that a close waits for. */
const CLOSE_SLICE_MS = 5

class LogThread {
  readonly #port: MessagePort
  readonly #log: SegmentedLog
  readonly #ring: RingConsumer
  readonly #marks: Watermarks
  readonly #consumer: LogConsumer
  readonly #syncNanoseconds = createHistogram()
  #requestsHandled = 0
  #closed = false

  constructor(port: MessagePort, log: SegmentedLog, memory: OpenedMemory, work: LogThreadWork) {
    this.#port = port
    this.#log = log
    this.#ring = attachConsumer(memory.ring)
    this.#marks = new Watermarks(new AtomicsMemory(memory.watermarks))
    this.#consumer = new LogConsumer(
      this.#ring,
      this.#sink(work),
      this.#marks,
      work.flush,
      nowMs,
      sleep,
    )
  }

  run(): void {
    while (!this.#closed) {
      if (this.#marks.requestsAnnounced !== this.#requestsHandled) this.#answerNext()
      else if (!this.#step()) this.#idle()
    }
  }

  /** A failure has poisoned the ring by then, and waits in the log for the next request. */
  #step(): boolean {
    if (this.#log.poisoned !== undefined) return false
    try {
      return this.#consumer.step()
    } catch (error) {
      if (this.#log.poisoned === undefined) throw error
      return false
    }
  }

  /** Prepares the next segment in pieces, then sleeps until there is something to do. */
  #idle(): void {
    const sound = this.#log.poisoned === undefined
    if (sound && this.#log.prepareStep()) return
    const sleepMs = sound ? this.#consumer.syncDueInMs : Number.POSITIVE_INFINITY
    this.#ring.waitForRecords(sleepMs, () => this.#hasRequests())
  }

  #hasRequests(): boolean {
    return this.#marks.syncWanted || this.#marks.requestsAnnounced !== this.#requestsHandled
  }

  #answerNext(): void {
    const received = receiveMessageOnPort(this.#port)
    // Announced after it was posted, so it is there.
    if (received === undefined) return
    this.#requestsHandled = (this.#requestsHandled + 1) | 0
    const request: LogRequest = received.message
    try {
      this.#carryOut(request)
      const { segments, writtenLsn } = this.#log
      const snapshot = request.op === 'snapshot' ? { segments, writtenLsn } : null
      this.#port.postMessage({ kind: 'done', id: request.id, stats: this.#stats(), snapshot })
    } catch (error) {
      this.#port.postMessage({ kind: 'failed', id: request.id, error: errorToPlain(error) })
    }
  }

  #carryOut(request: LogRequest): void {
    switch (request.op) {
      case 'truncateBefore':
        this.#consumer.change(() => this.#log.truncateBefore(lsnOf(request.lsn)))
        return
      case 'close':
        this.#close()
        return
      case 'snapshot':
      case 'stats':
    }
  }

  #close(): void {
    this.#closed = true
    try {
      this.#ring.close()
      if (this.#log.poisoned !== undefined) throw this.#log.poisoned
      this.#drainForClose()
    } finally {
      this.#log.close()
    }
  }

  #drainForClose(): void {
    const deadlineMs = nowMs() + CLOSE_WAIT_MS
    for (;;) {
      this.#consumer.drainAndSync()
      const reserved = this.#ring.ring.tailAddress
      if (this.#log.endLsn >= reserved) return
      if (nowMs() >= deadlineMs) {
        const error = new LogCloseError(reserved - this.#log.endLsn, CLOSE_WAIT_MS)
        this.#consumer.fail(error)
        throw error
      }
      this.#ring.waitForRecords(CLOSE_SLICE_MS)
    }
  }

  #stats(): LogThreadStats {
    const { groups, records, aborted, syncs } = this.#log.stats()
    const milliseconds = (nanoseconds: number): number => nanoseconds / 1e6
    return {
      records,
      aborted,
      groups,
      syncs,
      firstLsn: this.#log.firstLsn,
      endLsn: this.#log.endLsn,
      durableLsn: this.#log.durableLsn,
      reservedLsn: this.#ring.ring.tailAddress,
      segments: this.#log.segments.length,
      syncMs: {
        p50: milliseconds(this.#syncNanoseconds.percentile(50)),
        p99: milliseconds(this.#syncNanoseconds.percentile(99)),
        max: syncs === 0 ? 0 : milliseconds(this.#syncNanoseconds.max),
      },
      heapUsedBytes: process.memoryUsage().heapUsed,
    }
  }

  /** The log with its syncs timed, and delayed where asked for. */
  #sink(work: LogThreadWork): GroupSink {
    const log = this.#log
    const histogram = this.#syncNanoseconds
    return {
      groupBodyBytesMax: groupBodyBytesMax(work),
      get endLsn() {
        return log.endLsn
      },
      get durableLsn() {
        return log.durableLsn
      },
      get poisoned() {
        return log.poisoned
      },
      writeGroup: (runs, recordCount, abortedCount) =>
        log.writeGroup(runs, recordCount, abortedCount),
      sync() {
        const begunMs = nowMs()
        log.sync()
        if (work.syncDelayMs > 0) sleep(work.syncDelayMs)
        histogram.record(Math.max(1, Math.round((nowMs() - begunMs) * 1e6)))
      },
    }
  }
}

interface OpenedMemory {
  readonly ring: SharedArrayBuffer
  readonly watermarks: SharedArrayBuffer
}

function nowMs(): number {
  return performance.now()
}

const neverWoken = new AtomicsMemory(new SharedArrayBuffer(4))

function sleep(durationMs: number): void {
  neverWoken.wait(0, 0, durationMs)
}

/** Several groups to a segment, so that recycling keeps pace; a longer record is a group alone. */
function groupBodyBytesMax({ segmentBytes, ringBytes }: LogThreadWork): number {
  return Math.min(ringBytes, Math.floor((segmentBytes ?? SEGMENT_BYTES_DEFAULT) / 4))
}

/** A new log gets an id of its own; an existing one has it in its files. */
function openStore(work: LogThreadWork): SegmentedLog {
  const options = {
    recovery: work.recovery,
    sync: work.flush.kind === 'each' ? 'full' : 'normal',
    ...(work.segmentBytes === undefined ? {} : { segmentBytes: work.segmentBytes }),
    recordLengthMaxBytes: work.ringBytes,
  } as const
  // Sizes out of bounds are refused before the folder is touched.
  assertRingSizes({ capacityBytes: work.ringBytes, slotCount: work.slotCount })
  checkOptions(options)
  const store = new FileStore(work.folder, { createFolder: work.create })
  try {
    return SegmentedLog.open(store, options)
  } catch (error) {
    if (!(error instanceof LogNotFoundError && work.create)) throw error
    return SegmentedLog.open(store, { ...options, create: true, logId: randomBytes(LOG_ID_BYTES) })
  }
}

function openMemory(log: SegmentedLog, work: LogThreadWork): OpenedMemory {
  const { ringBytes, slotCount } = work
  const ring = createRing({ capacityBytes: ringBytes, slotCount }, log.endLsn)
  const watermarks = new SharedArrayBuffer(WATERMARK_BYTES)
  new Watermarks(new AtomicsMemory(watermarks)).format(log.endLsn)
  return { ring, watermarks }
}

function main(port: MessagePort, work: LogThreadWork): void {
  let thread: LogThread
  try {
    const log = openStore(work)
    const memory = openMemory(log, work)
    thread = new LogThread(port, log, memory, work)
    port.postMessage({ kind: 'opened', ...memory, recovery: log.recovery })
  } catch (error) {
    port.postMessage({ kind: 'failed', error: errorToPlain(error) })
    return
  }
  thread.run()
}

if (parentPort === null) throw new Error('log-thread.js is started by openLog, as a worker')
main(parentPort, workerData)
