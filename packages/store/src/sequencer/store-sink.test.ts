/** The sequencer's sink under wal's consumer, over a real ring and log, in one thread. */
import { FRAME_HEADER_BYTES } from '@ringbolt/ring'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { StoreFullError } from '../errors.ts'
import { CommandBuilder } from './command.ts'
import { partsOf } from './parts.ts'
import type { CommandLog } from './store-sink.ts'
import { SinkRig } from './testing/sink-rig.ts'

const k = (text: string): Buffer => Buffer.from(text)

function command(build: (builder: CommandBuilder) => void): CommandBuilder {
  const builder = new CommandBuilder()
  build(builder)
  return builder
}

function put(key: string, value: string, expected?: 'absent' | number): CommandBuilder {
  return command((builder) => builder.put(0, k(key), k(value), expected))
}

test('S1: a command is applied with its sequence, logged, published, then acknowledged', async () => {
  const rig = new SinkRig()
  const { commands } = rig.client()
  const committed = commands.commit(put('a', '1', 'absent'))
  expect(rig.published).toEqual([])
  expect(await rig.settle(committed)).toBeUndefined()
  expect(rig.published).toEqual([[1, 1]])
  expect(rig.trees.get(0, k('a'))).toEqual({ value: k('1'), sequence: 1 })
  expect(rig.records()).toHaveLength(1)
  expect(rig.sink.published).toEqual({ version: 1, sequence: 1, logLsn: rig.log.endLsn })
})

test('S2: the second of two writers is refused by its expectation, and nothing of it is kept', async () => {
  const rig = new SinkRig()
  const [a, b] = [rig.client(), rig.client()]
  const first = a.commands.commit(put('a', '1', 'absent'))
  const second = b.commands.commit(
    command((builder) => {
      builder.put(0, k('b'), k('2'))
      builder.put(0, k('a'), k('2'), 'absent')
    }),
  )
  expect(await rig.settle(Promise.all([first, second]))).toEqual([
    undefined,
    { reason: 'conflict', operation: 1 },
  ])
  expect(rig.trees.get(0, k('b'))).toBeUndefined()
  expect(rig.records()).toHaveLength(1)
})

test('S2: a range that changed after the snapshot is refused, a deletion in it too', async () => {
  const rig = new SinkRig()
  const { commands } = rig.client()
  await rig.settle(commands.commit(put('b', '1')))
  await rig.settle(commands.commit(command((builder) => builder.delete(0, k('b')))))
  const ranged = (snapshot: number, from: string, to: string): CommandBuilder =>
    command((builder) => {
      builder.snapshotSequence = snapshot
      builder.checkRange(0, k(from), k(to))
      builder.put(0, k('r'), k(from))
    })
  const commit = (builder: CommandBuilder): Promise<unknown> => rig.settle(commands.commit(builder))
  expect(await commit(ranged(1, 'a', 'c'))).toEqual({ reason: 'conflict', operation: 0 })
  expect(await commit(ranged(1, 'c', 'd'))).toBeUndefined()
  expect(await commit(ranged(2, 'a', 'c'))).toBeUndefined()
})

test('S11: a snapshot from the future is malformed', async () => {
  const rig = new SinkRig()
  const builder = put('a', '1')
  builder.snapshotSequence = 1
  expect(await rig.settle(rig.client().commands.commit(builder))).toEqual({
    reason: 'malformed',
    operation: 0,
  })
})

test('S9: trees that are not there, there already, or of another definition', async () => {
  const rig = new SinkRig()
  const { commands } = rig.client()
  const commit = (build: (builder: CommandBuilder) => void): Promise<unknown> =>
    rig.settle(commands.commit(command(build)))
  expect(await commit((c) => c.put(5, k('a'), k('1')))).toEqual({
    reason: 'definition',
    operation: 0,
  })
  expect(
    await commit((c) => {
      c.createTree(5, 3)
      c.put(5, k('a'), k('1'), 'absent')
    }),
  ).toBeUndefined()
  expect(await commit((c) => c.createTree(5, 4))).toMatchObject({ reason: 'definition' })
  expect(await commit((c) => c.checkDefinition(5, 4))).toMatchObject({ reason: 'definition' })
  expect(await commit((c) => c.checkDefinition(5, 3))).toBeUndefined()
  expect(
    await commit((c) => {
      c.dropTree(5)
      c.put(5, k('a'), k('1'))
    }),
  ).toEqual({ reason: 'definition', operation: 1 })
  expect(rig.trees.exists(5)).toBe(true)
  expect(await commit((c) => c.dropTree(5))).toBeUndefined()
  expect(await commit((c) => c.dropTree(0))).toEqual({ reason: 'malformed', operation: 0 })
})

test('the same key twice in one command: both expect the state before, the last stays', async () => {
  const rig = new SinkRig()
  const builder = command((c) => {
    c.put(0, k('a'), k('1'), 'absent')
    c.put(0, k('a'), k('2'), 'absent')
  })
  expect(await rig.settle(rig.client().commands.commit(builder))).toBeUndefined()
  expect(rig.trees.get(0, k('a'))?.value).toEqual(k('2'))
  expect(rig.replayed().dump()).toEqual(rig.trees.dump())
})

test('a group in which all was refused is acknowledged without a log group or a version', async () => {
  const rig = new SinkRig()
  const refusal = await rig.settle(rig.client().commands.commit(put('a', '1', 7)))
  expect(refusal).toEqual({ reason: 'conflict', operation: 0 })
  expect(rig.log.stats().groups).toBe(0)
  expect(rig.published).toEqual([])
})

test('no room for a command is a refusal, and nothing has changed', async () => {
  const rig = new SinkRig({
    admit: (operations) => {
      if (operations > 1) throw new StoreFullError('the cache')
    },
  })
  const { commands } = rig.client()
  const two = command((c) => {
    c.put(0, k('a'), k('1'))
    c.put(0, k('b'), k('1'))
  })
  expect(await rig.settle(commands.commit(two))).toMatchObject({ reason: 'full' })
  expect(rig.trees.get(0, k('a'))).toBeUndefined()
  expect(await rig.settle(commands.commit(put('a', '1')))).toBeUndefined()
})

/** A log that fails at a call. */
function failing(at: 'writeGroup' | 'sync'): (log: CommandLog) => CommandLog {
  return (log) => ({
    get endLsn() {
      return log.endLsn
    },
    get nextSequence() {
      return log.nextSequence
    },
    get poisoned() {
      return log.poisoned
    },
    writeGroup(runs, records, aborted) {
      if (at === 'writeGroup') throw new Error('the disk is gone')
      log.writeGroup(runs, records, aborted)
    },
    sync() {
      throw new Error('the disk is gone')
    },
  })
}

test.each(['writeGroup', 'sync'] as const)(
  'S9: after a failed %s nothing is published or taken any more',
  async (at) => {
    const rig = new SinkRig({ wrapLog: failing(at) })
    const { commands } = rig.client()
    const committed = commands.commit(put('a', '1'))
    expect(() => rig.drain()).toThrow('the disk is gone')
    await expect(committed).rejects.toMatchObject({ code: 'RINGBOLT_POISONED' })
    expect(rig.published).toEqual([])
    expect(rig.sink.poisoned).toBeInstanceOf(Error)
    expect(() => rig.sink.writeGroup([])).toThrow('the disk is gone')
    expect(() => rig.sink.reclaimDropped(1)).toThrow('the disk is gone')
    await expect(commands.commit(put('b', '1'))).rejects.toMatchObject({
      code: 'RINGBOLT_POISONED',
    })
  },
)

test('a failure half-way through a command ends it for good: nothing of it is logged or published', async () => {
  const rig = new SinkRig()
  let changes = 0
  rig.trees.beforeChange = () => {
    if (++changes === 2) throw new StoreFullError('the cache')
  }
  const committed = rig.client().commands.commit(
    command((c) => {
      c.put(0, k('a'), k('1'))
      c.put(0, k('b'), k('1'))
    }),
  )
  expect(() => rig.drain()).toThrow(StoreFullError)
  await expect(committed).rejects.toMatchObject({ code: 'RINGBOLT_POISONED' })
  expect(rig.records()).toEqual([])
  expect(rig.published).toEqual([])
})

test('a frame over the end of the ring is put together; the others are not copied', async () => {
  const rig = new SinkRig({ ringBytes: 1024 })
  const { commands } = rig.client()
  for (let at = 0; at < 60; at++) {
    const key = `key ${at}`
    expect(await rig.settle(commands.commit(put(key, 'v'.repeat(at))))).toBeUndefined()
  }
  expect(rig.records()).toHaveLength(60)
  expect(rig.replayed().dump()).toEqual(rig.trees.dump())
})

test('S7: long commands go in parts; the log has them whole, and others come in between', async () => {
  const rig = new SinkRig()
  const [a, b] = [rig.client(), rig.client()]
  const long = 'x'.repeat(50_000)
  const results = await rig.settle(
    Promise.all([
      a.commands.commit(put('long', long)),
      b.commands.commit(put('other', long)),
      a.commands.commit(put('short', '1')),
      a.commands.commit(put('again', long, 'absent')),
      a.commands.commit(put('refused', long, 99)),
    ]),
  )
  expect(results).toEqual([
    undefined,
    undefined,
    undefined,
    undefined,
    { reason: 'conflict', operation: 0 },
  ])
  expect(rig.records()).toHaveLength(4)
  expect(rig.trees.get(0, k('again'))?.value.length).toBe(50_000)
  expect(rig.replayed().dump()).toEqual(rig.trees.dump())
})

test('S9: parts of a client that died half-way are dropped when the slot’s next one begins', async () => {
  const rig = new SinkRig()
  const { commands, producer } = rig.client()
  const [first] = partsOf(
    put('dead', 'x'.repeat(5000)).finish(producer.slotIndex),
    producer.slotIndex,
    0,
    900,
  )
  producer.append(first!)
  rig.drain()
  expect(await rig.settle(commands.commit(put('alive', 'y'.repeat(5000))))).toBeUndefined()
  expect(rig.trees.get(0, k('dead'))).toBeUndefined()
  expect(rig.trees.get(0, k('alive'))?.value.length).toBe(5000)
})

/** What may stand in the ring: commands, commands with bytes changed, cut ones, parts, noise. */
const record = fc.oneof(
  fc.uint8Array({ minLength: 1, maxLength: 60 }),
  fc
    .record({
      key: fc.string({ maxLength: 3 }),
      value: fc.string({ maxLength: 30 }),
      tree: fc.integer({ min: 0, max: 2 }),
      drop: fc.boolean(),
      changes: fc.array(fc.tuple(fc.nat(80), fc.nat(255)), { maxLength: 3 }),
      cut: fc.nat(10),
      part: fc.boolean(),
    })
    .map(({ key, value, tree, drop, changes, cut, part }) => {
      const builder = new CommandBuilder()
      if (tree > 0) builder.createTree(tree, 1)
      builder.put(tree, k(key), k(value))
      if (drop) builder.dropTree(tree)
      const built = Buffer.from(builder.finish(0))
      const bytes = part ? [...partsOf(built, 0, 0, built.length + 20)][0]! : built
      for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value
      return bytes.subarray(0, Math.max(1, bytes.length - (cut > 5 ? cut : 0)))
    }),
)

test('S11: whatever stands in the ring, trees change by whole valid commands only, and the log leads to them', () => {
  fc.assert(
    fc.property(fc.array(record, { minLength: 1, maxLength: 40 }), (records) => {
      const rig = new SinkRig({ ringBytes: 1024 })
      const { producer } = rig.client()
      for (const bytes of records) {
        const fits = bytes.length <= 1024 / 2 - FRAME_HEADER_BYTES
        if (!fits) continue
        while (producer.tryAppend(bytes) === undefined) rig.drain()
      }
      rig.drain()
      expect(rig.sink.commits).toBe(rig.records().length)
      expect(rig.sink.poisoned).toBeUndefined()
      expect(rig.replayed().dump()).toEqual(rig.trees.dump())
    }),
    { numRuns: 150 },
  )
})
