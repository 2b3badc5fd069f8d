/**
 * From files to the state that clients left: the last durable checkpoint, and the log's records after it,
 * applied by the function that committed them.
 *
 * Crash: changes nothing but what `MainFile.open`, the log's recovery and `openStoreLog` say, each of which may
 * be interrupted and repeated; pages of the replay are spilled only to places that no durable checkpoint uses, and
 * not at all when the database is only read: then they have to fit in the cache.
 */
import type { LogGroup, SegmentedLog, SegmentedLogOptions } from '@ringbolt/wal'
import { StoreReplacedError } from '../errors.ts'
import { PAGES_PER_OPERATION } from '../sequencer/apply.ts'
import { COMMAND_BYTES_MAX } from '../sequencer/command.ts'
import { GroupApplier } from '../sequencer/group-applier.ts'
import { MainFile } from '../space/main-file.ts'
import { PageIds } from '../space/page-ids.ts'
import { createRegion } from '../space/region.ts'
import { SharedSpace } from '../space/shared-space.ts'
import { DirectoryReferences } from '../tree/directory.ts'
import { forEachReference } from '../tree/references.ts'
import { Trees } from '../tree/trees.ts'
import { type EngineLog, NoLog } from './engine-log.ts'
import { type Neighbours, NO_NEEDS } from './neighbours.ts'
import type { StoreSettings } from './options.ts'
import { logTag } from './shared-head.ts'
import type { CoreEnvironment } from './store-core.ts'
import type { StoreFolders } from './store-folders.ts'
import { openStoreLog, openStoreLogToRead, type StoreLog } from './store-log.ts'
import { VersionHistory } from './version-history.ts'

/** Where the parts of a database are. */
export interface RecoveredState {
  readonly region: SharedArrayBuffer
  readonly space: SharedSpace
  readonly trees: Trees
  readonly pageIds: PageIds
  readonly log: EngineLog
  /** The last commit's. */
  readonly sequence: number
  /** Undefined in memory. */
  readonly main: MainFile | undefined
  /** Which versions were gone through, from the checkpoint on. */
  readonly history: VersionHistory
  /** Undefined in memory, and for reading only. */
  readonly segments: SegmentedLog | undefined
}

const DATABASE_ID_BYTES = 16
const PAUSE_MS = 1
const CATALOG_TREE = 0
const CATALOG_DEFINITION = 1

export function recoverState(
  folders: StoreFolders | undefined,
  settings: StoreSettings,
  environment: CoreEnvironment,
): RecoveredState {
  if (folders === undefined) return emptyState(settings, environment)
  const main = openMain(folders, settings, environment)
  try {
    assertNotReplaced(main, environment.neighbours)
    const parts = pagesOf(main, settings, environment)
    const stored = openLogOf(folders, main, settings, environment)
    try {
      const history = new VersionHistory()
      const hasOthers = (environment.neighbours?.needs() ?? NO_NEEDS) !== NO_NEEDS
      const sequence = bringUp(parts, main, stored, hasOthers, history)
      if (!settings.readOnly && stored !== undefined) {
        return { ...parts, main, sequence, history, log: stored.log, segments: stored.log }
      }
      stored?.log.close()
      return { ...parts, main, sequence, history, log: new NoLog(), segments: undefined }
    } catch (error) {
      stored?.log.close()
      throw error
    }
  } catch (error) {
    main.close()
    throw error
  }
}

function emptyState(settings: StoreSettings, environment: CoreEnvironment): RecoveredState {
  const parts = pagesOf(undefined, settings, environment)
  makeCatalog(parts, 0)
  return {
    ...parts,
    main: undefined,
    sequence: 0,
    history: new VersionHistory(),
    log: new NoLog(),
    segments: undefined,
  }
}

function openMain(
  folders: StoreFolders,
  { create, readOnly }: StoreSettings,
  { randomBytes, neighbours }: CoreEnvironment,
): MainFile {
  const { main, mainName } = folders
  // What others have open was taken away: another one in its place would share their lock.
  if (!create || hasWriters(neighbours) || readOnly || MainFile.exists(main, mainName)) {
    return MainFile.open(main, mainName, { readOnly })
  }
  return MainFile.create(main, mainName, { databaseId: randomBytes(DATABASE_ID_BYTES) })
}

/**
 * Others that write are at another log when files were renamed, replaced or deleted under them, the lock file among
 * them; then the lock that is held here is not the one that keeps them out.
 */
function assertNotReplaced({ meta, place }: MainFile, neighbours: Neighbours | undefined): void {
  if (!hasWriters(neighbours)) return
  if (neighbours.readHead()?.log !== logTag(meta.logId)) throw new StoreReplacedError(place)
}

function hasWriters(neighbours: Neighbours | undefined): neighbours is Neighbours {
  return neighbours !== undefined && neighbours.needs().reachedLsn < Number.POSITIVE_INFINITY
}

export type Parts = Pick<RecoveredState, 'region' | 'space' | 'trees' | 'pageIds'>

export function pagesOf(
  main: MainFile | undefined,
  settings: StoreSettings,
  { sleep }: Pick<CoreEnvironment, 'sleep'>,
): Parts {
  const { cacheBytes, threadsMax, snapshotsMax, readOnly } = settings
  const region = createRegion({ cacheBytes, readersMax: threadsMax, pinsMax: snapshotsMax })
  const pageIds = main?.pageIds ?? PageIds.forMemory()
  const pause = (): void => sleep(PAUSE_MS)
  const space = new SharedSpace(region, main?.pages, pageIds, forEachReference, {
    pause,
    readOnly,
  })
  const directory = new DirectoryReferences()
  for (const [at, { pageId, checksum }] of (main?.meta.directory ?? []).entries()) {
    directory.pages[at] = pageId
    directory.checksums[at] = checksum
  }
  return { region, space, trees: new Trees(space, directory), pageIds }
}

function openLogOf(
  folders: StoreFolders,
  main: MainFile,
  settings: StoreSettings,
  { randomBytes }: CoreEnvironment,
): StoreLog | undefined {
  const options = logOptionsOf(settings)
  return settings.readOnly
    ? openStoreLogToRead(folders, main, options)
    : openStoreLog(folders, main, { ...options, randomBytes })
}

export function logOptionsOf({ sync, segmentBytes }: StoreSettings): Pick<
  SegmentedLogOptions,
  'sync' | 'segmentBytes'
> & {
  recordLengthMaxBytes: number
} {
  return { sync, segmentBytes, recordLengthMaxBytes: COMMAND_BYTES_MAX }
}

/** @returns the commit sequence of the state that is published then */
function bringUp(
  parts: Parts,
  main: MainFile,
  stored: StoreLog | undefined,
  hasOthers: boolean,
  history: VersionHistory,
): number {
  let { sequence } = main.meta
  publishStored(parts, sequence)
  history.add(main.meta.logLsn, parts.space.publishedVersion, sequence)
  if (stored?.replayFrom === undefined) return sequence
  const replay = new Replay(parts, main.meta.baseSequence, history)
  const { log, replayFrom } = stored
  const apply = (): void => {
    log.replay((group) => {
      sequence = replay.group(group, log.store.location)
    }, replayFrom)
  }
  if (hasOthers) parts.space.catchUpBesideOthers(apply)
  else apply()
  return sequence
}

/** What the main file holds, as the first published state. */
export function publishStored(parts: Parts, sequence: number): void {
  const { space, trees } = parts
  if (trees.exists(CATALOG_TREE)) space.publish(space.seal(), sequence, trees.directory)
  else makeCatalog(parts, sequence)
}

function makeCatalog({ space, trees }: Parts, sequence: number): void {
  space.makeRoom(PAGES_PER_OPERATION)
  trees.create(CATALOG_TREE, CATALOG_DEFINITION)
  // No group's: every opening until the first checkpoint makes it so, of the file's first page.
  space.takenPageIds()
  space.publish(space.seal(), sequence, trees.directory)
}

class Replay {
  readonly #parts: Parts
  readonly #baseSequence: number
  readonly #applier: GroupApplier
  readonly #history: VersionHistory

  constructor(parts: Parts, baseSequence: number, history: VersionHistory) {
    this.#history = history
    this.#parts = parts
    this.#baseSequence = baseSequence
    this.#applier = new GroupApplier(parts.space, parts.trees)
  }

  /** @returns the sequence of its last record */
  group({ body, firstLsn, firstSequence, recordCount }: LogGroup, location: string): number {
    const { space, trees } = this.#parts
    const first = this.#baseSequence + firstSequence
    this.#applier.apply(body, first, { file: location, offset: firstLsn })
    const sequence = first + recordCount - 1
    const version = space.seal()
    space.publish(version, sequence, trees.directory)
    this.#history.add(firstLsn + body.length, version, sequence)
    space.reclaim()
    return sequence
  }
}
