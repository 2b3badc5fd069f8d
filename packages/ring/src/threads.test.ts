import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { expect, test } from 'vitest'
import { attachConsumer, createRing } from './index.ts'
import type { ProducerWork } from './testing/producer-thread.ts'
import { numberedRecord, numberOf, recordsOf } from './testing/records.ts'

interface Load {
  readonly producers: number
  readonly records: number
  readonly recordLengthMaxBytes: number
  readonly capacityBytes: number
  readonly wait: ProducerWork['wait']
}

/** Runs producers in threads and drains beside them; checks each record as it comes. */
async function drainAll(load: Load): Promise<{ spaceWaits: number; groups: number }> {
  const ring = createRing({ capacityBytes: load.capacityBytes })
  const consumer = attachConsumer(ring)
  const workers = Array.from({ length: load.producers }, (_, producerId) => {
    const workerData: ProducerWork = { ...load, ring, producerId }
    return new Worker(new URL('./testing/producer-thread.js', import.meta.url), { workerData })
  })
  const exits = Promise.all(workers.map((worker) => once(worker, 'exit')))
  const next = new Array<number>(load.producers).fill(0)
  let groups = 0
  let spaceWaits = 0
  while (consumer.committedRecords < load.producers * load.records) {
    await consumer.waitForRecordsAsync(10_000)
    consumer.fold()
    const runs: Uint8Array[] = []
    consumer.readCommitted((run) => runs.push(Uint8Array.from(run)))
    spaceWaits = Math.max(spaceWaits, consumer.ring.spaceWaits)
    consumer.free()
    groups++
    for (const record of recordsOf(Buffer.concat(runs)).records) {
      const { producerId, ordinal } = numberOf(record)
      if (ordinal !== next[producerId]) {
        throw new Error(`producer ${producerId}: record ${ordinal}, expected ${next[producerId]}`)
      }
      next[producerId]++
      const expected = numberedRecord(producerId, ordinal, load.recordLengthMaxBytes)
      if (Buffer.compare(record, expected) !== 0) {
        throw new Error(`producer ${producerId}: record ${ordinal} differs`)
      }
    }
  }
  await exits
  expect(consumer.fold()).toBe(0)
  expect(next).toEqual(new Array(load.producers).fill(load.records))
  expect(consumer.ring.producersAttached).toBe(0)
  return { spaceWaits, groups }
}

test('R4: four threads append while one drains: each record once, whole, in order', async () => {
  await drainAll({
    producers: 4,
    records: 50_000,
    recordLengthMaxBytes: 200,
    capacityBytes: 65_536,
    wait: 'blocking',
  })
})

test.each(['blocking', 'async'] as const)(
  'R6: a ring of 4 KiB and producers that must wait (%s): nothing lost, nothing twice',
  async (wait) => {
    const { spaceWaits } = await drainAll({
      producers: 4,
      records: 5_000,
      recordLengthMaxBytes: 900,
      capacityBytes: 4096,
      wait,
    })
    expect(spaceWaits).toBeGreaterThan(0)
  },
)

test('R11: producers blocked in other threads are woken by a failed consumer', async () => {
  const ring = createRing({ capacityBytes: 4096 })
  const consumer = attachConsumer(ring)
  const workers = [0, 1].map((producerId) => {
    const workerData: ProducerWork = {
      ring,
      producerId,
      records: 1_000_000,
      recordLengthMaxBytes: 100,
      wait: 'blocking',
    }
    return new Worker(new URL('./testing/producer-thread.js', import.meta.url), { workerData })
  })
  const errors = workers.map((worker) => once(worker, 'error'))
  while (consumer.ring.spaceWaits < 2) await consumer.waitForRecordsAsync(5)
  consumer.poison(new Error('disk gone'))
  for (const [error] of await Promise.all(errors)) {
    expect(error.message).toBe("the ring's consumer failed: disk gone")
  }
})
