import { describe, expect, test } from 'vitest'
import { countOf } from '../latencies.ts'
import { sampleOf } from '../testing/samples.ts'
import type { Samples } from './run-data.ts'
import { type Said, Timeline } from './timeline.ts'

const MIB = 1024 * 1024

/** A life says one thing after another. */
function life(): (sample: Said['sample']) => Said {
  const work = {}
  return (sample) => ({ work, sample })
}

function lengthsOf({ byProcess, ...columns }: Samples): number[] {
  const all = [...Object.values(columns), ...byProcess.flatMap((process) => Object.values(process))]
  return [...new Set(all.map((column) => column.length))]
}

describe('M6: figures of several processes are put together', () => {
  test('what each did is added up, its share stays its own', () => {
    const timeline = new Timeline(2)
    const [one, other] = [life(), life()]
    const counters = { commits: 80, syncs: 4, syncMsTotal: 2, filePages: 256, logBytes: MIB }
    timeline.add(1000, [
      one(sampleOf({ operations: 100, reads: 10, silenceMs: 5, rssBytes: 3 * MIB, counters })),
      other(
        sampleOf({ operations: 50, reads: 5, silenceMs: 9, counters: { commits: 40, syncs: 2 } }),
      ),
    ])
    timeline.add(2000, [
      one(sampleOf({ operations: 300, counters: { ...counters, commits: 180, syncs: 6 } })),
      other(sampleOf({ operations: 60, counters: { commits: 50, syncs: 3 } })),
    ])
    const samples = timeline.samples()
    expect(samples.atS).toEqual([1, 2])
    expect(samples.operationsPerS).toEqual([150, 210])
    expect(samples.commitsPerSync).toEqual([120 / 6, 110 / 3])
    expect(samples.fileMiB).toEqual([2, 2])
    expect(samples.byProcess.map(({ operationsPerS }) => operationsPerS)).toEqual([
      [100, 200],
      [50, 10],
    ])
    expect(samples.byProcess[1]?.silenceMs[0]).toBe(9)
    expect(lengthsOf(samples)).toEqual([2])
    expect(timeline.operations).toBe(360)
    expect(timeline.commitsPerSync).toBe(230 / 9)
  })

  test('latencies are merged as counts, not as percentiles of percentiles', () => {
    const timeline = new Timeline(2)
    const fast = Array.from({ length: 98 }, () => 1)
    timeline.add(1000, [life()(sampleOf({}, fast)), life()(sampleOf({}, [500, 500]))])
    const { p50Ms, p99Ms } = timeline.samples()
    expect(p50Ms[0]).toBeCloseTo(1, 1)
    expect(p99Ms[0]).toBeGreaterThan(450)
    expect(countOf(timeline.latencies)).toBe(100)
    expect(timeline.latencyTable().map(({ percentile }) => percentile)).toContain(99.99)
  })

  test('a process that is down has no figures, and its next life counts anew', () => {
    const timeline = new Timeline(1)
    const [first, second] = [life(), life()]
    timeline.add(1000, [first(sampleOf({ operations: 100 }))])
    timeline.add(2000, [undefined])
    timeline.add(3000, [second(sampleOf({ operations: 30, underWay: false, silenceMs: 700 }))])
    timeline.add(4000, [second(sampleOf({ operations: 90 }))])
    expect(timeline.samples().byProcess[0]?.operationsPerS).toEqual([100, null, 30, 60])
    // While its workers begin, nobody waits.
    expect(timeline.samples().byProcess[0]?.silenceMs).toEqual([0, null, null, 0])
    expect(timeline.operations).toBe(190)
    expect(timeline.processTotals()).toMatchObject([{ starts: 2, operations: 190 }])
  })

  test('what a killed one did after it was last asked is known by the side file', () => {
    const timeline = new Timeline(2)
    const [one, other] = [life(), life()]
    const dying = one(sampleOf({ operations: 100 }))
    timeline.add(1000, [dying, other(sampleOf({ operations: 10 }))])
    timeline.addLast(0, dying.work, 170)
    timeline.add(2000, [undefined, other(sampleOf({ operations: 20 }))])
    expect(timeline.samples().operationsPerS).toEqual([110, 80])
    expect(timeline.operations).toBe(190)
    // One that was killed before it was ever asked.
    timeline.addLast(0, {}, 5)
    expect(timeline.operations).toBe(195)
  })

  test('what was before the load began does not count', () => {
    const timeline = new Timeline(1)
    const one = life()
    timeline.begin([one(sampleOf({ operations: 1000, reads: 500, counters: { commits: 900 } }))])
    timeline.add(1000, [
      one(sampleOf({ operations: 1100, reads: 520, counters: { commits: 990, syncs: 9 } })),
    ])
    expect(timeline.operations).toBe(100)
    expect(timeline.reads).toBe(20)
    expect(timeline.samples().commitsPerSync).toEqual([10])
  })

  test('what is done while the load comes to its end is a part of the last row', () => {
    const timeline = new Timeline(1)
    const one = life()
    timeline.add(1000, [one(sampleOf({ operations: 100 }))])
    timeline.end(1500, [one(sampleOf({ operations: 120, freshnessChecks: 3 }))])
    expect(timeline.samples().atS).toEqual([1.5])
    expect(timeline.samples().operationsPerS).toEqual([80])
    expect(timeline.freshnessChecks).toBe(3)
  })

  test('memory is judged by the life that lasted longest, from when all were at work', () => {
    const timeline = new Timeline(2)
    const [one, two, three] = [life(), life(), life()]
    timeline.add(1000, [
      one(sampleOf({ rssBytes: 1, underWay: false })),
      two(sampleOf({ rssBytes: 7 })),
    ])
    timeline.add(2000, [one(sampleOf({ rssBytes: 2 })), three(sampleOf({ rssBytes: 8 }))])
    timeline.add(3000, [one(sampleOf({ rssBytes: 3 })), undefined])
    expect(timeline.rssBytesOfLongestLife()).toEqual([2, 3])
  })
})

test('M6: a run of hours is folded: as many rows as one of minutes, and nothing lost', () => {
  const timeline = new Timeline(1)
  const one = life()
  const seconds = 10_000
  for (let second = 1; second <= seconds; second++) {
    const sample = sampleOf({ operations: 7 * second, silenceMs: second === 4321 ? 99 : 1 }, [2])
    timeline.add(second * 1000, [one(sample)])
  }
  const samples = timeline.samples()
  expect(samples.atS.length).toBeLessThanOrEqual(1200)
  expect(samples.atS.length).toBeGreaterThan(500)
  expect(samples.atS.at(-1)).toBe(seconds)
  expect(new Set(samples.operationsPerS)).toEqual(new Set([7]))
  expect(Math.max(...samples.byProcess[0]!.silenceMs.map(Number))).toBe(99)
  expect(countOf(timeline.latencies)).toBe(seconds)
  expect(timeline.operations).toBe(7 * seconds)
})
