/** Opens a backup, says what it found, and ends. Composition root of the process. */
import { constants, setPriority } from 'node:os'
import { type BackupWork, compareBackup } from './backup.ts'

// Whoever writes to the database goes first.
setPriority(constants.priority.PRIORITY_LOW)
process.once('message', (work: BackupWork) => void run(work))

async function run(work: BackupWork): Promise<void> {
  const verdict = await compareBackup(work)
  process.send?.(verdict, undefined, undefined, () => process.disconnect())
}
