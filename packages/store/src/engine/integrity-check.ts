/**
 * The integrity check of an open database, beside its writers: of one pinned state, a few milliseconds at a time, so
 * that the thread it runs on can do other things meanwhile.
 *
 * What is looked at: the state as readers see it, and the file's copy of each of its pages that has been written; then
 * which pages the file's last checkpoint uses; then the log's chain.
 */
import type { LogFile } from '@ringbolt/wal'
import type { SumSeed } from '../client/entry-sum.ts'
import type { StoreEnvironment } from '../client/environment.ts'
import { PAGE_BYTES } from '../page/page.ts'
import { openMainFile, readMetas } from '../space/main-file.ts'
import { PageFile } from '../space/page-file.ts'
import type { PageReader, Pin } from '../space/page-reader.ts'
import { factsOf } from '../tree/verify.ts'
import { checkLog } from './integrity-log.ts'
import { PagesCheck } from './integrity-pages.ts'
import { Findings, type IntegrityOptions, type IntegrityReport } from './integrity-report.ts'
import { checkSpace } from './integrity-space.ts'
import { PinnedPages } from './pinned-pages.ts'
import type { StoreFolders } from './store-folders.ts'

/** How long the thread is kept at once. */
const SLICE_MS = 4
/** What a moment's pause is, and how many of them what looks wrong is given to become right. */
const PAUSE_MS = 50
const PAUSES_MAX = 40
const WALK_BYTES = 1024 * 1024
const LOOKUP_BYTES = 16 * 1024 * 1024
const IN_MEMORY = ':memory:'

export interface LiveIntegrityOptions extends IntegrityOptions {
  /** Ends the check, which rejects with the signal's reason. */
  readonly signal?: AbortSignal
}

/** What is looked at. */
export interface LiveDatabase {
  readonly reader: PageReader
  /** Undefined in memory. */
  readonly folders: StoreFolders | undefined
  /** About how many pages there are in use. */
  readonly pagesTotal: number
  readonly environment: StoreEnvironment
  readonly seed: SumSeed
  /** @throws StoreClosedError */
  assertOpen(): void
}

/** @throws StoreClosedError, SnapshotExpiredError for a check that outlives `snapshotAgeMaxMs`; the signal's reason */
export async function integrityCheck(
  database: LiveDatabase,
  options: LiveIntegrityOptions = {},
): Promise<IntegrityReport> {
  options.signal?.throwIfAborted()
  const { reader, folders } = database
  const file = folders && openMainFile(folders.main, folders.mainName)
  const pin = reader.pin()
  try {
    return await new LiveCheck(database, pin, file, options).run()
  } finally {
    reader.unpin(pin)
    file?.close()
  }
}

class LiveCheck {
  readonly #database: LiveDatabase
  readonly #options: LiveIntegrityOptions
  readonly #pin: Pin
  readonly #file: LogFile | undefined
  readonly #place: string
  readonly #findings: Findings
  readonly #pages: PinnedPages
  readonly #check: PagesCheck
  #logBytes = 0

  constructor(
    database: LiveDatabase,
    pin: Pin,
    file: LogFile | undefined,
    options: LiveIntegrityOptions,
  ) {
    const { reader, folders, seed } = database
    this.#database = database
    this.#options = options
    this.#pin = pin
    this.#file = file
    this.#place = folders === undefined ? IN_MEMORY : `${folders.main.location}/${folders.mainName}`
    this.#findings = new Findings(this.#place)
    const pagesOf = (cacheBytes: number): PinnedPages =>
      new PinnedPages(reader, pin, file && new PageFile(file, this.#place), cacheBytes)
    this.#pages = pagesOf(WALK_BYTES)
    const state = {
      source: this.#pages,
      // What these read has been seen, and doubted, once.
      lookups: () => pagesOf(LOOKUP_BYTES),
      directory: pin.directory,
      sequence: pin.sequence,
      file: this.#place,
    }
    this.#check = new PagesCheck(state, this.#findings, { seed })
  }

  async run(): Promise<IntegrityReport> {
    const { environment } = this.#database
    const startedAtMs = environment.nowMs()
    await this.#drive(this.#steps())
    this.#tell()
    const { documents, indexEntries, walk } = this.#check
    const pages = walk.reached.size
    return {
      sequence: this.#pin.sequence,
      pages,
      documents,
      indexEntries,
      bytes: pages * PAGE_BYTES + this.#logBytes,
      durationMs: environment.nowMs() - startedAtMs,
      findings: this.#findings.list,
      notes: this.#findings.allNotes,
    }
  }

  *#steps(): Generator<boolean, void, undefined> {
    for (const _page of this.#check.steps()) yield false
    yield* this.#storedPages()
    const { folders } = this.#database
    const file = this.#file
    if (file === undefined || folders === undefined) return
    const { walk } = this.#check
    const state = { source: this.#pages, directory: this.#pin.directory, reached: walk.reached }
    if (walk.isComplete) yield* checkSpace(file, this.#place, state, this.#findings)
    else {
      this.#findings.note(
        'orphan pages cannot be told: not all pages that refer to others could be read',
      )
    }
    const metaOf = () => readMetas(file, this.#place).meta
    this.#logBytes = yield* checkLog(folders, metaOf, this.#findings)
  }

  /** What the file has of pages that are in memory. */
  *#storedPages(): Generator<boolean, void, undefined> {
    for (let pauses = 0; this.#pages.hasDoubtful && pauses < PAUSES_MAX; pauses++) {
      this.#pages.damage()
      if (this.#pages.hasDoubtful) yield true
    }
    for (const { pageId, error } of this.#pages.damage()) {
      const problem = error.message
      this.#findings.add({ kind: 'checksum', pageId, ...factsOf(error), problem })
    }
  }

  /** Each step as soon as there is time; true: after a pause. */
  async #drive(steps: Generator<boolean, void, undefined>): Promise<void> {
    const { environment } = this.#database
    // The first slice, too, comes in a turn of its own.
    let sliceEndMs = Number.NEGATIVE_INFINITY
    for (const isPauseDue of steps) {
      if (!isPauseDue && environment.nowMs() < sliceEndMs) continue
      this.#tell()
      if (isPauseDue)
        await new Promise<void>((resolve) => void environment.after(PAUSE_MS, resolve))
      else await new Promise<void>((resolve) => void setImmediate(resolve))
      this.#options.signal?.throwIfAborted()
      this.#database.assertOpen()
      sliceEndMs = environment.nowMs() + SLICE_MS
    }
  }

  #tell(): void {
    this.#options.onProgress?.({
      pages: this.#check.walk.reached.size,
      pagesTotal: this.#database.pagesTotal,
      findings: this.#findings.count,
    })
  }
}
