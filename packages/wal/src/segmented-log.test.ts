import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { FaultStore, type StoreCall } from './fault-store.ts'
import { FileStore } from './file-store.ts'
import { writeFrame } from './frame.ts'
import type { LogStore } from './log-store.ts'
import { lsnOf } from './lsn.ts'
import { MemoryStore } from './memory-store.ts'
import { SegmentedLog } from './segmented-log.ts'
import type { SegmentedLogOptions } from './segmented-log-options.ts'

const logId = Buffer.alloc(16, 5)
const root = mkdtempSync(join(tmpdir(), 'ringbolt-log-'))
let folders = 0
afterAll(() => rmSync(root, { recursive: true, force: true }))

function fileStore(): LogStore {
  const folder = join(root, `${folders++}`)
  mkdirSync(folder)
  return new FileStore(folder)
}

function openLog(store: LogStore, options: SegmentedLogOptions = {}): SegmentedLog {
  return SegmentedLog.open(store, { create: true, logId, segmentBytes: 8192, ...options })
}

function record(index: number, length = 1 + ((index * 37) % 200)): Buffer {
  return Buffer.alloc(length, index % 256)
}

function hexOf(log: SegmentedLog, from = log.firstLsn): string[] {
  return [...log.read(from)].map(({ record }) => Buffer.from(record).toString('hex'))
}

const hexRecords = (count: number, from = 0): string[] =>
  Array.from({ length: count }, (_, index) => record(from + index).toString('hex'))

describe.each([
  ['memory', () => new MemoryStore()],
  ['file', fileStore],
] as const)('on the %s store', (_, makeStore) => {
  test('W1: LSNs and sequences rise; pendingBytes is 0 exactly when all is synced', () => {
    const log = openLog(makeStore())
    expect([log.nextSequence, log.endLsn, log.pendingBytes]).toEqual([1, 0, 0])
    let expectedLsn = 0
    for (let index = 0; index < 500; index++) {
      expect(log.append(record(index))).toBe(expectedLsn)
      expectedLsn += Math.ceil((record(index).length + 4) / 8) * 8
      expect(log.endLsn).toBe(expectedLsn)
      expect(log.nextSequence).toBe(index + 2)
      expect(log.pendingBytes).toBeGreaterThan(0)
      if (index % 3 === 0) log.flush()
      if (index % 3 === 0) expect(log.pendingBytes).toBeGreaterThan(0)
      if (index % 10 === 0) {
        log.sync()
        expect(log.pendingBytes).toBe(0)
        expect(log.durableLsn).toBe(expectedLsn)
      }
    }
    log.close()
  })

  test('W1: sequences in what is read count records from 1; aborted frames do not count', () => {
    const log = openLog(makeStore())
    const body = Buffer.alloc(40)
    writeFrame(body, 0, Buffer.from('abc'))
    body.writeInt32LE(0x8000_0000 | 9, 8)
    writeFrame(body, 24, Buffer.from('defghijkl'))
    const group = log.writeGroup([body.subarray(0, 12), body.subarray(12)], 2, 1)
    expect(group).toEqual({ epoch: 1, firstLsn: 0, endLsn: 40, firstSequence: 1 })
    expect([...log.read()].map(({ lsn, sequence, epoch }) => [lsn, sequence, epoch])).toEqual([
      [0, 1, 1],
      [24, 2, 1],
    ])
    log.close()
    const reopened = openLog(log.store)
    expect(reopened.recovery).toMatchObject({ groups: 1, records: 2, aborted: 1, endLsn: 40 })
    expect(reopened.nextSequence).toBe(3)
    reopened.close()
  })

  test('W5: read gives exactly what was appended, over many segments and after reopening', () => {
    const store = makeStore()
    let log = openLog(store)
    for (let index = 0; index < 700; index++) {
      log.append(record(index))
      if (index % 5 === 0) log.flush()
      if (index % 50 === 0) log.sync()
    }
    log.sync()
    expect(hexOf(log)).toEqual(hexRecords(700))
    const lsns = [...log.read()].map(({ lsn }) => lsn)
    expect(hexOf(log, lsns[321] ?? log.endLsn)).toEqual(hexRecords(379, 321))
    expect([...log.read(lsns[10], lsns[13])].map(({ sequence }) => sequence)).toEqual([11, 12, 13])
    log.close()
    log = openLog(store)
    expect(hexOf(log)).toEqual(hexRecords(700))
    expect(log.recovery).toMatchObject({ records: 700, reason: 'clean', droppedBytes: 0 })
    expect(log.listSegments().length).toBeGreaterThan(5)
    log.close()
  })

  test('W5: truncateBefore releases whole segments and recycles them', () => {
    const store = makeStore()
    let log = openLog(store, { sparesMax: 2 })
    for (let index = 0; index < 700; index++) {
      log.append(record(index))
      if (index % 5 === 0) log.flush()
    }
    log.sync()
    const lsns = [...log.read()].map(({ lsn }) => lsn)
    const middle = lsns[400] ?? log.endLsn
    expect(log.truncateBefore(middle)).toBeGreaterThan(2)
    expect(log.firstLsn).toBeLessThanOrEqual(middle)
    expect(hexOf(log, middle)).toEqual(hexRecords(300, 400))
    expect(() => [...log.read(lsns[0])]).toThrow(
      expect.objectContaining({ code: 'RINGBOLT_TRUNCATED' }),
    )
    expect(store.list().filter((name) => name.startsWith('spare-'))).toHaveLength(2)
    // Recycled files, not zeroed, take the next groups: what they held before never shows.
    for (let index = 700; index < 1000; index++) log.appendAndSync(record(index))
    expect(log.stats().segmentsRecycled).toBe(2)
    log.close()
    log = openLog(store)
    expect(hexOf(log, middle)).toEqual(hexRecords(600, 400))
    expect(log.recovery.reason).toBe('clean')
    log.close()
  })

  test('W5: truncateAfter cuts within a group, at its edges, repeatedly, and survives reopening', () => {
    const store = makeStore()
    let log = openLog(store)
    for (let index = 0; index < 300; index++) {
      log.append(record(index))
      if (index % 7 === 6) log.flush()
    }
    const lsns = (log.flush(), [...log.read()].map(({ lsn }) => lsn))
    for (const count of [299, 280, 210, 207, 206, 100, 7, 1, 0]) {
      log.truncateAfter(lsns[count] ?? log.endLsn)
      expect(log.endLsn).toBe(lsns[count])
      expect(log.nextSequence).toBe(count + 1)
      expect(hexOf(log)).toEqual(hexRecords(count))
      log.close()
      log = openLog(store)
      expect(hexOf(log)).toEqual(hexRecords(count))
      log.appendAndSync(record(count))
      expect(hexOf(log)).toEqual(hexRecords(count + 1))
    }
    expect(() => log.truncateAfter(lsnOf(8000))).toThrow(
      expect.objectContaining({ code: 'RINGBOLT_TRUNCATED' }),
    )
    log.close()
  })

  test('W5: a full truncate resets LSNs and sequences, not epochs', () => {
    const store = makeStore()
    let log = openLog(store)
    for (let index = 0; index < 300; index++) log.appendAndSync(record(index))
    const { nextEpoch } = log
    log.truncate()
    expect([log.endLsn, log.nextSequence, log.pendingBytes, log.nextEpoch]).toEqual([
      0,
      1,
      0,
      nextEpoch,
    ])
    expect(hexOf(log)).toEqual([])
    log.close()
    log = openLog(store)
    expect(hexOf(log)).toEqual([])
    expect(log.appendAndSync(record(0))).toBe(0)
    expect(hexOf(log)).toEqual(hexRecords(1))
    log.close()
  })

  test('W5: an iterator follows appends, and stops with an error when its place is gone', () => {
    const log = openLog(makeStore())
    for (let index = 0; index < 10; index++) log.append(record(index))
    log.flush()
    const iterator = log.read()
    const seen: string[] = []
    for (let index = 10; index < 400; index++) {
      log.append(record(index))
      if (index % 4 === 0) log.flush()
      if (index % 2 === 0) continue
      const next = iterator.next()
      if (next.done !== true) seen.push(Buffer.from(next.value.record).toString('hex'))
    }
    log.flush()
    for (const { record } of iterator) seen.push(Buffer.from(record).toString('hex'))
    expect(seen).toEqual(hexRecords(400))

    const released = log.read()
    released.next()
    log.sync()
    log.truncateBefore(log.endLsn)
    expect(() => [...released]).toThrow(expect.objectContaining({ code: 'RINGBOLT_TRUNCATED' }))
    log.close()
  })

  test('W5: records of many megabytes get a segment of their own', () => {
    const store = makeStore()
    let log = openLog(store)
    const large = Buffer.alloc(70 * 1024 * 1024, 'large')
    log.append(record(0))
    log.appendAndSync(large)
    log.appendAndSync(record(2))
    log.close()
    log = openLog(store)
    const [, second, third] = [...log.read()]
    expect(Buffer.compare(second?.record ?? Buffer.alloc(0), large)).toBe(0)
    expect(third?.sequence).toBe(3)
    expect(log.listSegments().map(({ segmentBytes }) => segmentBytes)[1]).toBeGreaterThan(
      large.length,
    )
    log.close()
  })
})

// A cut begins a new segment. Before anything was written to it, a group came that did not fit, so a
// larger segment took its name; it was made as an ordinary one, and the log, whose epochs now had a gap
// that no cut explained, was refused as corrupt.
test('W5: a segment that replaces an empty one keeps its cut', () => {
  const store = new MemoryStore()
  let log = openLog(store)
  for (let index = 0; index < 50; index++) log.appendAndSync(record(index))
  const tenth = [...log.read()][10]?.lsn
  log.truncateAfter(tenth ?? log.endLsn)
  log.appendAndSync(Buffer.alloc(20_000, 7))
  log.close()
  log = openLog(store)
  expect(hexOf(log)).toEqual([...hexRecords(10), Buffer.alloc(20_000, 7).toString('hex')])
  log.close()
})

test('W5: replay gives whole groups, the live part of one that was cut', () => {
  const log = openLog(new MemoryStore())
  for (let index = 0; index < 10; index++) log.append(Buffer.alloc(4, index))
  log.truncateAfter(lsnOf(7 * 8))
  log.appendAndSync(Buffer.alloc(4, 99))
  const groups: [number, number, number, number][] = []
  log.replay(({ firstLsn, firstSequence, recordCount, body }) =>
    groups.push([firstLsn, firstSequence, recordCount, body.length]),
  )
  expect(groups).toEqual([
    [0, 1, 7, 56],
    [56, 8, 1, 8],
  ])
})

test('W6: bytes written in views of shared memory equal the same records appended', () => {
  const direct = new MemoryStore()
  const shared = new MemoryStore()
  const one = openLog(direct)
  const other = openLog(shared)
  for (let round = 0; round < 20; round++) {
    const bytes = new Uint8Array(new SharedArrayBuffer(4096))
    let end = 0
    for (let index = 0; index < 9; index++) {
      one.append(record(round * 9 + index))
      end = writeFrame(bytes, end, record(round * 9 + index))
    }
    one.sync()
    const split = 8 * (round % 5)
    other.writeGroup([bytes.subarray(0, split), bytes.subarray(split, end)], 9)
    other.sync()
  }
  expect(contentOf(shared)).toEqual(contentOf(direct))
})

function contentOf(store: LogStore): [string, string][] {
  return store
    .list()
    .sort()
    .map((name) => {
      const file = store.open(name)
      const bytes = Buffer.alloc(file.length())
      file.readAt(0, bytes)
      return [name, bytes.toString('hex')]
    })
}

test('W3: syncs are counted, coalesced, and none is made for what is durable', () => {
  const store = new FaultStore(new MemoryStore())
  const log = openLog(store, { segmentBytes: 65_536 })
  const before = store.count('sync')
  const lsns = Array.from({ length: 100 }, (_, index) => log.append(record(index)))
  log.sync()
  log.sync()
  for (const lsn of lsns) {
    expect(log.isDurable(lsn)).toBe(true)
    log.ensureDurable(lsn)
  }
  expect(store.count('sync') - before).toBe(1)
  expect(log.stats().syncs).toBe(1)
  const last = log.append(record(100))
  expect(log.isDurable(last)).toBe(false)
  log.ensureDurable(last)
  expect(log.isDurable(last)).toBe(true)
  expect(log.stats().syncs).toBe(2)
  expect(() => log.ensureDurable(log.endLsn)).toThrow(
    expect.objectContaining({ code: 'RINGBOLT_TRUNCATED' }),
  )
})

test('W2: the sync policy decides what an acknowledgement costs', () => {
  const counts = (['full', 'normal', 'off'] as const).map((sync) => {
    const store = new FaultStore(new MemoryStore())
    const log = openLog(store, { sync, segmentBytes: 65_536 })
    const before = store.count('sync')
    for (let index = 0; index < 10; index++) log.appendAndSync(record(index))
    expect(log.acknowledgedLsn).toBe(log.endLsn)
    const acknowledging = store.count('sync') - before
    log.close()
    return [acknowledging, store.count('sync') - before]
  })
  expect(counts).toEqual([
    [10, 10],
    [0, 1],
    [0, 0],
  ])
})

test.each<[StoreCall, number]>([
  ['write', 1],
  ['write', 2],
  ['sync', 1],
  ['rename', 1],
  ['syncFolder', 1],
  ['create', 1],
])('W4: a failing %s (number %i) poisons; no mark moves; reopening recovers', (call, nth) => {
  const store = new FaultStore(new MemoryStore())
  const log = openLog(store)
  for (let index = 0; index < 20; index++) log.appendAndSync(record(index))
  store.setFault({ call, nth, arrivingBytes: 100 })
  let accepted = 20
  const failing = (): void => {
    for (; accepted < 500; accepted++) log.appendAndSync(record(accepted))
  }
  expect(failing).toThrow(expect.objectContaining({ code: 'RINGBOLT_POISONED' }))
  const { durableLsn, durableEpoch } = log
  const cause = log.poisoned?.cause
  expect(cause).toMatchObject({ code: 'RINGBOLT_IO', facts: { errno: 'EIO' } })
  for (const later of [
    () => log.append(record(0)),
    () => log.flush(),
    () => log.sync(),
    () => log.ensureDurable(lsnOf(0)),
    () => log.truncateBefore(lsnOf(0)),
    () => log.truncate(),
    () => [...log.read()],
    () => log.writeGroup([Buffer.alloc(8, 1)], 1),
  ]) {
    expect(later).toThrow(expect.objectContaining({ code: 'RINGBOLT_POISONED', cause }))
  }
  expect([log.durableLsn, log.durableEpoch]).toEqual([durableLsn, durableEpoch])
  const syncs = store.count('sync')
  log.close()
  expect(store.count('sync')).toBe(syncs)
  const reopened = openLog(store)
  const count = [...reopened.read()].length
  expect(hexOf(reopened)).toEqual(hexRecords(count))
  expect([accepted, accepted + 1]).toContain(count)
  reopened.close()
})

test('W4: a full disk while a spare is prepared is no failure of the log', () => {
  const store = new FaultStore(new MemoryStore())
  const log = openLog(store)
  store.setFault({ call: 'write', nth: 1, errno: 'ENOSPC' })
  expect(log.prepareStep()).toBe(false)
  expect(log.stats().prepareFailure).toMatchObject({ facts: { errno: 'ENOSPC' } })
  expect(store.list()).toEqual(['0000000000000001.seg'])
  log.appendAndSync(record(0))
  expect(hexOf(log)).toEqual(hexRecords(1))
})

test('W4: a log that cannot be made leaves nothing half made behind', () => {
  for (let nth = 1; nth < 20; nth++) {
    for (const call of ['write', 'sync', 'create', 'rename', 'syncFolder'] as const) {
      const store = new FaultStore(new MemoryStore(), { call, nth, errno: 'ENOSPC' })
      try {
        openLog(store, { segmentBytes: 4 * 1024 * 1024 }).close()
      } catch (error) {
        expect(error).toMatchObject({ code: 'RINGBOLT_IO', facts: { errno: 'ENOSPC' } })
      }
      store.setFault(undefined)
      const names = store.list().filter((name) => !name.endsWith('.seg'))
      expect([call, nth, names]).toEqual([call, nth, []])
    }
  }
})

test('bad input is refused by type and value, and nothing changes', () => {
  const store = new MemoryStore()
  const log = openLog(store, { recordLengthMaxBytes: 100 })
  const before = contentOf(store)
  expect(() => log.append(Buffer.alloc(0))).toThrow(RangeError)
  expect(() => log.append(Buffer.alloc(101))).toThrow(
    expect.objectContaining({
      code: 'RINGBOLT_TOO_LARGE',
      facts: { lengthBytes: 101, lengthMaxBytes: 100 },
    }),
  )
  for (const wrong of ['text', 7, null, undefined, [1, 2], new DataView(new ArrayBuffer(4))]) {
    expect(() => Reflect.apply(Reflect.get(log, 'append'), log, [wrong])).toThrow(TypeError)
    expect(() => Reflect.apply(Reflect.get(log, 'writeGroup'), log, [[wrong], 1, 0])).toThrow(
      TypeError,
    )
  }
  expect(() => log.writeGroup([], 0)).toThrow(RangeError)
  expect(() => log.writeGroup([Buffer.alloc(7)], 1)).toThrow('not 7')
  expect(() => log.writeGroup([Buffer.alloc(16)], 3)).toThrow('from 1 to 2 frames')
  expect(() => log.writeGroup([Buffer.alloc(16)], 1.5)).toThrow(RangeError)
  expect(() => log.read(lsnOf(3))).toThrow(RangeError)
  expect(contentOf(store)).toEqual(before)
  log.close()
  log.close()
  expect(() => log.append(record(0))).toThrow(expect.objectContaining({ code: 'RINGBOLT_CLOSED' }))
  for (const options of [
    { segmentBytes: 100 },
    { segmentBytes: 8193 },
    { recordLengthMaxBytes: 2 ** 31 },
    { sparesMax: -1 },
    { logId: Buffer.alloc(15) },
  ]) {
    expect(() => openLog(new MemoryStore(), options)).toThrow(RangeError)
  }
  expect(() => SegmentedLog.open(new MemoryStore(), { create: true })).toThrow(TypeError)
  expect(() => SegmentedLog.open(new MemoryStore())).toThrow(
    expect.objectContaining({ code: 'RINGBOLT_NOT_FOUND' }),
  )
})

test('a position inside a frame is refused', () => {
  const log = openLog(new MemoryStore())
  log.append(Buffer.alloc(100))
  log.append(Buffer.alloc(100))
  log.sync()
  expect(() => [...log.read(lsnOf(8))]).toThrow(RangeError)
  expect(() => log.truncateAfter(lsnOf(8))).toThrow(RangeError)
  expect([...log.read()]).toHaveLength(2)
})
