/**
 * A main file by itself, as a stranger would read it: what its meta in use leads to is whole, and each of its pages is
 * reached, free, or the free list's own: in one way, never in two, never in none.
 */
import { FilePages } from '../space/file-pages.ts'
import type { MainFile } from '../space/main-file.ts'
import { PageUse, PageUses } from '../space/page-uses.ts'
import { DirectoryReferences } from '../tree/directory.ts'
import { verifyTrees } from '../tree/verify.ts'

export class FileStructure {
  readonly source: FilePages
  readonly directory: DirectoryReferences = new DirectoryReferences()
  /** What the trees reach is in it once `findings` has come to its end. */
  readonly uses: PageUses
  readonly #place: string

  /** @throws StoreCorruptError for a free list that cannot be read */
  constructor(main: MainFile, cacheBytes: number) {
    this.#place = main.place
    this.source = new FilePages(main, cacheBytes)
    this.uses = new PageUses(main)
    for (const [at, { pageId, checksum }] of main.meta.directory.entries()) {
      this.directory.pages[at] = pageId
      this.directory.checksums[at] = checksum
    }
  }

  /** One line for each thing that is wrong. */
  *findings(): Generator<string, void, undefined> {
    const options = {
      file: this.#place,
      onPage: (pageId: number): void => this.uses.add(pageId, PageUse.reached),
    }
    for (const { pageId, tree, problem } of verifyTrees(this.source, this.directory, options)) {
      yield `page ${pageId}, ${tree < 0 ? 'directory' : `tree ${tree}`}: ${problem}`
    }
    for (const { pageId, problem } of this.uses.problems()) yield `page ${pageId}: ${problem}`
  }
}
