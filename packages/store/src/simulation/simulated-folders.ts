/**
 * A database's two folders on one simulated disk, so that one crash hits both: `app.db` stands at the top,
 * the log's files behind the prefix of their folder. The folder itself is an empty file of that name at the
 * top: its existence is as uncertain as any other entry's.
 *
 * Contract
 *  A1 A folder's sync makes the names in that folder certain and no others.
 *  A2 A folder whose own entry did not survive took everything in it along.
 *  A3 Making the folder makes its entry certain, as the file store does it, also when it is there already.
 */
import type { LogFile, LogStore } from '@ringbolt/wal'
import type { SimulatedDisk } from '@ringbolt/wal/simulation'
import type { StoreFolders } from '../engine/store-folders.ts'

export const MAIN_NAME = 'app.db'
export const LOG_FOLDER_NAME = 'app.db-wal'
export const LOG_PREFIX = `${LOG_FOLDER_NAME}/`
/** Was made before the database was. */
const ARCHIVE_PREFIX = 'archive/'

/** Stands between the engine and a folder: how tests plant bugs. */
export type WrapFolder = (store: LogStore, folder: 'main' | 'log') => LogStore

export class SimulatedFolders implements StoreFolders {
  readonly mainName = MAIN_NAME
  readonly main: LogStore
  readonly archive: LogStore | undefined
  readonly #disk: SimulatedDisk
  readonly #wrap: WrapFolder

  /**
   * @param disk just made or reopened: what a lost folder held is removed
   * @param archives whether the log is kept
   */
  constructor(disk: SimulatedDisk, wrap: WrapFolder = (store) => store, archives = false) {
    this.#disk = disk
    this.#wrap = wrap
    this.main = wrap(new Folder(disk, ''), 'main')
    this.archive = archives ? new Folder(disk, ARCHIVE_PREFIX) : undefined
    removeLost(disk)
  }

  /** Files of the database and its log. */
  list(): string[] {
    return this.#disk.list().filter((name) => !name.startsWith(ARCHIVE_PREFIX))
  }

  openLogFolder(): LogStore | undefined {
    return this.#disk.list().includes(LOG_FOLDER_NAME) ? this.#logFolder() : undefined
  }

  makeLogFolder(): LogStore {
    if (!this.#disk.list().includes(LOG_FOLDER_NAME)) this.#disk.create(LOG_FOLDER_NAME).close()
    this.main.syncFolder()
    return this.#logFolder()
  }

  removeLogFolder(): void {
    const left = this.#disk.list().filter((name) => name.startsWith(LOG_PREFIX))
    if (left.length > 0) throw new Error(`the log's folder still holds ${left.join(', ')}`)
    this.#disk.remove(LOG_FOLDER_NAME)
    this.main.syncFolder()
  }

  #logFolder(): LogStore {
    return this.#wrap(new Folder(this.#disk, LOG_PREFIX), 'log')
  }
}

function removeLost(disk: SimulatedDisk): void {
  const names = disk.list()
  if (names.includes(LOG_FOLDER_NAME)) return
  const lost = names.filter((name) => name.startsWith(LOG_PREFIX))
  for (const name of lost) disk.remove(name)
  if (lost.length > 0) disk.syncFolder((name) => name.startsWith(LOG_PREFIX))
}

/** One folder of the disk; the prefix is empty for the one at the top. */
class Folder implements LogStore {
  readonly #disk: SimulatedDisk
  readonly #prefix: string

  constructor(disk: SimulatedDisk, prefix: string) {
    this.#disk = disk
    this.#prefix = prefix
  }

  get location(): string {
    const { location } = this.#disk
    return this.#prefix === '' ? location : `${location}/${LOG_FOLDER_NAME}`
  }

  list(): string[] {
    const names = this.#disk.list().filter((name) => this.#isIn(name))
    return names.map((name) => name.slice(this.#prefix.length))
  }

  open(name: string): LogFile {
    return this.#disk.open(this.#prefix + name)
  }

  create(name: string): LogFile {
    return this.#disk.create(this.#prefix + name)
  }

  rename(from: string, to: string): void {
    this.#disk.rename(this.#prefix + from, this.#prefix + to)
  }

  remove(name: string): void {
    this.#disk.remove(this.#prefix + name)
  }

  syncFolder(): void {
    this.#disk.syncFolder((name) => this.#isIn(name))
  }

  #isIn(name: string): boolean {
    return this.#prefix === '' ? !name.includes('/') : name.startsWith(this.#prefix)
  }
}
