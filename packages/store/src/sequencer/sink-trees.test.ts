/** The sink over the real trees in shared memory, compared with maps that its log leads to. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { PageIds } from '../space/page-ids.ts'
import { createRegion } from '../space/region.ts'
import { SharedSpace } from '../space/shared-space.ts'
import { DirectoryReferences } from '../tree/directory.ts'
import { forEachReference } from '../tree/references.ts'
import { Trees } from '../tree/trees.ts'
import { PAGES_PER_OPERATION } from './apply.ts'
import { CommandBuilder } from './command.ts'
import { SinkRig } from './testing/sink-rig.ts'

const KEYS = 60
const TREES = [0, 1, 2]

function realTrees(): { trees: Trees; space: SharedSpace; makeRoom: () => void } {
  const region = createRegion({ cacheBytes: 2 ** 24, readersMax: 2, pinsMax: 2 })
  const pause = (): void => undefined
  const space = new SharedSpace(region, undefined, PageIds.forMemory(), forEachReference, { pause })
  const trees = new Trees(space, new DirectoryReferences())
  const makeRoom = (): void => space.makeRoom(PAGES_PER_OPERATION)
  makeRoom()
  trees.create(0, 1)
  space.publish(space.seal(), 0, trees.directory)
  return { trees, space, makeRoom }
}

const operation = fc.record({
  kind: fc.constantFrom('put', 'put', 'put', 'delete', 'create', 'drop', 'range'),
  tree: fc.constantFrom(...TREES),
  key: fc.nat(KEYS - 1),
  bytes: fc.oneof(fc.nat(40), fc.nat(300), fc.nat(9000)),
  expected: fc.constantFrom('absent', undefined, undefined),
})

function build(
  operations: readonly (typeof operation extends fc.Arbitrary<infer T> ? T : never)[],
): CommandBuilder {
  const builder = new CommandBuilder()
  for (const { kind, tree, key, bytes, expected } of operations) {
    const name = Buffer.from(`key ${key}`)
    const expectation = expected === 'absent' ? 'absent' : undefined
    if (kind === 'put') builder.put(tree, name, Buffer.alloc(bytes, key), expectation)
    else if (kind === 'delete') builder.delete(tree, name, expectation)
    else if (kind === 'create') builder.createTree(tree, bytes)
    else if (kind === 'drop') builder.dropTree(tree)
    else builder.checkRange(tree, name, undefined)
  }
  return builder
}

test('S2: what is committed is in the trees, as the log says', () => {
  const commands = fc.array(fc.array(operation, { minLength: 1, maxLength: 4 }), {
    minLength: 1,
    maxLength: 80,
  })
  fc.assert(
    fc.property(commands, (all) => {
      const pages = realTrees()
      const rig = new SinkRig({ ringBytes: 2 ** 18, pages })
      const { producer } = rig.client()
      for (const operations of all) {
        const bytes = build(operations).finish(producer.slotIndex)
        while (producer.tryAppend(bytes) === undefined) rig.drain()
      }
      rig.drain()
      const maps = rig.replayed()
      for (const tree of TREES) {
        expect(pages.trees.exists(tree)).toBe(maps.exists(tree))
        if (!maps.exists(tree)) continue
        expect(pages.trees.definition(tree)).toBe(maps.definition(tree))
        for (let key = 0; key < KEYS; key++) {
          const name = Buffer.from(`key ${key}`)
          const expected = maps.get(tree, name)
          pages.makeRoom()
          expect(pages.trees.find(tree, name)).toBe(expected !== undefined)
          if (expected === undefined) continue
          expect(pages.trees.foundSequence).toBe(expected.sequence)
          expect(Buffer.compare(pages.trees.value(), expected.value)).toBe(0)
        }
      }
    }),
    { numRuns: 30 },
  )
})
