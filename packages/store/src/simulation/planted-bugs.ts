/**
 * Bugs of the kinds that an engine over two files has had: the campaign must find every one of them. Careless
 * disks are planted between the engine and its folders; careless bookkeeping in place of one function of the
 * engine, for as long as a test runs. For tests.
 */
import { type LogFile, type LogStore, SegmentedLog } from '@ringbolt/wal'
import { PAGE_BYTES } from '../page/page.ts'
import { RefusalWriter } from '../sequencer/refusals.ts'
import { PageIds } from '../space/page-ids.ts'
import { ReaderSlots } from '../space/reader-slots.ts'
import { RetiredPages } from '../space/retired-pages.ts'
import { MAIN_NAME, type WrapFolder } from './simulated-folders.ts'
import type { StoreSimulationContext } from './store-simulation.ts'

/** How one folder of the two goes wrong. */
interface FolderBug {
  readonly folder: 'main' | 'log'
  readonly syncFolder?: (store: LogStore) => void
  /** Remembers what it has to, per file. */
  readonly file?: (file: LogFile) => Partial<Pick<LogFile, 'sync' | 'writeAt'>>
}

type PlantFolder = (context: StoreSimulationContext) => WrapFolder

function plantFolder(bug: FolderBug): PlantFolder {
  return () => (store, folder) => (folder === bug.folder ? brokenStore(store, bug) : store)
}

function brokenStore(store: LogStore, { syncFolder, file }: FolderBug): LogStore {
  const broken = (sound: LogFile): LogFile => {
    const wrong = file?.(sound) ?? {}
    return {
      name: sound.name,
      readAt: (position, target) => sound.readAt(position, target),
      writeAt: wrong.writeAt ?? ((position, parts) => sound.writeAt(position, parts)),
      sync: wrong.sync ?? (() => sound.sync()),
      length: () => sound.length(),
      truncate: (lengthBytes) => sound.truncate(lengthBytes),
      close: () => sound.close(),
    }
  }
  return {
    location: store.location,
    list: () => store.list(),
    open: (name) => broken(store.open(name)),
    create: (name) => broken(store.create(name)),
    rename: (from, to) => store.rename(from, to),
    remove: (name) => store.remove(name),
    syncFolder: () => (syncFolder === undefined ? store.syncFolder() : syncFolder(store)),
  }
}

function isMeta(position: number): boolean {
  return position < 2 * PAGE_BYTES
}

/** Leaves out the syncs after the writes that `skips` names. */
function skippingSyncs(skips: (lastPosition: number) => boolean) {
  return (file: LogFile): Pick<LogFile, 'sync' | 'writeAt'> => {
    let lastPosition = 0
    return {
      writeAt(position, parts) {
        lastPosition = position
        file.writeAt(position, parts)
      },
      sync() {
        // The making of a file is another matter.
        if (file.name !== MAIN_NAME || !skips(lastPosition)) file.sync()
      },
    }
  }
}

/** The sync is made when the file is next written: what was acknowledged in between was so too early. */
function lateSyncs(file: LogFile): Pick<LogFile, 'sync' | 'writeAt'> {
  let due = false
  return {
    writeAt(position, parts) {
      if (due) file.sync()
      due = false
      file.writeAt(position, parts)
    },
    sync() {
      due = true
    },
  }
}

function retriedSyncs(file: LogFile): Pick<LogFile, 'sync'> {
  return {
    sync() {
      try {
        file.sync()
      } catch {
        file.sync()
      }
    },
  }
}

const nothing = (): void => undefined

export const PLANTED_FOLDER_BUGS: ReadonlyMap<string, PlantFolder> = new Map([
  [
    'a main file that is never synced',
    plantFolder({ folder: 'main', file: () => ({ sync: nothing }) }),
  ],
  [
    'a meta before its pages are synced',
    plantFolder({ folder: 'main', file: skippingSyncs((position) => !isMeta(position)) }),
  ],
  [
    'the log let go of before the meta is durable',
    plantFolder({ folder: 'main', file: skippingSyncs(isMeta) }),
  ],
  ['a log that is never synced', plantFolder({ folder: 'log', file: () => ({ sync: nothing }) })],
  ['acknowledgement before the sync', plantFolder({ folder: 'log', file: lateSyncs })],
  ['a failed sync of the log tried again', plantFolder({ folder: 'log', file: retriedSyncs })],
  [
    'a failed sync of the main file tried again',
    plantFolder({ folder: 'main', file: retriedSyncs }),
  ],
  ['a main folder that is never synced', plantFolder({ folder: 'main', syncFolder: nothing })],
  ["a log's folder that is never synced", plantFolder({ folder: 'log', syncFolder: nothing })],
])

/** Puts the bug in place of a method; what it returns takes it out again. */
type PlantEngine = () => () => void

function plantMethod<T extends object, K extends keyof T>(
  prototype: T,
  name: K,
  makeBug: (original: T[K]) => T[K],
): PlantEngine {
  return () => {
    const original = prototype[name]
    prototype[name] = makeBug(original)
    return () => {
      prototype[name] = original
    }
  }
}

export const PLANTED_ENGINE_BUGS: ReadonlyMap<string, PlantEngine> = new Map([
  [
    'a page freed one version too early',
    plantMethod(
      RetiredPages.prototype,
      'add',
      (add) =>
        function (this: RetiredPages, pageId, birth, retired) {
          add.call(this, pageId, birth, retired - 1)
        },
    ),
  ],
  [
    'a page id taken again while the last checkpoint holds the page',
    plantMethod(
      PageIds.prototype,
      'release',
      (release) =>
        function (this: PageIds, pageId, _birth, retired) {
          release.call(this, pageId, retired, retired)
        },
    ),
  ],
  [
    'a free list that forgets the pages that readers hold',
    plantMethod(
      PageIds.prototype,
      'freeWith',
      (freeWith) =>
        function (this: PageIds) {
          return freeWith.call(this, { forEachRetired: nothing })
        },
    ),
  ],
  [
    'a frame used again while a reader may be looking at it',
    plantMethod(ReaderSlots.prototype, 'hasLeft', () => () => true),
  ],
  [
    'a replay that leaves a group out',
    plantMethod(
      SegmentedLog.prototype,
      'replay',
      (replay) =>
        function (this: SegmentedLog, onGroup, from) {
          replay.call(this, (group) => group.epoch % 3 === 0 || onGroup(group), from)
        },
    ),
  ],
  [
    'a log that lets go of more than the checkpoint covers',
    plantMethod(
      SegmentedLog.prototype,
      'truncateBefore',
      (truncateBefore) =>
        function (this: SegmentedLog) {
          return truncateBefore.call(this, this.endLsn)
        },
    ),
  ],
  ['a refusal that is not told', plantMethod(RefusalWriter.prototype, 'refuse', () => nothing)],
])
