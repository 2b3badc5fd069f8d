import { expect, test } from 'vitest'
import { FaultStore } from './fault-store.ts'
import { MemoryStore } from './memory-store.ts'
import { SegmentedLog } from './segmented-log.ts'
import { type AppendPolicy, LogAppender } from './segmented-log-appender.ts'
import { ManualTimers } from './testing/manual-timers.ts'

function open(policy: AppendPolicy): {
  appender: LogAppender
  timers: ManualTimers
  store: FaultStore
} {
  const store = new FaultStore(new MemoryStore())
  const timers = new ManualTimers()
  const log = SegmentedLog.open(store, {
    create: true,
    logId: Buffer.alloc(16, 5),
    segmentBytes: 65_536,
  })
  return { appender: new LogAppender(log, policy, timers), timers, store }
}

const record = Buffer.from('record')

test('W2: manual syncs only when asked', () => {
  const { appender, timers } = open({ kind: 'manual' })
  for (let index = 0; index < 10; index++) appender.append(record)
  timers.advance(1_000_000)
  expect([appender.log.stats().syncs, appender.tick()]).toEqual([0, Number.POSITIVE_INFINITY])
  appender.sync()
  expect([appender.log.stats().syncs, appender.log.pendingBytes]).toEqual([1, 0])
})

test('W2: onEachWrite returns synced', () => {
  const { appender } = open({ kind: 'onEachWrite' })
  for (let index = 0; index < 10; index++) {
    const lsn = appender.append(record)
    expect([appender.log.isDurable(lsn), appender.log.pendingBytes]).toEqual([true, 0])
  }
  expect(appender.log.stats().syncs).toBe(10)
})

test('W2: group syncs by itself within the bound, and its waiters share the sync', async () => {
  const { appender, timers } = open({ kind: 'group', maxWaitMs: 20 })
  const waiting = Array.from({ length: 16 }, () => appender.waitFor(appender.append(record)))
  timers.advance(10)
  appender.append(record)
  expect([appender.log.stats().syncs, appender.tick()]).toEqual([0, 10])
  timers.advance(10)
  await Promise.all(waiting)
  expect([appender.log.stats().syncs, appender.log.pendingBytes, timers.pending]).toEqual([1, 0, 0])
  timers.advance(1000)
  expect(appender.log.stats().syncs).toBe(1)
})

test('W3: waitFor is immediate when durable, else makes one sync for all who wait in this turn', async () => {
  const { appender } = open({ kind: 'manual' })
  const lsns = Array.from({ length: 16 }, () => appender.append(record))
  await Promise.all(lsns.map((lsn) => appender.waitFor(lsn)))
  expect(appender.log.stats().syncs).toBe(1)
  await Promise.all(lsns.map((lsn) => appender.waitFor(lsn)))
  expect(appender.log.stats().syncs).toBe(1)
  await expect(appender.waitFor(appender.log.endLsn)).rejects.toThrow(RangeError)
})

test.each(['manual', 'group'] as const)(
  'W4: every waiter gets the cause of a failed sync (%s)',
  async (kind) => {
    const { appender, timers, store } = open({ kind, maxWaitMs: 5 })
    const waiting = Array.from({ length: 4 }, () => appender.waitFor(appender.append(record)))
    store.setFault({ call: 'sync', nth: 1 })
    const settled = Promise.allSettled(waiting)
    timers.advance(5)
    for (const result of await settled) {
      expect(result).toMatchObject({ status: 'rejected', reason: { code: 'RINGBOLT_POISONED' } })
    }
    expect(() => appender.append(record)).toThrow(
      expect.objectContaining({ code: 'RINGBOLT_POISONED' }),
    )
    await expect(appender.waitFor(appender.log.durableLsn)).rejects.toMatchObject({
      code: 'RINGBOLT_POISONED',
    })
    expect(appender.log.durableLsn).toBe(0)
    appender.close()
  },
)
