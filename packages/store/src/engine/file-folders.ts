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

/** @throws LogIoError when the folder is missing or none */
export function fileFolders(mainPath: string, readOnly: boolean): StoreFolders {
  const logPath = mainPath + LOG_FOLDER_SUFFIX
  const main = new FileStore(dirname(mainPath), { readOnly })
  return {
    main,
    mainName: basename(mainPath),
    openLogFolder: () => (existsSync(logPath) ? new FileStore(logPath, { readOnly }) : undefined),
    makeLogFolder: () => new FileStore(logPath, { createFolder: true }),
    removeLogFolder() {
      rmdirSync(logPath)
      main.syncFolder()
    },
  }
}
