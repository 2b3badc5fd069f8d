/**
 * Hot backups: a checkpoint is made and kept, its pages are copied while everyone writes on, and the copy gets its name
 * when it is whole and synced.
 *
 * Threads: any that is attached; reading and writing do not block it. Pages that are being copied are not written over
 * as long as the hold lasts (holds.ts, H1); the free list's own pages may be, so they are read, and checked against
 * their references, at once; where one is gone already, another checkpoint is asked for.
 *
 * Crash, failure, abort: no file, but for a `.part` after a crash (backup-files.ts).
 */
import { setImmediate, setTimeout } from 'node:timers/promises'
import { isRingboltError } from '@ringbolt/ring'
import { changedPages } from '../backup/changed-pages.ts'
import { BackupChainError, BackupUnsoundError } from '../backup/errors.ts'
import { pagesIn, piecesOf, usedExtents } from '../backup/extents.ts'
import { type BackupState, encodeIncrementHead, PageListChecksum } from '../backup/increment.ts'
import { INCREMENT_FIRST_PAGE } from '../backup/layout.ts'
import { NOT_WRITTEN, PAGE_BYTES } from '../page/page.ts'
import { readFreeList } from '../space/free-list.ts'
import { ID_BYTES } from '../space/main-layout.ts'
import { encodeMeta, type Meta, metaOffset, metaSlot } from '../space/meta.ts'
import { assertPage, PageFile } from '../space/page-file.ts'
import type { PageIdSet } from '../space/page-ids-set.ts'
import { NewFile, SourceFile } from './backup-files.ts'
import { readBackupState } from './backup-state.ts'
import { fileFolders } from './file-folders.ts'
import { checkFileInThread } from './maintenance.ts'

export interface BackupProgress {
  readonly bytesDone: number
  /** Undefined in an incremental backup: what is new is found on the way. */
  readonly bytesTotal: number | undefined
}

export interface BackupOptions {
  /** Called after each piece of a megabyte or so. */
  readonly onProgress?: (progress: BackupProgress) => void
  readonly signal?: AbortSignal
  /** Checks the whole copy, in a thread of its own, before it gets its name. Not with `since`. Default false. */
  readonly verify?: boolean
  /** The last backup, full or incremental: only what is newer is copied. */
  readonly since?: string
}

export interface BackupResult {
  readonly path: string
  /** Highest commit sequence in it. */
  readonly sequence: number
  /** Written. */
  readonly bytes: number
  readonly pages: number
  readonly durationMs: number
}

/** A checkpoint that stays as it is. */
export interface HeldCheckpoint {
  readonly meta: Meta
  /** @throws StoreClosedError once nobody keeps it any more */
  assertHeld(): void
  release(): void
}

export interface BackupSource {
  readonly mainPath: string
  /** Makes a checkpoint and keeps it. @param assertWanted throws when it is not wanted any more */
  hold(assertWanted: () => void): Promise<HeldCheckpoint>
  readonly nowMs: () => number
  /** Commits by now: while they rise, the copy leaves them room. */
  readonly commits: () => number
}

const PIECE_PAGES = 128
/** Each is a checkpoint that is made while we read some pages of its predecessor. */
const FREE_LIST_TRIES = 8
/** What timers can tell apart, and more. */
const PAUSE_MS_MIN = 4
/** Written between two syncs: one at the end would hold up those of the log for long. */
const SYNC_BYTES = 32 * 1024 * 1024

export async function makeBackup(
  source: BackupSource,
  target: string,
  options: BackupOptions,
): Promise<BackupResult> {
  const begunMs = source.nowMs()
  const { signal, since, verify = false } = options
  if (verify && since !== undefined) {
    throw new TypeError(
      'an incremental backup is checked when it is restored: verify is for full ones',
    )
  }
  signal?.throwIfAborted()
  const file = await NewFile.make(target, source.mainPath)
  try {
    const before = since === undefined ? undefined : readBackupState(since)
    const job = await BackupJob.begin(source, file, options)
    try {
      if (before !== undefined) await job.copyChanged(before)
      else await job.copyAll()
    } finally {
      await job.end()
    }
    await file.sync()
    if (verify) await assertSound(file, signal)
    signal?.throwIfAborted()
    await file.finish()
    const { sequence } = job.meta
    const durationMs = source.nowMs() - begunMs
    return { path: file.path, sequence, bytes: job.bytes, pages: job.pages, durationMs }
  } finally {
    await file.abandon()
  }
}

async function assertSound(file: NewFile, signal: AbortSignal | undefined): Promise<void> {
  const findings = await checkFileInThread(file.partPath, signal)
  if (findings.length > 0) throw new BackupUnsoundError(file.path, findings)
}

class BackupJob {
  readonly meta: Meta
  readonly #held: HeldCheckpoint
  readonly #free: PageIdSet
  /** The free list's own pages, as the checkpoint has them. */
  readonly #listPages: ReadonlyMap<number, Buffer>
  readonly #place: string
  readonly #source: SourceFile
  readonly #file: NewFile
  readonly #options: BackupOptions
  readonly #pace: Pace
  #unsyncedBytes = 0
  /** Of what was written before it, while more is. */
  #syncing: Promise<void> | undefined
  bytes = 0
  pages = 0

  static async begin(
    source: BackupSource,
    file: NewFile,
    options: BackupOptions,
  ): Promise<BackupJob> {
    const assertWanted = (): void => options.signal?.throwIfAborted()
    for (let tried = 1; ; tried++) {
      const held = await source.hold(assertWanted)
      try {
        const free = readFree(source.mainPath, held.meta)
        const opened = await SourceFile.open(source.mainPath)
        return new BackupJob(held, free, opened, file, options, new Pace(source))
      } catch (error) {
        held.release()
        const isGone = isRingboltError(error) && error.code === 'RINGBOLT_CORRUPT'
        if (!isGone || tried === FREE_LIST_TRIES) throw error
      }
    }
  }

  private constructor(
    held: HeldCheckpoint,
    { free, listPages }: FreePages,
    source: SourceFile,
    file: NewFile,
    options: BackupOptions,
    pace: Pace,
  ) {
    this.#pace = pace
    this.#held = held
    this.meta = closedMeta(held.meta)
    this.#free = free
    this.#listPages = listPages
    this.#source = source
    this.#place = source.path
    this.#file = file
    this.#options = options
  }

  async end(): Promise<void> {
    this.#held.release()
    // What it failed with was thrown when it was waited for.
    await Promise.allSettled([this.#syncing])
    await this.#source.close()
  }

  /** The whole checkpoint, as a main file that was closed cleanly. */
  async copyAll(): Promise<void> {
    const { pageCount } = this.meta
    const used = usedExtents(this.#free, pageCount)
    const total = (pagesIn(used) + INCREMENT_FIRST_PAGE) * PAGE_BYTES
    await this.#file.setLength(pageCount * PAGE_BYTES)
    // One is written while the next is read.
    let read = Buffer.allocUnsafeSlow(PIECE_PAGES * PAGE_BYTES)
    let written = Buffer.allocUnsafeSlow(PIECE_PAGES * PAGE_BYTES)
    let writing: { readonly bytes: Buffer; readonly position: number } | undefined
    for (const { first, count } of piecesOf(used, PIECE_PAGES)) {
      this.#assertGoesOn()
      const bytes = read.subarray(0, count * PAGE_BYTES)
      await Promise.all([
        this.#readPages(bytes, first),
        writing && this.#file.write(writing.bytes, writing.position),
      ])
      writing = { bytes, position: first * PAGE_BYTES }
      this.#count(count, total)
      await this.#rest(bytes.length)
      ;[read, written] = [written, read]
    }
    if (writing !== undefined) await this.#file.write(writing.bytes, writing.position)
    for (const meta of [{ ...this.meta, checkpoint: this.meta.checkpoint - 1 }, this.meta]) {
      await this.#file.write(encodeMeta(meta), metaOffset(metaSlot(meta.checkpoint)))
    }
    await this.#syncing
    this.#count(INCREMENT_FIRST_PAGE, total)
    this.pages -= INCREMENT_FIRST_PAGE
    this.#assertGoesOn()
  }

  /** What is newer than that state. */
  async copyChanged(before: BackupState & { readonly path: string }): Promise<void> {
    this.#assertSuccessor(before)
    const list = new PageListChecksum()
    const out = new PageOutput(this.#file, INCREMENT_FIRST_PAGE)
    const folders = fileFolders(this.#place, true)
    const file = folders.main.open(folders.mainName)
    try {
      for (const page of changedPages(file, this.#place, this.meta, before.sequence)) {
        if (page === undefined) await setImmediate()
        else await this.#put(out, list, page)
        if (page === undefined || out.isEmpty) this.#assertGoesOn()
      }
    } finally {
      file.close()
    }
    for (const page of this.#listPages.values()) await this.#put(out, list, page)
    await this.#flush(out)
    await this.#file.write(encodeIncrementHead(before, this.meta, list), 0)
    await this.#syncing
    this.#count(INCREMENT_FIRST_PAGE, undefined)
    this.pages -= INCREMENT_FIRST_PAGE
    this.#assertGoesOn()
  }

  async #put(out: PageOutput, list: PageListChecksum, page: Buffer): Promise<void> {
    list.add(page)
    out.add(page)
    if (out.isFull) await this.#flush(out)
  }

  async #flush(out: PageOutput): Promise<void> {
    const { held } = out
    await out.flush()
    this.#count(held, undefined)
    await this.#rest(held * PAGE_BYTES)
  }

  /** The database may be another one's, or an older one's, that was put in its place. */
  #assertSuccessor(before: BackupState & { readonly path: string }): void {
    const { databaseId, sequence } = this.meta
    if (Buffer.compare(databaseId, before.databaseId) !== 0) {
      throw new BackupChainError(
        before.path,
        'is not a backup of this database, or of its time before a restore or a compaction: begin with a full backup',
      )
    }
    if (before.sequence <= sequence) return
    throw new BackupChainError(
      before.path,
      `is of commit ${before.sequence}, which the database at commit ${sequence} has not seen`,
      { expected: sequence, actual: before.sequence },
    )
  }

  #assertGoesOn(): void {
    this.#options.signal?.throwIfAborted()
    this.#held.assertHeld()
  }

  /** After each piece. */
  async #rest(writtenBytes: number): Promise<void> {
    await this.#pace.rest()
    this.#unsyncedBytes += writtenBytes
    if (this.#unsyncedBytes < SYNC_BYTES) return
    this.#unsyncedBytes = 0
    await this.#sync()
    this.#pace.begin()
  }

  /** Begins a sync, once the last one is over. */
  async #sync(): Promise<void> {
    await this.#syncing
    this.#syncing = this.#file.sync()
    // Waited for before the next one, and at the end.
    this.#syncing.catch(() => undefined)
  }

  #count(pages: number, bytesTotal: number | undefined): void {
    this.pages += pages
    this.bytes += pages * PAGE_BYTES
    this.#options.onProgress?.({ bytesDone: this.bytes, bytesTotal })
  }

  async #readPages(target: Buffer, first: number): Promise<void> {
    const start = first * PAGE_BYTES
    const length = await this.#source.read(target, start)
    const view = new DataView(target.buffer, target.byteOffset, target.byteLength)
    for (let at = 0; at < target.length; at += PAGE_BYTES) {
      const pageId = first + at / PAGE_BYTES
      const listPage = this.#listPages.get(pageId)
      if (listPage !== undefined) target.set(listPage, at)
      else if (at + PAGE_BYTES > length) target.fill(0, Math.max(at, length), at + PAGE_BYTES)
      assertPage(target, view, at, pageId, NOT_WRITTEN, { file: this.#place, offset: start + at })
    }
  }
}

/** So many times as long as the work took: copying takes a core, and the disk. */
const REST_SHARE = 3

/** While others commit, rests: a copy at a quarter of the speed, and the more for them. */
class Pace {
  readonly #source: BackupSource
  #workedSinceMs: number
  #commits: number

  constructor(source: BackupSource) {
    this.#source = source
    this.#workedSinceMs = source.nowMs()
    this.#commits = source.commits()
  }

  /** What came before was no work. */
  begin(): void {
    this.#workedSinceMs = this.#source.nowMs()
  }

  async rest(): Promise<void> {
    const { nowMs, commits } = this.#source
    const workedMs = nowMs() - this.#workedSinceMs
    if (workedMs < PAUSE_MS_MIN) return
    const before = this.#commits
    this.#commits = commits()
    if (this.#commits !== before) await setTimeout(REST_SHARE * workedMs)
    this.begin()
  }
}

/** Pages on their way into a file, one behind the other. */
class PageOutput {
  readonly #file: NewFile
  readonly #buffer: Buffer = Buffer.allocUnsafeSlow(PIECE_PAGES * PAGE_BYTES)
  #next: number
  held = 0

  /** @param first where it begins, in pages */
  constructor(file: NewFile, first: number) {
    this.#file = file
    this.#next = first
  }

  get isFull(): boolean {
    return this.held === PIECE_PAGES
  }

  get isEmpty(): boolean {
    return this.held === 0
  }

  add(page: Buffer): void {
    this.#buffer.set(page, this.held * PAGE_BYTES)
    this.held++
  }

  async flush(): Promise<void> {
    await this.#file.write(
      this.#buffer.subarray(0, this.held * PAGE_BYTES),
      this.#next * PAGE_BYTES,
    )
    this.#next += this.held
    this.held = 0
  }
}

/** As after a clean close, with no log: one that is found beside it is not taken for its own. */
function closedMeta(meta: Meta): Meta {
  return {
    ...meta,
    clean: true,
    logId: new Uint8Array(ID_BYTES),
    logLsn: 0,
    baseSequence: meta.sequence,
  }
}

interface FreePages {
  readonly free: PageIdSet
  readonly listPages: ReadonlyMap<number, Buffer>
}

function readFree(mainPath: string, meta: Meta): FreePages {
  const { main, mainName } = fileFolders(mainPath, true)
  const pages = new PageFile(main.open(mainName), mainPath)
  try {
    const listPages = new Map<number, Buffer>()
    const { free } = readFreeList(pages, meta, (pageId, image) => {
      listPages.set(pageId, Buffer.from(image))
    })
    return { free, listPages }
  } finally {
    pages.close()
  }
}
