/**
 * The directory: for each tree its root, its height, its number of entries, its definition. Up to eight pages,
 * which every published state names.
 */

import { NO_PAGE, PAGE_WORDS, PageKind } from '../page/page.ts'
import type { PageSource } from '../page/page-space.ts'
import type { Corruption } from './corruption.ts'
import {
  DIRECTORY_ENTRIES,
  DIRECTORY_ENTRY_WORDS,
  DIRECTORY_FIRST_WORD,
  ENTRY_STATE,
  HEIGHT_MAX,
  PAGE_WHAT_WORD,
} from './layout.ts'

const DIRECTORY_PAGES_MAX = 8

/** References to the directory's pages; 0 where there is none. */
export class DirectoryReferences {
  readonly pages: Uint32Array = new Uint32Array(DIRECTORY_PAGES_MAX)
  readonly checksums: Uint32Array = new Uint32Array(DIRECTORY_PAGES_MAX)
}

/** What any holder of such references looks like to those who only read. */
export interface DirectoryView {
  readonly pages: Uint32Array
  readonly checksums: Uint32Array
}

export const TreeState = { free: 0, live: 1, dropping: 2 } as const

export function directoryPageOf(tree: number): number {
  return Math.floor(tree / DIRECTORY_ENTRIES)
}

/** Word of the tree's entry, given its page's frame. */
export function entryWord(frame: number, tree: number): number {
  return (
    frame * PAGE_WORDS + DIRECTORY_FIRST_WORD + (tree % DIRECTORY_ENTRIES) * DIRECTORY_ENTRY_WORDS
  )
}

/** Word of the tree's entry; -1 when no page has one. */
export function locateEntry(
  source: PageSource,
  directory: DirectoryView,
  tree: number,
  corruption: Corruption,
): number {
  const index = directoryPageOf(tree)
  const pageId = directory.pages[index] ?? NO_PAGE
  if (pageId === NO_PAGE) return -1
  const frame = source.locate(pageId, directory.checksums[index]!)
  const kind = source.words[frame * PAGE_WORDS + PAGE_WHAT_WORD]! & 0xff
  if (kind !== PageKind.directory) corruption.fail(pageId, 'page kind', PageKind.directory, kind)
  return entryWord(frame, tree)
}

export function stateOf(words: Uint32Array, entry: number): number {
  return words[entry + ENTRY_STATE]! & 0xff
}

/** Number of levels, checked. */
export function heightOf(words: Uint32Array, entry: number, corruption: Corruption): number {
  const height = (words[entry + ENTRY_STATE]! >>> 8) & 0xff
  if (height < 1 || height > HEIGHT_MAX) {
    corruption.fail(words[entry]!, 'height of the tree', `from 1 to ${HEIGHT_MAX}`, height)
  }
  return height
}
