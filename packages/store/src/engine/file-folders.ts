/** A database's files on a real disk: composition root of the store's file access. */
import { existsSync, realpathSync, rmdirSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { FileStore } from '@ringbolt/wal'
import type { StoreFolders } from './store-folders.ts'

const LOG_FOLDER_SUFFIX = '-wal'
const LOCK_SUFFIX = '-lock'
const PRESENCE_SUFFIX = '-processes'

/** Absolute, and the same however the folder is written: symbolic links in it are followed. */
export function mainPathOf(path: string): string {
  const absolute = resolve(path)
  const folder = dirname(absolute)
  return join(existsSync(folder) ? realpathSync(folder) : folder, basename(absolute))
}

export function lockPathOf(mainPath: string): string {
  return mainPath + LOCK_SUFFIX
}

/** The folder in which each process that has the database open has a file. */
export function presencePathOf(mainPath: string): string {
  return mainPath + PRESENCE_SUFFIX
}

/**
 * @param archive made when it is missing; its parent must exist
 * @throws LogIoError when a folder is missing or none
 */
export function fileFolders(mainPath: string, readOnly: boolean, archive?: string): StoreFolders {
  const logPath = mainPath + LOG_FOLDER_SUFFIX
  const main = new FileStore(dirname(mainPath), { readOnly })
  const isKept = archive !== undefined && !readOnly
  return {
    main,
    mainName: basename(mainPath),
    archive: isKept ? archiveFolder(archive, logPath) : undefined,
    openLogFolder: () => (existsSync(logPath) ? new FileStore(logPath, { readOnly }) : undefined),
    makeLogFolder: () => new FileStore(logPath, { createFolder: true }),
    removeLogFolder() {
      rmdirSync(logPath)
      main.syncFolder()
    },
  }
}

function archiveFolder(archive: string, logPath: string): FileStore {
  const folder = mainPathOf(archive)
  if (folder === logPath)
    throw new TypeError(`the archive cannot be the log's own folder, ${logPath}`)
  return new FileStore(folder, { createFolder: true })
}

/** A folder that is only read. @throws LogIoError when it is missing or none */
export function readFolder(path: string): FileStore {
  return new FileStore(mainPathOf(path), { readOnly: true })
}

/** The log of a database beside its main file; undefined: there is none. */
export function liveLogFolder(mainPath: string): FileStore | undefined {
  const logPath = mainPath + LOG_FOLDER_SUFFIX
  return existsSync(logPath) ? new FileStore(logPath, { readOnly: true }) : undefined
}
