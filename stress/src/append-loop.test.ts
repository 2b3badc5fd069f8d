import { Random } from '@ringbolt/wal/simulation'
import { expect, test } from 'vitest'
import { appendUntilStopped } from './append-loop.ts'
import { Workload } from './workload.ts'

const workload = new Workload({ seed: 3, recordBytesMin: 16, recordBytesMax: 64 })
const { RINGBOLT_SEED = '11' } = process.env

interface Held {
  readonly ordinal: number
  readonly settle: () => void
}

/** Holds appends back until told; records what the loop says. */
class HoldingLog {
  readonly ordinals: number[] = []
  readonly told: number[] = []
  readonly held: Held[] = []
  stopped = false
  latencies = 0

  append(record: Uint8Array): Promise<void> {
    const inspection = workload.inspect(record)
    if (inspection.kind !== 'whole') throw new Error(inspection.detail)
    const { ordinal } = inspection
    this.ordinals.push(ordinal)
    return new Promise((resolve) => this.held.push({ ordinal, settle: resolve }))
  }

  run(inFlightMax: number): Promise<void> {
    return appendUntilStopped({
      appender: this,
      workload,
      incarnation: 2,
      inFlightMax,
      nowMs: () => 0,
      stopped: () => this.stopped,
      onAcknowledged: (count) => this.told.push(count),
      onLatency: () => this.latencies++,
    })
  }

  async settle(index: number): Promise<void> {
    this.held.splice(index, 1)[0]?.settle()
    await new Promise((resolve) => setImmediate(resolve))
  }
}

test('W3: at most so many in flight; the next when the earliest is acknowledged', async () => {
  const log = new HoldingLog()
  const done = log.run(3)
  expect(log.ordinals).toEqual([0, 1, 2])
  await log.settle(2)
  await log.settle(1)
  expect(log.ordinals).toEqual([0, 1, 2])
  expect(log.told).toEqual([])
  await log.settle(0)
  expect(log.told).toEqual([3])
  expect(log.ordinals).toEqual([0, 1, 2, 3, 4, 5])
  log.stopped = true
  for (let at = 0; at < 3; at++) await log.settle(0)
  await done
  expect(log.told).toEqual([3, 4, 5, 6])
  expect(log.latencies).toBe(6)
})

test(`W3: acknowledged in any order, seed ${RINGBOLT_SEED}: never told of a gap`, async () => {
  const random = new Random(Number(RINGBOLT_SEED))
  const log = new HoldingLog()
  const done = log.run(8)
  const settled = new Set<number>()
  for (let step = 0; step < 400; step++) {
    if (step === 380) log.stopped = true
    const index = random.between(0, Math.max(0, log.held.length - 1))
    const { ordinal } = log.held[index] ?? {}
    if (ordinal !== undefined) settled.add(ordinal)
    await log.settle(index)
    const told = log.told.at(-1) ?? 0
    const acknowledged = Array.from({ length: told }, (_, below) => settled.has(below))
    expect(acknowledged).not.toContain(false)
    expect(log.ordinals.length - told).toBeLessThanOrEqual(8)
  }
  await done
  expect(log.told.at(-1)).toBe(log.ordinals.length)
})

test('W4: a failed append ends the loop with its reason', async () => {
  const reason = new Error('disk gone')
  const options = {
    appender: { append: () => Promise.reject(reason) },
    workload,
    incarnation: 0,
    inFlightMax: 4,
    nowMs: () => 0,
    stopped: () => false,
    onAcknowledged: () => undefined,
    onLatency: () => undefined,
  }
  await expect(appendUntilStopped(options)).rejects.toBe(reason)
})
