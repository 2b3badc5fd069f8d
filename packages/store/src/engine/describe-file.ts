/**
 * What a database's files hold, without opening it: nothing is changed, no lock is taken, and somebody may be
 * writing. It is of the last checkpoint, whose pages stay until the next one is durable; when that has come, it is
 * all read again.
 */
import { isRingboltError } from '@ringbolt/ring'
import { inspectLog, type LogInspection } from '@ringbolt/wal'
import { readCatalog } from '../client/check-catalog.ts'
import { StoreChangingError, StoreCorruptError } from '../errors.ts'
import type { Found } from '../finding.ts'
import { PAGE_BYTES } from '../page/page.ts'
import { FilePages } from '../space/file-pages.ts'
import { openMainFile, readMetas } from '../space/main-file.ts'
import type { Meta } from '../space/meta.ts'
import { PageFile } from '../space/page-file.ts'
import { fileFolders, mainPathOf } from './file-folders.ts'
import { directoryOf } from './file-structure.ts'
import { FileView } from './file-view.ts'
import type { StoreFolders } from './store-folders.ts'

const CACHE_BYTES = 1024 * 1024
const ATTEMPTS_MAX = 5

export interface IndexDescription {
  readonly name: string
  readonly fields: readonly string[]
  readonly unique: boolean
  readonly each: boolean
  readonly state: 'ready' | 'building'
  readonly entries: number
}

export interface CollectionDescription {
  readonly name: string
  /** Of its definition. */
  readonly version: number
  readonly documents: number
  readonly indexes: readonly IndexDescription[]
}

export interface LogDescription {
  readonly segments: number
  readonly spares: number
  /** Of the segments' files. */
  readonly bytes: number
  readonly groups: number
  readonly records: number
}

export interface FileDescription {
  readonly file: string
  readonly databaseId: string
  readonly fileBytes: number
  readonly pageBytes: number
  /** Of the checkpoint, free ones included. */
  readonly pages: number
  readonly freePages: number
  /** Ordinal of the last checkpoint, and the highest commit sequence in it: what collections are described as of. */
  readonly checkpoint: number
  readonly checkpointSequence: number
  /** Closed cleanly; otherwise somebody has it open, or did not close it. */
  readonly clean: boolean
  /** Undefined after a clean close. */
  readonly log: LogDescription | undefined
  /** Of the last commit, in the log or in the checkpoint. */
  readonly lastSequence: number
  readonly collections: readonly CollectionDescription[]
}

/** @throws MainFileNotFoundError and what main-file-errors.ts says; StoreCorruptError; StoreChangingError */
export function describeFile(path: string): FileDescription {
  const mainPath = mainPathOf(path)
  const folders = fileFolders(mainPath, true)
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const description = attemptDescription(folders, mainPath)
    if (description !== undefined) return description
  }
  throw new StoreChangingError(mainPath, ATTEMPTS_MAX)
}

/** Undefined when it could not be read, since another checkpoint has come. */
function attemptDescription(folders: StoreFolders, place: string): FileDescription | undefined {
  const file = openMainFile(folders.main, folders.mainName)
  try {
    const { meta } = readMetas(file, place)
    const isSame = (): boolean => readMetas(file, place).meta.checkpoint === meta.checkpoint
    try {
      const collections = collectionsOf({ pages: new PageFile(file, place), meta, place })
      const log = meta.clean ? undefined : logOf(folders, meta)
      if (!meta.clean && log === undefined && !isSame()) return undefined
      return {
        file: place,
        databaseId: Buffer.from(meta.databaseId).toString('hex'),
        fileBytes: file.length(),
        pageBytes: PAGE_BYTES,
        pages: meta.pageCount,
        freePages: meta.freeCount,
        checkpoint: meta.checkpoint,
        checkpointSequence: meta.sequence,
        clean: meta.clean,
        log: log && sizesOf(log),
        lastSequence: lastSequenceOf(log, meta),
        collections,
      }
    } catch (error) {
      if (isRingboltError(error) && error.code === 'RINGBOLT_CORRUPT' && !isSame()) return undefined
      throw error
    }
  } finally {
    file.close()
  }
}

function collectionsOf(main: ConstructorParameters<typeof FilePages>[0]): CollectionDescription[] {
  const { meta, place } = main
  const pages = new FilePages(main, CACHE_BYTES)
  const view = new FileView(pages, directoryOf(main), meta.sequence, place)
  const refuse = ({ what, expected, actual, offset = 0 }: Found): never => {
    throw new StoreCorruptError({ file: place, offset }, what, expected, actual)
  }
  return readCatalog(view, refuse).collections.map(({ name, version, tree, indexes }) => ({
    name,
    version,
    documents: view.count(tree),
    indexes: indexes.map(({ tree: indexTree, ...index }) => ({
      ...index,
      entries: view.count(indexTree),
    })),
  }))
}

function logOf(folders: StoreFolders, { logId }: Meta): LogInspection | undefined {
  const store = folders.openLogFolder()
  if (store === undefined) return undefined
  const steps = inspectLog(store, { logId })
  for (let step = steps.next(); ; step = steps.next()) if (step.done === true) return step.value
}

function sizesOf({ segments, spares }: LogInspection): LogDescription {
  const sum = (field: 'segmentBytes' | 'groups' | 'records'): number =>
    segments.reduce((total, segment) => total + segment[field], 0)
  const [bytes, groups, records] = [sum('segmentBytes'), sum('groups'), sum('records')]
  return { segments: segments.length, spares, bytes, groups, records }
}

function lastSequenceOf(log: LogInspection | undefined, meta: Meta): number {
  const end = log?.segments.at(-1)?.endSequence ?? 1
  return Math.max(meta.sequence, meta.baseSequence + end - 1)
}
