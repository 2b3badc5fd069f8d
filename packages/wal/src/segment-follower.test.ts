/** Segments read beside the log that is written into them. */
import { expect, test } from 'vitest'
import { lsnOf } from './lsn.ts'
import { MemoryStore } from './memory-store.ts'
import { SegmentFolder, type SegmentFollower } from './segment-follower.ts'
import { SegmentedLog } from './segmented-log.ts'

const LOG_ID = new Uint8Array(16).fill(5)

function makeLog(store: MemoryStore, logId = LOG_ID): SegmentedLog {
  return SegmentedLog.open(store, { create: true, logId, segmentBytes: 8192 })
}

function append(log: SegmentedLog, length: number): void {
  log.appendAndSync(Buffer.alloc(length, 1 + (log.nextSequence % 250)))
}

/** Ordinals of the groups that are there now. */
function follow(follower: SegmentFollower | undefined): number[] {
  const found: number[] = []
  for (let group = follower?.next(); group !== undefined; group = follower?.next()) {
    expect(group.recordCount).toBe(1)
    expect(group.body[4]).toBe(1 + (group.firstSequence % 250))
    found.push(group.firstSequence)
  }
  return found
}

test('groups are found as they come, to the end of the segment and in the next one', () => {
  const store = new MemoryStore()
  const log = makeLog(store)
  const folder = new SegmentFolder(store, LOG_ID)
  const [first] = folder.segments()
  const follower = first && folder.open(first)
  expect(follow(follower)).toEqual([])
  const found: number[] = []
  while (log.segments.length === 1) {
    append(log, 300)
    found.push(...follow(follower))
  }
  const [, second] = folder.segments()
  expect(second?.header.firstSequence).toBe(found.length + 1)
  found.push(...follow(second && folder.open(second)))
  expect(found).toEqual(Array.from({ length: log.nextSequence - 1 }, (_, at) => at + 1))
  expect(follower?.nextSequence).toBe(second?.header.firstSequence)
  follower?.close()
})

test('an empty segment that a longer one took the place of is not taken for it', () => {
  const store = new MemoryStore()
  const log = makeLog(store)
  const folder = new SegmentFolder(store, LOG_ID)
  const [empty] = folder.segments()
  append(log, 20_000)
  const [long] = folder.segments()
  expect(long?.name).toBe(empty?.name)
  expect(long?.header.segmentBytes).toBeGreaterThan(20_000)
  expect(follow(long && folder.open(long))).toEqual([1])
})

test('a segment that is released while it is read is told by its name', () => {
  const store = new MemoryStore()
  const log = makeLog(store)
  while (log.segments.length < 3) append(log, 500)
  const folder = new SegmentFolder(store, LOG_ID)
  const [first, second] = folder.segments()
  if (first === undefined || second === undefined) expect.unreachable('too few segments')
  const follower = folder.open(first)
  expect(follower?.next()?.firstSequence).toBe(1)
  log.truncateBefore(lsnOf(log.endLsn))
  expect([folder.has(first.name), folder.has(second.name)]).toEqual([false, false])
  expect(folder.open(second)).toBeUndefined()
  // Its files are used again: what stands there now is nothing of what the follower looks for.
  while (log.segments.length < 4) append(log, 500)
  try {
    expect(follow(follower).every((sequence) => sequence < second.header.firstSequence)).toBe(true)
  } catch (error) {
    expect(error).toMatchObject({ code: 'RINGBOLT_CORRUPT' })
  }
  expect(folder.segments().map(({ name }) => name)).toEqual(log.segments.map(({ name }) => name))
})

test("another log's segments are passed over; a damaged header is an error", () => {
  const store = new MemoryStore()
  append(makeLog(store), 10)
  expect(new SegmentFolder(store, new Uint8Array(16)).segments()).toEqual([])
  const file = store.open('0000000000000001.seg')
  file.writeAt(20, [Uint8Array.of(1)])
  expect(() => new SegmentFolder(store, LOG_ID).segments()).toThrow(
    expect.objectContaining({ code: 'RINGBOLT_CORRUPT' }),
  )
  file.close()
})
