/**
 * The main file by itself, as a stranger would read it: what its meta in use leads to is whole, and each of its
 * pages is reachable, free, or the free list's own: once, never twice, never not at all.
 */
import type { LogStore } from '@ringbolt/wal'
import { FIRST_PAGE, NO_PAGE, PAGE_BYTES, PAGE_KIND_BYTE, PageKind } from '../page/page.ts'
import { readFreeList } from '../space/free-list.ts'
import { MainFile } from '../space/main-file.ts'
import { stateOf, TreeState } from '../tree/directory.ts'
import { forEachReference } from '../tree/references.ts'
import type { StoreCoverage } from './coverage.ts'
import { MAIN_NAME } from './simulated-folders.ts'

/** @returns how each page is used, by id: in words, one or several, or what is wrong */
export function usesOfPages(folder: LogStore): Map<number, string[]> {
  const main = MainFile.open(folder, MAIN_NAME, { readOnly: true })
  try {
    const uses = new Map<number, string[]>()
    const note = (pageId: number, use: string): boolean => {
      const known = uses.get(pageId)
      if (known === undefined) uses.set(pageId, [use])
      else known.push(use)
      return known === undefined
    }
    const { free, pageIds } = readFreeList(main.pages, main.meta)
    for (const pageId of pageIds) note(pageId, 'free list')
    free.forEachExtent((first, count) => {
      for (let pageId = first; pageId < first + count; pageId++) note(pageId, 'free')
    })
    walk(main, note)
    for (let pageId = FIRST_PAGE; pageId < main.meta.pageCount; pageId++) {
      if (!uses.has(pageId)) uses.set(pageId, [])
    }
    return uses
  } finally {
    main.close()
  }
}

/** Every page that the directory leads to, read and verified. */
function walk(main: MainFile, note: (pageId: number, use: string) => boolean): void {
  const buffer = new ArrayBuffer(PAGE_BYTES)
  const bytes = new Uint8Array(buffer)
  const words = new Uint32Array(buffer)
  const due = main.meta.directory.map((reference) => ({ ...reference, use: 'reachable' }))
  for (let next = due.pop(); next !== undefined; next = due.pop()) {
    const { pageId, checksum, use } = next
    if (pageId === NO_PAGE || !note(pageId, use)) continue
    main.pages.readPage(pageId, checksum, bytes)
    const isDirectory = bytes[PAGE_KIND_BYTE] === PageKind.directory
    forEachReference(bytes, words, 0, (wordIndex) => {
      const dropped = isDirectory && stateOf(words, wordIndex) === TreeState.dropping
      due.push({
        pageId: words[wordIndex] ?? NO_PAGE,
        checksum: words[wordIndex + 1] ?? 0,
        use: dropped ? "a dropped tree's" : use,
      })
    })
  }
}

/** @returns what is wrong, or undefined */
export function auditMainFile(folder: LogStore, coverage: StoreCoverage): string | undefined {
  const wrong: string[] = []
  for (const [pageId, uses] of usesOfPages(folder)) {
    if (uses.length !== 1) wrong.push(`page ${pageId} is ${uses.join(' and ') || 'leaked'}`)
  }
  coverage.add('audits of the main file')
  return wrong.length === 0 ? undefined : `main file: ${wrong.slice(0, 10).join('; ')}`
}
