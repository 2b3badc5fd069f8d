/**
 * Beside writers: is each page of the file's last checkpoint reached, free, or the free list's own? What a pinned state
 * reaches is known by now; the checkpoint is another state, a little older or newer, so only where the two differ is
 * the checkpoint read. Pages of both stay as they are: those of the pinned state because of its pin, those of the
 * checkpoint until the next one is durable; then it is all done again with that one.
 *
 * A page that both refer to is the same page: neither's id is given to another meanwhile.
 */
import { isRingboltError } from '@ringbolt/ring'
import type { LogFile } from '@ringbolt/wal'
import { FIRST_PAGE, NO_PAGE } from '../page/page.ts'
import type { PageSource } from '../page/page-space.ts'
import { FilePages, type ReadableMain } from '../space/file-pages.ts'
import type { FreeList } from '../space/free-list.ts'
import { readMetas } from '../space/main-file.ts'
import { PageBits } from '../space/page-bits.ts'
import { PageFile } from '../space/page-file.ts'
import type { DirectoryView } from '../tree/directory.ts'
import { forEachReference } from '../tree/references.ts'
import { factsOf, kindOfDamage } from '../tree/verify.ts'
import { addOrphan, addUsedTwice, directoryOf, freeListOf } from './file-structure.ts'
import { Findings } from './integrity-report.ts'

const CACHE_BYTES = 1024 * 1024
const ATTEMPTS_MAX = 20
const STEP_PAGES = 4096

/** A state whose pages were all reached, and stay. */
export interface ReachedState {
  readonly source: PageSource
  readonly directory: DirectoryView
  readonly reached: PageBits
}

/** Yields now and then; true: a moment's pause is due, a checkpoint has come in between. */
export function* checkSpace(
  file: LogFile,
  place: string,
  state: ReachedState,
  findings: Findings,
): Generator<boolean, void, undefined> {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const { meta } = readMetas(file, place)
    const main = { pages: new PageFile(file, place), meta, place }
    // Forgotten when the checkpoint was superseded meanwhile.
    const found = new Findings(place)
    const list = freeListOf(main, found)
    if (list !== undefined) yield* compare(main, list, state, found)
    if (readMetas(file, place).meta.checkpoint === meta.checkpoint) {
      findings.take(found)
      return
    }
    yield true
  }
  findings.note(
    `orphan pages could not be told: ${ATTEMPTS_MAX} times a checkpoint came in between`,
  )
}

function* compare(
  main: ReadableMain,
  { free, pageIds }: FreeList,
  state: ReachedState,
  findings: Findings,
): Generator<boolean, void, undefined> {
  const shared = new PageBits()
  const older = new PageBits()
  const isSound = yield* walkApart(
    new FilePages(main, CACHE_BYTES),
    directoryOf(main),
    findings,
    (pageId) => {
      if (!state.reached.has(pageId)) return older.add(pageId)
      shared.add(pageId)
      return false
    },
  )
  if (!isSound) return
  const newer = new PageBits()
  yield* walkApart(
    state.source,
    state.directory,
    findings,
    (pageId) => !shared.has(pageId) && newer.add(pageId),
  )
  const own = new Set(pageIds)
  for (let pageId = FIRST_PAGE; pageId < main.meta.pageCount; pageId++) {
    if (pageId % STEP_PAGES === 0) yield false
    const isReached = older.has(pageId) || (state.reached.has(pageId) && !newer.has(pageId))
    const uses = [
      ...(isReached ? ['reached by the trees'] : []),
      ...(free.has(pageId) ? ['free'] : []),
      ...(own.has(pageId) ? ["the free list's own"] : []),
    ]
    if (uses.length > 1) addUsedTwice(findings, pageId, uses, `is ${uses.join(' and ')}`)
    else if (uses.length === 0) addOrphan(findings, pageId, 'is neither reached nor free')
  }
}

/**
 * Looks at the pages that `enter` takes, once each, and at what they refer to.
 * @returns false when one of them could not be read
 */
function* walkApart(
  source: PageSource,
  directory: DirectoryView,
  findings: Findings,
  enter: (pageId: number) => boolean,
): Generator<boolean, boolean, undefined> {
  const stack: { readonly pageId: number; readonly checksum: number }[] = []
  for (const [at, pageId] of directory.pages.entries()) {
    if (pageId !== NO_PAGE) stack.push({ pageId, checksum: directory.checksums[at]! })
  }
  let isSound = true
  for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
    if (!enter(next.pageId)) continue
    try {
      const frame = source.locate(next.pageId, next.checksum)
      const { bytes, words } = source
      forEachReference(bytes, words, frame, (word) => {
        stack.push({ pageId: words[word]!, checksum: words[word + 1]! })
      })
    } catch (error) {
      if (!isRingboltError(error) || error.code !== 'RINGBOLT_CORRUPT') throw error
      const facts = factsOf(error)
      const kind = kindOfDamage(facts.what) ?? 'page'
      findings.add({ kind, pageId: next.pageId, ...facts, problem: error.message })
      isSound = false
    }
    yield false
  }
  return isSound
}
