/**
 * The check of one state, wherever its pages are read from: trees, catalog, documents, indexes. Each page is read
 * once; only what does not agree is looked up again.
 *
 * Threads: belongs to the one that made it. A step looks at one page or some entries; the state must stay as it is
 * from the first to the last.
 */
import { isRingboltError } from '@ringbolt/ring'
import { type CheckedView, CollectionsCheck } from '../client/check-collections.ts'
import type { SumSeed } from '../client/entry-sum.ts'
import type { PageSource } from '../page/page-space.ts'
import type { DirectoryView } from '../tree/directory.ts'
import { factsOf, TreeWalk } from '../tree/verify.ts'
import { FileView } from './file-view.ts'
import type { Findings } from './integrity-report.ts'

export interface CheckedState {
  /** Each page is looked at once: its frames had better be few, so that they stay in the processor's cache. */
  readonly source: PageSource
  /** The same pages, for looking up what does not agree: the more frames the better. Asked for when they are needed. */
  readonly lookups: () => PageSource
  readonly directory: DirectoryView
  readonly sequence: number
  /** The main file, for messages. */
  readonly file: string
}

export interface PagesCheckOptions {
  readonly onPage?: (pageId: number) => void
  /** For the sums over entries; undefined: the trees alone are looked at. */
  readonly seed: SumSeed | undefined
}

export class PagesCheck {
  readonly walk: TreeWalk
  readonly #state: CheckedState
  readonly #findings: Findings
  readonly #collections: CollectionsCheck | undefined

  constructor(state: CheckedState, findings: Findings, { onPage, seed }: PagesCheckOptions) {
    const { source, directory, sequence, file } = state
    this.#state = state
    this.#findings = findings
    const view = new FileView(source, directory, sequence, file)
    this.#collections = seed && new CollectionsCheck(view, seed, findings.add)
    this.walk = new TreeWalk(source, {
      file,
      ...(onPage && { onPage }),
      onFinding: ({ tree, ...found }) => {
        const problem = tree < 0 ? `directory: ${found.problem}` : `tree ${tree}: ${found.problem}`
        findings.add(tree < 0 ? { ...found, problem } : { ...found, problem, tree })
      },
      visitorOf: (tree) => this.#collections?.visitorOf(tree),
    })
  }

  get documents(): number {
    return this.#collections?.documents ?? 0
  }

  get indexEntries(): number {
    return this.#collections?.indexEntries ?? 0
  }

  #lookupView(): CheckedView {
    const { lookups, directory, sequence, file } = this.#state
    return new FileView(lookups(), directory, sequence, file)
  }

  *steps(): Generator<void, void, undefined> {
    yield* this.walk.pages(this.#state.directory)
    if (this.#collections === undefined) return
    if (!this.walk.isComplete) {
      this.#findings.note('documents and indexes of damaged trees were not held against each other')
    }
    try {
      const isSearchable = (tree: number): boolean => this.walk.isSearchable(tree)
      yield* this.#collections.compare(() => this.#lookupView(), isSearchable)
    } catch (error) {
      // A page that could be read a moment ago.
      if (!isRingboltError(error) || error.code !== 'RINGBOLT_CORRUPT') throw error
      this.#findings.add({ kind: 'checksum', ...factsOf(error), problem: error.message })
    }
  }
}
