import { expect, test } from 'vitest'
import { DirectoryReferences } from './directory.ts'
import { MemorySpace } from './testing/memory-space.ts'
import { Trees } from './trees.ts'

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
