import { expect, test } from 'vitest'
import { ControlRegion } from './control-region.ts'

test('each incarnation has a slot of its own, beside the stop word', () => {
  const control = ControlRegion.create(3)
  expect(control.incarnations).toBe(3)
  for (let incarnation = 0; incarnation < 3; incarnation++) {
    expect(control.threadOf(incarnation)).toBeUndefined()
    control.setAcknowledged(incarnation, 100 + incarnation)
    control.setThread(incarnation, incarnation)
  }
  control.orderExhaustion(1)
  const same = new ControlRegion(control.buffer)
  expect(same.acknowledged()).toEqual([100, 101, 102])
  expect([0, 1, 2].map((at) => same.threadOf(at))).toEqual([0, 1, 2])
  expect([0, 1, 2].map((at) => same.exhaustionOrdered(at))).toEqual([false, true, false])
  expect(same.acknowledgedTotal(1, 3)).toBe(203)
  expect(same.stopped).toBe(false)
  control.stop()
  expect(same.stopped).toBe(true)
  expect(same.acknowledged()).toEqual([100, 101, 102])
})
