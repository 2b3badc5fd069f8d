import { crc32c } from '@node-rs/crc32'
import { describe, expect, test } from 'vitest'
import { FaultStore, type StoreCall } from './fault-store.ts'
import {
  CERTIFICATE_BODY_CHECKSUM_OFFSET,
  certificateBytes,
  certificateChecksumOffset,
  GROUP_BODY_BYTES_OFFSET,
  GROUP_CHECKSUM_OFFSET,
  GROUP_EPOCH_OFFSET,
  GROUP_FLAGS_OFFSET,
  GROUP_HEADER_BYTES,
  GROUP_RECORD_COUNT_OFFSET,
  GROUP_VERSION_OFFSET,
  SEGMENT_CHECKSUM_OFFSET,
  SEGMENT_FIRST_EPOCH_OFFSET,
  SEGMENT_FIRST_GROUP_OFFSET,
  SEGMENT_FLAGS_OFFSET,
  SEGMENT_HEADER_BYTES,
  SEGMENT_VERSION_OFFSET,
} from './layout.ts'
import type { LogStore } from './log-store.ts'
import { MemoryStore } from './memory-store.ts'
import { SegmentedLog } from './segmented-log.ts'
import type { SegmentedLogOptions } from './segmented-log-options.ts'

const logId = Buffer.alloc(16, 5)
const FIRST = '0000000000000001.seg'

function openLog(store: LogStore, options: SegmentedLogOptions = {}): SegmentedLog {
  return SegmentedLog.open(store, { create: true, logId, segmentBytes: 8192, ...options })
}

function record(index: number): Buffer {
  return Buffer.alloc(1 + ((index * 37) % 100), (index % 255) + 1)
}

const hexRecords = (count: number): string[] =>
  Array.from({ length: count }, (_, index) => record(index).toString('hex'))

const hexOf = (log: SegmentedLog): string[] =>
  [...log.read()].map(({ record }) => Buffer.from(record).toString('hex'))

/** A log of `count` records, each a group of its own. */
function filled(count: number, options: SegmentedLogOptions = {}): MemoryStore {
  const store = new MemoryStore()
  const log = openLog(store, options)
  for (let index = 0; index < count; index++) log.appendAndSync(record(index))
  log.close()
  return store
}

function contentOf(store: LogStore, name: string): Buffer {
  const file = store.open(name)
  const bytes = Buffer.alloc(file.length())
  file.readAt(0, bytes)
  file.close()
  return bytes
}

function copyOf(store: LogStore): MemoryStore {
  const copy = new MemoryStore(store.location)
  for (const name of store.list()) copy.create(name).writeAt(0, [contentOf(store, name)])
  return copy
}

/** A copy in which one file was changed. */
function changed(
  store: LogStore,
  name: string,
  change: (bytes: Buffer) => Buffer | void,
): MemoryStore {
  const copy = copyOf(store)
  const bytes = contentOf(store, name)
  const after = change(bytes) ?? bytes
  const file = copy.open(name)
  file.truncate(0)
  file.writeAt(0, [after])
  return copy
}

function reseal(bytes: Buffer, from: number, checksumOffset: number): void {
  bytes.writeUInt32LE(crc32c(bytes.subarray(from, from + checksumOffset)), from + checksumOffset)
}

/** Positions of the groups of a segment, and the end. */
function groupPositions(bytes: Buffer): number[] {
  const positions = [SEGMENT_FIRST_GROUP_OFFSET]
  let at = SEGMENT_FIRST_GROUP_OFFSET
  while (at + GROUP_HEADER_BYTES < bytes.length && bytes.readUInt32LE(at) !== 0) {
    at +=
      GROUP_HEADER_BYTES + bytes.readUInt32LE(at + GROUP_BODY_BYTES_OFFSET) + certificateBytes(1)
    positions.push(at)
  }
  return positions
}

function outcome(store: LogStore, options: SegmentedLogOptions = {}): string[] | string {
  try {
    const log = openLog(store, options)
    const records = hexOf(log)
    log.close()
    return records
  } catch (error) {
    if (error instanceof Error && 'code' in error) return String(error.code)
    throw error
  }
}

describe('torn tails', () => {
  const store = filled(8)
  const bytes = contentOf(store, FIRST)
  const positions = groupPositions(bytes)
  const lastTwo = positions.at(-3) ?? 0
  const end = positions.at(-1) ?? 0

  test('W12: the file cut at every byte of the last groups: all before is kept, nothing of it is', () => {
    for (let length = lastTwo; length <= end; length++) {
      const cut = changed(store, FIRST, (whole) => whole.subarray(0, length))
      const whole = positions.filter((position) => position <= length).length - 1
      expect(outcome(cut)).toEqual(hexRecords(whole))
      expect(outcome(cut)).toEqual(hexRecords(whole))
      expect(contentOf(cut, FIRST)).toHaveLength(8192)
      const strict = changed(store, FIRST, (all) => all.subarray(0, length))
      expect(outcome(strict, { recovery: 'strict' })).toBe('RINGBOLT_CORRUPT')
    }
  })

  test('W12: the last groups zeroed from every byte on, as unwritten sectors are', () => {
    const lastOne = positions.at(-2) ?? 0
    for (let from = lastOne; from < end; from++) {
      const torn = changed(store, FIRST, (whole) => void whole.fill(0, from))
      expect(outcome(torn)).toEqual(hexRecords(7))
      const log = openLog(torn)
      expect(log.appendAndSync(record(7))).toBeGreaterThan(0)
      expect(hexOf(log)).toEqual(hexRecords(8))
      log.close()
      expect(outcome(torn, { recovery: 'strict' })).toEqual(hexRecords(8))
    }
  })

  test('W12: every byte flipped: never a wrong record, always a typed result', () => {
    const expected = hexRecords(8)
    for (let at = 0; at < bytes.length; at++) {
      const flipped = changed(store, FIRST, (whole) => void (whole[at] = (whole[at] ?? 0) ^ 0x10))
      const result = outcome(flipped)
      if (typeof result === 'string') {
        expect(['RINGBOLT_CORRUPT', 'RINGBOLT_FOREIGN', 'RINGBOLT_VERSION']).toContain(result)
        expect(at).toBeLessThan(lastTwo + (positions.at(-2) ?? 0) - lastTwo)
      } else {
        expect(result).toEqual(expected.slice(0, result.length))
        // Only the last group may be taken for a torn tail: those before were known to be synced.
        expect(result.length).toBeGreaterThanOrEqual(7)
        if (result.length === 7) expect(at).toBeGreaterThanOrEqual(positions.at(-2) ?? 0)
      }
    }
  })

  // A write was torn so that all sectors but its first arrived. The log ended cleanly before it, nothing
  // was overwritten, and the next write took the same place with the same epoch. It was torn the other
  // way round: only its first sector arrived, which is equal up to the checksum in the next one. The
  // group that recovery had said was not there came back whole.
  test('C4: a group without its first sector is not completed by the next write', () => {
    const SECTOR_BYTES = 512
    const store = new MemoryStore()
    const log = openLog(store)
    log.appendAndSync(Buffer.alloc(316, 1))
    const position = SEGMENT_FIRST_GROUP_OFFSET + GROUP_HEADER_BYTES + 320 + certificateBytes(1)
    const boundary = Math.ceil(position / SECTOR_BYTES) * SECTOR_BYTES
    expect(boundary - position).toBeLessThan(GROUP_BODY_BYTES_OFFSET)
    log.append(Buffer.from('lost'))
    log.flush()
    const torn = changed(store, FIRST, (bytes) => void bytes.fill(0, position, boundary))
    const next = openLog(torn)
    expect(next.recovery.records).toBe(1)
    const before = contentOf(torn, FIRST)
    next.append(Buffer.from('a longer one'))
    next.flush()
    const tornAgain = changed(torn, FIRST, (bytes) => void before.copy(bytes, boundary, boundary))
    const last = openLog(tornAgain)
    expect(hexOf(last)).toEqual([Buffer.alloc(316, 1).toString('hex')])
    last.close()
  })

  test('C2: unsynced groups behind a bad one are dropped with it, and never come back', () => {
    const lax = new MemoryStore()
    const log = openLog(lax, { sync: 'off' })
    log.append(record(0))
    log.sync()
    for (let index = 1; index < 6; index++) log.appendAndSync(record(index))
    const at = groupPositions(contentOf(lax, FIRST))
    const torn = changed(lax, FIRST, (all) => void all.fill(0, at[2], at[3]))
    const reopened = openLog(torn)
    expect(hexOf(reopened)).toEqual(hexRecords(2))
    expect(reopened.recovery).toMatchObject({
      droppedGroups: 3,
      droppedBytes: (at[6] ?? 0) - (at[2] ?? 0),
    })
    expect(
      contentOf(torn, FIRST)
        .subarray(at[2])
        .every((byte) => byte === 0),
    ).toBe(true)
    reopened.appendAndSync(record(2))
    reopened.close()
    expect(outcome(torn)).toEqual(hexRecords(3))
  })

  test('C3: a bad group that a later one calls durable is corruption, located', () => {
    const bad = changed(store, FIRST, (all) => void all.fill(0, positions[3], positions[4]))
    expect(() => openLog(bad)).toThrow(
      expect.objectContaining({
        code: 'RINGBOLT_CORRUPT',
        facts: expect.objectContaining({
          file: `memory/${FIRST}`,
          byteOffset: positions[3],
          epoch: 4,
        }),
      }),
    )
    expect(contentOf(bad, FIRST).subarray(positions[4])).toEqual(bytes.subarray(positions[4]))
  })

  test('C3: a bad group in a segment that another follows is corruption', () => {
    const long = filled(300, { sync: 'off' })
    const names = long.list().sort()
    const at = groupPositions(contentOf(long, names[2] ?? '')).at(-2) ?? 0
    const bad = changed(long, names[2] ?? '', (all) => void all.fill(7, at, at + 8))
    expect(() => openLog(bad)).toThrow(expect.objectContaining({ code: 'RINGBOLT_CORRUPT' }))
    const missing = copyOf(long)
    missing.remove(names[2] ?? '')
    expect(() => openLog(missing)).toThrow(
      expect.objectContaining({ facts: expect.objectContaining({ what: 'group' }) }),
    )
  })
})

describe('wrong headers', () => {
  const store = filled(3)

  test.each<[string, string, (bytes: Buffer) => void]>([
    ['RINGBOLT_FOREIGN', 'segment magic', (bytes) => void bytes.write('MINE')],
    [
      'RINGBOLT_VERSION',
      'segment version',
      (bytes) => void bytes.writeUInt16LE(2, SEGMENT_VERSION_OFFSET),
    ],
    [
      'RINGBOLT_CORRUPT',
      'segment version',
      (bytes) => void bytes.writeUInt16LE(0, SEGMENT_VERSION_OFFSET),
    ],
    ['RINGBOLT_CORRUPT', 'segment header checksum', (bytes) => void (bytes[20] = 1)],
    [
      'RINGBOLT_VERSION',
      'segment flags',
      (bytes) => {
        bytes.writeUInt16LE(8, SEGMENT_FLAGS_OFFSET)
        reseal(bytes, 0, SEGMENT_CHECKSUM_OFFSET)
      },
    ],
    [
      'RINGBOLT_CORRUPT',
      'first epoch',
      (bytes) => {
        bytes.writeUInt32LE(9, SEGMENT_FIRST_EPOCH_OFFSET)
        reseal(bytes, 0, SEGMENT_CHECKSUM_OFFSET)
      },
    ],
    ['RINGBOLT_CORRUPT', 'rest of the block', (bytes) => void (bytes[SEGMENT_HEADER_BYTES] = 1)],
  ])('W7, W9: %s for a wrong %s, with both values', (code, what, change) => {
    const wrong = changed(store, FIRST, change)
    expect(() => openLog(wrong)).toThrow(
      expect.objectContaining({
        code,
        facts: expect.objectContaining({ what, byteOffset: expect.any(Number) }),
      }),
    )
  })

  // Followed by groups that say that it was durable, so that each is refused and not dropped.
  test.each<[string, number, number, string]>([
    ['group magic', 0, 99, 'RINGBOLT_CORRUPT'],
    ['group version', GROUP_VERSION_OFFSET, 2, 'RINGBOLT_VERSION'],
    ['group flags', GROUP_FLAGS_OFFSET, 1, 'RINGBOLT_VERSION'],
    ['certificate epoch', GROUP_EPOCH_OFFSET, 77, 'RINGBOLT_CORRUPT'],
    ['record count', GROUP_RECORD_COUNT_OFFSET, 0xff, 'RINGBOLT_CORRUPT'],
    ['body bytes', GROUP_BODY_BYTES_OFFSET, 0x41, 'RINGBOLT_CORRUPT'],
    ['group length', GROUP_BODY_BYTES_OFFSET + 3, 0xf0, 'RINGBOLT_CORRUPT'],
    ['group header checksum', GROUP_EPOCH_OFFSET, 77, 'RINGBOLT_CORRUPT'],
  ])('W7, W9: a wrong %s is its own error', (what, offset, value, code) => {
    const wrong = changed(store, FIRST, (bytes) => {
      bytes[SEGMENT_FIRST_GROUP_OFFSET + offset] = value
      if (!what.endsWith('checksum'))
        reseal(bytes, SEGMENT_FIRST_GROUP_OFFSET, GROUP_CHECKSUM_OFFSET)
    })
    expect(() => openLog(wrong)).toThrow(
      expect.objectContaining({ code, facts: expect.objectContaining({ what }) }),
    )
  })

  test('W9: bytes behind the segment, a renamed segment, another log', () => {
    const longer = changed(store, FIRST, (bytes) => Buffer.concat([bytes, Buffer.alloc(1)]))
    expect(() => openLog(longer)).toThrow(
      expect.objectContaining({
        facts: expect.objectContaining({ what: 'segment length', expected: 8192, actual: 8193 }),
      }),
    )
    const renamed = copyOf(store)
    renamed.rename(FIRST, '0000000000000005.seg')
    expect(() => openLog(renamed)).toThrow(
      expect.objectContaining({
        facts: expect.objectContaining({ what: 'first epoch', expected: 5, actual: 1 }),
      }),
    )
    const named = copyOf(store)
    named.rename(FIRST, 'ffffffffffffffff.seg')
    expect(() => openLog(named)).toThrow(expect.objectContaining({ code: 'RINGBOLT_CORRUPT' }))
    expect(() => openLog(copyOf(store), { logId: Buffer.alloc(16, 6) })).toThrow(
      expect.objectContaining({ code: 'RINGBOLT_WRONG_LOG' }),
    )
    const short = changed(store, FIRST, (bytes) => bytes.subarray(0, 100))
    expect(() => openLog(short)).toThrow(
      expect.objectContaining({
        facts: expect.objectContaining({ what: 'segment length', actual: 100 }),
      }),
    )
  })

  test('W9: frames that contradict a group with sound checksums', () => {
    for (const [header, what] of [
      [0, 'frame header'],
      [0x7fff_ffff, 'frame length'],
      [-1, 'frame length'],
    ] as const) {
      const wrong = changed(store, FIRST, (bytes) => {
        const body = SEGMENT_FIRST_GROUP_OFFSET + GROUP_HEADER_BYTES
        bytes.writeInt32LE(header, body)
        const bodyBytes = bytes.readUInt32LE(SEGMENT_FIRST_GROUP_OFFSET + GROUP_BODY_BYTES_OFFSET)
        const certificate = body + bodyBytes
        const checksum = crc32c(bytes.subarray(body, certificate))
        bytes.writeUInt32LE(checksum, certificate + CERTIFICATE_BODY_CHECKSUM_OFFSET)
        reseal(bytes, certificate, certificateChecksumOffset(1))
      })
      expect(() => openLog(wrong)).toThrow(
        expect.objectContaining({ facts: expect.objectContaining({ what }) }),
      )
    }
  })

  test('W9: a segment full of sound headers that each claim the rest of it takes no time', () => {
    const big = new MemoryStore()
    openLog(big, { segmentBytes: 1024 * 1024 }).close()
    const bomb = changed(big, FIRST, (bytes) => {
      for (
        let at = SEGMENT_FIRST_GROUP_OFFSET;
        at + GROUP_HEADER_BYTES <= bytes.length;
        at += GROUP_HEADER_BYTES
      ) {
        contentOf(store, FIRST).copy(
          bytes,
          at,
          SEGMENT_FIRST_GROUP_OFFSET,
          SEGMENT_FIRST_GROUP_OFFSET + GROUP_HEADER_BYTES,
        )
        bytes.writeUInt32LE((((bytes.length - at) & ~7) >>> 1) & ~7, at + GROUP_BODY_BYTES_OFFSET)
        bytes.writeUInt32LE(1 + at, at + GROUP_EPOCH_OFFSET)
        reseal(bytes, at, GROUP_CHECKSUM_OFFSET)
      }
    })
    expect(outcome(bomb)).toEqual([])
  })
})

describe('segments', () => {
  test('W10: listSegments in epoch order, maxDurableEpoch, cleanupSegments', () => {
    const store = filled(300)
    const log = openLog(store)
    const segments = log.listSegments()
    expect(segments.length).toBeGreaterThan(4)
    expect(segments.map(({ firstEpoch }) => firstEpoch)).toEqual(
      segments.map(({ firstEpoch }) => firstEpoch).sort((a, b) => a - b),
    )
    expect(segments.slice(1).map(({ firstEpoch }) => firstEpoch - 1)).toEqual(
      segments.slice(0, -1).map(({ lastEpoch }) => lastEpoch),
    )
    expect(log.maxDurableEpoch()).toBe(300)
    expect(log.cleanupSegments(segments[1]?.lastEpoch)).toEqual(
      segments.slice(0, 2).map(({ name }) => name),
    )
    expect(log.cleanupSegments()).toHaveLength(segments.length - 3)
    expect(log.listSegments()).toHaveLength(1)
    log.close()
  })

  test('W10, W11: salvage keeps the durable prefix, names and keeps what it left out', () => {
    const store = filled(300)
    const names = store.list().sort()
    const badName = names[2] ?? ''
    const positions = groupPositions(contentOf(store, badName))
    const bad = changed(store, badName, (bytes) => void bytes.fill(9, positions[3], positions[4]))
    expect(outcome(copyOf(bad), { recovery: 'strict' })).toBe('RINGBOLT_CORRUPT')
    expect(outcome(copyOf(bad))).toBe('RINGBOLT_CORRUPT')
    const kept = Number.parseInt(badName.slice(0, 16), 16) - 1 + 3

    const readOnly = openLog(bad, { recovery: 'salvage', readOnly: true, create: false })
    expect(hexOf(readOnly)).toEqual(hexRecords(kept))
    expect(readOnly.recovery.leftOut.every(({ keptAs }) => keptAs === null)).toBe(true)
    const original = contentOf(bad, badName)
    const log = openLog(bad, { recovery: 'salvage' })
    expect(hexOf(log)).toEqual(hexRecords(kept))
    const { leftOut } = log.recovery
    expect(leftOut.map(({ segment }) => segment)).toEqual(names.slice(2))
    expect(leftOut[0]).toMatchObject({ byteOffset: positions[3], firstEpoch: kept + 1 })
    expect(leftOut.slice(1).every(({ reason }) => reason === 'follows a bad group')).toBe(true)
    expect(leftOut.every(({ groupsSound }) => groupsSound > 0)).toBe(true)
    expect(contentOf(bad, leftOut[0]?.keptAs ?? '')).toEqual(original)
    expect(contentOf(bad, leftOut[1]?.keptAs ?? '')).toEqual(contentOf(store, names[3] ?? ''))
    for (let index = kept; index < 300; index++) log.appendAndSync(record(index))
    log.cleanupSegments()
    const left = bad.list().filter((name) => name.includes('.left'))
    expect(new Set(left)).toEqual(new Set(leftOut.map(({ keptAs }) => keptAs)))
    log.close()
    expect(openLog(bad).nextSequence).toBe(301)
  })

  test('W11: salvage of a log whose first header is bad leaves an empty log and everything aside', () => {
    const store = changed(filled(300), FIRST, (bytes) => void bytes.fill(1, 0, 100))
    const log = openLog(store, { recovery: 'salvage' })
    expect(hexOf(log)).toEqual([])
    expect(log.recovery.leftOut.length).toBe(
      store.list().filter((name) => name.endsWith('.left')).length,
    )
    log.appendAndSync(record(0))
    log.close()
    expect(outcome(store)).toEqual(hexRecords(1))
  })

  test.each(['torn-tail', 'salvage'] as const)(
    'W11: recovery (%s) interrupted at any call, once and again, ends in the same log',
    (recovery) => {
      const lax = new MemoryStore()
      const log = openLog(lax, { sync: 'off' })
      for (let index = 0; index < 200; index++) log.appendAndSync(record(index))
      const last = lax.list().sort().at(-1) ?? ''
      const positions = groupPositions(contentOf(lax, last))
      const name = recovery === 'salvage' ? (lax.list().sort()[1] ?? '') : last
      const from = positions[recovery === 'salvage' ? 3 : positions.length - 3] ?? 0
      const bad = changed(lax, name, (bytes) => void bytes.fill(9, from, from + 50))
      const expected = outcome(copyOf(bad), { recovery })
      expect(expected.length).toBeGreaterThan(20)
      for (const call of [
        'write',
        'sync',
        'rename',
        'create',
        'syncFolder',
        'remove',
      ] as StoreCall[]) {
        for (let nth = 1; nth < 12; nth++) {
          const store = new FaultStore(copyOf(bad), { call, nth, arrivingBytes: 30 })
          outcome(store, { recovery })
          store.setFault(undefined)
          expect(outcome(store, { recovery })).toEqual(expected)
          expect(outcome(store, { recovery: 'strict' })).toEqual(expected)
        }
      }
    },
  )

  // Salvage gives epochs of what it leaves out to new groups. Spares that a cut had filled with groups of
  // those very epochs became the next segments, and their old groups passed for later, durable ones.
  test('W11, P2: salvage lets no spare lend its groups to the epochs that are given out again', () => {
    const store = new MemoryStore()
    const log = openLog(store)
    for (let index = 0; index < 150; index++) log.appendAndSync(record(index))
    const lsns = [...log.read()].map(({ lsn }) => lsn)
    log.truncateAfter(lsns[60] ?? log.endLsn)
    for (let index = 60; index < 65; index++) log.appendAndSync(record(index))
    log.close()
    expect(store.list().some((name) => name.startsWith('spare-'))).toBe(true)
    const [, second = ''] = store
      .list()
      .filter((name) => name.endsWith('.seg'))
      .sort()
    const bad = changed(store, second, (bytes) => void bytes.fill(9, 0, 20))
    const salvaged = openLog(bad, { recovery: 'salvage' })
    const kept = hexOf(salvaged).length
    expect(hexOf(salvaged)).toEqual(hexRecords(kept))
    for (let index = kept; index < 150; index++) salvaged.appendAndSync(record(index))
    salvaged.close()
    expect(outcome(bad, { recovery: 'strict' })).toEqual(hexRecords(150))
  })

  // The header of a segment that began with a cut was damaged. Nothing said any more that the end of the
  // one before was void, and records that had been cut off came back.
  test('W11: salvage does not bring back what a cut with a damaged header had made void', () => {
    const store = new MemoryStore()
    const log = openLog(store)
    for (let index = 0; index < 20; index++) log.append(record(index))
    log.sync()
    const lsns = [...log.read()].map(({ lsn }) => lsn)
    log.truncateAfter(lsns[7] ?? log.endLsn)
    log.appendAndSync(Buffer.from('after the cut'))
    log.close()
    const [, second = ''] = store
      .list()
      .filter((name) => name.endsWith('.seg'))
      .sort()
    const bad = changed(store, second, (bytes) => void bytes.fill(9, 0, 20))
    expect(outcome(copyOf(bad))).toBe('RINGBOLT_FOREIGN')
    expect(outcome(bad, { recovery: 'salvage' })).toEqual(hexRecords(7))
    expect(outcome(bad, { recovery: 'strict' })).toEqual(hexRecords(7))
  })

  test('P2: spares that an earlier log left behind never lend it their groups', () => {
    const store = filled(300)
    const log = openLog(store)
    log.truncateBefore(log.endLsn)
    log.close()
    for (const name of store.list()) if (name.endsWith('.seg')) store.remove(name)
    expect(store.list().length).toBeGreaterThan(0)
    const fresh = openLog(store)
    expect(store.list()).toEqual([FIRST])
    fresh.appendAndSync(record(0))
    fresh.close()
    expect(outcome(store)).toEqual(hexRecords(1))
  })
})
