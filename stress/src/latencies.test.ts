import { Random } from '@ringbolt/wal/simulation'
import { expect, test } from 'vitest'
import { addCounts, countOf, countsSince, Latencies, percentileMs } from './latencies.ts'

const seed = Number(process.env['RINGBOLT_SEED'] ?? Date.now() % 2 ** 32)

test(`percentiles are within 3 % of the sorted values', seed ${seed}`, () => {
  const random = new Random(seed)
  const latencies = Latencies.create()
  const values = Array.from({ length: 5000 }, () => 2 ** (random.below(26_000) / 1000) / 1000)
  for (const ms of values) latencies.record(ms)
  const sorted = values.toSorted((a, b) => a - b)
  for (const percentile of [1, 25, 50, 90, 99, 99.9, 100]) {
    const due = sorted[Math.ceil((sorted.length * percentile) / 100) - 1]!
    const found = percentileMs(latencies.counts(), percentile)!
    // Besides the bucket's width: values are whole microseconds.
    expect(Math.abs(found - due)).toBeLessThanOrEqual(due * 0.03 + 0.001)
  }
})

test('what lies beyond either end is counted at that end', () => {
  const latencies = Latencies.create()
  latencies.record(-1)
  latencies.record(1e12)
  const counts = latencies.counts()
  expect(countOf(counts)).toBe(2)
  expect(percentileMs(counts, 50)).toBe(0)
  expect(percentileMs(counts, 100)).toBeGreaterThan(4_000_000)
})

test('counts of a stretch of time, and of several processes', () => {
  const latencies = Latencies.create()
  latencies.record(1)
  const before = latencies.counts()
  latencies.record(100)
  latencies.record(100)
  const since = countsSince(before, latencies.counts())
  expect(countOf(since)).toBe(2)
  expect(percentileMs(since, 1)).toBeGreaterThan(90)
  const sum: number[] = []
  addCounts(sum, before)
  addCounts(sum, since)
  expect(sum).toEqual(latencies.counts())
})

test('nothing counted: no percentile', () => {
  expect(percentileMs(Latencies.create().counts(), 50)).toBeUndefined()
})
