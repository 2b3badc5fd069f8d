/**
 * A walk over all that a directory leads to: is every page what its place in the tree says, in order, counted, and
 * referred to once? Repairs nothing; goes on after what it finds, beside the page that is wrong.
 *
 * Threads: any, over its own source; the version must stay (pinned), and each step of the iteration must be within a
 * read. Work between two findings is not bounded: `onPage` is called for each page.
 *
 * A tree that is being dropped is walked for its pages only: its end is missing.
 */
import { isRingboltError } from '@ringbolt/ring'
import { NO_PAGE, PAGE_BYTES, PAGE_ID_WORD, PAGE_WORDS } from '../page/page.ts'
import type { PageSource } from '../page/page-space.ts'
import { KEY_BYTES_MAX } from '../sequencer/command.ts'
import { Corruption, MAIN_FILE } from './corruption.ts'
import {
  type DirectoryView,
  directoryPageOf,
  heightOf,
  locateEntry,
  stateOf,
  TreeState,
} from './directory.ts'
import {
  DIRECTORY_ENTRIES,
  ENTRY_CHECKSUM,
  ENTRY_COUNT_HIGH,
  ENTRY_COUNT_LOW,
  ENTRY_ROOT,
  NO_FENCE,
  NODE_HEADS_WORD,
  OVERFLOW_DATA_BYTES,
  OVERFLOW_NEXT_WORD,
  U32_RANGE,
} from './layout.ts'
import { isInline, LeafCell } from './leaf.ts'
import {
  checkNode,
  compareBytes,
  copyKey,
  headOf,
  heapStart,
  highBytes,
  highStart,
  lowBytes,
  lowStart,
  nodeCount,
  prefixBytes,
  referencesWord,
  restBytes,
  slotsWord,
} from './node.ts'
import { garbageBytes, overflowCount } from './node-edit.ts'
import { type Fence, sharedPrefix } from './node-rebuild.ts'
import { checkOverflowPage } from './overflow.ts'
import { readDeleted, readSequence } from './sequence.ts'

export interface TreeFinding {
  readonly pageId: number
  /** Which tree the page was reached through; -1: the directory. */
  readonly tree: number
  readonly problem: string
}

export interface VerifyOptions {
  /** The file's name, for messages. */
  readonly file?: string
  /** Gets each page that is reached, once. */
  readonly onPage?: (pageId: number) => void
}

const EMPTY = new Uint8Array(0)

/** Everything wrong with the trees of that directory. */
export function* verifyTrees(
  source: PageSource,
  directory: DirectoryView,
  options: VerifyOptions = {},
): Generator<TreeFinding, void, undefined> {
  const verifier = new Verifier(source, options)
  for (let index = 0; index < directory.pages.length; index++) {
    if (directory.pages[index] === NO_PAGE) continue
    if (!verifier.reach(directory.pages[index]!, -1)) {
      yield* verifier.taken()
      continue
    }
    for (let tree = index * DIRECTORY_ENTRIES; directoryPageOf(tree) === index; tree++) {
      verifier.verifyTree(directory, tree)
      yield* verifier.taken()
    }
  }
}

/** What a page's place says about it. */
interface Place {
  readonly pageId: number
  readonly checksum: number
  readonly level: number
  readonly low: Uint8Array
  readonly high: Fence
  /** Highest sequence of the page above. */
  readonly sequence: number
}

class Verifier {
  readonly #source: PageSource
  readonly #corruption: Corruption
  readonly #onPage: (pageId: number) => void
  readonly #reached = new Set<number>()
  readonly #cell = new LeafCell()
  readonly #key = new Uint8Array(KEY_BYTES_MAX)
  readonly #before = new Uint8Array(KEY_BYTES_MAX)
  #findings: TreeFinding[] = []
  #tree = 0
  #entries = 0
  #isWhole = true

  constructor(source: PageSource, { file = MAIN_FILE, onPage = () => undefined }: VerifyOptions) {
    this.#source = source
    this.#corruption = new Corruption(file)
    this.#onPage = onPage
  }

  /** What was found since it was asked last. */
  taken(): TreeFinding[] {
    const findings = this.#findings
    this.#findings = []
    return findings
  }

  /** False when the page was reached before. */
  reach(pageId: number, tree: number): boolean {
    this.#tree = tree
    if (this.#reached.has(pageId)) {
      this.#find(pageId, 'is referred to more than once')
      return false
    }
    this.#reached.add(pageId)
    this.#onPage(pageId)
    return true
  }

  verifyTree(directory: DirectoryView, tree: number): void {
    this.#tree = tree
    const directoryPage = directory.pages[directoryPageOf(tree)]!
    this.#guarded(directoryPage, () => {
      const { words } = this.#source
      const entry = locateEntry(this.#source, directory, tree, this.#corruption)
      const state = stateOf(words, entry)
      if (state === TreeState.free) return
      if (state > TreeState.dropping) this.#find(directoryPage, `tree in state ${state}`)
      this.#entries = 0
      this.#isWhole = state === TreeState.live
      const stated = words[entry + ENTRY_COUNT_HIGH]! * U32_RANGE + words[entry + ENTRY_COUNT_LOW]!
      this.#verifyPage({
        pageId: words[entry + ENTRY_ROOT]!,
        checksum: words[entry + ENTRY_CHECKSUM]!,
        level: heightOf(words, entry, this.#corruption) - 1,
        low: EMPTY,
        high: undefined,
        sequence: Infinity,
      })
      if (this.#isWhole && this.#entries !== stated) {
        this.#find(directoryPage, `${stated} entries stated, ${this.#entries} found`)
      }
    })
  }

  #find(pageId: number, problem: string): void {
    this.#findings.push({ pageId, tree: this.#tree, problem })
  }

  /** What a page cannot be read for is a finding, too. */
  #guarded(pageId: number, verify: () => void): void {
    try {
      verify()
    } catch (error) {
      if (!isRingboltError(error) || error.code !== 'RINGBOLT_CORRUPT') throw error
      this.#find(pageId, error.message)
    }
  }

  #verifyPage(place: Place): void {
    const { pageId, checksum, level } = place
    if (!this.reach(pageId, this.#tree)) return
    this.#guarded(pageId, () => {
      const { words } = this.#source
      const frame = this.#source.locate(pageId, checksum)
      checkNode(words, frame, level, this.#tree, this.#corruption)
      if (this.#isWhole) this.#verifyNode(frame, place)
      if (level === 0) this.#verifyLeaf(frame, pageId)
      else this.#verifyChildren(frame, place)
    })
  }

  #fence(frame: number, isHigh: boolean): Fence {
    const { bytes, words } = this.#source
    const length = isHigh ? highBytes(words, frame) : lowBytes(words, frame)
    if (isHigh && length === NO_FENCE) return undefined
    const start = isHigh ? highStart(words, frame) : lowStart(words, frame)
    return new Uint8Array(bytes.subarray(start, start + length))
  }

  #verifyNode(frame: number, { pageId, level, low, high, sequence }: Place): void {
    const { words } = this.#source
    const ownLow = this.#fence(frame, false) ?? EMPTY
    const ownHigh = this.#fence(frame, true)
    if (Buffer.compare(ownLow, low) !== 0) this.#find(pageId, 'low fence differs from above')
    if (!areEqual(ownHigh, high)) this.#find(pageId, 'high fence differs from above')
    const prefix = sharedPrefix(ownLow, ownHigh)
    if (prefixBytes(words, frame) !== prefix) {
      this.#find(pageId, `prefix of ${prefixBytes(words, frame)} bytes, expected ${prefix}`)
    }
    if (words[frame * PAGE_WORDS + PAGE_ID_WORD] !== pageId) this.#find(pageId, 'has another id')
    const own = readSequence(words, frame)
    if (own > sequence) this.#find(pageId, `sequence ${own} above its parent's ${sequence}`)
    if (level === 0 && readDeleted(words, frame) > own) {
      this.#find(pageId, `deletion at ${readDeleted(words, frame)} above the page's ${own}`)
    }
    this.#verifyKeys(frame, level === 0, pageId, ownLow, ownHigh)
  }

  #verifyKeys(frame: number, isLeaf: boolean, pageId: number, low: Uint8Array, high: Fence): void {
    const { bytes, words } = this.#source
    const count = nodeCount(words, frame)
    const prefix = prefixBytes(words, frame)
    let cells = 0
    let lengthBefore = -1
    for (let index = 0; index < count; index++) {
      const length = copyKey(bytes, words, frame, isLeaf, index, this.#key, this.#corruption)
      const key = this.#key.subarray(0, length)
      cells += this.#cellBytes(frame, isLeaf, index)
      if (words[frame * PAGE_WORDS + NODE_HEADS_WORD + index] !== headOf(key, prefix, length)) {
        this.#find(pageId, `head of entry ${index} has bytes beyond its key`)
      }
      if (lengthBefore >= 0 && compareBytes(this.#before, 0, lengthBefore, key, 0, length) >= 0) {
        this.#find(pageId, `entry ${index} is not above the one before`)
      }
      if (Buffer.compare(key, low) < 0 || (high !== undefined && Buffer.compare(key, high) >= 0)) {
        this.#find(pageId, `entry ${index} is not between the fences`)
      }
      this.#before.set(key)
      lengthBefore = length
    }
    const fences = low.length + (high === undefined ? 0 : high.length)
    const heap = PAGE_BYTES - fences - heapStart(words, frame)
    if (cells + garbageBytes(words, frame) !== heap) {
      const garbage = garbageBytes(words, frame)
      this.#find(pageId, `cells of ${cells} bytes and garbage of ${garbage} in a heap of ${heap}`)
    }
  }

  #cellBytes(frame: number, isLeaf: boolean, index: number): number {
    const { bytes, words } = this.#source
    const slot = words[slotsWord(frame, nodeCount(words, frame)) + index]!
    if (!isLeaf) return restBytes(slot >>> 16)
    this.#cell.read(bytes, words, frame, slot, this.#corruption)
    return this.#cell.cellBytes
  }

  // ---- branches ---------------------------------------------------------------------------------

  #verifyChildren(frame: number, { pageId, level, low, high }: Place): void {
    const { words } = this.#source
    const count = nodeCount(words, frame)
    const sequence = this.#isWhole ? readSequence(words, frame) : Infinity
    const fences: Fence[] = []
    const references: number[] = []
    for (let index = 0; index < count; index++) {
      fences.push(this.#copyOfKey(frame, index))
      const reference = referencesWord(frame, count) + 2 * index
      references.push(words[reference]!, words[reference + 1]!)
    }
    if (this.#isWhole && !areEqual(fences[0], low)) {
      this.#find(pageId, 'the first entry is not the low fence')
    }
    fences.push(high)
    for (let index = 0; index < count; index++) {
      const childId = references[2 * index]!
      if (childId === NO_PAGE) {
        this.#find(pageId, `entry ${index} refers to page ${childId}`)
        continue
      }
      this.#verifyPage({
        pageId: childId,
        checksum: references[2 * index + 1]!,
        level: level - 1,
        low: fences[index] ?? EMPTY,
        high: fences[index + 1],
        sequence,
      })
    }
  }

  #copyOfKey(frame: number, index: number): Uint8Array {
    const { bytes, words } = this.#source
    const length = copyKey(bytes, words, frame, false, index, this.#key, this.#corruption)
    return this.#key.slice(0, length)
  }

  // ---- leaves -----------------------------------------------------------------------------------

  #verifyLeaf(frame: number, pageId: number): void {
    const { bytes, words } = this.#source
    const count = nodeCount(words, frame)
    const highest = readSequence(words, frame)
    const cell = this.#cell
    const chains: [pageId: number, checksum: number, valueBytes: number][] = []
    this.#entries += count
    for (let index = 0; index < count; index++) {
      const slot = words[slotsWord(frame, count) + index]!
      cell.read(bytes, words, frame, slot, this.#corruption)
      if (cell.sequence > highest) {
        this.#find(
          pageId,
          `entry ${index} of sequence ${cell.sequence} above the page's ${highest}`,
        )
      }
      const keyBytes = prefixBytes(words, frame) + (slot >>> 16)
      if (isInline(keyBytes, cell.valueBytes) === cell.isOverflow) {
        this.#find(pageId, `value of ${cell.valueBytes} bytes of entry ${index} in the wrong place`)
      }
      if (!cell.isOverflow) continue
      const word = cell.referenceWord
      chains.push([words[word]!, words[word + 1]!, cell.valueBytes])
    }
    if (overflowCount(words, frame) !== chains.length) {
      const stated = overflowCount(words, frame)
      this.#find(pageId, `${stated} cells with overflow pages stated, ${chains.length} found`)
    }
    for (const [first, checksum, valueBytes] of chains)
      this.#verifyChain(first, checksum, valueBytes)
  }

  #verifyChain(first: number, firstChecksum: number, valueBytes: number): void {
    let pageId = first
    let checksum = firstChecksum
    for (let remaining = valueBytes; remaining > 0; remaining -= OVERFLOW_DATA_BYTES) {
      if (!this.reach(pageId, this.#tree)) return
      let isSound = false
      const here = pageId
      const rest = remaining
      this.#guarded(here, () => {
        const frame = this.#source.locate(here, checksum)
        checkOverflowPage(this.#source, frame, here, this.#tree, rest, this.#corruption)
        const next = frame * PAGE_WORDS + OVERFLOW_NEXT_WORD
        pageId = this.#source.words[next]!
        checksum = this.#source.words[next + 1]!
        isSound = true
      })
      if (!isSound) return
    }
    if (pageId !== NO_PAGE) this.#find(pageId, 'comes after the end of a value')
  }
}

function areEqual(a: Fence, b: Fence): boolean {
  if (a === undefined || b === undefined) return a === b
  return Buffer.compare(a, b) === 0
}
