import { Random } from '@ringbolt/wal/simulation'
import { expect, test } from 'vitest'
import { KILL_KINDS } from '../load.ts'
import { KillSchedule } from './schedule.ts'

function drawn(seed: number): unknown[] {
  const schedule = new KillSchedule(new Random(seed), 1000)
  return Array.from({ length: 60 }, () => [schedule.nextDelayMs(), schedule.next()])
}

test('M6: the seed gives moments and victims', () => {
  expect(drawn(3)).toEqual(drawn(3))
  expect(drawn(4)).not.toEqual(drawn(3))
})

test('about as often as was asked for, never at once, never hardly ever', () => {
  const schedule = new KillSchedule(new Random(9), 1000)
  const delays = Array.from({ length: 2000 }, () => schedule.nextDelayMs())
  expect(Math.min(...delays)).toBeGreaterThanOrEqual(200)
  expect(Math.max(...delays)).toBeLessThanOrEqual(3000)
  const mean = delays.reduce((sum, delay) => sum + delay, 0) / delays.length
  expect(mean).toBeGreaterThan(850)
  expect(mean).toBeLessThan(1150)
})

test('processes and workers by turns, workers in all ways before one comes again', () => {
  const schedule = new KillSchedule(new Random(5), 1000)
  const orders = Array.from({ length: 24 }, () => schedule.next())
  for (const [at, { what }] of orders.entries()) {
    expect(what).toBe(at % 2 === 0 ? 'process' : 'worker')
  }
  const ways = orders.flatMap((order) => (order.what === 'worker' ? [order.kill] : []))
  for (let at = 0; at < ways.length; at += 3) {
    expect(ways.slice(at, at + 3).toSorted()).toEqual([...KILL_KINDS].toSorted())
  }
})
