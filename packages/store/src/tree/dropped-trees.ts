/**
 * Giving back the pages of dropped trees, in small steps: always the last leaf, or a chain that hangs on it, and the
 * branches that become empty. Until the last page is gone the entry names a tree that is whole up to where it ends.
 *
 * Threads: the sequencer's own.
 */

import { NOT_WRITTEN, PAGE_ID_WORD, PAGE_WORDS } from '../page/page.ts'
import type { PageSpace } from '../page/page-space.ts'
import type { Corruption } from './corruption.ts'
import { heightOf } from './directory.ts'
import { DIRECTORY_ENTRY_WORDS, ENTRY_ROOT, HEIGHT_MAX } from './layout.ts'
import { LeafCell } from './leaf.ts'
import { checkNode, nodeCount, referencesWord, restBytes, slotsWord } from './node.ts'
import { clearReference, countOverflows, overflowCount, removeEntry } from './node-edit.ts'
import { retireOverflow } from './overflow.ts'

export class DroppedTrees {
  /** False: no tree is being dropped. True in the beginning: the file may hold some. */
  mayBeSome = true
  readonly #space: PageSpace
  readonly #corruption: Corruption
  readonly #cell = new LeafCell()
  readonly #frames = new Int32Array(HEIGHT_MAX)

  constructor(space: PageSpace, corruption: Corruption) {
    this.#space = space
    this.#corruption = corruption
  }

  /**
   * Frees a leaf or a chain; room has been made. With the last page the entry becomes free.
   * @param entry word of the tree's entry in a writable directory page; not valid afterwards
   * @returns how many pages were freed, 1 at least
   */
  step(entry: number, tree: number): number {
    const { words } = this.#space
    const height = heightOf(words, entry, this.#corruption)
    let reference = entry + ENTRY_ROOT
    for (let level = height - 1; level > 0; level--) {
      const frame = this.#writable(reference, level, tree)
      this.#frames[level] = frame
      const count = nodeCount(words, frame)
      reference = referencesWord(frame, count) + 2 * (count - 1)
    }
    const leaf = this.#space.locate(words[reference]!, words[reference + 1]!)
    checkNode(words, leaf, 0, tree, this.#corruption)
    if (overflowCount(words, leaf) > 0) return this.#freeChain(reference, tree)
    this.#space.retire(words[reference]!)
    return 1 + this.#removeChild(entry, height)
  }

  #writable(reference: number, level: number, tree: number): number {
    const space = this.#space
    const { words } = space
    const copyId = space.writable(words[reference]!, words[reference + 1]!)
    words[reference] = copyId
    words[reference + 1] = NOT_WRITTEN
    const frame = space.locate(copyId, NOT_WRITTEN)
    checkNode(words, frame, level, tree, this.#corruption)
    return frame
  }

  /** Of the last entry in that leaf that has one; the entry goes with it. */
  #freeChain(reference: number, tree: number): number {
    const { bytes, words } = this.#space
    const cell = this.#cell
    const frame = this.#writable(reference, 0, tree)
    const count = nodeCount(words, frame)
    for (let index = count - 1; index >= 0; index--) {
      cell.read(bytes, words, frame, words[slotsWord(frame, count) + index]!, this.#corruption)
      if (!cell.isOverflow) continue
      const pageId = words[cell.referenceWord]!
      const checksum = words[cell.referenceWord + 1]!
      clearReference(words, cell.referenceWord)
      removeEntry(words, frame, true, index, cell.cellBytes)
      countOverflows(words, frame, -1)
      return retireOverflow(this.#space, pageId, checksum, tree, cell.valueBytes, this.#corruption)
    }
    const pageId = words[frame * PAGE_WORDS + PAGE_ID_WORD]!
    const stated = overflowCount(words, frame)
    return this.#corruption.fail(pageId, 'cells with overflow pages', stated, 0)
  }

  /** Takes the last child from its branch, and the branches that are empty then; returns how many those were. */
  #removeChild(entry: number, height: number): number {
    const { words } = this.#space
    for (let level = 1; level < height; level++) {
      const frame = this.#frames[level]!
      const count = nodeCount(words, frame)
      if (count > 1) {
        const slot = words[slotsWord(frame, count) + count - 1]!
        removeEntry(words, frame, false, count - 1, restBytes(slot >>> 16))
        return level - 1
      }
      this.#space.retire(words[frame * PAGE_WORDS + PAGE_ID_WORD]!)
    }
    for (let word = 0; word < DIRECTORY_ENTRY_WORDS; word++) words[entry + word] = 0
    return height - 1
  }
}
