/**
 * Values too long for a leaf: chains of overflow pages, each with a reference to the next, built from the tail.
 */

import {
  NO_PAGE,
  NOT_WRITTEN,
  PAGE_BYTES,
  PAGE_ID_WORD,
  PAGE_WORDS,
  PageKind,
} from '../page/page.ts'
import type { PageSource, PageSpace } from '../page/page-space.ts'
import type { Corruption } from './corruption.ts'
import {
  OVERFLOW_DATA_BYTE,
  OVERFLOW_DATA_BYTES,
  OVERFLOW_NEXT_WORD,
  OVERFLOW_REMAINING_WORD,
  PAGE_WHAT_WORD,
  TREE_SHIFT,
} from './layout.ts'
import { writeSequence } from './sequence.ts'

/** A reader allocates so much before it has seen that the chain is as long as it says. */
const TRUSTED_BYTES = 1024 * 1024
const BUILT_AT_ONCE = 32

function whatWord(tree: number): number {
  return (PageKind.overflow | (tree << TREE_SHIFT)) >>> 0
}

/** Checks the page and says how many bytes of the value it holds. */
export function checkOverflowPage(
  source: PageSource,
  frame: number,
  pageId: number,
  tree: number,
  remaining: number,
  corruption: Corruption,
): number {
  const base = frame * PAGE_WORDS
  const what = source.words[base + PAGE_WHAT_WORD]!
  if (what !== whatWord(tree)) corruption.fail(pageId, 'kind and tree', whatWord(tree), what)
  const stated = source.words[base + OVERFLOW_REMAINING_WORD]!
  if (stated !== remaining) corruption.fail(pageId, 'rest of the value', remaining, stated)
  const next = source.words[base + OVERFLOW_NEXT_WORD]!
  if (remaining > OVERFLOW_DATA_BYTES && next === NO_PAGE) {
    corruption.fail(pageId, 'next overflow page', 'one', 'none')
  }
  return Math.min(remaining, OVERFLOW_DATA_BYTES)
}

/** A copy of the value on the heap. */
export function readOverflow(
  source: PageSource,
  firstPageId: number,
  firstChecksum: number,
  tree: number,
  valueBytes: number,
  corruption: Corruption,
): Buffer {
  let value = Buffer.allocUnsafe(Math.min(valueBytes, TRUSTED_BYTES))
  let pageId = firstPageId
  let checksum = firstChecksum
  let at = 0
  while (at < valueBytes) {
    const frame = source.locate(pageId, checksum)
    const length = checkOverflowPage(source, frame, pageId, tree, valueBytes - at, corruption)
    if (at + length > value.length) {
      const grown = Buffer.allocUnsafe(Math.min(valueBytes, 2 * value.length))
      grown.set(value.subarray(0, at))
      value = grown
    }
    const start = frame * PAGE_BYTES + OVERFLOW_DATA_BYTE
    value.set(source.bytes.subarray(start, start + length), at)
    at += length
    const next = frame * PAGE_WORDS + OVERFLOW_NEXT_WORD
    pageId = source.words[next]!
    checksum = source.words[next + 1]!
  }
  return value
}

/** Makes the chain; returns its first page. Calls `makeRoom`: no frame located before is valid any more. */
export function buildOverflow(
  space: PageSpace,
  tree: number,
  value: Uint8Array,
  sequence: number,
): number {
  let next = NO_PAGE
  const pages = Math.ceil(value.length / OVERFLOW_DATA_BYTES)
  for (let index = pages - 1; index >= 0; index--) {
    if ((pages - index) % BUILT_AT_ONCE === 1) space.makeRoom(BUILT_AT_ONCE)
    const frame = space.allocate()
    const base = frame * PAGE_WORDS
    const start = index * OVERFLOW_DATA_BYTES
    space.words[base + PAGE_WHAT_WORD] = whatWord(tree)
    writeSequence(space.words, frame, sequence)
    space.words[base + OVERFLOW_REMAINING_WORD] = value.length - start
    space.words[base + OVERFLOW_NEXT_WORD] = next
    space.words[base + OVERFLOW_NEXT_WORD + 1] = NOT_WRITTEN
    space.bytes.set(
      value.subarray(start, start + OVERFLOW_DATA_BYTES),
      frame * PAGE_BYTES + OVERFLOW_DATA_BYTE,
    )
    next = space.words[base + PAGE_ID_WORD]!
  }
  return next
}

/** Retires the chain; returns how many pages it had. Calls `makeRoom`, as `buildOverflow` does. */
export function retireOverflow(
  space: PageSpace,
  firstPageId: number,
  firstChecksum: number,
  tree: number,
  valueBytes: number,
  corruption: Corruption,
): number {
  let pageId = firstPageId
  let checksum = firstChecksum
  let pages = 0
  for (let remaining = valueBytes; remaining > 0; ) {
    space.makeRoom(1)
    const frame = space.locate(pageId, checksum)
    remaining -= checkOverflowPage(space, frame, pageId, tree, remaining, corruption)
    const next = frame * PAGE_WORDS + OVERFLOW_NEXT_WORD
    const nextId = space.words[next]!
    checksum = space.words[next + 1]!
    space.retire(pageId)
    pageId = nextId
    pages++
  }
  return pages
}
