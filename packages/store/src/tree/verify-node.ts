/** What `verify.ts` asks of one leaf or branch. */
import type { IntegrityKind } from '../finding.ts'
import { PAGE_BYTES, PAGE_ID_WORD, PAGE_WORDS, PageKind } from '../page/page.ts'
import type { PageSource } from '../page/page-space.ts'
import { KEY_BYTES_MAX } from '../sequencer/command.ts'
import type { Corruption } from './corruption.ts'
import {
  HEAD_BYTES,
  LEVEL_SHIFT,
  NO_FENCE,
  NODE_HEADS_WORD,
  PAGE_WHAT_WORD,
  TREE_SHIFT,
} from './layout.ts'
import { isInline, LeafCell } from './leaf.ts'
import {
  compareBytes,
  copyPrefix,
  copySuffix,
  headOf,
  heapStart,
  highBytes,
  highStart,
  lowBytes,
  lowStart,
  nodeCount,
  prefixBytes,
  restBytes,
  slotsWord,
} from './node.ts'
import { garbageBytes, overflowCount } from './node-edit.ts'
import { type Fence, sharedPrefix } from './node-rebuild.ts'
import { readDeleted, readSequence } from './sequence.ts'
import type { EntryVisitor } from './verify.ts'

/** What a page's place says about it. */
export interface Place {
  readonly pageId: number
  readonly checksum: number
  readonly level: number
  readonly low: Uint8Array
  readonly high: Fence
  /** Highest sequence of the page above. */
  readonly sequence: number
  /** The page that refers to it. */
  readonly parent: number
}

/** A value in overflow pages. */
export interface Chain {
  readonly key: Uint8Array
  /** The leaf. */
  readonly leaf: number
  readonly pageId: number
  readonly checksum: number
  readonly valueBytes: number
}

export type Found = (
  kind: IntegrityKind,
  pageId: number,
  what: string,
  expected: string | number,
  actual: string | number,
  words?: { problem?: string },
) => void

const EMPTY = new Uint8Array(0)
/** Of a leaf or branch of that tree; undefined for anything else. */
export function levelOf(words: Uint32Array, frame: number, tree: number): number | undefined {
  const what = words[frame * PAGE_WORDS + PAGE_WHAT_WORD]!
  const kind = what & 0xff
  const isNode = kind === PageKind.leaf || kind === PageKind.branch
  return isNode && what >>> TREE_SHIFT === tree ? (what >>> LEVEL_SHIFT) & 0xff : undefined
}

/** Each page has passed `checkNode`. */
export class NodeCheck {
  readonly #source: PageSource
  readonly #bytes: Buffer
  readonly #corruption: Corruption
  readonly #found: Found
  readonly #cell = new LeafCell()
  #key = new Uint8Array(KEY_BYTES_MAX)
  #before = new Uint8Array(KEY_BYTES_MAX)
  #beforeBytes = -1
  #cellBytes = 0

  constructor(source: PageSource, corruption: Corruption, found: Found) {
    const { bytes } = source
    this.#source = source
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#corruption = corruption
    this.#found = found
  }

  /** What stands in the head against the page above. */
  bounds(frame: number, { pageId, level, low, high, sequence }: Place): void {
    const { words } = this.#source
    const ownLow = this.#fence(frame, false) ?? EMPTY
    const ownHigh = this.#fence(frame, true)
    if (!areEqual(ownLow, low)) this.#fenceDiffers(pageId, 'low', low, ownLow)
    if (!areEqual(ownHigh, high)) this.#fenceDiffers(pageId, 'high', high, ownHigh)
    const expected = sharedPrefix(ownLow, ownHigh)
    const prefix = prefixBytes(words, frame)
    if (prefix !== expected) {
      const problem = `prefix of ${prefix} bytes, expected ${expected}`
      this.#found('page', pageId, 'length of the prefix', expected, prefix, { problem })
    }
    const ownId = words[frame * PAGE_WORDS + PAGE_ID_WORD]!
    if (ownId !== pageId) {
      this.#found('checksum', pageId, 'page id', pageId, ownId, { problem: 'has another id' })
    }
    const own = readSequence(words, frame)
    if (own > sequence) {
      const problem = `sequence ${own} above its parent's ${sequence}`
      this.#found('sequence', pageId, 'sequence', `at most ${sequence}`, own, { problem })
    }
    const deleted = level === 0 ? readDeleted(words, frame) : 0
    if (deleted > own) {
      const problem = `deletion at ${deleted} above the page's ${own}`
      this.#found('sequence', pageId, 'sequence of a deletion', `at most ${own}`, deleted, {
        problem,
      })
    }
  }

  branch(frame: number, { pageId, low }: Place): void {
    const { words } = this.#source
    const count = nodeCount(words, frame)
    this.#beginEntries(frame)
    for (let index = 0; index < count; index++) {
      const keyBytes = this.#entry(frame, false, index, pageId)
      this.#cellBytes += restBytes(words[slotsWord(frame, count) + index]! >>> 16)
      if (index === 0 && !areEqual(this.#key.subarray(0, keyBytes), low)) {
        const problem = 'the first entry is not the low fence'
        const shown = textOf(this.#key.subarray(0, keyBytes))
        this.#found('fence', pageId, 'first key', textOf(low), shown, { problem })
      }
      this.#next(keyBytes)
    }
    this.#endEntries(frame, pageId)
  }

  /**
   * Hands the entries out, and says which values stand in overflow pages.
   * @param isWhole false: the tree is being dropped, only its pages matter
   */
  leaf(
    frame: number,
    pageId: number,
    isWhole: boolean,
    visitor: EntryVisitor | undefined,
  ): readonly Chain[] {
    const { words } = this.#source
    const count = nodeCount(words, frame)
    const highest = readSequence(words, frame)
    const slots = slotsWord(frame, count)
    const cell = this.#cell
    const chains: Chain[] = []
    this.#beginEntries(frame)
    for (let index = 0; index < count; index++) {
      const keyBytes = this.#entry(frame, true, index, pageId)
      cell.read(this.#bytes, words, frame, words[slots + index]!, this.#corruption)
      this.#cellBytes += cell.cellBytes
      if (cell.sequence > highest && isWhole) {
        const problem = `entry ${index} of sequence ${cell.sequence} above the page's ${highest}`
        const what = `sequence of entry ${index}`
        this.#found('sequence', pageId, what, `at most ${highest}`, cell.sequence, { problem })
      }
      if (isInline(keyBytes, cell.valueBytes) === cell.isOverflow) {
        const problem = `value of ${cell.valueBytes} bytes of entry ${index} in the wrong place`
        const [here, there] = ['the leaf', 'overflow pages']
        const [expected, actual] = cell.isOverflow ? [here, there] : [there, here]
        this.#found('overflow', pageId, 'place of a value', expected, actual, { problem })
      }
      if (cell.isOverflow) {
        chains.push(this.#chain(keyBytes, pageId))
      } else if (visitor !== undefined) {
        const start = cell.valueStart
        visitor.entry(this.#key, keyBytes, this.#bytes, start, start + cell.valueBytes, pageId)
      }
      this.#next(keyBytes)
    }
    const stated = overflowCount(words, frame)
    if (stated !== chains.length) {
      const problem = `${stated} cells with overflow pages stated, ${chains.length} found`
      const what = 'cells with overflow pages'
      this.#found('count', pageId, what, chains.length, stated, { problem })
    }
    if (isWhole) this.#endEntries(frame, pageId)
    return chains
  }

  #chain(keyBytes: number, leaf: number): Chain {
    const { words } = this.#source
    const { referenceWord, valueBytes } = this.#cell
    return {
      key: this.#key.slice(0, keyBytes),
      leaf,
      pageId: words[referenceWord]!,
      checksum: words[referenceWord + 1]!,
      valueBytes,
    }
  }

  #beginEntries(frame: number): void {
    const { words } = this.#source
    copyPrefix(this.#bytes, words, frame, this.#key)
    copyPrefix(this.#bytes, words, frame, this.#before)
    this.#beforeBytes = -1
    this.#cellBytes = 0
  }

  /** Copies the key, and holds it against its head and the one before. Returns its length. */
  #entry(frame: number, isLeaf: boolean, index: number, pageId: number): number {
    const { words } = this.#source
    const key = this.#key
    const keyBytes = copySuffix(this.#bytes, words, frame, isLeaf, index, key, this.#corruption)
    const prefix = prefixBytes(words, frame)
    // Of a longer one the head was copied from there.
    if (keyBytes - prefix < HEAD_BYTES) this.#checkHead(frame, index, keyBytes, pageId)
    const before = this.#beforeBytes
    // All keys of a page share its prefix.
    if (before >= 0 && compareBytes(this.#before, prefix, before, key, prefix, keyBytes) >= 0) {
      const problem = `entry ${index} is not above the one before`
      const expected = `above ${textOf(this.#before.subarray(0, before))}`
      const actual = textOf(key.subarray(0, keyBytes))
      this.#found('key-order', pageId, `key ${index}`, expected, actual, { problem })
    }
    if (before < 0) this.#firstKey(frame, pageId, keyBytes)
    return keyBytes
  }

  #checkHead(frame: number, index: number, keyBytes: number, pageId: number): void {
    const { words } = this.#source
    const head = headOf(this.#key, prefixBytes(words, frame), keyBytes)
    const stored = words[frame * PAGE_WORDS + NODE_HEADS_WORD + index]!
    if (stored === head) return
    const problem = `head of entry ${index} has bytes beyond its key`
    this.#found('page', pageId, `head of entry ${index}`, head, stored, { problem })
  }

  /** The others are above it, or that is a finding. */
  #firstKey(frame: number, pageId: number, keyBytes: number): void {
    const { words } = this.#source
    const start = lowStart(words, frame)
    const end = start + lowBytes(words, frame)
    if (compareBytes(this.#key, 0, keyBytes, this.#bytes, start, end) >= 0) return
    const expected = `from ${textOf(this.#bytes.subarray(start, end))}`
    this.#found('fence', pageId, 'first key', expected, textOf(this.#key.subarray(0, keyBytes)), {
      problem: 'entry 0 is not between the fences',
    })
  }

  #next(keyBytes: number): void {
    const key = this.#key
    this.#key = this.#before
    this.#before = key
    this.#beforeBytes = keyBytes
  }

  #endEntries(frame: number, pageId: number): void {
    const { words } = this.#source
    const last = this.#before.subarray(0, Math.max(0, this.#beforeBytes))
    const own = this.#fence(frame, true)
    if (this.#beforeBytes >= 0 && own !== undefined && Buffer.compare(last, own) >= 0) {
      const problem = `entry ${nodeCount(words, frame) - 1} is not between the fences`
      this.#found('fence', pageId, 'last key', `below ${textOf(own)}`, textOf(last), { problem })
    }
    const fences = lowBytes(words, frame) + (own?.length ?? 0)
    const heap = PAGE_BYTES - fences - heapStart(words, frame)
    const garbage = garbageBytes(words, frame)
    if (this.#cellBytes + garbage === heap) return
    const problem = `cells of ${this.#cellBytes} bytes and garbage of ${garbage} in a heap of ${heap}`
    this.#found('page', pageId, 'cells and garbage', heap, this.#cellBytes + garbage, { problem })
  }

  #fenceDiffers(pageId: number, which: string, expected: Fence, actual: Fence): void {
    this.#found('fence', pageId, `${which} fence`, textOf(expected), textOf(actual), {
      problem: `${which} fence differs from above`,
    })
  }

  #fence(frame: number, isHigh: boolean): Fence {
    const { words } = this.#source
    const length = isHigh ? highBytes(words, frame) : lowBytes(words, frame)
    if (isHigh && length === NO_FENCE) return undefined
    const start = isHigh ? highStart(words, frame) : lowStart(words, frame)
    return new Uint8Array(this.#bytes.subarray(start, start + length))
  }
}

const SHOWN_BYTES_MAX = 32

function textOf(key: Fence): string {
  if (key === undefined) return 'none'
  const hex = Buffer.from(key.subarray(0, SHOWN_BYTES_MAX)).toString('hex')
  return `${hex}${key.length > SHOWN_BYTES_MAX ? '…' : ''} (hex)`
}

function areEqual(a: Fence, b: Fence): boolean {
  if (a === undefined || b === undefined) return a === b
  return a.length === b.length && compareBytes(a, 0, a.length, b, 0, b.length) === 0
}
