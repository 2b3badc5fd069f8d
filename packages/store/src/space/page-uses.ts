/**
 * What each page of a checkpoint is used for. Every page is reached by the trees, free, or the free list's own:
 * once, and not in two ways; one that is nothing of it is lost to the database for good.
 */
import { FIRST_PAGE } from '../page/page.ts'
import type { ReadableMain } from './file-pages.ts'
import { type FreeList, readFreeList } from './free-list.ts'

export const PageUse = { reached: 1, free: 2, freeList: 4 } as const
export type PageUse = (typeof PageUse)[keyof typeof PageUse]

const WORDS: readonly (readonly [PageUse, string])[] = [
  [PageUse.reached, 'reached by the trees'],
  [PageUse.free, 'free'],
  [PageUse.freeList, "the free list's own"],
]

export class PageUses {
  /** A page's uses, as bits; by id. */
  readonly #uses: Uint8Array

  /** Takes down what is free. @throws StoreCorruptError for a free list that cannot be read */
  constructor({ pages, meta }: ReadableMain, list: FreeList = readFreeList(pages, meta)) {
    // The file was found to be as long as that.
    this.#uses = new Uint8Array(meta.pageCount)
    const { free, pageIds } = list
    for (const pageId of pageIds) this.add(pageId, PageUse.freeList)
    free.forEachExtent((first, count) => {
      for (let pageId = first; pageId < first + count; pageId++) this.add(pageId, PageUse.free)
    })
  }

  /** A page beyond the last is somebody else's finding. */
  add(pageId: number, use: PageUse): void {
    const known = this.#uses[pageId]
    if (known !== undefined) this.#uses[pageId] = known | use
  }

  has(pageId: number, use: PageUse): boolean {
    return ((this.#uses[pageId] ?? 0) & use) !== 0
  }

  /** In words. */
  textsOf(pageId: number): string[] {
    return WORDS.filter(([use]) => this.has(pageId, use)).map(([, text]) => text)
  }

  /** Pages that are used in no way, or in more than one. */
  *problems(): Generator<
    { readonly pageId: number; readonly uses: readonly string[]; readonly problem: string },
    void,
    undefined
  > {
    for (let pageId = FIRST_PAGE; pageId < this.#uses.length; pageId++) {
      const uses = this.textsOf(pageId)
      if (uses.length === 0) yield { pageId, uses, problem: 'is neither reached nor free' }
      if (uses.length > 1) yield { pageId, uses, problem: `is ${uses.join(' and ')}` }
    }
  }
}
