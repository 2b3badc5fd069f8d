/** Commits out of segments, beside the one who writes them: every place, every byte. */
import { isRingboltError } from '@ringbolt/ring'
import { frameBytesOf, lsnOf, MemoryStore, SegmentedLog, writeFrame } from '@ringbolt/wal'
import { Random } from '@ringbolt/wal/simulation'
import { describe, expect, test } from 'vitest'
import type { CommittedCommand } from '../client/commit-source.ts'
import { ChangesGoneError } from '../errors.ts'
import { encodeNoteFrame } from '../sequencer/group-note.ts'
import { CommitReader } from './commit-reader.ts'
import {
  type ArchivedSegment,
  ArchiveHistory,
  LiveHistory,
  type LogHistory,
} from './log-history.ts'

const LOG_ID = new Uint8Array(16).fill(3)
const seeds = Number(process.env['RINGBOLT_SEEDS'] ?? 60)
const firstSeed = Number(process.env['RINGBOLT_SEED'] ?? 1)

function makeLog(store: MemoryStore, logId = LOG_ID): SegmentedLog {
  return SegmentedLog.open(store, { create: true, logId, segmentBytes: 8192 })
}

function recordOf(sequence: number, length: number): Buffer {
  return Buffer.from(`${sequence} `.repeat(length))
}

/** Groups of frames, some of which are no commits: a note at their head, aborted ones anywhere. */
class Writer {
  readonly log: SegmentedLog
  sequence: number
  readonly #random: Random

  constructor(log: SegmentedLog, baseSequence: number, random: Random) {
    this.log = log
    this.sequence = baseSequence
    this.#random = random
  }

  group(): void {
    const random = this.#random
    const timeMs = this.sequence
    const frames = [encodeNoteFrame({ pageIds: [], reclaimedPagesMax: 0, timeMs })]
    let records = 0
    let aborted = 1
    const count = random.between(1, 5)
    while (frames.length <= count) {
      if (random.chance(0.2)) {
        const length = random.between(1, 40)
        const frame = Buffer.alloc(frameBytesOf(length))
        frame.writeInt32LE(length | (1 << 31), 0)
        frames.push(frame)
        aborted++
      } else {
        const length = random.chance(0.03) ? random.between(2000, 4000) : random.between(1, 80)
        const record = recordOf(++this.sequence, length)
        const frame = Buffer.alloc(frameBytesOf(record.length))
        writeFrame(frame, 0, record)
        frames.push(frame)
        records++
      }
    }
    this.log.writeGroup(frames, records, aborted)
    this.log.sync()
  }
}

function check(command: CommittedCommand): void {
  // In the test, the sequence of the commit before its group.
  expect(command.timeMs).toBeLessThan(command.sequence)
  expect(command.timeMs).toBeGreaterThan(command.sequence - 6)
  const text = command.bytes.toString('latin1', command.start, command.end)
  expect(text.split(' ', 1)[0]).toBe(`${command.sequence}`)
}

test.each(Array.from({ length: seeds }, (_, at) => firstSeed + at))(
  'M9: readers at any place see each commit once, or that it is gone (seed %i)',
  (seed) => {
    const random = new Random(seed)
    const baseSequence = random.chance(0.3) ? 0 : random.between(1, 1_000_000)
    const store = new MemoryStore()
    const writer = new Writer(makeLog(store), baseSequence, random.fork('groups'))
    const history = (): LogHistory => new LiveHistory(() => store, { logId: LOG_ID, baseSequence })
    const newReader = (): CommitReader =>
      new CommitReader([history()], random.between(baseSequence, published))
    let published = baseSequence
    const readers: CommitReader[] = []
    for (let step = 0; step < 150; step++) {
      if (random.chance(0.6)) writer.group()
      // What is written and not published yet must not be seen.
      if (random.chance(0.5)) published = random.between(published, writer.sequence)
      if (random.chance(0.1)) {
        const { firstLsn, endLsn } = writer.log
        writer.log.truncateBefore(lsnOf(random.between(firstLsn / 8, endLsn / 8) * 8))
      }
      if (readers.length < 5 && random.chance(0.3)) readers.push(newReader())
      for (const [at, reader] of readers.entries()) {
        for (let left = random.between(0, 12); left > 0; left--) {
          const before = reader.sequence
          try {
            const command = reader.next(published)
            if (command === undefined) {
              expect(before).toBe(published)
              break
            }
            expect(command.sequence).toBe(before + 1)
            check(command)
          } catch (error) {
            if (!(error instanceof ChangesGoneError)) throw error
            const oldest = history().beginAfter(-1) ?? 0
            expect(oldest).toBeGreaterThan(before + 1)
            expect(error.facts).toEqual({
              from: before,
              oldest: Math.min(oldest, published + 1) - 1,
            })
            reader.close()
            readers[at] = newReader()
            break
          }
        }
      }
    }
    for (const reader of readers) reader.close()
  },
)

describe('an archive', () => {
  const random = new Random(5)
  const [earlier, later] = [new MemoryStore(), new MemoryStore()]
  const laterId = new Uint8Array(16).fill(4)
  const before = new Writer(makeLog(earlier), 0, random)
  while (before.sequence < 400) before.group()
  const after = new Writer(makeLog(later, laterId), before.sequence, random)
  const baseSequence = before.sequence
  while (after.sequence < 800) after.group()

  /** Copies of all segments of the earlier log, as far as they were written; in no order. */
  const archived = before.log.segments.map(({ name, header, endPosition }): ArchivedSegment => {
    const copy = new MemoryStore()
    const target = copy.create(name)
    const content = new Uint8Array(endPosition)
    const source = earlier.open(name)
    source.readAt(0, content)
    source.close()
    target.writeAt(0, [content])
    target.close()
    const { firstEpoch, firstSequence } = header
    const open = () => ({ file: copy.open(name), firstEpoch, endPosition, baseSequence: 0 })
    return { place: `archive/${name}`, firstCommit: firstSequence, open }
  })

  function readAll(from: number, kept: readonly ArchivedSegment[]): number {
    const live = new LiveHistory(() => later, { logId: laterId, baseSequence })
    const reader = new CommitReader([live, new ArchiveHistory(() => kept)], from)
    try {
      for (let sequence = from + 1; ; sequence++) {
        const command = reader.next(after.sequence)
        if (command === undefined) return sequence - 1
        expect(command.sequence).toBe(sequence)
        check(command)
      }
    } finally {
      reader.close()
    }
  }

  test('M9: what the log has no more, the archive has', () => {
    expect(archived.length).toBeGreaterThan(3)
    for (let from = 0; from < baseSequence + 5; from += 7) {
      expect(readAll(from, archived.toReversed())).toBe(after.sequence)
    }
  })

  test('M9: where a segment is missing, it is said from where on there is one', () => {
    const [first, second, third, ...rest] = archived
    if (first === undefined || second === undefined || third === undefined) {
      expect.unreachable('too few segments')
    }
    const oldest = third.firstCommit - 1
    const from = second.firstCommit - 1
    expect(() => readAll(0, [first, third, ...rest])).toThrow(
      expect.objectContaining({ code: 'RINGBOLT_CHANGES_GONE', facts: { from, oldest } }),
    )
    expect(readAll(oldest, [third, ...rest])).toBe(after.sequence)
    expect(() => readAll(0, [])).toThrow(
      expect.objectContaining({ facts: { from: 0, oldest: baseSequence } }),
    )
  })

  test('M9: a copy that is damaged, or shorter than it should be', () => {
    const [first] = archived
    const content = first?.open()
    if (first === undefined || content === undefined) expect.unreachable('no segment')
    const { file, endPosition } = content
    const whole = new Uint8Array(endPosition)
    file.readAt(0, whole)
    const corrupt = expect.objectContaining({ code: 'RINGBOLT_CORRUPT' })
    for (let length = endPosition - 8; length > 0; length -= 200) {
      file.truncate(length)
      expect(() => readAll(0, archived)).toThrow(corrupt)
    }
    file.writeAt(0, [whole])
    file.writeAt(20, [Uint8Array.of(7)])
    expect(() => readAll(0, archived)).toThrow(corrupt)
    file.writeAt(0, [whole])
    expect(readAll(0, archived)).toBe(after.sequence)
    file.close()
  })
})

describe('hostile bytes', () => {
  const baseSequence = 10
  const store = new MemoryStore()
  const writer = new Writer(makeLog(store), baseSequence, new Random(9))
  while (writer.log.segments.length < 2) writer.group()
  // The last group has a commit: what is behind the newest one is nobody's to read.
  for (let before = -1; before !== writer.sequence - 1; ) {
    before = writer.sequence
    writer.group()
  }
  const { segments } = writer.log
  const newest = writer.sequence

  /** @returns how it ended; what was read until then was right */
  function readAll(): string {
    const identity = { logId: LOG_ID, baseSequence }
    const reader = new CommitReader([new LiveHistory(() => store, identity)], baseSequence)
    try {
      for (let sequence = baseSequence + 1; ; sequence++) {
        const command = reader.next(newest)
        if (command === undefined) return `read ${sequence - 1 - baseSequence}`
        expect(command.sequence).toBe(sequence)
        check(command)
      }
    } catch (error) {
      if (!isRingboltError(error)) throw error
      return error.code
    } finally {
      reader.close()
    }
  }

  test('M9: any byte of a segment changed gives a typed error, never a wrong commit', () => {
    const all = `read ${newest - baseSequence}`
    expect(readAll()).toBe(all)
    const outcomes = new Map<string, number>()
    for (const { name, endPosition } of segments) {
      const file = store.open(name)
      for (let position = 0; position < endPosition; position++) {
        // The rest of the header's block is zeros, all alike.
        if (position > 100 && position < 4090) continue
        const byte = new Uint8Array(1)
        file.readAt(position, byte)
        file.writeAt(position, [Uint8Array.of((byte[0] ?? 0) ^ (1 << (position % 8)))])
        const outcome = readAll()
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
        file.writeAt(position, [byte])
      }
      file.close()
    }
    expect(readAll()).toBe(all)
    expect([...outcomes.keys()].toSorted()).toEqual(['RINGBOLT_CORRUPT'])
  })

  test('M9: a segment cut short gives a typed error', () => {
    const [first] = segments
    const file = store.open(first?.name ?? '')
    const whole = new Uint8Array(file.length())
    file.readAt(0, whole)
    for (let length = (first?.endPosition ?? 0) - 8; length > 0; length -= 104) {
      file.truncate(length)
      expect(readAll()).toBe('RINGBOLT_CORRUPT')
    }
    file.writeAt(0, [whole])
    file.close()
    expect(readAll()).toBe(`read ${newest - baseSequence}`)
  })

  test('M9: a group without a note is none of a database', () => {
    const other = new MemoryStore()
    const log = makeLog(other)
    log.append(recordOf(1, 1))
    log.sync()
    const identity = { logId: LOG_ID, baseSequence: 0 }
    const reader = new CommitReader([new LiveHistory(() => other, identity)], 0)
    expect(() => reader.next(1)).toThrow(
      expect.objectContaining({
        code: 'RINGBOLT_CORRUPT',
        facts: expect.objectContaining({ what: 'the head of a group', actual: 'a record' }),
      }),
    )
    reader.close()
  })

  test('M9: a commit that is said to be there, and is not', () => {
    const identity = { logId: LOG_ID, baseSequence }
    const reader = new CommitReader([new LiveHistory(() => store, identity)], newest)
    expect(() => reader.next(newest + 1)).toThrow(
      expect.objectContaining({ code: 'RINGBOLT_CORRUPT' }),
    )
    reader.close()
  })
})
