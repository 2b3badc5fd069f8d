import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { frameBytesOf, writeFrame } from './frame.ts'
import { lsnOf } from './lsn.ts'
import { MemoryStore } from './memory-store.ts'
import { SegmentedLog } from './segmented-log.ts'

const logId = Buffer.alloc(16, 5)
const seed = Number(process.env['RINGBOLT_SEED'] ?? 20_261_121)

/** What the log should hold: the records with their LSNs, as an array. */
interface Model {
  records: { lsn: number; sequence: number; bytes: string }[]
  endLsn: number
  nextSequence: number
  /** Everything before it may have been released. */
  releasedLsn: number
}

type Step = (log: SegmentedLog, model: Model) => SegmentedLog

const bytes = (length: number, fill: number): Buffer => Buffer.alloc(length, fill)

function note(model: Model, record: Buffer): void {
  const { endLsn: lsn, nextSequence: sequence } = model
  model.records.push({ lsn, sequence, bytes: record.toString('hex') })
  model.endLsn += frameBytesOf(record.length)
  model.nextSequence++
}

const recordArbitrary = fc
  .tuple(
    fc.oneof(
      { weight: 8, arbitrary: fc.integer({ min: 1, max: 300 }) },
      { weight: 1, arbitrary: fc.integer({ min: 5000, max: 20_000 }) },
    ),
    fc.integer({ min: 0, max: 255 }),
  )
  .map(([length, fill]) => bytes(length, fill))

const append = recordArbitrary.map(
  (record): Step =>
    (log, model) => {
      expect(log.append(record)).toBe(model.endLsn)
      note(model, record)
      return log
    },
)

const writeGroup = fc.array(recordArbitrary, { minLength: 1, maxLength: 8 }).map(
  (records): Step =>
    (log, model) => {
      const length = records.reduce((sum, record) => sum + frameBytesOf(record.length), 0)
      const body = Buffer.alloc(length + 24)
      let end = 0
      for (const record of records) end = writeFrame(body, end, record)
      body.writeInt32LE(17 | (1 << 31), end)
      log.writeGroup([body.subarray(0, 4), body.subarray(4)], records.length, 1)
      for (const record of records) note(model, record)
      model.endLsn += 24
      return log
    },
)

const pick = fc.double({ min: 0, max: 1, noNaN: true })

/** The LSN of a record that is still certain to be there, or the end. */
function lsnAt(model: Model, share: number): number {
  const there = model.records.filter(({ lsn }) => lsn >= model.releasedLsn)
  return there[Math.floor(share * there.length)]?.lsn ?? model.endLsn
}

const truncateAfter = pick.map(
  (share): Step =>
    (log, model) => {
      const lsn = lsnAt(model, share)
      log.truncateAfter(lsnOf(lsn))
      model.nextSequence =
        model.records.find((record) => record.lsn === lsn)?.sequence ?? model.nextSequence
      model.records = model.records.filter((record) => record.lsn < lsn)
      model.endLsn = lsn
      return log
    },
)

const truncateBefore = pick.map(
  (share): Step =>
    (log, model) => {
      const lsn = lsnAt(model, share)
      log.truncateBefore(lsnOf(lsn))
      expect(log.firstLsn).toBeLessThanOrEqual(lsn)
      model.releasedLsn = Math.max(model.releasedLsn, lsn)
      return log
    },
)

const truncate: Step = (log, model) => {
  log.truncate()
  Object.assign(model, { records: [], endLsn: 0, nextSequence: 1, releasedLsn: 0 })
  return log
}

const reopen: Step = (log) => {
  log.close()
  return SegmentedLog.open(log.store, { segmentBytes: 8192, sparesMax: 1, recovery: 'strict' })
}

const simple =
  (call: (log: SegmentedLog) => void): Step =>
  (log) => {
    call(log)
    return log
  }

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 10, arbitrary: append },
  { weight: 4, arbitrary: writeGroup },
  { weight: 3, arbitrary: fc.constant(simple((log) => log.flush())) },
  { weight: 2, arbitrary: fc.constant(simple((log) => log.sync())) },
  { weight: 1, arbitrary: fc.constant(simple((log) => void log.prepareStep())) },
  { weight: 1, arbitrary: truncateAfter },
  { weight: 1, arbitrary: truncateBefore },
  { weight: 2, arbitrary: fc.constant(reopen) },
  { weight: 1, arbitrary: fc.constant(truncate) },
)

function check(log: SegmentedLog, model: Model): void {
  expect([log.endLsn, log.nextSequence]).toEqual([model.endLsn, model.nextSequence])
  const expected = model.records.filter(
    ({ lsn }) => lsn >= Math.max(log.firstLsn, model.releasedLsn) && lsn < log.writtenLsn,
  )
  const actual = [...log.read()].map(({ lsn, sequence, record }) => {
    return { lsn: Number(lsn), sequence, bytes: Buffer.from(record).toString('hex') }
  })
  expect(actual.filter(({ lsn }) => lsn >= model.releasedLsn)).toEqual(expected)
  expect(log.pendingBytes === 0).toBe(log.durableLsn === model.endLsn)
}

test('W5: any sequence of appends, flushes, truncations and reopenings equals an array', () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 60 }), (steps) => {
      let log = SegmentedLog.open(new MemoryStore(), { create: true, logId, segmentBytes: 8192 })
      const model: Model = { records: [], endLsn: 0, nextSequence: 1, releasedLsn: 0 }
      for (const run of steps) {
        log = run(log, model)
        check(log, model)
      }
    }),
    { seed, numRuns: 400 },
  )
})
