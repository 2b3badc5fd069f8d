import { expect, test } from 'vitest'
import { DirectoryReferences } from './directory.ts'
import { MemorySpace } from './testing/memory-space.ts'
import { reachablePages } from './testing/reachable.ts'
import { Trees } from './trees.ts'
import { verifyTrees } from './verify.ts'

function key(number: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeUInt32BE(number, 4)
  return bytes
}

function makeTrees(frames = 5000): { space: MemorySpace; trees: Trees } {
  const space = new MemorySpace(frames)
  const trees = new Trees(space, new DirectoryReferences())
  space.makeRoom(64)
  trees.create(3, 7)
  return { space, trees }
}

test('S1: what was put is found, with its sequence; rising keys fill the leaves', () => {
  const { space, trees } = makeTrees()
  const count = 20_000
  for (let number = 1; number <= count; number++) {
    space.makeRoom(64)
    trees.put(3, key(number), Buffer.from(`value ${number}`.padEnd(150)), number)
  }
  expect(trees.count(3)).toBe(count)
  expect(trees.definition(3)).toBe(7)
  for (let number = 1; number <= count; number += 7) {
    expect(trees.find(3, key(number))).toBe(true)
    expect(trees.foundSequence).toBe(number)
    expect(trees.value().toString()).toBe(`value ${number}`.padEnd(150))
  }
  expect(trees.find(3, key(0))).toBe(false)
  expect(trees.find(3, key(count + 1))).toBe(false)
  expect(space.leaks(trees.directory)).toEqual([])
  const bytesPerEntry = 150 + 4 + 14
  expect(space.allocatedPages).toBeLessThan((count * bytesPerEntry) / 8192 / 0.95)
})

test('four rising streams fill their leaves, too', () => {
  const { space, trees } = makeTrees()
  const perStream = 4000
  for (let number = 0; number < perStream; number++) {
    for (let stream = 0; stream < 4; stream++) {
      space.makeRoom(64)
      trees.put(3, key(stream * 1_000_000 + number), Buffer.alloc(150), number + 1)
    }
  }
  expect(space.leaks(trees.directory)).toEqual([])
  const bytesPerEntry = 150 + 4 + 14
  expect(space.allocatedPages).toBeLessThan((4 * perStream * bytesPerEntry) / 8192 / 0.94)
})

test('S7: a value of 64 MiB, in place of another, and gone again', () => {
  const { space, trees } = makeTrees(20_000)
  const sizes = [64 * 1024 * 1024, 8 * 1024 * 1024 + 1, 64 * 1024 * 1024]
  for (const [index, bytes] of sizes.entries()) {
    const value = Buffer.alloc(bytes, `value ${index}`)
    space.makeRoom(64)
    trees.put(3, key(1), value, index + 1)
    expect(trees.find(3, key(1))).toBe(true)
    expect(trees.foundInline).toBe(false)
    expect(trees.value().equals(value)).toBe(true)
  }
  expect([...verifyTrees(space, trees.directory)]).toEqual([])
  space.makeRoom(64)
  expect(trees.delete(3, key(1), 9)).toBe(true)
  expect(space.leaks(trees.directory)).toEqual([])
  expect(reachablePages(space, trees.directory).size).toBe(2)
  space.makeRoom(64)
  expect(() => trees.put(3, key(1), new Uint8Array(64 * 1024 * 1024 + 1), 10)).toThrow(
    expect.objectContaining({ code: 'RINGBOLT_TOO_LARGE' }),
  )
})

for (const [name, order] of [
  ['rising', (number: number) => number],
  ['falling', (number: number) => 5001 - number],
  ['any', (number: number) => ((number * 2963) % 5000) + 1],
] as const) {
  test(`S1: a tree that loses all entries in ${name} order is one leaf again`, () => {
    const { space, trees } = makeTrees(30_000)
    for (let number = 1; number <= 5000; number++) {
      const long = Buffer.concat([key(number), Buffer.alloc(number % 100 === 0 ? 1016 : 20)])
      space.makeRoom(64)
      trees.put(3, long, Buffer.alloc(100), number)
    }
    space.publish(trees.directory)
    for (let number = 1; number <= 5000; number++) {
      const due = order(number)
      const long = Buffer.concat([key(due), Buffer.alloc(due % 100 === 0 ? 1016 : 20)])
      space.makeRoom(64)
      expect(trees.delete(3, long, 5000 + number)).toBe(true)
    }
    expect(trees.count(3)).toBe(0)
    expect([...verifyTrees(space, trees.directory)]).toEqual([])
    expect(space.leaks(trees.directory)).toEqual([])
    expect(reachablePages(space, trees.directory).size).toBe(2)
  })
}

test('a dropped tree gives its pages back in steps, and its number may be taken meanwhile', () => {
  const { space, trees } = makeTrees()
  const fill = (tree: number): void => {
    for (let number = 1; number <= 2000; number++) {
      space.makeRoom(64)
      trees.put(tree, key(number), Buffer.alloc(number % 50 === 0 ? 9000 : 90), number)
    }
  }
  fill(3)
  space.makeRoom(64)
  trees.create(4, 1)
  fill(4)
  space.makeRoom(64)
  trees.drop(3)
  space.makeRoom(64)
  trees.drop(4)
  expect(trees.exists(3)).toBe(false)
  expect(trees.find(3, key(1))).toBe(false)
  expect(trees.reclaimDropped(10)).toBe(true)
  space.publish(trees.directory)
  expect([...verifyTrees(space, trees.directory)]).toEqual([])
  space.makeRoom(64)
  trees.create(4, 2)
  expect(trees.count(4)).toBe(0)
  let steps = 0
  while (trees.reclaimDropped(10)) steps++
  expect(steps).toBeGreaterThan(5)
  expect(space.leaks(trees.directory)).toEqual([])
  expect(reachablePages(space, trees.directory).size).toBe(2)
})
