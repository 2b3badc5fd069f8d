/**
 * The acknowledgement of the log over the ring under the model checker: the shipped ring, watermarks
 * and consumer loop, with a log that counts instead of writing.
 */
import {
  Ring,
  RingConsumer,
  type RingEnvironment,
  RingProducer,
  type SharedMemory,
} from '@ringbolt/ring'
import { assertHolds, check, type Program, type ThreadContext } from '@ringbolt/ring/model'
import { expect, test } from 'vitest'
import { type FlushPolicy, type GroupSink, LogConsumer } from './log-consumer.ts'
import { ringAndMarks, type Split, split } from './testing/split-memory.ts'
import { Watermarks } from './watermarks.ts'

const environment: RingEnvironment = {
  nowMs: () => 0,
  alive: (wakeUp) => wakeUp,
  after: () => () => undefined,
}

const RECORD = new Uint8Array(12).fill(7)

/** A log that only counts: what is written, what is durable, how many syncs it took. */
class CountingSink implements GroupSink {
  readonly groupBodyBytesMax = 64
  readonly poisoned = undefined
  endLsn = 0
  durableLsn = 0
  syncs = 0

  writeGroup(runs: readonly Uint8Array[]): void {
    for (const run of runs) this.endLsn += run.length
  }

  sync(): void {
    if (this.durableLsn === this.endLsn) return
    this.durableLsn = this.endLsn
    this.syncs++
  }
}

type Values = Record<string, number>

/** Appends one record and blocks until it is acknowledged, as `LogClient.appendSync` does. */
function appendAndWait(memory: Split, slot: number, ask: boolean): number {
  const ring = new Ring(memory.ring)
  const producer = new RingProducer(ring, slot, environment)
  const marks = new Watermarks(memory.marks)
  const endLsn = producer.append(RECORD) + 16
  if (ask) {
    marks.wantSync()
    ring.ringDoorbell()
  }
  for (;;) {
    const signal = marks.signal
    const durable = marks.durableLsn
    if (durable >= endLsn) return endLsn
    marks.wait(signal, Number.POSITIVE_INFINITY)
  }
}

/** The log thread's loop until so much is durable. Returns the number of syncs. */
function serve(context: ThreadContext, flush: FlushPolicy, bytes: number): number {
  const memory = split(context.memory, 2)
  const consumer = new RingConsumer(new Ring(memory.ring), environment)
  const marks = new Watermarks(memory.marks)
  const sink = new CountingSink()
  const log = new LogConsumer(consumer, sink, marks, flush, () => 0)
  while (sink.durableLsn < bytes) {
    if (!log.step()) consumer.waitForRecords(Number.POSITIVE_INFINITY, () => marks.syncWanted)
  }
  return sink.syncs
}

function appenders(flush: FlushPolicy): Program<Values> {
  return {
    ...ringAndMarks(2),
    threads: {
      a: ({ memory }) => appendAndWait(split(memory, 2), 0, false),
      b: ({ memory }) => appendAndWait(split(memory, 2), 1, false),
      log: (context) => serve(context, flush, 32),
    },
    finish(_, { a, b, log }) {
      if (new Set([a, b]).size !== 2 || a! + b! !== 48) throw new Error(`ends at ${a} and ${b}`)
      if (log! > 2) throw new Error(`${log} syncs for 2 waiters`)
    },
    executionsMax: 2_000_000,
  }
}

test('W6: two appenders never overlap or wait in vain, and make two syncs at the most', () => {
  const report = check(appenders({ kind: 'each' }))
  console.log(`each: ${report.executions} executions, ${report.stepsTotal} steps`)
  assertHolds(report)
})

test('W2: a sync that somebody asks for comes, though nothing is synced by itself', () => {
  const report = check<Values>({
    ...ringAndMarks(2),
    threads: {
      a: ({ memory }) => appendAndWait(split(memory, 2), 0, true),
      log: (context) => serve(context, { kind: 'manual' }, 16),
    },
  })
  console.log(`manual: ${report.executions} executions, ${report.stepsTotal} steps`)
  assertHolds(report)
})

test('W3: the marks never say more than is durable, and no waiter sleeps for good', () => {
  const marks = (memory: SharedMemory): Watermarks => new Watermarks(memory)
  const report = check<Values>({
    memoryBytes: ringAndMarks(2).marksBytes,
    threads: {
      writer({ memory }) {
        // Across the border between the two words of a mark.
        for (const lsn of [2 ** 34 - 8, 2 ** 34, 2 ** 34 + 8]) marks(memory).advance(lsn, lsn)
        return 0
      },
      reader({ memory }) {
        const own = marks(memory)
        for (;;) {
          const signal = own.signal
          const durable = own.durableLsn
          if (durable > 2 ** 34 + 8) throw new Error(`durable up to ${durable}, never said`)
          if (durable === 2 ** 34 + 8) return durable
          own.wait(signal, Number.POSITIVE_INFINITY)
        }
      },
    },
    setup: (memory) => marks(memory).format(2 ** 34 - 16),
  })
  console.log(`marks: ${report.executions} executions`)
  assertHolds(report)
})

test('W3: the checker bites: a mark advanced before the sync is found', () => {
  const report = check<Values>({
    ...ringAndMarks(2),
    threads: {
      a: ({ memory }) => appendAndWait(split(memory, 2), 0, false),
      log({ memory }) {
        const own = split(memory, 2)
        const consumer = new RingConsumer(new Ring(own.ring), environment)
        const marks = new Watermarks(own.marks)
        const sink = new CountingSink()
        while (consumer.fold() === 0) consumer.waitForRecords(Number.POSITIVE_INFINITY)
        consumer.readCommitted((run) => sink.writeGroup([run]))
        consumer.free()
        marks.advance(sink.endLsn, sink.endLsn)
        own.disk.store(0, 1)
        return 0
      },
      judge({ memory }) {
        const own = split(memory, 2)
        const durable = new Watermarks(own.marks).durableLsn
        if (durable > 0 && own.disk.load(0) === 0) throw new Error('acknowledged before the sync')
        return 0
      },
    },
  })
  expect(report.violation?.message).toMatch(/acknowledged before the sync/)
})
