/** The thread of one piece of long work: composition root of it. Blocks as it likes, ends with its work. */

import { randomBytes } from 'node:crypto'
import { basename, dirname } from 'node:path'
import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import { AtomicsMemory, errorToPlain } from '@ringbolt/ring'
import { FileStore } from '@ringbolt/wal'
import { BackupUnsoundError } from '../backup/errors.ts'
import { groupTimeMs } from '../sequencer/group-note.ts'
import { openFullBackup, readOwner, withIncrement } from './backup-state.ts'
import { checkFile } from './check-file.ts'
import { type CompactionCounts, compactFile } from './compact-file.ts'
import { fileFolders, liveLogFolder, mainPathOf, readFolder } from './file-folders.ts'
import type { CompactJob, MaintenanceJob, MaintenanceMessage } from './maintenance.ts'
import { type RestoredState, type RestoreJob, restoreFile } from './restore-file.ts'
import { StoreCore } from './store-core.ts'

const neverWoken = new AtomicsMemory(new SharedArrayBuffer(4))

function sleep(durationMs: number): void {
  neverWoken.wait(0, 0, durationMs)
}

type OnProgress = (bytesDone: number, bytesTotal: number) => void

/** Its log is applied, kept where it is to be kept, and gone, before the file is looked at. */
function compact(
  { path, settings, databaseId }: CompactJob,
  onProgress: OnProgress,
): CompactionCounts {
  const { main, mainName, ...rest } = fileFolders(path, false, settings.archive)
  StoreCore.open({ main, mainName, ...rest }, settings, {
    nowMs: () => performance.now(),
    wallMs: () => Date.now(),
    sleep,
    randomBytes: (count) => new Uint8Array(randomBytes(count)),
  }).close()
  return compactFile(main, mainName, databaseId, onProgress)
}

function restore(job: RestoreJob, onProgress: OnProgress): RestoredState {
  const from = fileFolders(mainPathOf(job.from), true)
  const full = openFullBackup(from.main, from.mainName)
  try {
    const { live, archive, partPath, databaseId } = job
    const liveLog = live === undefined ? undefined : liveLogFolder(mainPathOf(live))
    const restored = restoreFile(
      {
        full,
        increments: job.increments.map((path) => (use) => withIncrement(path, use)),
        archive: archive === undefined ? undefined : readFolder(archive),
        live: liveLog && {
          store: liveLog,
          owner: live === undefined ? undefined : readOwner(live),
        },
      },
      { store: new FileStore(dirname(partPath)), name: basename(partPath), databaseId },
      job.to,
      { sleep, timeOf: groupTimeMs, onProgress },
    )
    const findings = job.verify ? messagesOf(partPath) : []
    if (findings.length > 0) throw new BackupUnsoundError(job.target, findings)
    return restored
  } finally {
    full.close()
  }
}

/** What is wrong with a file that nobody has open. */
function messagesOf(path: string): readonly string[] {
  return checkFile(path).findings.map(({ message }) => message)
}

function run(job: MaintenanceJob, onProgress: OnProgress) {
  switch (job.kind) {
    case 'check':
      return messagesOf(job.path)
    case 'compact':
      return compact(job.job, onProgress)
    case 'restore':
      return restore(job.job, onProgress)
  }
}

function main(port: MessagePort, job: MaintenanceJob): void {
  const tell = (message: MaintenanceMessage): void => port.postMessage(message)
  try {
    const result = run(job, (bytesDone, bytesTotal) => {
      tell({ kind: 'progress', progress: { bytesDone, bytesTotal } })
    })
    tell({ kind: 'done', result })
  } catch (error) {
    tell({ kind: 'failed', error: errorToPlain(error) })
  }
}

if (parentPort === null) throw new Error('maintenance-thread.js is started as a worker')
main(parentPort, workerData)
