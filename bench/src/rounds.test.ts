import { expect, test } from 'vitest'
import { interleave } from './rounds.ts'

test('candidates are measured in turn, each after another than the round before', async () => {
  const order: string[] = []
  const series = await interleave(['A', 'B', 'C'], 3, async (candidate, round) => {
    order.push(candidate)
    return `${candidate}${round}`
  })
  expect(order.join('')).toBe('ABCBCACAB')
  expect(series.map(({ figures }) => figures)).toEqual([
    ['A0', 'A1', 'A2'],
    ['B0', 'B1', 'B2'],
    ['C0', 'C1', 'C2'],
  ])
})
