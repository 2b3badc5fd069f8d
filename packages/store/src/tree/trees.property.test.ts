/** Trees against sorted maps: any operations, any sizes, and states that were published stay as they were. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { DirectoryReferences } from './directory.ts'
import { MemorySpace, type Version } from './testing/memory-space.ts'
import { TreeModel } from './testing/tree-model.ts'
import { TreeCursor } from './tree-cursor.ts'
import { TreeReader } from './tree-reader.ts'
import { Trees } from './trees.ts'
import { verifyTrees } from './verify.ts'

const FRAMES = 6000
/** For campaigns. */
const RUNS = Number(process.env['RINGBOLT_RUNS'] ?? 60)
const TREES = [0, 1, 300]

/** Few different bytes, so that prefixes are shared; zero bytes and lengths up to the limit among them. */
const keyArbitrary = fc.oneof(
  { weight: 6, arbitrary: fc.nat(400).map((number) => Buffer.from(`key ${number}`)) },
  {
    weight: 3,
    arbitrary: fc
      .array(fc.constantFrom(0, 1, 255), { maxLength: 8 })
      .map((bytes) => Buffer.from(bytes)),
  },
  {
    weight: 2,
    arbitrary: fc.tuple(fc.nat(30), fc.integer({ min: 900, max: 1020 })).map(([end, length]) => {
      const key = Buffer.alloc(length + 4, 7)
      key.writeUInt32BE(end, length)
      return key
    }),
  },
)

const valueBytesArbitrary = fc.oneof(
  { weight: 6, arbitrary: fc.nat(200) },
  { weight: 3, arbitrary: fc.integer({ min: 900, max: 2048 }) },
  { weight: 1, arbitrary: fc.integer({ min: 2049, max: 30_000 }) },
)

const operationArbitrary = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      kind: fc.constant('put' as const),
      tree: fc.constantFrom(...TREES),
      key: keyArbitrary,
      bytes: valueBytesArbitrary,
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('delete' as const),
      tree: fc.constantFrom(...TREES),
      key: keyArbitrary,
    }),
  },
  {
    // Many neighbours at once, so that small programs have many pages.
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('fill' as const),
      tree: fc.constantFrom(...TREES),
      first: fc.nat(400),
      count: fc.integer({ min: 1, max: 150 }),
      bytes: fc.oneof(fc.nat(60), fc.integer({ min: 500, max: 1900 })),
      step: fc.constantFrom(1, -1, 7),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('clear' as const),
      tree: fc.constantFrom(...TREES),
      first: fc.nat(400),
      count: fc.integer({ min: 1, max: 200 }),
      step: fc.constantFrom(1, -1, 7),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('drop' as const), tree: fc.constantFrom(...TREES) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('publish' as const) }) },
)

type Operation = typeof operationArbitrary extends fc.Arbitrary<infer T> ? T : never

interface Kept {
  readonly version: Version
  readonly models: Map<number, TreeModel>
}

class Rig {
  readonly space = new MemorySpace(FRAMES)
  readonly trees = new Trees(this.space, new DirectoryReferences())
  readonly models = new Map<number, TreeModel>()
  readonly kept: Kept[] = []
  sequence = 2 ** 32 - 40

  do(operation: Operation): void {
    this.sequence++
    if (operation.kind === 'publish') {
      this.publish()
      return
    }
    const { tree } = operation
    if (!this.models.has(tree)) this.#create(tree)
    switch (operation.kind) {
      case 'put':
        this.#put(tree, operation.key, operation.bytes)
        break
      case 'delete':
        this.#delete(tree, operation.key)
        break
      case 'fill':
        for (let index = 0; index < operation.count; index++) {
          this.#put(tree, keyOf(operation.first + index * operation.step), operation.bytes)
        }
        break
      case 'clear':
        for (let index = 0; index < operation.count; index++) {
          this.#delete(tree, keyOf(operation.first + index * operation.step))
        }
        break
      case 'drop':
        this.#makeRoom()
        this.trees.drop(tree)
        this.models.delete(tree)
        break
      default:
    }
  }

  publish(): void {
    const models = new Map([...this.models].map(([tree, model]) => [tree, model.copy()]))
    this.kept.push({ version: this.space.publish(this.trees.directory), models })
  }

  #makeRoom(): void {
    this.space.makeRoom(64)
  }

  #create(tree: number): void {
    this.#makeRoom()
    this.trees.create(tree, tree + 1)
    this.models.set(tree, new TreeModel())
  }

  #put(tree: number, key: Buffer, bytes: number): void {
    const value = Buffer.alloc(bytes, this.sequence % 251)
    this.#makeRoom()
    this.trees.put(tree, key, value, ++this.sequence)
    this.models.get(tree)!.put(key, value, this.sequence)
  }

  #delete(tree: number, key: Buffer): void {
    this.#makeRoom()
    const was = this.trees.delete(tree, key, ++this.sequence)
    expect(was).toBe(this.models.get(tree)!.delete(key, this.sequence))
  }

  check(): void {
    expect([...verifyTrees(this.space, this.trees.directory)]).toEqual([])
    expect(this.space.leaks(this.trees.directory)).toEqual([])
    checkModels(this.space, this.trees.directory, this.models)
  }
}

function keyOf(number: number): Buffer {
  return Buffer.from(`key ${number}`)
}

function checkModels(
  space: MemorySpace,
  directory: DirectoryReferences,
  models: ReadonlyMap<number, TreeModel>,
): void {
  const reader = new TreeReader(space)
  for (const tree of TREES) {
    const model = models.get(tree)
    expect(reader.count(directory, tree)).toBe(model?.size ?? 0)
    expect(reader.definition(directory, tree)).toBe(model === undefined ? 0 : tree + 1)
    if (model === undefined) continue
    for (const { key, value, sequence } of model.entries()) {
      expect(reader.find(directory, tree, key)).toBe(true)
      expect(reader.foundSequence).toBe(sequence)
      expect(reader.value().equals(value)).toBe(true)
    }
    for (const reverse of [false, true]) {
      checkWalk(new TreeCursor(space, directory, tree), model, undefined, reverse)
      checkWalk(new TreeCursor(space, directory, tree), model, keyOf(200), reverse)
    }
  }
}

function checkWalk(
  cursor: TreeCursor,
  model: TreeModel,
  from: Buffer | undefined,
  reverse: boolean,
): void {
  let there = cursor.seek(from, reverse)
  for (const { key, value, sequence } of model.range(from, reverse)) {
    expect(there).toBe(true)
    expect(cursor.key().equals(key)).toBe(true)
    expect(cursor.sequence).toBe(sequence)
    expect(cursor.value().equals(value)).toBe(true)
    there = cursor.step(reverse)
  }
  expect(there).toBe(false)
  expect(cursor.step(reverse)).toBe(false)
}

test('S1, S5, S7: trees are sorted maps, and published states do not change', () => {
  fc.assert(
    fc.property(fc.array(operationArbitrary, { minLength: 1, maxLength: 25 }), (operations) => {
      const rig = new Rig()
      for (const operation of operations) rig.do(operation)
      rig.check()
      rig.publish()
      for (const { version, models } of rig.kept) {
        checkModels(rig.space, version.directory, models)
        expect([...verifyTrees(rig.space, version.directory)]).toEqual([])
      }
      while (rig.trees.reclaimDropped(5)) rig.space.makeRoom(64)
      rig.check()
    }),
    { numRuns: RUNS },
  )
})

test('S2: a change in a range is never missed; one elsewhere is not seen', () => {
  const bound = fc.option(keyArbitrary, { nil: undefined })
  fc.assert(
    fc.property(
      fc.array(operationArbitrary, { minLength: 1, maxLength: 10 }),
      fc.array(operationArbitrary, { minLength: 1, maxLength: 4 }),
      bound,
      bound,
      (before, after, from, to) => {
        const rig = new Rig()
        for (const operation of before) rig.do(operation)
        const sequence = rig.sequence
        for (const operation of after) rig.do(operation)
        for (const [tree, model] of rig.models) {
          const changed = rig.trees.changedSince(tree, from, to, sequence)
          if (model.changedSince(from, to, sequence)) expect(changed).toBe(true)
          else if (!model.hasDeletedSince(sequence)) expect(changed).toBe(false)
        }
      },
    ),
    { numRuns: RUNS },
  )
})
