/** Restoring a database from its backups, its archive and what is left of its log. */
import { randomBytes } from 'node:crypto'
import { TargetExistsError } from '../backup/errors.ts'
import { NewFile } from './backup-files.ts'
import { liveLogFolder } from './file-folders.ts'
import { runInThread, type WorkOptions } from './maintenance.ts'
import type { RestorePoint } from './restore-file.ts'

export interface RestoreOptions extends WorkOptions {
  /** A full backup. */
  readonly from: string
  /** Incremental backups that follow it, in order; those past the moment are left out. */
  readonly increments?: readonly string[]
  /** The archive folder of the database. */
  readonly archive?: string
  /** The database itself, or what is left of it: its log may go on where the archive ends. It is only read. */
  readonly live?: string
  /** Up to a commit, or a time, which is included. Default: everything that there is. */
  readonly to?: { readonly sequence: number } | { readonly time: Date | number }
  /** Must not exist. */
  readonly target: string
  /** Checks the whole of what was made before it gets its name. Default true. */
  readonly verify?: boolean
}

export interface RestoreResult {
  readonly path: string
  /** Of the last commit in it. */
  readonly sequence: number
  /** When that was committed, as far as the log says. */
  readonly time: Date | undefined
  readonly pages: number
  readonly durationMs: number
}

const ID_BYTES = 16

/**
 * Makes a new database. Its history is one of its own: backups and archives of the old one do not go on with it.
 * @throws BackupChainError, StoreCorruptError and others for a backup that is none, damaged, or another's;
 * RestorePointError, ArchiveGapError, ArchiveForkError; TargetExistsError, for a log left beside the target, too. Nothing is left behind then
 */
export async function restore(options: RestoreOptions): Promise<RestoreResult> {
  const begunMs = performance.now()
  const to = pointOf(options.to)
  const { from, increments = [], archive, live, verify = true, signal, onProgress } = options
  signal?.throwIfAborted()
  const file = await NewFile.make(options.target)
  try {
    // It would be taken for the new database's own, and refused.
    const left = liveLogFolder(file.path)
    if (left !== undefined) throw new TargetExistsError(left.location, 'a folder')
    const databaseId = new Uint8Array(randomBytes(ID_BYTES))
    const { path, partPath } = file
    const files = { from, increments, archive, live, target: path, partPath }
    const job = { ...files, to, verify, databaseId }
    const restored = await runInThread<'restore'>({ kind: 'restore', job }, { signal, onProgress })
    await file.finish()
    const { sequence, timeMs, pages } = restored
    const time = timeMs === undefined ? undefined : new Date(timeMs)
    return { path, sequence, time, pages, durationMs: performance.now() - begunMs }
  } finally {
    await file.abandon()
  }
}

/** @throws TypeError, RangeError */
function pointOf(to: RestoreOptions['to']): RestorePoint | undefined {
  if (to === undefined) return undefined
  if ('sequence' in to) {
    if (Number.isSafeInteger(to.sequence) && to.sequence >= 0) return { sequence: to.sequence }
    throw new RangeError(`to.sequence must be a whole number from 0, not ${to.sequence}`)
  }
  const timeMs = Number(to.time)
  if (Number.isFinite(timeMs)) return { timeMs }
  throw new RangeError('to.time must be a date, or milliseconds since 1970')
}
