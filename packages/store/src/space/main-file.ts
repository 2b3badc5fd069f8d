/**
 * The main file: made, opened, closed, and its metas replaced.
 *
 * Threads: the sequencer's, or whoever opens the database before there is one. One writer at a time: the
 * caller holds the writer lock.
 *
 * Invariants
 *  F1 The meta in use is durable before anything happens that only it allows: an id that it freed is taken,
 *     log that it covers is released, the meta before is written over. So an opener that will write first
 *     writes the meta that it found again and syncs it: what it read may stand in the system's cache only,
 *     called clean by a sync that failed.
 *  F2 A file under its final name is a whole database.
 *
 * Crash: `create` leaves no file, or one under the temporary name, which the next opener removes, or the whole
 * empty database. `putMeta` leaves the meta before, with the new one old, torn or whole beside it.
 */
import { type LogFile, LogIoError, type LogStore } from '@ringbolt/wal'
import { FIRST_PAGE, PAGE_BYTES } from '../page/page.ts'
import { readFreeList } from './free-list.ts'
import {
  MainFileEmptyError,
  MainFileExistsError,
  type MainFileFinding,
  MainFileForeignError,
  MainFileNotFoundError,
  MainFileTruncatedError,
} from './main-file-errors.ts'
import { ID_BYTES, META_DIRECTORY_COUNT, META_SLOTS } from './main-layout.ts'
import {
  chooseMeta,
  decodeMeta,
  encodeMeta,
  type Meta,
  type MetaChoice,
  type MetaRead,
  metaOffset,
  metaSlot,
  NO_REFERENCE,
} from './meta.ts'
import { PageFile } from './page-file.ts'
import { type AdoptedList, PageIds } from './page-ids.ts'

const FILE_BYTES_MIN: number = META_SLOTS * PAGE_BYTES
export const UNFINISHED_SUFFIX = '.new'

export interface MainFileOptions {
  /** Changes nothing, not even to repair. Default false. */
  readonly readOnly?: boolean
}

/** What the metas of a new database say beyond being empty. */
export interface NewDatabase {
  /** 16 random bytes. */
  readonly databaseId: Uint8Array
}

/** What a new meta may say otherwise than the one in use; the checkpoint's number is its own. */
export type MetaChanges = Partial<Omit<Meta, 'checkpoint' | 'databaseId'>>

export class MainFile {
  readonly pages: PageFile
  readonly pageIds: PageIds
  /** What was wrong with the other meta when the file was opened; undefined: nothing. */
  readonly otherMeta: MainFileFinding | undefined
  readonly #file: LogFile
  readonly #readOnly: boolean
  #meta: Meta
  #pending: Meta | undefined

  private constructor(
    file: LogFile,
    pages: PageFile,
    meta: Meta,
    other: MainFileFinding | undefined,
    readOnly: boolean,
  ) {
    this.#file = file
    this.pages = pages
    this.#meta = meta
    this.otherMeta = other
    this.#readOnly = readOnly
    const { free, pageIds } = readFreeList(pages, meta)
    this.pageIds = PageIds.forCheckpoint(free, meta.pageCount, pageIds)
  }

  static exists(store: LogStore, name: string): boolean {
    const file = unlessMissing(() => store.open(name))
    file?.close()
    return file !== undefined
  }

  /** Makes an empty database, closed cleanly as it were, and opens it. */
  static create(store: LogStore, name: string, { databaseId }: NewDatabase): MainFile {
    const place = placeOf(store, name)
    if (databaseId.length !== ID_BYTES) {
      throw new RangeError(`a database id has ${ID_BYTES} bytes, not ${databaseId.length}`)
    }
    removeUnfinished(store, name)
    // A rename would replace it.
    if (MainFile.exists(store, name)) throw new MainFileExistsError(place)
    const meta = emptyMeta(databaseId)
    const images = [meta, { ...meta, checkpoint: 1 }].map(encodeMeta)
    const file = store.create(name + UNFINISHED_SUFFIX)
    try {
      file.writeAt(0, images)
      file.sync()
    } finally {
      file.close()
    }
    store.rename(name + UNFINISHED_SUFFIX, name)
    store.syncFolder()
    return MainFile.open(store, name)
  }

  /**
   * Reads metas and free list, nothing else.
   * @throws the errors of main-file-errors.ts, and StoreCorruptError for a page of the free list
   */
  static open(store: LogStore, name: string, options: MainFileOptions = {}): MainFile {
    const readOnly = options.readOnly ?? false
    const place = placeOf(store, name)
    if (!readOnly) removeUnfinished(store, name)
    const file = openMainFile(store, name)
    try {
      const { meta, other } = readMetas(file, place)
      const main = new MainFile(file, new PageFile(file, place), meta, other, readOnly)
      if (!readOnly) main.#writeMeta(meta)
      if (!readOnly) file.sync()
      return main
    } catch (error) {
      file.close()
      throw error
    }
  }

  /** The last durable one. */
  get meta(): Meta {
    return this.#meta
  }

  /** Folder and file. */
  get place(): string {
    return this.pages.place
  }

  /**
   * Writes the meta of the next checkpoint; its pages are on stable storage already. It counts once the file
   * has been synced: then the caller says `metaDurable`.
   */
  beginMeta(changes: MetaChanges): void {
    if (this.#readOnly) throw new Error(`${this.place} is open read-only`)
    if (this.#pending !== undefined) throw new Error('a meta is being written')
    const meta = { ...this.#meta, ...changes, checkpoint: this.#meta.checkpoint + 1 }
    this.#pending = meta
    this.#writeMeta(meta)
  }

  /** The file was synced after `beginMeta`. */
  metaDurable(): void {
    if (this.#pending === undefined) throw new Error('no meta is being written')
    this.#meta = this.#pending
    this.#pending = undefined
  }

  /** The same pages with other facts, at once: another log, or the clean flag. */
  putMeta(changes: MetaChanges): void {
    this.beginMeta(changes)
    this.pages.sync()
    this.metaDurable()
  }

  /** What the file says now: another process may have made a checkpoint. */
  newestMeta(): Meta {
    return readMetas(this.#file, this.place).meta
  }

  /** @throws StoreCorruptError */
  freeListOf(meta: Meta): AdoptedList {
    const { free, pageIds } = readFreeList(this.pages, meta)
    return { file: this.place, pageCount: meta.pageCount, free, listPages: pageIds }
  }

  /** Another process's, which is durable. */
  adoptMeta(meta: Meta): void {
    if (this.#pending !== undefined) throw new Error('a meta is being written')
    this.#meta = meta
  }

  /** Idempotent. */
  close(): void {
    this.#file.close()
  }

  /** Gives the file system back what is behind the last page; only while nothing is written. */
  trim(): void {
    const lengthBytes = this.#meta.pageCount * PAGE_BYTES
    if (this.pages.lengthBytes > lengthBytes) this.#file.truncate(lengthBytes)
  }

  #writeMeta(meta: Meta): void {
    this.#file.writeAt(metaOffset(metaSlot(meta.checkpoint)), [encodeMeta(meta)])
  }
}

/** The bare file. @throws MainFileNotFoundError */
export function openMainFile(store: LogStore, name: string): LogFile {
  const file = unlessMissing(() => store.open(name))
  if (file === undefined) throw new MainFileNotFoundError(placeOf(store, name))
  return file
}

function placeOf(store: LogStore, name: string): string {
  return `${store.location}/${name}`
}

/** Of a file that was not finished. */
export function removeUnfinished(store: LogStore, name: string): void {
  const removed = unlessMissing(() => {
    store.remove(name + UNFINISHED_SUFFIX)
    return true
  })
  if (removed) store.syncFolder()
}

/** Undefined when there is no such file. Listing would take long in a folder of many. */
function unlessMissing<T>(call: () => T): T | undefined {
  try {
    return call()
  } catch (error) {
    if (error instanceof LogIoError && error.facts['errno'] === 'ENOENT') return undefined
    throw error
  }
}

function emptyMeta(databaseId: Uint8Array): Meta {
  return {
    clean: true,
    checkpoint: 0,
    sequence: 0,
    databaseId,
    logId: new Uint8Array(ID_BYTES),
    logLsn: 0,
    baseSequence: 0,
    pageCount: FIRST_PAGE,
    freeCount: 0,
    freeList: NO_REFERENCE,
    directory: Array.from({ length: META_DIRECTORY_COUNT }, () => NO_REFERENCE),
  }
}

/**
 * The meta in use, as it is now; somebody else may be writing the next.
 * @throws the errors of main-file-errors.ts
 */
export function readMetas(file: LogFile, place: string): MetaChoice {
  let checkpoint = -1
  for (;;) {
    const choice = readMetasOnce(file, place)
    const neededBytes = choice.meta.pageCount * PAGE_BYTES
    const lengthBytes = file.length()
    if (lengthBytes >= neededBytes) return choice
    // The file gives back what it does not need once a meta says so: one that is newer than what was read.
    if (choice.meta.checkpoint === checkpoint) {
      throw new MainFileTruncatedError(place, neededBytes, lengthBytes)
    }
    checkpoint = choice.meta.checkpoint
  }
}

function readMetasOnce(file: LogFile, place: string): MetaChoice {
  const lengthBytes = file.length()
  if (lengthBytes === 0) throw new MainFileEmptyError(place, FILE_BYTES_MIN)
  const even = readMeta(file, 0)
  if (lengthBytes < FILE_BYTES_MIN) {
    if (even.kind === 'foreign') throw new MainFileForeignError(place, even.finding)
    throw new MainFileTruncatedError(place, FILE_BYTES_MIN, lengthBytes)
  }
  return chooseMeta([even, readMeta(file, 1)], place)
}

/** What a file that ends early does not have reads as zeros. */
function readMeta(file: LogFile, slot: number): MetaRead {
  const page = Buffer.alloc(PAGE_BYTES)
  file.readAt(metaOffset(slot), page)
  return decodeMeta(page, slot)
}
