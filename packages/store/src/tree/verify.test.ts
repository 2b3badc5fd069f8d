/** Deliberate damage of each kind, and that the walk says so. */
import { expect, test } from 'vitest'
import { PAGE_BYTES, PAGE_KIND_BYTE, PAGE_WORDS, PageKind } from '../page/page.ts'
import { DirectoryReferences, entryWord } from './directory.ts'
import {
  ENTRY_COUNT_LOW,
  LEAF_OVERFLOWS_WORD,
  NODE_GARBAGE_WORD,
  NODE_HEADS_WORD,
  OVERFLOW_REMAINING_WORD,
} from './layout.ts'
import { nodeCount, referencesWord } from './node.ts'
import { writeSequence } from './sequence.ts'
import { MemorySpace } from './testing/memory-space.ts'
import { reachablePages } from './testing/reachable.ts'
import { Trees } from './trees.ts'
import { verifyTrees } from './verify.ts'

const TREE = 5
const ENTRIES = 600

class Rig {
  readonly space = new MemorySpace(300)
  readonly trees = new Trees(this.space, new DirectoryReferences())

  constructor() {
    this.space.makeRoom(64)
    this.trees.create(TREE, 1)
    for (let number = 0; number < ENTRIES; number++) {
      const key = Buffer.from(String(number).padStart(8, '0'))
      this.space.makeRoom(64)
      this.trees.put(TREE, key, Buffer.alloc(number === 300 ? 20_000 : 100), number + 1)
    }
  }

  get words(): Uint32Array {
    return this.space.words
  }

  /** The first word of a page of that kind. */
  pageOf(kind: number, nth = 0): number {
    const pages = [...reachablePages(this.space, this.trees.directory)].toSorted((a, b) => a - b)
    const found = pages.filter(
      (pageId) => this.space.bytes[pageId * PAGE_BYTES + PAGE_KIND_BYTE] === kind,
    )
    return found[nth]!
  }

  problems(): string[] {
    const findings = [...verifyTrees(this.space, this.trees.directory)]
    for (const { tree } of findings) expect(tree).toBe(TREE)
    return findings.map(({ problem }) => problem)
  }
}

test('M7: a sound tree has no findings, and each page is reached once', () => {
  const { space, trees } = new Rig()
  const pages: number[] = []
  const onPage = (pageId: number): void => void pages.push(pageId)
  expect([...verifyTrees(space, trees.directory, { onPage })]).toEqual([])
  expect(new Set(pages)).toEqual(reachablePages(space, trees.directory))
  expect(new Set(pages).size).toBe(pages.length)
})

const damages: [name: string, problem: RegExp, damage: (rig: Rig) => void][] = [
  [
    'key order',
    /is not above the one before/u,
    (rig) => {
      const heads = rig.pageOf(PageKind.leaf, 2) * PAGE_WORDS + NODE_HEADS_WORD
      const head = rig.words[heads + 3]!
      rig.words[heads + 3] = rig.words[heads + 4]!
      rig.words[heads + 4] = head
    },
  ],
  [
    'fences',
    /fence differs from above/u,
    (rig) => {
      const end = (rig.pageOf(PageKind.leaf, 2) + 1) * PAGE_BYTES
      rig.space.bytes[end - 1]! += 1
    },
  ],
  [
    'a page used twice',
    /is referred to more than once/u,
    (rig) => {
      const frame = rig.pageOf(PageKind.branch)
      const references = referencesWord(frame, nodeCount(rig.words, frame))
      rig.words[references + 4] = rig.words[references + 2]!
    },
  ],
  [
    'a page of another kind',
    /kind, level and tree/u,
    (rig) => {
      const frame = rig.pageOf(PageKind.branch)
      const references = referencesWord(frame, nodeCount(rig.words, frame))
      rig.words[references + 4] = rig.pageOf(PageKind.overflow)
    },
  ],
  [
    'the count of entries',
    /601 entries stated, 600 found/u,
    (rig) => {
      rig.words[entryWord(rig.trees.directory.pages[0]!, TREE) + ENTRY_COUNT_LOW]! += 1
    },
  ],
  [
    'a sequence above the one over it',
    /sequence 9000 above its parent's/u,
    (rig) => writeSequence(rig.words, rig.pageOf(PageKind.leaf, 3), 9000),
  ],
  [
    "an entry's sequence above the page's",
    /of sequence \d+ above the page's 3/u,
    (rig) => writeSequence(rig.words, rig.pageOf(PageKind.leaf, 3), 3),
  ],
  [
    'the prefix',
    /prefix of|layout/u,
    (rig) => {
      rig.words[rig.pageOf(PageKind.leaf, 2) * PAGE_WORDS + NODE_GARBAGE_WORD]! -= 0x1_0000
    },
  ],
  [
    'garbage',
    /and garbage of 7 in a heap/u,
    (rig) => {
      rig.words[rig.pageOf(PageKind.leaf, 2) * PAGE_WORDS + NODE_GARBAGE_WORD]! += 7
    },
  ],
  [
    'the number of chains',
    /1 cells with overflow pages stated, 0 found/u,
    (rig) => {
      rig.words[rig.pageOf(PageKind.leaf, 2) * PAGE_WORDS + LEAF_OVERFLOWS_WORD] = 1
    },
  ],
  [
    'the rest of a value',
    /rest of the value/u,
    (rig) => {
      rig.words[rig.pageOf(PageKind.overflow, 1) * PAGE_WORDS + OVERFLOW_REMAINING_WORD]! += 1
    },
  ],
]

for (const [name, problem, damage] of damages) {
  test(`M7: the walk finds damage to ${name}`, () => {
    const rig = new Rig()
    damage(rig)
    expect(rig.problems()).toContainEqual(expect.stringMatching(problem))
  })
}
