/** What `verify.ts` asks of a value in overflow pages. */
import type { IntegrityKind } from '../finding.ts'
import { NO_PAGE, PAGE_BYTES, PAGE_WORDS } from '../page/page.ts'
import type { PageSource } from '../page/page-space.ts'
import type { Corruption } from './corruption.ts'
import { OVERFLOW_DATA_BYTE, OVERFLOW_DATA_BYTES, OVERFLOW_NEXT_WORD } from './layout.ts'
import { checkOverflowPage } from './overflow.ts'
import type { EntryVisitor } from './verify.ts'
import type { Chain, Found } from './verify-node.ts'

export interface ChainWalk {
  readonly found: Found
  guarded(kind: IntegrityKind, pageId: number, verify: () => void): void
  /** False when the page was reached before. */
  reach(pageId: number): boolean
}

/** Of a value that says it is longer, so much is allocated before its pages were seen. */
const TRUSTED_BYTES = 1024 * 1024
const EMPTY: Buffer = Buffer.alloc(0)

export class ChainCheck {
  readonly #source: PageSource
  readonly #corruption: Corruption
  readonly #walk: ChainWalk

  constructor(source: PageSource, corruption: Corruption, walk: ChainWalk) {
    this.#source = source
    this.#corruption = corruption
    this.#walk = walk
  }

  /** Yields after each page; the entry is the visitor's in the end, when all of the value is there. */
  *pages(
    chain: Chain,
    tree: number,
    visitor: EntryVisitor | undefined,
  ): Generator<void, void, undefined> {
    const { key, leaf, valueBytes } = chain
    const value = visitor?.wantsLongValues === true ? new LongValue(valueBytes) : undefined
    let { pageId, checksum } = chain
    let from = leaf
    for (let remaining = valueBytes; remaining > 0; remaining -= OVERFLOW_DATA_BYTES) {
      if (pageId === NO_PAGE) {
        const what = 'reference to an overflow page'
        this.#walk.found('dangling-reference', from, what, 'a page', 'none')
        return
      }
      if (!this.#walk.reach(pageId)) return
      const next = this.#page(pageId, checksum, tree, remaining, value)
      if (next === undefined) return
      from = pageId
      pageId = next.pageId
      checksum = next.checksum
      yield
    }
    if (pageId !== NO_PAGE) {
      const problem = 'comes after the end of a value'
      this.#walk.found('overflow', pageId, 'end of a value', 'no page', pageId, { problem })
      return
    }
    visitor?.entry(key, key.length, value?.bytes ?? EMPTY, 0, value?.length ?? 0, leaf)
  }

  #page(
    pageId: number,
    checksum: number,
    tree: number,
    remaining: number,
    value: LongValue | undefined,
  ): { pageId: number; checksum: number } | undefined {
    let next: { pageId: number; checksum: number } | undefined
    this.#walk.guarded('overflow', pageId, () => {
      const { bytes, words } = this.#source
      const frame = this.#source.locate(pageId, checksum)
      const length = checkOverflowPage(
        this.#source,
        frame,
        pageId,
        tree,
        remaining,
        this.#corruption,
      )
      const start = frame * PAGE_BYTES + OVERFLOW_DATA_BYTE
      value?.add(bytes.subarray(start, start + length))
      const word = frame * PAGE_WORDS + OVERFLOW_NEXT_WORD
      next = { pageId: words[word]!, checksum: words[word + 1]! }
    })
    return next
  }
}

class LongValue {
  bytes: Buffer
  length = 0
  readonly #lengthMax: number

  constructor(lengthMax: number) {
    this.#lengthMax = lengthMax
    this.bytes = Buffer.allocUnsafe(Math.min(lengthMax, TRUSTED_BYTES))
  }

  add(part: Uint8Array): void {
    if (this.length + part.length > this.bytes.length) {
      const grown = Buffer.allocUnsafe(Math.min(this.#lengthMax, 2 * this.bytes.length))
      grown.set(this.bytes.subarray(0, this.length))
      this.bytes = grown
    }
    this.bytes.set(part, this.length)
    this.length += part.length
  }
}
