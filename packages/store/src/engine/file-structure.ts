/**
 * A main file by itself, as a stranger would read it: what its meta in use leads to is whole, and each of its pages is
 * reached, free, or the free list's own: in one way, never in two, never in none.
 */
import { isRingboltError } from '@ringbolt/ring'
import type { SumSeed } from '../client/entry-sum.ts'
import { FilePages, type ReadableMain } from '../space/file-pages.ts'
import { type FreeList, readFreeList } from '../space/free-list.ts'
import { PageUse, PageUses } from '../space/page-uses.ts'
import { DirectoryReferences } from '../tree/directory.ts'
import { factsOf } from '../tree/verify.ts'
import { PagesCheck } from './integrity-pages.ts'
import { Findings } from './integrity-report.ts'

/** Measured: with 32 MiB it takes a tenth longer. */
const WALK_BYTES = 1024 * 1024

export interface FileStructureOptions {
  readonly cacheBytes: number
  /** Undefined: documents and indexes are not looked at. */
  readonly seed?: SumSeed
}

export class FileStructure {
  readonly check: PagesCheck
  /** What the trees reach is in it once `steps` has come to its end; undefined without a free list. */
  readonly uses: PageUses | undefined
  readonly #findings: Findings

  constructor(main: ReadableMain, findings: Findings, { cacheBytes, seed }: FileStructureOptions) {
    this.#findings = findings
    const list = freeListOf(main, findings)
    this.uses = list && new PageUses(main, list)
    const state = {
      source: new FilePages(main, Math.min(cacheBytes, WALK_BYTES)),
      lookups: () => new FilePages(main, cacheBytes),
      directory: directoryOf(main),
      sequence: main.meta.sequence,
      file: main.place,
    }
    const onPage = (pageId: number): void => this.uses?.add(pageId, PageUse.reached)
    this.check = new PagesCheck(state, findings, { onPage, seed })
  }

  *steps(): Generator<void, void, undefined> {
    yield* this.check.steps()
    if (this.uses === undefined) return
    const { isComplete } = this.check.walk
    if (!isComplete) {
      this.#findings.note(
        'orphan pages cannot be told: not all pages that refer to others could be read',
      )
    }
    for (const { pageId, uses, problem } of this.uses.problems()) {
      if (uses.length > 1) addUsedTwice(this.#findings, pageId, uses, problem)
      else if (isComplete) addOrphan(this.#findings, pageId, problem)
    }
  }
}

export function addUsedTwice(
  findings: Findings,
  pageId: number,
  uses: readonly string[],
  problem: string,
): void {
  const [expected, actual] = ['one', uses.join(', ')]
  findings.add({
    kind: 'page-used-twice',
    pageId,
    what: 'use of the page',
    expected,
    actual,
    problem,
  })
}

export function addOrphan(findings: Findings, pageId: number, problem: string): void {
  const [expected, actual] = ['reached or free', 'neither']
  findings.add({ kind: 'orphan-page', pageId, what: 'use of the page', expected, actual, problem })
}

export function directoryOf({ meta }: ReadableMain): DirectoryReferences {
  const directory = new DirectoryReferences()
  for (const [at, { pageId, checksum }] of meta.directory.entries()) {
    directory.pages[at] = pageId
    directory.checksums[at] = checksum
  }
  return directory
}

/** Undefined when it cannot be read, which is a finding. */
export function freeListOf(
  { pages, meta }: ReadableMain,
  findings: Findings,
): FreeList | undefined {
  try {
    return readFreeList(pages, meta)
  } catch (error) {
    if (!isRingboltError(error) || error.code !== 'RINGBOLT_CORRUPT') throw error
    const offset = offsetOf(error.facts['offset'])
    findings.add({ kind: 'free-list', offset, ...factsOf(error), problem: error.message })
    findings.note('orphan pages cannot be told: the free list cannot be read')
    return undefined
  }
}

function offsetOf(offset: unknown): number {
  return typeof offset === 'number' ? offset : 0
}

/** What is wrong with a file, a line each; nothing when it is sound. */
export function structureProblems(main: ReadableMain, cacheBytes: number): readonly string[] {
  const findings = new Findings(main.place)
  for (const _step of new FileStructure(main, findings, { cacheBytes }).steps());
  return findings.list.map(({ message }) => message)
}
