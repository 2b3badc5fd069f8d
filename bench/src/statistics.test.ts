import { describe, expect, test } from 'vitest'
import { median, percentile, ratioSpread, spreadOf } from './statistics.ts'

describe('statistics', () => {
  test('the median of an odd and of an even number of values', () => {
    expect(median([5, 1, 3])).toBe(3)
    expect(median([4, 1, 3, 2])).toBe(2.5)
    expect(() => median([])).toThrow(RangeError)
  })

  test('a percentile is the nearest rank', () => {
    const sorted = Float64Array.from({ length: 100 }, (_, index) => index + 1)
    expect(percentile(sorted, 0.5)).toBe(50)
    expect(percentile(sorted, 0.99)).toBe(99)
    expect(percentile(sorted, 1)).toBe(100)
    expect(percentile(Float64Array.of(7), 0.5)).toBe(7)
  })

  test('ratios are taken round by round', () => {
    expect(spreadOf([2, 8, 4])).toEqual({ median: 4, min: 2, max: 8 })
    expect(ratioSpread([10, 30], [5, 10])).toEqual({ median: 2.5, min: 2, max: 3 })
    expect(() => ratioSpread([1], [])).toThrow('1 values against 0')
  })
})
