/** Following a log that others append to, and taking it over: in turns, over rotations, after a death. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { LogFollower, type LogHead } from './log-follower.ts'
import { MemoryStore } from './memory-store.ts'
import { SegmentedLog } from './segmented-log.ts'

const OPTIONS = { logId: new Uint8Array(16).fill(7), segmentBytes: 8192, sparesMax: 1 }

function textsOf(log: SegmentedLog): string[] {
  return Array.from(log.read(), ({ record }) => Buffer.from(record).toString())
}

function headOf(log: SegmentedLog): LogHead {
  return { lsn: log.writtenLsn, epoch: log.nextEpoch }
}

/** One of those who share a log. */
class Sharer {
  readonly seen: string[] = []
  #follower: LogFollower
  readonly #store: MemoryStore

  constructor(store: MemoryStore, at: SegmentedLog) {
    this.#store = store
    this.#follower = new LogFollower(store, OPTIONS.logId, at.position)
    this.seen.push(...textsOf(at))
  }

  follow(head: LogHead): void {
    this.#follower.readTo(head, ({ body, recordCount }) => {
      const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength)
      let at = 0
      for (let count = 0; count < recordCount; count++) {
        const length = bytes.readInt32LE(at)
        this.seen.push(bytes.toString('utf8', at + 4, at + 4 + length))
        at += Math.ceil((length + 4) / 8) * 8
      }
    })
  }

  /** Whether the log could be taken over as it is. */
  write(
    head: LogHead,
    groups: readonly (readonly string[])[],
    release: boolean,
  ): LogHead | undefined {
    this.follow(head)
    const log = SegmentedLog.resume(this.#store, OPTIONS, this.#follower.position)
    if (log === undefined) return undefined
    this.#follower.close()
    for (const group of groups) {
      for (const record of group) log.append(Buffer.from(record))
      log.sync()
      this.seen.push(...group)
    }
    if (release) log.truncateBefore(log.endLsn)
    const after = headOf(log)
    this.#follower = new LogFollower(this.#store, OPTIONS.logId, log.handOver())
    return after
  }
}

test('M4: three in turns, over rotations and releases: each sees all records in their order', () => {
  const record = fc.string({ minLength: 1, maxLength: 900, unit: 'binary-ascii' })
  const turn = fc.record({
    who: fc.nat({ max: 2 }),
    groups: fc.array(fc.array(record, { minLength: 1, maxLength: 6 }), { maxLength: 6 }),
    release: fc.boolean(),
  })
  fc.assert(
    fc.property(fc.array(turn, { maxLength: 20 }), (turns) => {
      const store = new MemoryStore()
      const first = SegmentedLog.open(store, { ...OPTIONS, create: true })
      first.appendAndSync(Buffer.from('first'))
      const sharers = [0, 1, 2].map(() => new Sharer(store, first))
      let head = headOf(first)
      first.close()
      const written = ['first']
      for (const { who, groups, release } of turns) {
        // Whoever lets go of segments knows that the others have read them.
        for (const sharer of sharers) if (release) sharer.follow(head)
        const after = sharers[who]?.write(head, groups, release)
        if (after === undefined) throw new Error('not taken over')
        head = after
        written.push(...groups.flat())
        for (const sharer of sharers) if (release) sharer.follow(head)
      }
      for (const sharer of sharers) {
        sharer.follow(head)
        expect(sharer.seen).toEqual(written)
      }
    }),
  )
})

test('a spare that is being filled is gone on with by who takes the log over, and removed by who opens it', () => {
  const options = { ...OPTIONS, segmentBytes: 3 * 2 ** 20 }
  const store = new MemoryStore()
  let log = SegmentedLog.open(store, { ...options, create: true })
  log.appendAndSync(Buffer.from('first'))
  const spares = (): string[] => store.list().filter((name) => name.startsWith('spare'))
  // Two of the three steps that it takes, by two owners.
  for (let owner = 1; owner <= 2; owner++) {
    expect(log.prepareStep()).toBe(true)
    const at = log.handOver()
    expect(spares()).toEqual(['spare-2.new'])
    const resumed = SegmentedLog.resume(store, options, at)
    if (resumed === undefined) throw new Error('not taken over')
    log = resumed
  }
  expect(log.prepareStep()).toBe(false)
  expect(spares()).toEqual(['spare-2'])
  const spare = store.open('spare-2')
  expect(spare.length()).toBe(options.segmentBytes)
  spare.close()
  // Taken for the next segment, and the next one begun.
  log.appendAndSync(Buffer.alloc(1_600_000))
  log.appendAndSync(Buffer.alloc(1_600_000))
  expect(log.prepareStep()).toBe(true)
  log.handOver()
  expect(spares()).toEqual(['spare-3.new'])
  SegmentedLog.open(store, options).close()
  expect(spares()).toEqual([])
})

test('M4: a log on which somebody died is not taken over unseen', () => {
  const store = new MemoryStore()
  const log = SegmentedLog.open(store, { ...OPTIONS, create: true })
  log.appendAndSync(Buffer.from('acknowledged'))
  const sharer = new Sharer(store, log)
  const head = headOf(log)
  // Written, and not acknowledged to anybody.
  log.append(Buffer.from('on its way'))
  log.flush()
  expect(sharer.write(head, [], false)).toBeUndefined()
  const recovered = SegmentedLog.open(store, OPTIONS)
  sharer.follow(headOf(recovered))
  expect(sharer.seen).toEqual(['acknowledged', 'on its way'])
  recovered.close()
  expect(sharer.write(headOf(recovered), [['more']], false)).toBeDefined()
})

test('M4: a log on which somebody died in a new segment is not taken over unseen', () => {
  const store = new MemoryStore()
  const log = SegmentedLog.open(store, { ...OPTIONS, create: true })
  log.appendAndSync(Buffer.alloc(3000, 'a'))
  const sharer = new Sharer(store, log)
  const head = headOf(log)
  log.appendAndSync(Buffer.alloc(3000, 'b'))
  expect(sharer.write(head, [], false)).toBeUndefined()
})

test('W9: what is said to be acknowledged and is not there, or is bad, is damage', () => {
  const store = new MemoryStore()
  const log = SegmentedLog.open(store, { ...OPTIONS, create: true })
  log.appendAndSync(Buffer.from('one'))
  const follower = new LogFollower(store, OPTIONS.logId, log.position)
  const { lsn, epoch } = headOf(log)
  const missing = { lsn: lsn + 8, epoch: epoch + 1 }
  expect(() => follower.readTo(missing, () => undefined)).toThrow(
    /segment: expected .*, found missing/,
  )
  log.appendAndSync(Buffer.from('two'))
  expect(() => follower.readTo({ ...headOf(log), lsn }, () => undefined)).toThrow()
  const [name = ''] = store.list()
  const file = store.open(name)
  const at = follower.position.byteOffset + 90
  const byte = Buffer.alloc(1)
  file.readAt(at, byte)
  file.writeAt(at, [Buffer.from([byte[0]! ^ 1])])
  expect(() => follower.readTo(headOf(log), () => undefined)).toThrow(
    expect.objectContaining({ code: 'RINGBOLT_CORRUPT' }),
  )
})
