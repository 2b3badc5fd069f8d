/** Backups, full and incremental, opened to be read. */
import { isRingboltError } from '@ringbolt/ring'
import type { LogFile, LogStore } from '@ringbolt/wal'
import type { LiveLog } from '../backup/archived-log.ts'
import { BackupChainError } from '../backup/errors.ts'
import { type BackupState, Increment, isIncrement, stateOf } from '../backup/increment.ts'
import { PAGE_BYTES } from '../page/page.ts'
import { MainFile } from '../space/main-file.ts'
import { fileFolders, mainPathOf } from './file-folders.ts'

/** @returns what `use` returns; the file is closed then */
function withFile<T>(path: string, use: (file: LogFile, store: LogStore, name: string) => T): T {
  const { main, mainName } = fileFolders(mainPathOf(path), true)
  const file = main.open(mainName)
  try {
    return use(file, main, mainName)
  } finally {
    file.close()
  }
}

/** @throws what is wrong with the file */
export function readBackupState(path: string): BackupState & { readonly path: string } {
  return withFile(path, (file, store, name) => {
    const first = Buffer.alloc(PAGE_BYTES)
    file.readAt(0, first)
    if (isIncrement(first)) return { ...stateOf(new Increment(file, path).meta), path }
    const main = openFullBackup(store, name)
    try {
      return { ...stateOf(main.meta), path }
    } finally {
      main.close()
    }
  })
}

/** @throws BackupChainError also for a database that was not closed */
export function openFullBackup(store: LogStore, name: string): MainFile {
  const place = `${store.location}/${name}`
  const file = store.open(name)
  try {
    const first = Buffer.alloc(PAGE_BYTES)
    file.readAt(0, first)
    if (isIncrement(first)) {
      const problem = 'is an incremental backup: it comes after a full one, among the increments'
      throw new BackupChainError(place, problem)
    }
  } finally {
    file.close()
  }
  const main = MainFile.open(store, name, { readOnly: true })
  if (main.meta.clean) return main
  const problem = 'is a database that was not closed, not a backup: what its log holds is not in it'
  main.close()
  throw new BackupChainError(place, problem)
}

export function withIncrement<T>(path: string, use: (increment: Increment) => T): T {
  return withFile(path, (file) => use(new Increment(file, path)))
}

/** What a database's main file says of its log; undefined: there is none that can be read. */
export function readOwner(path: string): LiveLog['owner'] {
  try {
    return withFile(path, (_file, store, name) => {
      const main = MainFile.open(store, name, { readOnly: true })
      main.close()
      return main.meta
    })
  } catch (error) {
    // A damaged or missing main file is what its log is wanted for.
    if (isRingboltError(error)) return undefined
    throw error
  }
}
