/** Which places of a main file a checkpoint uses, as runs. */
import { FIRST_PAGE } from '../page/page.ts'
import type { PageIdSet } from '../space/page-ids-set.ts'

export interface Extent {
  readonly first: number
  readonly count: number
}

/** All of [2, pageCount) that is not free, rising. */
export function usedExtents(free: PageIdSet, pageCount: number): Extent[] {
  const used: Extent[] = []
  let from = FIRST_PAGE
  free.forEachExtent((first, count) => {
    if (first > from) used.push({ first: from, count: Math.min(first, pageCount) - from })
    from = first + count
  })
  if (from < pageCount) used.push({ first: from, count: pageCount - from })
  return used
}

export function pagesIn(extents: readonly Extent[]): number {
  return extents.reduce((pages, { count }) => pages + count, 0)
}

/** The same, in runs of at most so many pages. */
export function* piecesOf(extents: readonly Extent[], pagesMax: number): Generator<Extent> {
  for (const { first, count } of extents) {
    for (let at = 0; at < count; at += pagesMax) {
      yield { first: first + at, count: Math.min(pagesMax, count - at) }
    }
  }
}
