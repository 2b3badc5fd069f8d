/**
 * A new main file from a full backup, the increments that follow it, and the log up to a moment. Synchronous: it runs in
 * a thread of its own, and in tests on files that are simulated.
 *
 * The file that it fills is the caller's, made exclusively under a name that nobody looks for; the caller gives it its
 * name once this has returned, and removes it otherwise. The log's commands are applied by the function that commits
 * apply by, to pages under ids of the new file's own: so a group may be applied in part, up to a commit.
 */
import type { LogStore } from '@ringbolt/wal'
import { type CommittedGroup, KeptLog, type LiveLog } from '../backup/archived-log.ts'
import { RestorePointError } from '../backup/errors.ts'
import { usedExtents } from '../backup/extents.ts'
import { type BackupState, type Increment, stateOf } from '../backup/increment.ts'
import { StoreCorruptError } from '../errors.ts'
import { PAGE_BYTES } from '../page/page.ts'
import { GroupApplier } from '../sequencer/group-applier.ts'
import { Checkpoint } from '../space/checkpoint.ts'
import { readFreeList } from '../space/free-list.ts'
import { MainFile } from '../space/main-file.ts'
import { ID_BYTES } from '../space/main-layout.ts'
import { encodeMeta, type Meta, metaOffset, metaSlot } from '../space/meta.ts'
import { PageFile } from '../space/page-file.ts'
import { forEachReference } from '../tree/references.ts'
import { type StoreSettings, settingsOf } from './options.ts'
import { type Parts, pagesOf, publishStored } from './recovery.ts'

/** Up to which moment. Undefined: everything that there is. */
export type RestorePoint = { readonly sequence: number } | { readonly timeMs: number }

export interface RestoreSources {
  /** A full backup. */
  readonly full: MainFile
  /** In order. Opens each when its turn comes. */
  readonly increments: readonly (<T>(use: (increment: Increment) => T) => T)[]
  readonly archive: LogStore | undefined
  readonly live: LiveLog | undefined
}

export interface RestoreTarget {
  readonly store: LogStore
  /** Of an empty file. */
  readonly name: string
  /** The new database's: its history is another from here on. */
  readonly databaseId: Uint8Array
}

export interface RestoredState {
  readonly sequence: number
  /** Of the last group that was applied; undefined: none was, or it does not say. */
  readonly timeMs: number | undefined
  readonly pages: number
}

export interface RestoreEnvironment {
  readonly sleep: (durationMs: number) => void
  /** Of a group's body: when it was written; undefined: it does not say. */
  readonly timeOf: (body: Uint8Array) => number | undefined
  readonly onProgress: (bytesDone: number, bytesTotal: number) => void
}

/** What a job in a thread is told. */
export interface RestoreJob {
  readonly from: string
  readonly increments: readonly string[]
  readonly archive: string | undefined
  readonly live: string | undefined
  readonly to: RestorePoint | undefined
  readonly verify: boolean
  /** Its name at the end, for messages. */
  readonly target: string
  readonly partPath: string
  readonly databaseId: Uint8Array
}

const CACHE_BYTES = 64 * 1024 * 1024
const PAGES_PER_PROGRESS = 256

/** @throws what is wrong with the sources; RestorePointError, ArchiveGapError, ArchiveForkError */
export function restoreFile(
  sources: RestoreSources,
  target: RestoreTarget,
  to: RestorePoint | undefined,
  environment: RestoreEnvironment,
): RestoredState {
  const meta = copyBackups(sources, target, to, environment.onProgress)
  const { databaseId } = sources.full.meta
  const { archive, live } = sources
  if (archive === undefined && live === undefined) {
    assertReached(to, meta.sequence)
    return { sequence: meta.sequence, timeMs: undefined, pages: meta.pageCount }
  }
  const kept = new KeptLog(databaseId, archive?.location ?? live?.store.location ?? '')
  if (archive !== undefined) kept.addArchive(archive)
  if (live !== undefined) kept.addLive(live)
  const main = MainFile.open(target.store, target.name)
  try {
    return applyLog(main, kept, to, environment)
  } finally {
    main.close()
  }
}

// ---- pages --------------------------------------------------------------------------------------

/** @returns the meta that stands in the file then */
function copyBackups(
  { full, increments }: RestoreSources,
  { store, name, databaseId }: RestoreTarget,
  to: RestorePoint | undefined,
  onProgress: RestoreEnvironment['onProgress'],
): Meta {
  const sequenceMax = to !== undefined && 'sequence' in to ? to.sequence : Infinity
  if (full.meta.sequence > sequenceMax) throw beforeBackup(sequenceMax, full.meta.sequence)
  const file = store.open(name)
  try {
    const pages = new PageFile(file, `${store.location}/${name}`)
    copyFull(full, pages, onProgress)
    let { meta } = full
    let state: BackupState = stateOf(meta)
    for (const withIncrement of increments) {
      const next = withIncrement((increment) => {
        increment.assertFollows(state)
        if (increment.meta.sequence > sequenceMax) return undefined
        copyIncrement(increment, pages)
        return increment.meta
      })
      if (next === undefined) break
      meta = next
      state = stateOf(meta)
    }
    const restored = {
      ...meta,
      databaseId,
      clean: true,
      logId: new Uint8Array(ID_BYTES),
      logLsn: 0,
      baseSequence: meta.sequence,
    }
    for (const image of [{ ...restored, checkpoint: restored.checkpoint + 1 }, restored]) {
      file.writeAt(metaOffset(metaSlot(image.checkpoint)), [encodeMeta(image)])
    }
    file.truncate(meta.pageCount * PAGE_BYTES)
    file.sync()
    return restored
  } finally {
    file.close()
  }
}

function copyFull(
  { pages: source, meta }: MainFile,
  target: PageFile,
  onProgress: RestoreEnvironment['onProgress'],
): void {
  const used = usedExtents(readFreeList(source, meta).free, meta.pageCount)
  const total = used.reduce((pages, { count }) => pages + count, 0) * PAGE_BYTES
  const page = Buffer.alloc(PAGE_BYTES)
  let done = 0
  target.gather(() => {
    for (const { first, count } of used) {
      for (let pageId = first; pageId < first + count; pageId++) {
        source.readPage(pageId, 0, page)
        target.writePage(pageId, page)
        done++
        if (done % PAGES_PER_PROGRESS === 0) onProgress(done * PAGE_BYTES, total)
      }
    }
  })
  onProgress(total, total)
}

function copyIncrement(increment: Increment, target: PageFile): void {
  target.gather(() => {
    for (const { pageId, image } of increment.pages()) target.writePage(pageId, image)
  })
}

// ---- the log ------------------------------------------------------------------------------------

function applyLog(
  main: MainFile,
  kept: KeptLog,
  to: RestorePoint | undefined,
  environment: RestoreEnvironment,
): RestoredState {
  const settings = settingsOf({ cacheBytes: CACHE_BYTES, threadsMax: 1, snapshotsMax: 1 })
  const parts = partsOf(main, settings, environment)
  const until = new Until(to, main.meta.sequence, environment.timeOf)
  let sequence = main.meta.sequence
  const applier = new GroupApplier(parts.space, parts.trees)
  // What the backups reach needs no log, which may begin later.
  const groups = sequence < until.sequence ? kept.groupsAfter(sequence) : []
  for (const found of groups) {
    if (!until.takes(found)) break
    assertBegins(found, sequence)
    sequence = applyGroup(parts, applier, found, until.sequence)
    if (sequence >= until.sequence) break
  }
  until.assertReached(sequence)
  writeCheckpoint(main, parts, sequence)
  return { sequence, timeMs: until.timeMs, pages: main.meta.pageCount }
}

/** A checkpoint is a state between two groups. */
function assertBegins({ firstCommit, location, group }: CommittedGroup, sequence: number): void {
  if (firstCommit === sequence + 1) return
  const place = { file: location, offset: group.firstLsn }
  throw new StoreCorruptError(place, 'first commit of the group', sequence + 1, firstCommit)
}

/** @returns the last commit that is there then */
function applyGroup(
  { space, trees }: Parts,
  applier: GroupApplier,
  { group, firstCommit, location }: CommittedGroup,
  lastSequence: number,
): number {
  const place = { file: location, offset: group.firstLsn }
  const sequence = applier.applyCommands(group.body, firstCommit, place, lastSequence)
  // Nobody writes them down.
  space.takenPageIds()
  space.publish(space.seal(), sequence, trees.directory)
  space.reclaim()
  return sequence
}

function partsOf(main: MainFile, settings: StoreSettings, { sleep }: RestoreEnvironment): Parts {
  const parts = pagesOf(main, settings, { sleep })
  publishStored(parts, main.meta.sequence)
  return parts
}

function writeCheckpoint(main: MainFile, { space }: Parts, sequence: number): void {
  const pin = space.pinPublished()
  const checkpoint = new Checkpoint(main, space, forEachReference, {
    version: pin.version,
    sequence,
    directory: pin.directory,
    logId: new Uint8Array(ID_BYTES),
    logLsn: 0,
    baseSequence: sequence,
    clean: true,
  })
  checkpoint.finish()
  main.trim()
}

/** Where the log is to end. */
class Until {
  /** Commits beyond it are not applied. */
  readonly sequence: number
  /** Of the last group that was taken. */
  timeMs: number | undefined
  readonly #to: RestorePoint | undefined
  readonly #first: number
  readonly #timeOf: RestoreEnvironment['timeOf']
  #isPassed = false

  /** @param first what the backups hold */
  constructor(to: RestorePoint | undefined, first: number, timeOf: RestoreEnvironment['timeOf']) {
    this.#timeOf = timeOf
    this.#to = to
    this.#first = first
    this.sequence = to !== undefined && 'sequence' in to ? to.sequence : Number.POSITIVE_INFINITY
  }

  /** Whether commits of the group are to be applied. @throws RestorePointError */
  takes({ group, firstCommit }: CommittedGroup): boolean {
    const to = this.#to
    const timeMs = this.#timeOf(group.body)
    if (to === undefined || 'sequence' in to) {
      this.timeMs = timeMs
      return true
    }
    if (timeMs === undefined) {
      const problem = 'the log has no times: give a commit sequence'
      throw new RestorePointError(problem, { wanted: to.timeMs, commit: firstCommit })
    }
    if (timeMs <= to.timeMs) {
      this.timeMs = timeMs
      return true
    }
    this.#isPassed = true
    if (this.timeMs === undefined) {
      const text = `${timeText(to.timeMs)} is before ${timeText(timeMs)}, when the first commit that is known to the log after the backup was made: take an earlier backup`
      throw new RestorePointError(text, { wanted: to.timeMs, first: timeMs })
    }
    return false
  }

  /** @throws RestorePointError for a moment after all that there is */
  assertReached(sequence: number): void {
    const to = this.#to
    if (to === undefined || 'sequence' in to) {
      assertReached(to, sequence)
      return
    }
    if (this.#isPassed || this.timeMs === to.timeMs) return
    const last = this.timeMs
    const end = last === undefined ? `commit ${this.#first} of the backup` : timeText(last)
    const text = `${timeText(to.timeMs)} is after the end of the log, ${end}`
    throw new RestorePointError(text, { wanted: to.timeMs, last: last ?? null })
  }
}

function assertReached(to: RestorePoint | undefined, sequence: number): void {
  if (to === undefined) return
  if (!('sequence' in to)) {
    throw new RestorePointError('a time needs the log: give the archive', { wanted: to.timeMs })
  }
  if (to.sequence === sequence) return
  const text = `commit ${to.sequence} is after the last one that there is, ${sequence}`
  throw new RestorePointError(text, { wanted: to.sequence, last: sequence })
}

function beforeBackup(wanted: number, first: number): RestorePointError {
  const text = `commit ${wanted} is before commit ${first}, which the backup ends with: take an earlier backup`
  return new RestorePointError(text, { wanted, first })
}

function timeText(timeMs: number): string {
  return new Date(timeMs).toISOString()
}
