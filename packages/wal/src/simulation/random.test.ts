import { describe, expect, test } from 'vitest'
import { Random } from './random.ts'

describe('Random', () => {
  test('gives the numbers of xoshiro128** for the state 1, 2, 3, 4', () => {
    const random = Random.fromState(1, 2, 3, 4)
    const numbers = Array.from({ length: 10 }, () => random.uint32())
    expect(numbers).toEqual([
      11520, 0, 5927040, 70819200, 2031721883, 1637235492, 1287239034, 3734860849, 3729100597,
      4258142804,
    ])
  })

  test('the same seed gives the same numbers, another one others', () => {
    const draw = (seed: number): number[] => {
      const random = new Random(seed)
      return Array.from({ length: 20 }, () => random.uint32())
    }
    expect(draw(7)).toEqual(draw(7))
    expect(draw(7)).not.toEqual(draw(8))
    expect(draw(7)).not.toEqual(draw(7 + 2 ** 32))
    expect(new Set([0, 1, 2 ** 31, 2 ** 32, 2 ** 53 - 1].map((seed) => draw(seed)[0])).size).toBe(5)
  })

  test('a fork depends on seed and label, not on what was drawn before', () => {
    const parent = new Random(99)
    const before = parent.fork('disk').uint32()
    parent.uint32()
    expect(parent.fork('disk').uint32()).toBe(before)
    const firsts = Array.from({ length: 10_000 }, (_, label) => parent.fork(label).uint32())
    expect(new Set(firsts).size).toBeGreaterThan(9_990)
  })

  test('below, between, chance, pick and weighted stay in bounds and use all of them', () => {
    const random = new Random(1)
    const below = new Set(Array.from({ length: 1_000 }, () => random.below(7)))
    expect([...below].toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6])
    const between = new Set(Array.from({ length: 1_000 }, () => random.between(3, 5)))
    expect([...between].toSorted((a, b) => a - b)).toEqual([3, 4, 5])
    const heads = Array.from({ length: 10_000 }, () => random.chance(0.25)).filter(Boolean).length
    expect(heads).toBeGreaterThan(2_300)
    expect(heads).toBeLessThan(2_700)
    expect(random.chance(0)).toBe(false)
    expect(random.chance(1)).toBe(true)
    expect(() => random.pick([])).toThrow(RangeError)
    const kinds = Array.from({ length: 1_000 }, () =>
      random.weighted([
        ['often', 9],
        ['seldom', 1],
        ['never', 0],
      ]),
    )
    expect(new Set(kinds)).toEqual(new Set(['often', 'seldom']))
  })

  test('bytes fills every length', () => {
    const random = new Random(3)
    for (let length = 0; length < 9; length++) {
      expect(random.bytes(new Uint8Array(length))).toHaveLength(length)
    }
    const seen = new Set(random.bytes(new Uint8Array(10_000)))
    expect(seen.size).toBe(256)
  })

  test.each([-1, 0.5, Number.NaN, 2 ** 53])('refuses %s as a seed', (seed) => {
    expect(() => new Random(seed)).toThrow(RangeError)
  })
})
