/** The highest commit sequence in a page: reading and raising it. */
import { PAGE_SEQUENCE_HIGH_WORD, PAGE_SEQUENCE_LOW_WORD, PAGE_WORDS } from '../page/page.ts'
import { LEAF_DELETED_HIGH_WORD, LEAF_DELETED_LOW_WORD, U32_RANGE } from './layout.ts'

export function readSequence(words: Uint32Array, frame: number): number {
  const base = frame * PAGE_WORDS
  return words[base + PAGE_SEQUENCE_HIGH_WORD]! * U32_RANGE + words[base + PAGE_SEQUENCE_LOW_WORD]!
}

export function writeSequence(words: Uint32Array, frame: number, sequence: number): void {
  const base = frame * PAGE_WORDS
  words[base + PAGE_SEQUENCE_LOW_WORD] = sequence
  words[base + PAGE_SEQUENCE_HIGH_WORD] = sequence < U32_RANGE ? 0 : sequence / U32_RANGE
}

/** Highest sequence of a deletion in a leaf. */
export function readDeleted(words: Uint32Array, frame: number): number {
  const base = frame * PAGE_WORDS
  return words[base + LEAF_DELETED_HIGH_WORD]! * U32_RANGE + words[base + LEAF_DELETED_LOW_WORD]!
}

export function writeDeleted(words: Uint32Array, frame: number, sequence: number): void {
  const base = frame * PAGE_WORDS
  words[base + LEAF_DELETED_LOW_WORD] = sequence
  words[base + LEAF_DELETED_HIGH_WORD] = sequence < U32_RANGE ? 0 : sequence / U32_RANGE
}
