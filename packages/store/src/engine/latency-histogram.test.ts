import { Random } from '@ringbolt/wal/simulation'
import { expect, test } from 'vitest'
import { HISTOGRAM_BYTES, LatencyHistogram } from './latency-histogram.ts'

const seed = Number(process.env['RINGBOLT_SEED'] ?? 7)

function makeHistogram(): LatencyHistogram {
  return new LatencyHistogram(new SharedArrayBuffer(HISTOGRAM_BYTES), 0)
}

test('nothing counted is nothing', () => {
  expect(makeHistogram().read()).toEqual({
    count: 0,
    totalMs: 0,
    p50Ms: 0,
    p90Ms: 0,
    p99Ms: 0,
    maxMs: 0,
  })
})

test(`percentiles are at most an eighth, or a microsecond, too high (seed ${seed})`, () => {
  const random = new Random(seed)
  for (let round = 0; round < 50; round++) {
    const histogram = makeHistogram()
    const scale = 10 ** random.between(-3, 5)
    const durations = Array.from(
      { length: random.between(1, 300) },
      () => (random.between(0, 1_000_000) / 1_000_000) * scale,
    )
    for (const durationMs of durations) histogram.add(durationMs)
    durations.sort((a, b) => a - b)
    const read = histogram.read()
    expect(read.count).toBe(durations.length)
    expect(read.maxMs).toBe(durations.at(-1))
    for (const [share, found] of [
      [0.5, read.p50Ms],
      [0.9, read.p90Ms],
      [0.99, read.p99Ms],
    ] as const) {
      const exact = durations[Math.ceil(durations.length * share) - 1] ?? 0
      expect(found).toBeGreaterThanOrEqual(exact)
      expect(found).toBeLessThanOrEqual(exact * 1.125 + 0.0011)
    }
  }
})

test('the longest, the shortest, and what a clock that jumps says', () => {
  const histogram = makeHistogram()
  for (const durationMs of [0, 1e12, -5]) histogram.add(durationMs)
  expect(histogram.read()).toMatchObject({ count: 3, maxMs: 1e12 })
})
