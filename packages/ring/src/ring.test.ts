import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  AtomicsMemory,
  attachConsumer,
  attachProducer,
  createRing,
  FRAME_ABORTED,
  frameBytes,
  NoSlotError,
  openRing,
  RecordTooLargeError,
  Ring,
  RingClosedError,
  type RingConsumer,
  RingCorruptError,
  RingFullError,
  RingNotDrainedError,
  RingPoisonedError,
  RingProducer,
  takeSlot,
  threadEnvironment,
} from './index.ts'
import { framesOf, payload, recordsOf } from './testing/records.ts'

function drain(consumer: RingConsumer): Uint8Array {
  const runs: Uint8Array[] = []
  consumer.fold()
  consumer.readCommitted((run) => runs.push(Uint8Array.from(run)))
  consumer.free()
  return Buffer.concat(runs)
}

describe('one producer', () => {
  test('R1: each append folds as one record, by its frame; the stream is the records in order', () => {
    const ring = createRing({ capacityBytes: 1024 })
    const producer = attachProducer(ring)
    const consumer = attachConsumer(ring)
    const records = [1, 7, 8, 100, 33].map((length, index) => payload(index, length))
    let address = 0
    for (const [index, record] of records.entries()) {
      expect(producer.append(record)).toBe(address)
      consumer.fold()
      address += frameBytes(record.length)
      expect(consumer.committedRecords).toBe(index + 1)
      expect(consumer.committedAddress).toBe(address)
    }
    expect(drain(consumer)).toEqual(framesOf(records))
    expect(drain(consumer).length).toBe(0)
    expect(consumer.drainableRecords).toBe(0)
  })

  test('R3: a record that wraps drains like one that does not; 1 byte up to the largest', () => {
    for (const capacityBytes of [64, 256]) {
      const ring = createRing({ capacityBytes })
      const producer = attachProducer(ring)
      const consumer = attachConsumer(ring)
      const { recordLengthMaxBytes } = producer.ring
      expect(frameBytes(recordLengthMaxBytes)).toBe(capacityBytes)
      for (let shift = 0; shift < capacityBytes; shift += 8) {
        for (let length = 1; length <= recordLengthMaxBytes; length++) {
          const record = payload(shift + length, length)
          producer.append(record)
          expect(drain(consumer)).toEqual(framesOf([record]))
        }
        producer.append(payload(0, 1))
        drain(consumer)
      }
    }
  })

  test('R3: too large, empty and fractional lengths are refused before anything is reserved', () => {
    const ring = createRing({ capacityBytes: 64 })
    const producer = attachProducer(ring)
    expect(() => producer.append(new Uint8Array(61))).toThrow(RecordTooLargeError)
    expect(() => producer.append(new Uint8Array(61))).toThrow(/61 bytes exceeds .* 60 bytes/)
    expect(() => producer.append(new Uint8Array(0))).toThrow(/1 byte or more, not 0/)
    expect(() => producer.reserve(1.5)).toThrow(RangeError)
    expect(producer.ring.occupiedBytes).toBe(0)
    producer.append(new Uint8Array(60))
    expect(producer.ring.occupiedBytes).toBe(64)
  })

  test('R3: any sequence of records through any small ring comes out byte for byte', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(64, 128, 256),
        fc.array(fc.tuple(fc.integer({ min: 1, max: 60 }), fc.boolean()), { maxLength: 200 }),
        (capacityBytes, steps) => {
          const ring = createRing({ capacityBytes })
          const producer = attachProducer(ring)
          const consumer = attachConsumer(ring)
          const out: Uint8Array[] = []
          const records = steps.map(([length], index) => payload(index, length))
          for (const [index, [, drainNow]] of steps.entries()) {
            const record = records[index]!
            while (producer.tryAppend(record) === undefined) out.push(drain(consumer))
            if (drainNow) out.push(drain(consumer))
          }
          out.push(drain(consumer))
          expect(Buffer.concat(out)).toEqual(framesOf(records))
          expect(consumer.committedRecords).toBe(records.length)
        },
      ),
    )
  })

  test('a writer encodes in place, in one range or two', () => {
    const ring = createRing({ capacityBytes: 64 })
    const producer = attachProducer(ring)
    const consumer = attachConsumer(ring)
    for (let shift = 0; shift < 8; shift++) {
      const record = payload(shift, 40)
      producer.reserve(40)
      let at = 0
      for (const range of producer.ranges()) {
        range.set(record.subarray(at, at + range.length))
        at += range.length
      }
      expect(at).toBe(40)
      producer.publish()
      expect(drain(consumer)).toEqual(framesOf([record]))
    }
  })

  test('misuse is a TypeError or RangeError and changes nothing', () => {
    const producer = attachProducer(createRing({ capacityBytes: 64 }))
    expect(() => producer.publish()).toThrow(TypeError)
    expect(() => producer.fill(new Uint8Array(1))).toThrow(TypeError)
    expect(() => producer.ranges()).toThrow(TypeError)
    producer.reserve(8)
    expect(() => producer.append(new Uint8Array(1))).toThrow(/open already/)
    expect(() => producer.fill(new Uint8Array(9))).toThrow(RangeError)
    expect(() => producer.detach()).toThrow(TypeError)
    producer.publish()
    producer.detach()
    producer.detach()
    expect(() => producer.append(new Uint8Array(1))).toThrow(RingClosedError)
  })
})

describe('several producers', () => {
  test('R2: published 2, 3, 1: the prefix waits for 1, then covers all; order is of reservation', () => {
    const ring = createRing({ capacityBytes: 256 })
    const producers = [1, 2, 3].map(() => attachProducer(ring))
    const consumer = attachConsumer(ring)
    const records = producers.map((_, index) => payload(index, 10 + index))
    for (const [index, producer] of producers.entries()) {
      producer.reserve(records[index]!.length)
      producer.fill(records[index]!)
    }
    const [first, second, third] = producers
    second!.publish()
    expect(consumer.fold()).toBe(0)
    third!.publish()
    expect(consumer.fold()).toBe(0)
    expect(consumer.committedRecords).toBe(0)
    first!.publish()
    expect(consumer.fold()).toBe(framesOf(records).length)
    expect(consumer.committedRecords).toBe(3)
    expect(drain(consumer)).toEqual(framesOf(records))
  })

  test('a fold takes at most the bytes asked for, but a longer record alone', () => {
    const ring = createRing({ capacityBytes: 256 })
    const producer = attachProducer(ring)
    const consumer = attachConsumer(ring)
    for (let index = 0; index < 4; index++) producer.append(payload(index, 20))
    producer.append(payload(9, 60))
    expect(consumer.fold(50)).toBe(48)
    consumer.free()
    expect(consumer.fold(24)).toBe(24)
    consumer.free()
    expect(consumer.fold(25)).toBe(24)
    consumer.free()
    expect(consumer.fold(8)).toBe(64)
  })

  test('slots are as many as asked for, and come back', () => {
    const ring = createRing({ capacityBytes: 64, slotCount: 2 })
    const first = attachProducer(ring)
    attachProducer(ring)
    expect(() => attachProducer(ring)).toThrow(NoSlotError)
    first.detach()
    expect(attachProducer(ring).slotIndex).toBe(first.slotIndex)
    attachConsumer(ring)
    expect(() => attachConsumer(ring)).toThrow(NoSlotError)
  })
})

describe('waiting for room', () => {
  test('R6: a deadline passes: typed, nothing reserved, then there is room', async () => {
    const ring = createRing({ capacityBytes: 64 })
    const producer = attachProducer(ring)
    const consumer = attachConsumer(ring)
    producer.append(payload(1, 60))
    expect(() => producer.append(payload(2, 8), 5)).toThrow(RingFullError)
    await expect(producer.appendAsync(payload(2, 8), { timeoutMs: 5 })).rejects.toThrow(
      /no room for a record of 8 bytes in a ring of 64 within 5 ms/,
    )
    expect(producer.ring.occupiedBytes).toBe(64)
    expect(producer.ring.spaceWaits).toBeGreaterThan(0)
    drain(consumer)
    producer.append(payload(2, 8), 5)
  })

  // The queue took the earliest deadline by Math.min(...deadlines): as many arguments as records, which
  // overflows the stack; the pump ended, and whoever waited did so for ever.
  test('R6: any number of records may wait at once', async () => {
    const ring = createRing({ capacityBytes: 65_536 })
    const producer = attachProducer(ring)
    const consumer = attachConsumer(ring)
    const count = 150_000
    const appends = Promise.all(
      Array.from({ length: count }, () => producer.appendAsync(payload(1, 4))),
    )
    while (consumer.committedRecords < count) {
      await consumer.waitForRecordsAsync(1000)
      consumer.fold()
      consumer.free()
    }
    expect((await appends).length).toBe(count)
  })

  test('R6: waiting records are appended in order of the calls, an aborted one never', async () => {
    const ring = createRing({ capacityBytes: 64 })
    const producer = attachProducer(ring)
    const consumer = attachConsumer(ring)
    const abort = new AbortController()
    const records = Array.from({ length: 12 }, (_, index) => payload(index, 20 + index))
    const appends = records.map((record, index) =>
      producer.appendAsync(record, index === 5 ? { signal: abort.signal } : {}),
    )
    abort.abort(new Error('no longer wanted'))
    const outcome = Promise.allSettled(appends)
    const out: Uint8Array[] = []
    while (consumer.committedRecords < 11) {
      await consumer.waitForRecordsAsync(1000)
      out.push(drain(consumer))
    }
    const settled = await outcome
    expect(settled.map(({ status }) => status).filter((status) => status === 'rejected')).toEqual([
      'rejected',
    ])
    await expect(appends[5]).rejects.toThrow('no longer wanted')
    records.splice(5, 1)
    expect(Buffer.concat(out)).toEqual(framesOf(records))
  })
})

describe('the ends of a ring', () => {
  test('R7: reset zeroes addresses, keeps the count, refuses while anything is open', () => {
    const ring = createRing({ capacityBytes: 128 })
    const producer = attachProducer(ring)
    const consumer = attachConsumer(ring)
    producer.append(payload(1, 30))
    expect(() => consumer.resetAfterDrain()).toThrow(RingNotDrainedError)
    consumer.fold()
    expect(() => consumer.resetAfterDrain()).toThrow(RingNotDrainedError)
    consumer.free()
    producer.reserve(5)
    expect(() => consumer.resetAfterDrain()).toThrow(/1 claims open/)
    producer.publish()
    drain(consumer)
    consumer.resetAfterDrain()
    expect(consumer.committedAddress).toBe(0)
    expect(consumer.committedRecords).toBe(2)
    const record = payload(3, 100)
    expect(producer.append(record)).toBe(0)
    expect(drain(consumer)).toEqual(framesOf([record]))
    expect(consumer.committedRecords).toBe(3)
  })

  test('R10: addresses go on across the wraps of 31 and 32 bits, and of laps', () => {
    for (const units of [2 ** 31, 2 ** 32, 2 ** 33]) {
      const first = (units - 3) * 8
      const ring = createRing({ capacityBytes: 64 }, first)
      const producer = attachProducer(ring)
      const consumer = attachConsumer(ring)
      let address = first
      for (let index = 0; index < 20; index++) {
        const record = payload(index, 1 + (index % 5) * 9)
        expect(producer.append(record)).toBe(address)
        address += frameBytes(record.length)
        expect(drain(consumer)).toEqual(framesOf([record]))
        expect(consumer.committedAddress).toBe(address)
      }
      const whole = producer.reserve(60)
      expect([whole.start, whole.end]).toEqual([address, address + 64])
    }
  })

  test('R11: a failed consumer is seen by all, waiting ones too, with its cause', async () => {
    const ring = createRing({ capacityBytes: 64 })
    const producer = attachProducer(ring)
    const other = attachProducer(ring)
    const consumer = attachConsumer(ring)
    producer.append(payload(1, 60))
    const waiting = producer.appendAsync(payload(2, 8))
    const cause = Object.assign(new Error('disk gone'), { code: 'EIO' })
    consumer.poison(cause)
    await expect(waiting).rejects.toThrow(RingPoisonedError)
    await expect(waiting).rejects.toMatchObject({
      code: 'RINGBOLT_POISONED',
      cause: { message: 'disk gone', code: 'EIO' },
    })
    expect(() => other.append(payload(3, 8))).toThrow(/disk gone/)
    consumer.poison(new Error('x'.repeat(10_000)))
    expect(() => other.append(payload(3, 8))).toThrow(/failed: x{200}$/)
  })

  test('a closed ring takes nothing more, wakes who waits, and drains what it holds', async () => {
    const ring = createRing({ capacityBytes: 64 })
    const producer = attachProducer(ring)
    const consumer = attachConsumer(ring)
    const record = payload(1, 60)
    producer.append(record)
    const waiting = producer.appendAsync(payload(2, 8))
    consumer.close()
    await expect(waiting).rejects.toThrow(RingClosedError)
    expect(() => producer.append(payload(2, 8))).toThrow(RingClosedError)
    expect(() => consumer.resetAfterDrain()).toThrow(RingClosedError)
    expect(drain(consumer)).toEqual(framesOf([record]))
  })
})

describe('hostile memory', () => {
  test('memory that is no ring, or another size or version, is refused with both values', () => {
    expect(() => openRing(new SharedArrayBuffer(16))).toThrow(RingCorruptError)
    expect(() => openRing(new SharedArrayBuffer(100_000))).toThrow(/magic of the ring: expected/)
    const ring = createRing({ capacityBytes: 64 })
    const longer = new SharedArrayBuffer(ring.byteLength + 64)
    new Uint8Array(longer).set(new Uint8Array(ring))
    expect(() => openRing(longer)).toThrow(/size of the ring: expected \d+, found \d+/)
    new Int32Array(ring)[1] = 9
    expect(() => openRing(ring)).toThrow(/version of the ring: expected 1, found 9/)
    for (const capacityBytes of [0, 32, 63, 100, Number.NaN, 2 ** 31]) {
      expect(() => createRing({ capacityBytes })).toThrow(RangeError)
    }
    expect(() => createRing({ capacityBytes: 64, slotCount: 0 })).toThrow(RangeError)
    expect(() => createRing({ capacityBytes: 64 }, 4)).toThrow(RangeError)
  })

  test('a header that cannot be is found, not followed', () => {
    const buffer = createRing({ capacityBytes: 64 })
    const consumer = attachConsumer(buffer)
    const words = new Int32Array(buffer)
    words[consumer.ring.headerWord(0)] = 61
    expect(() => consumer.fold()).toThrow(/length of the record at unit 0: expected 1 to 60 bytes/)
    words[consumer.ring.headerWord(0)] = FRAME_ABORTED
    expect(() => consumer.fold()).toThrow(RingCorruptError)
  })
})

describe('a dead producer', () => {
  const deadThread = 77

  function ringWithDead(count: number): { buffer: SharedArrayBuffer; dead: RingProducer[] } {
    const buffer = createRing({ capacityBytes: 256 })
    const ring = new Ring(new AtomicsMemory(buffer))
    const dead = Array.from(
      { length: count },
      () => new RingProducer(ring, takeSlot(ring, deadThread), threadEnvironment),
    )
    return { buffer, dead }
  }

  test('R9: its range becomes an abort record; what others published around it drains', () => {
    const { buffer, dead } = ringWithDead(2)
    const living = attachProducer(buffer)
    const consumer = attachConsumer(buffer)
    const records = [payload(1, 9), payload(2, 19), payload(3, 29)]
    living.append(records[0]!)
    dead[0]!.reserve(40)
    dead[0]!.fill(payload(6, 17))
    living.append(records[1]!)
    dead[1]!.reserve(3)
    living.append(records[2]!)
    expect(consumer.fold()).toBe(frameBytes(9))
    expect(living.ring.reportThreadDeath(deadThread)).toBe(2)
    const { records: drained, aborts } = recordsOf(drain(consumer))
    expect(drained).toEqual(records)
    expect(aborts).toEqual([new Uint8Array(frameBytes(40) - 4), new Uint8Array(frameBytes(3) - 4)])
    expect(consumer.committedRecords).toBe(3)
    expect(consumer.committedAborts).toBe(2)
    expect(living.ring.producersAttached).toBe(1)
  })

  test('R9: a death at rest costs nothing and frees the slot', () => {
    const { buffer, dead } = ringWithDead(1)
    const consumer = attachConsumer(buffer)
    const record = payload(1, 30)
    dead[0]!.append(record)
    dead[0]!.ring.reportThreadDeath(deadThread)
    expect(drain(consumer)).toEqual(framesOf([record]))
    consumer.fold()
    expect(consumer.committedAborts).toBe(0)
    expect(consumer.ring.producersAttached).toBe(0)
  })
})
