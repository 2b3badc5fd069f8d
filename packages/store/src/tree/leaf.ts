/** Cells of leaves: reading and writing one. See `layout.ts`. */

import { PAGE_BYTES, PAGE_ID_WORD, PAGE_WORDS } from '../page/page.ts'
import { VALUE_BYTES_MAX } from '../sequencer/command.ts'
import type { Corruption } from './corruption.ts'
import {
  INLINE_BYTES_MAX,
  LEAF_CELL_HEADER_BYTES,
  OVERFLOW_AREA_BYTES,
  OVERFLOW_FLAG,
  SEQUENCE_ABOVE_MASK,
  SEQUENCE_ABOVE_SHIFT,
  U32_RANGE,
  VALUE_BYTES_MASK,
} from './layout.ts'
import { cellPlace, restBytes, suffixBytes } from './node.ts'

/** What an entry's value is: bytes in the leaf, or a chain of overflow pages. Fields, so that none is allocated. */
export class LeafCell {
  sequence = 0
  isOverflow = false
  /** Length of the value, wherever it is. */
  valueBytes = 0
  /** Absolute: of a value in the leaf its first byte, otherwise of the reference's area. */
  valueStart = 0
  /** Of the whole cell. */
  cellBytes = 0
  /** Absolute word of the reference to the first overflow page. */
  referenceWord = 0

  /** @throws StoreCorruptError when the cell does not lie within its page */
  read(
    bytes: Uint8Array,
    words: Uint32Array,
    frame: number,
    slot: number,
    corruption: Corruption,
  ): void {
    const place = cellPlace(slot)
    const at = frame * PAGE_BYTES + place
    const info = bytes[at]! | (bytes[at + 1]! << 8)
    const above = (info >>> SEQUENCE_ABOVE_SHIFT) & SEQUENCE_ABOVE_MASK
    const valuePlace = place + LEAF_CELL_HEADER_BYTES + above + restBytes(suffixBytes(slot))
    this.isOverflow = (info & OVERFLOW_FLAG) !== 0
    const area = this.isOverflow ? OVERFLOW_AREA_BYTES : info & VALUE_BYTES_MASK
    if (valuePlace + area > PAGE_BYTES) {
      corruption.fail(
        words[frame * PAGE_WORDS + PAGE_ID_WORD]!,
        'cell',
        'one within the page',
        `${valuePlace + area - place} bytes at ${place}`,
      )
    }
    this.cellBytes = valuePlace + area - place
    this.valueStart = frame * PAGE_BYTES + valuePlace
    this.sequence =
      (bytes[at + 2]! | (bytes[at + 3]! << 8) | (bytes[at + 4]! << 16) | (bytes[at + 5]! << 24)) >>>
      0
    if (above > 0) this.#readAbove(bytes, at + LEAF_CELL_HEADER_BYTES, above)
    this.valueBytes = area
    if (this.isOverflow) this.#readOverflow(words, frame, corruption)
  }

  #readAbove(bytes: Uint8Array, at: number, above: number): void {
    let factor = U32_RANGE
    for (let index = 0; index < above; index++) {
      this.sequence += bytes[at + index]! * factor
      factor *= 256
    }
  }

  #readOverflow(words: Uint32Array, frame: number, corruption: Corruption): void {
    this.referenceWord = (this.valueStart + 3) >>> 2
    this.valueBytes = words[this.referenceWord + 2]!
    if (this.valueBytes > VALUE_BYTES_MAX || this.valueBytes === 0) {
      corruption.fail(
        words[frame * PAGE_WORDS + PAGE_ID_WORD]!,
        'length of a value in overflow pages',
        `from 1 to ${VALUE_BYTES_MAX}`,
        this.valueBytes,
      )
    }
  }
}

/** Whether a value has its place in the leaf. */
export function isInline(keyBytes: number, valueBytes: number): boolean {
  return keyBytes + valueBytes <= INLINE_BYTES_MAX
}

/** How many bytes a sequence has above 32 bits. */
function bytesAbove(sequence: number): number {
  if (sequence < U32_RANGE) return 0
  const above = Math.floor(sequence / U32_RANGE)
  return above < 0x100 ? 1 : above < 0x1_0000 ? 2 : 3
}

/** What a cell has beside the key's bytes. */
export function cellBytesWithoutKey(sequence: number, areaBytes: number): number {
  return LEAF_CELL_HEADER_BYTES + bytesAbove(sequence) + areaBytes
}

/** Writes what stands before the key; returns the byte after it. @param at absolute */
export function writeCellHeader(
  bytes: Uint8Array,
  at: number,
  sequence: number,
  areaBytes: number,
  isOverflow: boolean,
): number {
  const above = bytesAbove(sequence)
  const info = (isOverflow ? OVERFLOW_FLAG : areaBytes) | (above << SEQUENCE_ABOVE_SHIFT)
  bytes[at] = info
  bytes[at + 1] = info >>> 8
  bytes[at + 2] = sequence
  bytes[at + 3] = sequence >>> 8
  bytes[at + 4] = sequence >>> 16
  bytes[at + 5] = sequence >>> 24
  let rest = Math.floor(sequence / U32_RANGE)
  for (let index = 0; index < above; index++) {
    bytes[at + LEAF_CELL_HEADER_BYTES + index] = rest
    rest = Math.floor(rest / 256)
  }
  return at + LEAF_CELL_HEADER_BYTES + above
}

/** @param at first byte of the area, absolute */
export function writeOverflowArea(
  words: Uint32Array,
  at: number,
  pageId: number,
  checksum: number,
  valueBytes: number,
): void {
  const word = (at + 3) >>> 2
  words[word] = pageId
  words[word + 1] = checksum
  words[word + 2] = valueBytes
}
