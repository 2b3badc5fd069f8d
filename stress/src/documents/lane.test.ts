import { describe, expect, test } from 'vitest'
import { Contents, Lane, type LaneSpec, type Operation } from './lane.ts'

const spec: LaneSpec = { seed: 7, incarnation: 3, lane: 5 }

function operationsOf(laneSpec: LaneSpec, count: number): Operation[] {
  const lane = new Lane(laneSpec)
  return Array.from({ length: count }, () => {
    const operation = lane.next()
    lane.advance()
    return operation
  })
}

describe('a lane', () => {
  test('M6: the same seed gives the same operations, another seed, worker or lane others', () => {
    const operations = operationsOf(spec, 200)
    expect(operationsOf(spec, 200)).toEqual(operations)
    for (const other of [{ seed: 8 }, { incarnation: 4 }, { lane: 6 }]) {
      expect(operationsOf({ ...spec, ...other }, 200)).not.toEqual(operations)
    }
  })

  test('M6: 60 % insert, 25 % update, 15 % delete', () => {
    const share = { insert: 0, update: 0, delete: 0 }
    for (const { kind } of operationsOf(spec, 20_000)) share[kind] += 1 / 20_000
    expect(share.insert).toBeCloseTo(0.6, 1)
    expect(share.update).toBeCloseTo(0.25, 1)
    expect(share.delete).toBeCloseTo(0.15, 1)
  })

  test('S2: now and then several operations are one step', () => {
    const lane = new Lane(spec)
    const sizes = new Map<number, number>()
    while (lane.done < 5000) {
      const { step } = lane
      sizes.set(step, (sizes.get(step) ?? 0) + 1)
      for (let left = step; left > 0; left--) lane.advance()
    }
    expect([...sizes.keys()].toSorted((a, b) => a - b)).toEqual([1, 2, 3, 4])
    expect(sizes.get(1)).toBeGreaterThan(3000)
  })

  test('no more documents than there may be: an insert is a delete then', () => {
    const lane = new Lane({ ...spec, liveMax: 10 })
    const most = Array.from({ length: 500 }, () => {
      lane.advance()
      return lane.live.length
    })
    expect(Math.max(...most)).toBe(10)
    expect(most.slice(100).some((count) => count < 10)).toBe(true)
  })

  test('a fork goes on as the lane does, and leaves it alone', () => {
    const lane = new Lane(spec)
    for (let at = 0; at < 50; at++) lane.advance()
    const fork = lane.fork()
    const live = [...lane.live]
    for (let at = 0; at < 50; at++) fork.advance()
    expect(lane.live).toEqual(live)
    for (let at = 0; at < 50; at++) lane.advance()
    expect(fork).toEqual(lane)
  })

  test('its live documents are what its operations leave, as a Map would have them', () => {
    const lane = new Lane(spec)
    const versions = new Map<number, number>()
    for (let at = 0; at < 2000; at++) {
      const operation = lane.next()
      expect(lane.next()).toEqual(operation)
      lane.advance()
      const { kind, document } = operation
      const { ordinal, version } = document
      expect(versions.get(ordinal)).toBe(kind === 'insert' ? undefined : version)
      if (kind === 'delete') versions.delete(ordinal)
      else versions.set(ordinal, kind === 'insert' ? 0 : version + 1)
    }
    expect(new Map(lane.live.map(({ ordinal, version }) => [ordinal, version]))).toEqual(versions)
    expect(lane.done).toBe(2000)
  })
})

describe('contents', () => {
  const contents = new Contents(7)

  test('a document is what its serial and version say, and nothing else is', () => {
    const document = contents.of('3.5.1', 2)
    expect(new Contents(7).of('3.5.1', 2)).toEqual(document)
    expect(contents.fault(document)).toBeUndefined()
    expect(contents.fault({ ...document, version: 3 })).toMatch(/instead of/)
    expect(contents.fault({ ...document, group: document.group + 1 })).toMatch(/instead of/)
    expect(contents.fault({ ...document, tags: [] })).toMatch(/instead of/)
    expect(contents.fault({ ...document, text: `${document.text}.` })).toMatch(/instead of/)
  })

  test('another version has another text', () => {
    expect(contents.of('3.5.1', 3).text).not.toBe(contents.of('3.5.1', 2).text)
  })
})
