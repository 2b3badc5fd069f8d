import { NO_PAGE } from '../../page/page.ts'
import type { PageSource } from '../../page/page-space.ts'
import type { DirectoryReferences } from '../directory.ts'
import { forEachReference } from '../references.ts'

/** All pages that the directory leads to, its own included. @throws Error when one is referred to twice */
export function reachablePages(source: PageSource, directory: DirectoryReferences): Set<number> {
  const reachable = new Set<number>()
  const waiting: number[] = []
  const found = (pageId: number): void => {
    if (reachable.has(pageId)) throw new Error(`page ${pageId} is referred to twice`)
    reachable.add(pageId)
    waiting.push(pageId)
  }
  for (const pageId of directory.pages) if (pageId !== NO_PAGE) found(pageId)
  for (let pageId = waiting.pop(); pageId !== undefined; pageId = waiting.pop()) {
    const frame = source.locate(pageId, 0)
    forEachReference(source.bytes, source.words, frame, (word) => found(source.words[word]!))
  }
  return reachable
}
