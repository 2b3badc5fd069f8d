/** Pages made on purpose: whatever they hold, a typed error or some answer; no hang, no other error, no huge allocation. */
import { isRingboltError } from '@ringbolt/ring'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { PAGE_BYTES, PAGE_WORDS } from '../page/page.ts'
import { DirectoryReferences } from './directory.ts'
import { forEachReference } from './references.ts'
import { MemorySpace } from './testing/memory-space.ts'
import { TreeCursor } from './tree-cursor.ts'
import { TreeReader } from './tree-reader.ts'
import { Trees } from './trees.ts'
import { verifyTrees } from './verify.ts'

const RUNS = Number(process.env['RINGBOLT_RUNS'] ?? 25)
const TREE = 2
const ENTRIES = 1500
/** More than there are entries, however pages were changed: 500 pages of a thousand cells. */
const STEPS_MAX = 500_000

function key(number: number): Buffer {
  return Buffer.from(`some key ${String(number).padStart(5, '0')}`)
}

function makeTrees(): { space: MemorySpace; trees: Trees } {
  const space = new MemorySpace(600)
  const trees = new Trees(space, new DirectoryReferences(), 'app.db')
  space.makeRoom(64)
  trees.create(TREE, 1)
  for (let number = 0; number < ENTRIES; number++) {
    space.makeRoom(64)
    const bytes = number % 100 === 0 ? 20_000 : 120
    trees.put(TREE, key((number * 7) % ENTRIES), Buffer.alloc(bytes, number), number + 1)
  }
  return { space, trees }
}

const { space: original, trees: originalTrees } = makeTrees()

/** The same pages, with some words changed. */
function damaged(changes: readonly Change[]): { space: MemorySpace; trees: Trees } {
  const space = new MemorySpace(600)
  space.copyFrom(original)
  for (const { page, word, value } of changes) {
    const place = (2 + (page % original.allocatedPages)) * PAGE_WORDS + word
    space.words[place] = value ?? space.words[(place * 31) % (200 * PAGE_WORDS)]!
  }
  const directory = new DirectoryReferences()
  directory.pages.set(originalTrees.directory.pages)
  return { space, trees: new Trees(space, directory, 'app.db') }
}

interface Change {
  readonly page: number
  readonly word: number
  readonly value: number | undefined
}

const u32 = fc.oneof(
  fc.integer({ min: 0, max: 0xffff_ffff }),
  fc.nat(200),
  fc.constantFrom(0, 0xffff_ffff, 0xffff, 0xffff_0000, 0x2000_0001, 0x1fff_0000),
)
const changeArbitrary = fc.record({
  page: fc.nat(1000),
  word: fc.oneof(
    { weight: 4, arbitrary: fc.integer({ min: 2, max: 20 }) },
    { weight: 2, arbitrary: fc.integer({ min: 12, max: 200 }) },
    { weight: 1, arbitrary: fc.nat(PAGE_WORDS - 1) },
  ),
  value: fc.option(u32, { nil: undefined }),
})
const changesArbitrary = fc.array(changeArbitrary, { minLength: 1, maxLength: 12 })

function orCorrupt(attempt: () => void): void {
  try {
    attempt()
  } catch (error) {
    if (!isRingboltError(error) || error.code !== 'RINGBOLT_CORRUPT') throw error
    expect(error.message).toMatch(/^(app\.db|:memory:) at byte \d+: /u)
  }
}

function walk(space: MemorySpace, directory: DirectoryReferences, reverse: boolean): void {
  const cursor = new TreeCursor(space, directory, TREE, 'app.db')
  let steps = 0
  for (let there = cursor.seek(undefined, reverse); there; there = cursor.step(reverse)) {
    cursor.key()
    if (steps % 10 === 0) cursor.value()
    expect(++steps).toBeLessThan(STEPS_MAX)
  }
}

describe('S9: pages made on purpose', () => {
  test('are read without harm', () => {
    fc.assert(
      fc.property(changesArbitrary, fc.nat(ENTRIES), (changes, number) => {
        const { space, trees } = damaged(changes)
        const reader = new TreeReader(space, 'app.db')
        for (let at = number; at < ENTRIES; at += 50) {
          orCorrupt(() => {
            if (reader.find(trees.directory, TREE, key(at))) reader.value()
          })
        }
        for (const reverse of [false, true]) orCorrupt(() => walk(space, trees.directory, reverse))
        for (const { problem } of verifyTrees(space, trees.directory, { file: 'app.db' })) {
          expect(problem).not.toBe('')
        }
        for (let frame = 2; frame < 2 + original.allocatedPages; frame++) {
          forEachReference(space.bytes, space.words, frame, (word) => {
            expect(Math.floor(word / PAGE_WORDS)).toBe(frame)
          })
        }
      }),
      { numRuns: RUNS },
    )
  })

  test('are changed without harm: none but new pages', () => {
    fc.assert(
      fc.property(changesArbitrary, fc.nat(ENTRIES), (changes, number) => {
        const { space, trees } = damaged(changes)
        space.publish(trees.directory)
        const before = Buffer.from(
          space.bytes.subarray(0, (2 + original.allocatedPages) * PAGE_BYTES),
        )
        for (let at = number; at < ENTRIES; at += 40) {
          orCorrupt(() => {
            space.makeRoom(64)
            trees.put(TREE, key(at), Buffer.alloc(at), ENTRIES + at)
          })
          orCorrupt(() => {
            space.makeRoom(64)
            trees.delete(TREE, key(at + 7), ENTRIES + at)
          })
          orCorrupt(() => trees.changedSince(TREE, key(at), key(at + 20), ENTRIES))
        }
        expect(before.equals(space.bytes.subarray(0, before.length))).toBe(true)
      }),
      { numRuns: RUNS },
    )
  })

  test('a branch whose children are all one leaf is walked through once', () => {
    const { space, trees } = damaged([])
    const root = rootOf(space, trees)
    const references = referencesOf(space, root)
    expect(references.length).toBeGreaterThan(3)
    for (const reference of references) space.words[reference] = space.words[references[0]!]!
    expect(() => walk(space, trees.directory, false)).toThrow(/low fence of page/u)
    expect(() => walk(space, trees.directory, true)).toThrow(/low fence of page/u)
  })

  test('a branch that refers to itself is found out by its level', () => {
    const { space, trees } = damaged([])
    const root = rootOf(space, trees)
    for (const reference of referencesOf(space, root)) space.words[reference] = root
    expect(() => walk(space, trees.directory, false)).toThrow(/kind, level and tree of page/u)
    expect(() => trees.find(TREE, key(1))).toThrow(/kind, level and tree of page/u)
    const problems = [...verifyTrees(space, trees.directory)].map(({ problem }) => problem)
    expect(problems).toContain('is referred to more than once')
  })
})

function rootOf(space: MemorySpace, trees: Trees): number {
  const roots: number[] = []
  forEachReference(space.bytes, space.words, trees.directory.pages[0]!, (word) => {
    roots.push(space.words[word]!)
  })
  return roots[0]!
}

function referencesOf(space: MemorySpace, frame: number): number[] {
  const references: number[] = []
  forEachReference(space.bytes, space.words, frame, (word) => references.push(word))
  return references
}
