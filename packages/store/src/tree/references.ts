/** Where a page of any kind of the trees refers to others: for those who write pages, whatever their content. */
import { NO_PAGE, PAGE_BYTES, PAGE_KIND_BYTE, PAGE_WORDS, PageKind } from '../page/page.ts'
import {
  DIRECTORY_ENTRIES,
  DIRECTORY_ENTRY_WORDS,
  DIRECTORY_FIRST_WORD,
  ENTRY_ROOT,
  LEAF_CELL_HEADER_BYTES,
  OVERFLOW_FLAG,
  OVERFLOW_NEXT_WORD,
  SEQUENCE_ABOVE_MASK,
  SEQUENCE_ABOVE_SHIFT,
} from './layout.ts'
import { arraysEnd, nodeCount, referencesWord, restBytes, slotsWord } from './node.ts'
import { overflowCount } from './node-edit.ts'

/**
 * @param visit gets absolute words: `words[wordIndex]` is a page id, never 0; `words[wordIndex + 1]` its checksum.
 *   Of a page made on purpose it gets words of that page, no others.
 */
export function forEachReference(
  bytes: Uint8Array,
  words: Uint32Array,
  frame: number,
  visit: (wordIndex: number) => void,
): void {
  switch (bytes[frame * PAGE_BYTES + PAGE_KIND_BYTE]!) {
    case PageKind.leaf:
      if (overflowCount(words, frame) > 0) forEachChain(bytes, words, frame, visit)
      break
    case PageKind.branch:
      forEachChild(words, frame, visit)
      break
    case PageKind.overflow:
      visitOne(words, frame * PAGE_WORDS + OVERFLOW_NEXT_WORD, visit)
      break
    case PageKind.directory:
      forEachRoot(words, frame, visit)
      break
    default:
  }
}

function visitOne(words: Uint32Array, word: number, visit: (wordIndex: number) => void): void {
  if (words[word] !== NO_PAGE) visit(word)
}

function forEachChild(words: Uint32Array, frame: number, visit: (wordIndex: number) => void): void {
  const count = nodeCount(words, frame)
  if (arraysEnd(false, count) > PAGE_BYTES) return
  const first = referencesWord(frame, count)
  for (let index = 0; index < count; index++) visitOne(words, first + 2 * index, visit)
}

function forEachRoot(words: Uint32Array, frame: number, visit: (wordIndex: number) => void): void {
  const first = frame * PAGE_WORDS + DIRECTORY_FIRST_WORD + ENTRY_ROOT
  for (let index = 0; index < DIRECTORY_ENTRIES; index++) {
    visitOne(words, first + index * DIRECTORY_ENTRY_WORDS, visit)
  }
}

function forEachChain(
  bytes: Uint8Array,
  words: Uint32Array,
  frame: number,
  visit: (wordIndex: number) => void,
): void {
  const count = nodeCount(words, frame)
  if (arraysEnd(true, count) > PAGE_BYTES) return
  const slots = slotsWord(frame, count)
  for (let index = 0; index < count; index++) {
    const slot = words[slots + index]!
    const place = slot & 0xffff
    if (place + LEAF_CELL_HEADER_BYTES > PAGE_BYTES) continue
    const at = frame * PAGE_BYTES + place
    const info = bytes[at]! | (bytes[at + 1]! << 8)
    if ((info & OVERFLOW_FLAG) === 0) continue
    const above = (info >>> SEQUENCE_ABOVE_SHIFT) & SEQUENCE_ABOVE_MASK
    const area = place + LEAF_CELL_HEADER_BYTES + above + restBytes(slot >>> 16)
    const word = (area + 3) >>> 2
    if (word + 2 < PAGE_WORDS) visitOne(words, frame * PAGE_WORDS + word, visit)
  }
}
