/**
 * Whether a range has changed since a commit sequence: subtrees whose highest sequence is not later are passed
 * over; in a leaf each entry is looked at, and the highest sequence of a deletion there counts for all its range.
 */
import type { PageSpace } from '../page/page-space.ts'
import type { Corruption } from './corruption.ts'
import { heightOf } from './directory.ts'
import { ENTRY_CHECKSUM, ENTRY_ROOT } from './layout.ts'
import { LeafCell } from './leaf.ts'
import {
  checkNode,
  nodeCount,
  referencesWord,
  searchBranch,
  searchNode,
  slotsWord,
} from './node.ts'
import { readDeleted, readSequence } from './sequence.ts'

type Bound = Uint8Array | undefined

const PAGES_AT_ONCE = 32

export class RangeChanges {
  readonly #space: PageSpace
  readonly #corruption: Corruption
  readonly #cell = new LeafCell()
  #tree = 0
  #sequence = 0
  #pages = 0

  constructor(space: PageSpace, corruption: Corruption) {
    this.#space = space
    this.#corruption = corruption
  }

  /** @param entry word of the tree's entry in the directory */
  changedSince(entry: number, tree: number, from: Bound, to: Bound, sequence: number): boolean {
    const { words } = this.#space
    this.#tree = tree
    this.#sequence = sequence
    this.#pages = 0
    const level = heightOf(words, entry, this.#corruption) - 1
    return this.#inPage(words[entry + ENTRY_ROOT]!, words[entry + ENTRY_CHECKSUM]!, level, from, to)
  }

  #locate(pageId: number, checksum: number, level: number): number {
    if (++this.#pages % PAGES_AT_ONCE === 0) this.#space.makeRoom(PAGES_AT_ONCE)
    const frame = this.#space.locate(pageId, checksum)
    checkNode(this.#space.words, frame, level, this.#tree, this.#corruption)
    return frame
  }

  #inPage(pageId: number, checksum: number, level: number, from: Bound, to: Bound): boolean {
    const { bytes, words } = this.#space
    let frame = this.#locate(pageId, checksum, level)
    if (readSequence(words, frame) <= this.#sequence) return false
    if (level === 0) return this.#inLeaf(frame, from, to)
    const count = nodeCount(words, frame)
    const first = from === undefined ? 0 : searchBranch(bytes, words, frame, from, this.#corruption)
    const last =
      to === undefined ? count - 1 : searchBranch(bytes, words, frame, to, this.#corruption)
    for (let child = first; child <= last; child++) {
      // Room may have been made below.
      if (child > first) frame = this.#locate(pageId, checksum, level)
      const reference = referencesWord(frame, count) + 2 * child
      const lower = child === first ? from : undefined
      const upper = child === last ? to : undefined
      const childId = words[reference]!
      if (this.#inPage(childId, words[reference + 1]!, level - 1, lower, upper)) return true
    }
    return false
  }

  #inLeaf(frame: number, from: Bound, to: Bound): boolean {
    const { bytes, words } = this.#space
    if (readDeleted(words, frame) > this.#sequence) return true
    const count = nodeCount(words, frame)
    const slots = slotsWord(frame, count)
    const end = to === undefined ? count : this.#placeOf(frame, to)
    for (let at = from === undefined ? 0 : this.#placeOf(frame, from); at < end; at++) {
      this.#cell.read(bytes, words, frame, words[slots + at]!, this.#corruption)
      if (this.#cell.sequence > this.#sequence) return true
    }
    return false
  }

  #placeOf(frame: number, key: Uint8Array): number {
    const { bytes, words } = this.#space
    const found = searchNode(bytes, words, frame, true, key, this.#corruption)
    return found < 0 ? ~found : found
  }
}
