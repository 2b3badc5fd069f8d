/** Hot backups of a database that others write to, and whether what they gave is what it must be. */
import { fork } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { checkFile, type Database, Database as DatabaseClass, open } from 'ringbolt'
import { itemsOf } from '../documents/collection.ts'
import { DocumentOracle } from '../documents/document-oracle.ts'
import { type DocumentSettings, lanesOf, openOptionsOf } from '../documents/document-settings.ts'
import { ChildEndedError } from '../errors.ts'

export interface BackupResult {
  readonly path: string
  readonly sequence: number
  readonly bytes: number
  readonly pages: number
  readonly durationMs: number
}

/** What of a database is needed to back it up. */
interface HotBackup {
  backup(target: string): Promise<BackupResult>
}

function canBackUp(database: object): database is HotBackup {
  return 'backup' in database && typeof database.backup === 'function'
}

/** Whether this version of the database has hot backups. */
export function backupsExist(): boolean {
  return canBackUp(DatabaseClass.prototype)
}

/** @throws TypeError when this version has none; what the backup fails with */
export async function backUp(database: Database, target: string): Promise<BackupResult> {
  if (!canBackUp(database)) throw new TypeError('this version of ringbolt has no hot backups')
  return await database.backup(target)
}

/** A copy, and what it must hold. */
export interface BackupWork {
  readonly path: string
  readonly settings: DocumentSettings
  /** Acknowledged before the backup was begun, by place: incarnation × lanes + lane. */
  readonly atLeast: readonly number[]
  /** After it had ended. */
  readonly atMost: readonly number[]
}

export interface BackupVerdict {
  readonly documents: number
  readonly findings: readonly string[]
}

/** Opens the copy and compares every document, then walks the file. */
export async function compareBackup(work: BackupWork): Promise<BackupVerdict> {
  const { path, settings, atLeast, atMost } = work
  if (!existsSync(path)) return { documents: 0, findings: [`there is no ${path}`] }
  const db = await open(path, { ...openOptionsOf(settings), create: false })
  const oracle = new DocumentOracle(itemsOf(db), lanesOf(settings))
  const { documents, findings } = await oracle.prove(atLeast, atMost)
  await db.close()
  return {
    documents,
    findings: [...findings, ...checkFile(path).findings.map(({ message }) => message)],
  }
}

/**
 * The same in a process of its own, so that this one goes on with what it watches.
 * @throws ChildEndedError when that process failed
 */
export async function compareBackupElsewhere(work: BackupWork): Promise<BackupVerdict> {
  const script = fileURLToPath(new URL('./backup-verifier.js', import.meta.url))
  const child = fork(script, { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] })
  let output = ''
  let verdict: BackupVerdict | undefined
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    output += text
  })
  child.on('message', (message: BackupVerdict) => {
    verdict = message
  })
  child.send(work)
  return await new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (exitCode, signal) => {
      if (verdict !== undefined) resolve(verdict)
      else reject(new ChildEndedError('the process that opens a backup', exitCode, signal, output))
    })
  })
}
