/** What is said of a log's files: sound, torn, damaged; and while somebody writes. */
import { expect, test } from 'vitest'
import { forEachRecord, type InspectedGroup, inspectLog, type LogInspection } from './inspect.ts'
import type { LogStore } from './log-store.ts'
import { lsnOf } from './lsn.ts'
import { MemoryStore } from './memory-store.ts'
import { SegmentedLog } from './segmented-log.ts'
import { Random } from './simulation/random.ts'

const logId = Buffer.alloc(16, 5)

function openLog(store: LogStore): SegmentedLog {
  return SegmentedLog.open(store, { create: true, logId, segmentBytes: 8192 })
}

function record(index: number): Buffer {
  return Buffer.alloc(1 + ((index * 37) % 300), index % 256)
}

function fill(log: SegmentedLog, count: number, from = 0): void {
  for (let index = from; index < from + count; index++) log.appendAndSync(record(index))
}

/** @param between runs after each step */
function inspect(
  store: LogStore,
  onGroup?: (group: InspectedGroup) => void,
  between: (isPause: boolean) => void = () => undefined,
): LogInspection {
  const steps = inspectLog(store, onGroup === undefined ? { logId } : { logId, onGroup })
  for (let step = steps.next(); ; step = steps.next()) {
    if (step.done === true) return step.value
    between(step.value)
  }
}

function flip(store: LogStore, name: string, position: number): void {
  const file = store.open(name)
  const byte = Buffer.alloc(1)
  file.readAt(position, byte)
  file.writeAt(position, [Buffer.from([byte[0]! ^ 1])])
  file.close()
}

function names(store: LogStore): string[] {
  return store
    .list()
    .filter((name) => name.endsWith('.seg'))
    .toSorted()
}

test('W10: a sound log: segments that follow one another, each record once', () => {
  const store = new MemoryStore()
  const log = openLog(store)
  fill(log, 200)
  const records: number[] = []
  const inspection = inspect(store, (group) => {
    forEachRecord(group, ({ sequence, record: bytes }) => {
      expect(Buffer.compare(bytes, record(sequence - 1))).toBe(0)
      records.push(sequence)
    })
  })
  expect(records).toEqual(Array.from({ length: 200 }, (_, at) => at + 1))
  expect(inspection).toMatchObject({ findings: [], tornBytes: 0, logId: '05'.repeat(16) })
  const { segments } = inspection
  expect(segments.map(({ name }) => name)).toEqual(names(store))
  expect(segments.length).toBeGreaterThan(3)
  for (const [at, segment] of segments.entries()) {
    const next = segments[at + 1]
    if (next === undefined) continue
    expect([segment.endLsn, segment.endSequence, segment.lastEpoch + 1]).toEqual([
      next.firstLsn,
      next.firstSequence,
      next.firstEpoch,
    ])
  }
  expect(segments.at(-1)).toMatchObject({ endLsn: log.endLsn, endSequence: log.nextSequence })
})

test('M7: damage to each group but the last is found, at its place', () => {
  const source = new MemoryStore()
  fill(openLog(source), 60)
  const groups: InspectedGroup[] = []
  inspect(source, (group) => groups.push(group))
  for (const { segment, byteOffset, epoch } of groups.slice(0, -1)) {
    const store = new MemoryStore()
    fill(openLog(store), 60)
    flip(store, segment, byteOffset + 90)
    const [first] = inspect(store).findings
    expect(first).toMatchObject({ file: `${store.location}/${segment}`, epoch })
    expect(first!.byteOffset).toBeGreaterThanOrEqual(byteOffset)
  }
})

test('M7: the last group, damaged, is a torn tail: a crash leaves that', () => {
  const store = new MemoryStore()
  fill(openLog(store), 5)
  const groups: InspectedGroup[] = []
  inspect(store, (group) => groups.push(group))
  const { segment, byteOffset } = groups.at(-1)!
  flip(store, segment, byteOffset + 90)
  const { findings, tornBytes, segments } = inspect(store)
  expect(findings).toEqual([])
  expect(tornBytes).toBeGreaterThan(80)
  expect(segments.at(-1)!.endSequence).toBe(5)
})

test('M7: a missing segment, and one of another log', () => {
  const store = new MemoryStore()
  fill(openLog(store), 100)
  const [, second, third] = names(store)
  store.remove(second!)
  expect(inspect(store).findings.map(({ file }) => file)).toContain(`${store.location}/${third}`)
  const steps = inspectLog(store, { logId: Buffer.alloc(16, 6) })
  let step = steps.next()
  while (step.done !== true) step = steps.next()
  expect(step.value.findings.map(({ what }) => what)).toContain('log id')
})

test('M7: beside a writer that appends, rotates and releases between any two steps: nothing is found', () => {
  const seed = Number(process.env['RINGBOLT_SEED'] ?? 1)
  for (let run = seed; run < seed + 60; run++) {
    const random = new Random(run)
    const store = new MemoryStore()
    const log = openLog(store)
    fill(log, random.between(1, 150))
    let index = 1000
    const { findings } = inspect(store, undefined, () => {
      if (random.chance(0.5)) fill(log, random.between(1, 12), index++)
      if (random.chance(0.05)) log.truncateBefore(lsnOf(log.endLsn))
    })
    expect(findings, `seed ${run}`).toEqual([])
  }
})
