/**
 * A walk over all that a directory leads to: is every page what its place in the tree says, in order, counted, and
 * referred to once? Repairs nothing; goes on after what it finds, beside the page that is wrong. Who wants the
 * entries gets each of them on the way, so that a file is read once.
 *
 * Threads: any, over its own source; the version must stay (pinned), and each step of the iteration must be within a
 * read. A step looks at one page; no frame is kept from one to the next.
 *
 * A tree that is being dropped is walked for its pages only: its end is missing.
 */
import { errorToPlain, isRingboltError } from '@ringbolt/ring'
import type { IntegrityKind } from '../finding.ts'
import { NO_PAGE } from '../page/page.ts'
import type { PageSource } from '../page/page-space.ts'
import { KEY_BYTES_MAX } from '../sequencer/command.ts'
import { PageBits } from '../space/page-bits.ts'
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
  U32_RANGE,
} from './layout.ts'
import { checkNode, copyKey, nodeCount, referencesWord } from './node.ts'
import type { Fence } from './node-rebuild.ts'
import { readSequence } from './sequence.ts'
import { ChainCheck } from './verify-chain.ts'
import { type Chain, type Found, levelOf, NodeCheck, type Place } from './verify-node.ts'

export interface TreeFinding {
  readonly kind: IntegrityKind
  readonly pageId: number
  /** Which tree the page was reached through; -1: the directory. */
  readonly tree: number
  readonly what: string
  readonly expected: string | number
  readonly actual: string | number
  readonly problem: string
}

/** Gets the entries of one tree, those with long values after the others of their leaf. */
export interface EntryVisitor {
  /**
   * The key is the first `keyBytes` of `key`, the value bytes [start, end): both until it returns.
   * @param pageId of the leaf
   */
  entry(
    key: Uint8Array,
    keyBytes: number,
    bytes: Buffer,
    start: number,
    end: number,
    pageId: number,
  ): void
  /** Whether values in overflow pages are put together for it; otherwise it gets their entries without. */
  readonly wantsLongValues: boolean
}

export interface WalkOptions {
  /** The file's name, for messages. */
  readonly file?: string
  readonly onFinding: (finding: TreeFinding) => void
  /** Gets each page that is reached, once. */
  readonly onPage?: (pageId: number) => void
  readonly visitorOf?: (tree: number) => EntryVisitor | undefined
}

const EMPTY = new Uint8Array(0)

/** Everything wrong with the trees of that directory. */
export function* verifyTrees(
  source: PageSource,
  directory: DirectoryView,
  options: Omit<WalkOptions, 'onFinding'> = {},
): Generator<TreeFinding, void, undefined> {
  let findings: TreeFinding[] = []
  const walk = new TreeWalk(source, { ...options, onFinding: (finding) => findings.push(finding) })
  for (const _page of walk.pages(directory)) {
    if (findings.length === 0) continue
    yield* findings
    findings = []
  }
  yield* findings
}

/** Findings after which something of a tree is out of reach, or not where a search looks for it. */
const HARMLESS: ReadonlySet<IntegrityKind> = new Set(['count', 'sequence'])

export class TreeWalk {
  readonly #source: PageSource
  readonly #corruption: Corruption
  readonly #options: WalkOptions
  readonly #nodes: NodeCheck
  readonly #chains: ChainCheck
  readonly #reached = new PageBits()
  readonly #broken = new Set<number>()
  readonly #key = new Uint8Array(KEY_BYTES_MAX)
  /** Still to be looked at, the next one last. */
  #stack: Place[] = []
  #tree = 0
  #entries = 0
  #isWhole = true
  #isComplete = true

  constructor(source: PageSource, options: WalkOptions) {
    const { file = MAIN_FILE } = options
    this.#source = source
    this.#options = options
    this.#corruption = new Corruption(file)
    this.#nodes = new NodeCheck(source, this.#corruption, this.#found)
    this.#chains = new ChainCheck(source, this.#corruption, {
      found: this.#found,
      guarded: (kind, pageId, verify) => this.#guarded(kind, pageId, verify),
      reach: (pageId) => this.reach(pageId, this.#tree),
    })
  }

  /** Pages reached. */
  get reached(): PageBits {
    return this.#reached
  }

  /** Whether nothing stood in the way: what was not reached is not referred to. */
  get isComplete(): boolean {
    return this.#isComplete
  }

  /** Whether all entries of the tree were visited, and a search finds each. */
  isSearchable(tree: number): boolean {
    return !this.#broken.has(tree) && !this.#broken.has(-1)
  }

  /** Yields after each page. */
  *pages(directory: DirectoryView): Generator<void, void, undefined> {
    for (let index = 0; index < directory.pages.length; index++) {
      if (directory.pages[index] === NO_PAGE) continue
      if (!this.#isDirectory(directory, index)) continue
      for (let tree = index * DIRECTORY_ENTRIES; directoryPageOf(tree) === index; tree++) {
        yield* this.#pagesOf(directory, tree)
      }
    }
  }

  #isDirectory(directory: DirectoryView, index: number): boolean {
    const pageId = directory.pages[index]!
    if (!this.reach(pageId, -1)) return false
    let isOne = false
    this.#guarded('page', pageId, () => {
      locateEntry(this.#source, directory, index * DIRECTORY_ENTRIES, this.#corruption)
      isOne = true
    })
    return isOne
  }

  /** False when the page was reached before. */
  reach(pageId: number, tree: number): boolean {
    this.#tree = tree
    if (!this.#reached.add(pageId)) {
      this.#found('page-used-twice', pageId, 'references to it', 'one', 'another one', {
        problem: 'is referred to more than once',
      })
      return false
    }
    this.#options.onPage?.(pageId)
    return true
  }

  *#pagesOf(directory: DirectoryView, tree: number): Generator<void, void, undefined> {
    const root = this.#begin(directory, tree)
    if (root === undefined) return
    this.#tree = tree
    const visitor = this.#isWhole ? this.#options.visitorOf?.(tree) : undefined
    this.#stack = [root.place]
    for (let place = this.#stack.pop(); place !== undefined; place = this.#stack.pop()) {
      const chains = this.#page(place, visitor)
      yield
      for (const chain of chains) yield* this.#chains.pages(chain, tree, visitor)
    }
    if (this.#isWhole && !this.#broken.has(tree) && this.#entries !== root.stated) {
      const problem = `${root.stated} entries stated, ${this.#entries} found`
      const pageId = directory.pages[directoryPageOf(tree)]!
      this.#found('count', pageId, 'entries of the tree', this.#entries, root.stated, { problem })
    }
  }

  /** What the directory, which was found sound, says of the tree; undefined without one. */
  #begin(
    directory: DirectoryView,
    tree: number,
  ): { readonly place: Place; readonly stated: number } | undefined {
    const { words } = this.#source
    const pageId = directory.pages[directoryPageOf(tree)]!
    this.#tree = tree
    const entry = locateEntry(this.#source, directory, tree, this.#corruption)
    const state = stateOf(words, entry)
    if (state === TreeState.free) return undefined
    if (state > TreeState.dropping) {
      const problem = `tree in state ${state}`
      this.#found('page', pageId, 'state of the tree', 'free, live or dropping', state, { problem })
    }
    this.#entries = 0
    this.#isWhole = state === TreeState.live
    const stated = words[entry + ENTRY_COUNT_HIGH]! * U32_RANGE + words[entry + ENTRY_COUNT_LOW]!
    const rootId = words[entry + ENTRY_ROOT]!
    const checksum = words[entry + ENTRY_CHECKSUM]!
    let level = -1
    this.#guarded('depth', pageId, () => {
      level = heightOf(words, entry, this.#corruption) - 1
    })
    if (level < 0) return undefined
    const bounds = { low: EMPTY, high: undefined, sequence: Infinity }
    return { place: { pageId: rootId, checksum, level, parent: pageId, ...bounds }, stated }
  }

  readonly #found: Found = (
    kind: IntegrityKind,
    pageId: number,
    what: string,
    expected: string | number,
    actual: string | number,
    { problem = `${what} is ${actual}, expected ${expected}` }: { problem?: string } = {},
  ): void => {
    if (!HARMLESS.has(kind)) {
      this.#broken.add(this.#tree)
      this.#isComplete = false
    }
    this.#options.onFinding({ kind, pageId, tree: this.#tree, what, expected, actual, problem })
  }

  /** What a page cannot be read for is a finding, too. */
  #guarded(kind: IntegrityKind, pageId: number, verify: () => void): void {
    try {
      verify()
    } catch (error) {
      if (!isRingboltError(error) || error.code !== 'RINGBOLT_CORRUPT') throw error
      const { what, expected, actual } = factsOf(error)
      const problem = error.message
      this.#found(kindOfDamage(what) ?? kind, pageId, what, expected, actual, { problem })
    }
  }

  /** @returns the long values of a leaf, whose pages are still to be looked at */
  #page(place: Place, visitor: EntryVisitor | undefined): readonly Chain[] {
    const { pageId, checksum, level } = place
    if (pageId === NO_PAGE) {
      this.#found('dangling-reference', place.parent, 'reference to a page', 'a page', 'none', {
        problem: `refers to page ${NO_PAGE}`,
      })
      return NO_CHAINS
    }
    if (!this.reach(pageId, this.#tree)) return NO_CHAINS
    let chains = NO_CHAINS
    this.#guarded('page', pageId, () => {
      const { words } = this.#source
      const frame = this.#source.locate(pageId, checksum)
      const actualLevel = levelOf(words, frame, this.#tree)
      if (actualLevel !== undefined && actualLevel !== level) {
        this.#found('depth', pageId, 'level', level, actualLevel, {
          problem: `kind, level and tree: level ${actualLevel} of page ${pageId}, expected ${level}`,
        })
        return
      }
      checkNode(words, frame, level, this.#tree, this.#corruption)
      if (this.#isWhole) this.#nodes.bounds(frame, place)
      if (level > 0) {
        if (this.#isWhole) this.#nodes.branch(frame, place)
        this.#pushChildren(frame, place)
        return
      }
      this.#entries += nodeCount(words, frame)
      chains = this.#nodes.leaf(frame, pageId, this.#isWhole, visitor)
    })
    return chains
  }

  /** The first child last, so that it is next. */
  #pushChildren(frame: number, { pageId, level, high }: Place): void {
    const { bytes, words } = this.#source
    const count = nodeCount(words, frame)
    const sequence = this.#isWhole ? readSequence(words, frame) : Infinity
    let above: Fence = high
    for (let index = count - 1; index >= 0; index--) {
      const length = copyKey(bytes, words, frame, false, index, this.#key, this.#corruption)
      const low = this.#key.slice(0, length)
      const reference = referencesWord(frame, count) + 2 * index
      this.#stack.push({
        pageId: words[reference]!,
        checksum: words[reference + 1]!,
        level: level - 1,
        low,
        high: above,
        sequence,
        parent: pageId,
      })
      above = low
    }
  }
}

const NO_CHAINS: readonly Chain[] = []

/** What reading a page says of itself, by the name of its check. */
const LOCATE_KINDS: ReadonlyMap<string, IntegrityKind> = new Map<string, IntegrityKind>([
  ['reference to a page', 'dangling-reference'],
  ['page length', 'dangling-reference'],
  ['checksum of a reference', 'checksum'],
  ['page checksum', 'checksum'],
  ["page checksum against the reference's", 'checksum'],
  ['page id', 'checksum'],
])

/** Undefined when it is not about reading a page. */
export function kindOfDamage(what: string): IntegrityKind | undefined {
  return LOCATE_KINDS.get(what)
}

export interface CorruptionFacts {
  readonly what: string
  readonly expected: string | number
  readonly actual: string | number
}

/** What an error of corruption says in its fields. */
export function factsOf(error: unknown): CorruptionFacts {
  const { facts, message } = errorToPlain(error)
  const { what, expected, actual } = facts
  return {
    what: typeof what === 'string' ? what : message,
    expected: isShown(expected) ? expected : 'what can be read',
    actual: isShown(actual) ? actual : 'something else',
  }
}

function isShown(value: unknown): value is string | number {
  return typeof value === 'string' || typeof value === 'number'
}
