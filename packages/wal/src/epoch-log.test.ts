import { expect, test } from 'vitest'
import { type CommitRecord, decodeCommitRecord, encodeCommitRecord } from './commit-record.ts'
import { EpochLog } from './epoch-log.ts'
import { FaultStore } from './fault-store.ts'
import { MemoryStore } from './memory-store.ts'
import { SegmentedLog } from './segmented-log.ts'
import type { SegmentedLogOptions } from './segmented-log-options.ts'
import { ManualTimers } from './testing/manual-timers.ts'

const logId = Buffer.alloc(16, 5)

function openEpochs(
  store: FaultStore,
  timers = new ManualTimers(),
  options: SegmentedLogOptions = {},
): EpochLog {
  const log = SegmentedLog.open(store, { create: true, logId, segmentBytes: 8192, ...options })
  return new EpochLog(log, { timers, imageBytesMax: 1000 })
}

const memory = (): FaultStore => new FaultStore(new MemoryStore())

function commit(epoch: number, firstSequence: number, lastSequence = firstSequence): CommitRecord {
  const image = Buffer.from(`image ${firstSequence}`)
  return { transactionId: firstSequence + 1000, epoch, firstSequence, lastSequence, image }
}

function sequencesOf(log: SegmentedLog): [number, number][] {
  return [...log.read()].map(({ record, epoch }) => [
    epoch,
    decodeCommitRecord(record, epoch).firstSequence,
  ])
}

test('W8: transaction, epoch, sequence range and image survive; order is by commit sequence', () => {
  const store = memory()
  const epochs = openEpochs(store)
  for (const sequence of [5, 1, 9]) epochs.submit(commit(1, sequence, sequence + 2))
  expect(epochs.seal()).toBe(1)
  epochs.submitAll([commit(2, 30), commit(2, 20)])
  expect(epochs.seal()).toBe(2)
  expect(sequencesOf(epochs.log)).toEqual([
    [1, 1],
    [1, 5],
    [1, 9],
    [2, 20],
    [2, 30],
  ])
  const [first] = [...epochs.log.read()]
  expect(decodeCommitRecord(first?.record ?? Buffer.alloc(0), 1)).toEqual({
    transactionId: 1001,
    epoch: 1,
    firstSequence: 1,
    lastSequence: 3,
    image: new Uint8Array(Buffer.from('image 1')),
  })
})

const code = (value: string): unknown => expect.objectContaining({ code: value })

test('W8: what cannot be is refused before any file or the batch is touched', () => {
  const store = memory()
  const epochs = openEpochs(store)
  epochs.submit(commit(1, 10, 12))
  const writes = store.count('write')
  expect(() => epochs.submit(commit(2, 20))).toThrow(code('RINGBOLT_EPOCH'))
  expect(() => epochs.submitAll([commit(1, 20), commit(2, 21)])).toThrow(code('RINGBOLT_EPOCH'))
  expect(() => epochs.submitAll([commit(1, 20), commit(1, 19, 20)])).toThrow(code('RINGBOLT_EPOCH'))
  expect(() => epochs.submit(commit(1, 12))).toThrow(code('RINGBOLT_EPOCH'))
  expect(() => epochs.submit(commit(1, 20, 19))).toThrow(code('RINGBOLT_EPOCH'))
  expect(() => epochs.submit(commit(1, 2 ** 53))).toThrow(code('RINGBOLT_EPOCH'))
  const large = { ...commit(1, 20), image: Buffer.alloc(1001) }
  expect(() => epochs.submit(large)).toThrow(code('RINGBOLT_TOO_LARGE'))
  expect(() =>
    Reflect.apply(Reflect.get(epochs, 'submit'), epochs, [{ ...commit(1, 20), image: 'text' }]),
  ).toThrow(TypeError)
  expect([epochs.backlogRecords, store.count('write')]).toEqual([1, writes])
  epochs.seal()
  expect(() => epochs.submit(commit(2, 11))).toThrow(code('RINGBOLT_EPOCH'))
  expect(sequencesOf(epochs.log)).toEqual([[1, 10]])
})

test('W8, W9: a payload that is no commit record, field by field', () => {
  const good = Buffer.alloc(60)
  const length = encodeCommitRecord(commit(7, 3), good)
  const payload = good.subarray(0, length)
  expect(decodeCommitRecord(payload, 7).firstSequence).toBe(3)
  const cases: [string, (bytes: Buffer) => Buffer | void][] = [
    ['commit record length', (bytes) => bytes.subarray(0, 39)],
    ['commit record version', (bytes) => void bytes.writeUInt16LE(2, 0)],
    ['commit record flags', (bytes) => void bytes.writeUInt16LE(1, 2)],
    ['image length', (bytes) => void bytes.writeUInt32LE(2 ** 31, 4)],
    ['image length', (bytes) => Buffer.concat([bytes, Buffer.alloc(1)])],
    ['transaction id', (bytes) => void bytes.fill(0xff, 8, 16)],
    ['epoch', (bytes) => void bytes.fill(0, 16, 24)],
    ['first commit sequence', (bytes) => void bytes.fill(0, 24, 32)],
    ['last commit sequence', (bytes) => void bytes.fill(0, 32, 40)],
    ['commit record epoch', (bytes) => void bytes.writeUInt8(8, 16)],
  ]
  for (const [what, change] of cases) {
    const bytes = Buffer.from(payload)
    const wrong = change(bytes) ?? bytes
    expect(() => decodeCommitRecord(wrong, 7)).toThrow(
      expect.objectContaining({ code: 'RINGBOLT_EPOCH', facts: expect.objectContaining({ what }) }),
    )
  }
})

test.each(['write', 'sync'] as const)(
  'W13: an epoch whose %s failed is not durable; its batch is kept and written by the next attempt',
  async (call) => {
    const store = memory()
    const epochs = openEpochs(store)
    epochs.submit(commit(1, 1))
    epochs.seal()
    epochs.submitAll([commit(2, 3), commit(2, 2)])
    const waiting = expect(epochs.waitForEpochDurable(2, 1000)).rejects.toMatchObject({
      code: 'RINGBOLT_POISONED',
    })
    store.setFault({ call, nth: 1 })
    expect(() => epochs.seal()).toThrow(expect.objectContaining({ code: 'RINGBOLT_POISONED' }))
    await waiting
    expect(epochs.log.durableEpoch).toBe(1)
    const kept = epochs.unwritten()
    expect(kept.map(({ firstSequence }) => firstSequence)).toEqual([2, 3])
    expect(() => epochs.submit(commit(2, 9))).toThrow(
      expect.objectContaining({ code: 'RINGBOLT_POISONED' }),
    )
    epochs.log.close()

    const again = openEpochs(store)
    // A write that failed is gone; one that only failed to be synced may be there.
    const alreadyThere = again.resubmit(kept)
    expect(alreadyThere).toHaveLength(call === 'write' ? 0 : 2)
    again.seal()
    expect(sequencesOf(again.log).map(([, sequence]) => sequence)).toEqual([1, 2, 3])
    expect(again.unwritten()).toEqual([])
  },
)

test('W14: waitForEpochDurable: at once, by a seal, by a timeout, never for an epoch not given out', async () => {
  const timers = new ManualTimers()
  const epochs = openEpochs(memory(), timers)
  const epoch = epochs.submit(commit(1, 1))
  let durable = false
  const waiting = epochs.waitForEpochDurable(epoch, 50).then(() => (durable = true))
  await Promise.resolve()
  expect(durable).toBe(false)
  epochs.seal()
  await waiting
  expect(durable).toBe(true)
  await epochs.waitForEpochDurable(1, 0)
  expect(timers.pending).toBe(0)
  epochs.submit(commit(2, 2))
  const late = expect(epochs.waitForEpochDurable(2, 50)).rejects.toMatchObject({
    code: 'RINGBOLT_TIMEOUT',
    facts: { awaited: 2, reached: 1, timeoutMs: 50 },
  })
  timers.advance(50)
  await late
  await expect(epochs.waitForEpochDurable(3, 50)).rejects.toThrow(RangeError)
  await expect(epochs.waitForEpochDurable(0, 50)).rejects.toThrow(RangeError)
})

test('W14: under normal and off, who waits for durability gets a sync', async () => {
  const store = memory()
  const epochs = openEpochs(store, new ManualTimers(), { sync: 'off' })
  const syncs = store.count('sync')
  epochs.submit(commit(1, 1))
  epochs.seal()
  expect(store.count('sync')).toBe(syncs)
  await epochs.waitForEpochDurable(1, 10)
  expect(epochs.log.durableEpoch).toBe(1)
  epochs.submit(commit(2, 2))
  const waiting = epochs.waitForEpochDurable(2, 10)
  epochs.seal()
  await waiting
  expect(store.count('sync')).toBe(syncs + 2)
})

test('W14: the ticker starts once, seals by itself, stops, restarts; an idle epoch holds nothing open', () => {
  const timers = new ManualTimers()
  const epochs = openEpochs(memory(), timers)
  expect(epochs.start(10)).toBe(true)
  expect(epochs.start(10)).toBe(false)
  expect(timers.pending).toBe(0)
  timers.advance(1000)
  expect(epochs.openEpoch).toBe(1)
  epochs.submit(commit(1, 1))
  epochs.submit(commit(1, 2))
  expect(timers.pending).toBe(1)
  timers.advance(9)
  expect(epochs.log.durableEpoch).toBe(0)
  timers.advance(1)
  expect(epochs.log.durableEpoch).toBe(1)
  expect(timers.pending).toBe(0)
  epochs.submit(commit(2, 3))
  expect(epochs.stop()).toBe(true)
  expect(epochs.stop()).toBe(false)
  timers.advance(1000)
  expect([epochs.log.durableEpoch, epochs.backlogRecords]).toEqual([1, 1])
  expect(epochs.start(5)).toBe(true)
  timers.advance(5)
  expect(epochs.log.durableEpoch).toBe(2)
})

test('W13, W14: a tick that fails tells the waiters and keeps the batch', async () => {
  const store = memory()
  const timers = new ManualTimers()
  const epochs = openEpochs(store, timers)
  epochs.start(10)
  epochs.submit(commit(1, 1))
  const waiting = expect(epochs.waitForEpochDurable(1, 1000)).rejects.toMatchObject({
    code: 'RINGBOLT_POISONED',
  })
  store.setFault({ call: 'sync', nth: 1 })
  timers.advance(10)
  await waiting
  expect(epochs.unwritten()).toHaveLength(1)
  expect(() => epochs.seal()).toThrow(expect.objectContaining({ code: 'RINGBOLT_POISONED' }))
})
