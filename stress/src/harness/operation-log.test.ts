import { expect, test } from 'vitest'
import { byIncarnation } from './operation-log.ts'

test('counts by place become counts by incarnation and lane', () => {
  expect(byIncarnation([1, 2, 3, 4, 5, 6], 2)).toEqual([
    [1, 2],
    [3, 4],
    [5, 6],
  ])
})
