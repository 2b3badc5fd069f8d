/** `ringbolt backup`: a copy of a database, while others write on. */
import { type Command, Option } from 'commander'
import { type BackupProgress, type BackupResult, open } from 'ringbolt'
import { assertDatabase } from '../existing-database.ts'
import { EXIT_HELP } from '../exit-codes.ts'
import { interruptible } from '../interrupt.ts'
import { busyTimeoutOption } from '../option-values.ts'
import { createProgress } from '../progress.ts'
import { counted, number, print, printJson, size } from '../text.ts'

interface BackupFlags {
  readonly since?: string
  readonly verify?: true
  readonly archive?: string
  readonly busyTimeout: number
  readonly json?: true
}

export function addBackup(program: Command): void {
  program
    .command('backup')
    .description('Copies a database into a new file, while others read and write it.')
    .argument('<file>', 'the database, closed or in use')
    .argument('<target>', 'the file to be made: nothing may be there')
    .option('--since <backup>', 'only what is newer than this backup, full or incremental')
    .addOption(
      new Option('--verify', 'check the whole copy before it gets its name').conflicts('since'),
    )
    .option('--archive <folder>', 'the archive of its log: to be given when the database has one')
    .addOption(busyTimeoutOption('others who have the database to themselves'))
    .option('--json', 'the result as JSON')
    .addHelpText(
      'after',
      `
The database is opened for writing, as one more process, since a backup begins with a checkpoint. One that was not closed
is recovered by that. Where the log is archived, give --archive: log that this process releases is kept nowhere
otherwise. One that somebody has open with crossProcessLock: false must be backed up in that process.
Refused, failed or interrupted by Ctrl-C it leaves no file. An increment is checked when it is restored.
${EXIT_HELP}

Examples:
  $ ringbolt backup app.db backups/monday.db --verify
  $ ringbolt backup app.db backups/tuesday --since backups/monday.db
  $ ringbolt backup app.db backups/friday.db --archive /mnt/archive --json`,
    )
    .action(backup)
}

async function backup(file: string, target: string, flags: BackupFlags): Promise<void> {
  const { since, archive, busyTimeout } = flags
  const verify = flags.verify === true
  assertDatabase(file)
  const result = await interruptible(async (signal) => {
    const options = { create: false, busyTimeout, ...(archive !== undefined && { archive }) }
    const db = await open(file, options)
    const progress = createProgress()
    const onProgress = ({ bytesDone, bytesTotal }: BackupProgress): void =>
      progress.show(bytesDone, bytesTotal, textOfProgress(bytesDone, bytesTotal, verify))
    try {
      return await db.backup(target, {
        verify,
        onProgress,
        signal,
        ...(since !== undefined && { since }),
      })
    } finally {
      progress.end()
      await db.close()
    }
  })
  if (flags.json === true) printJson({ ...result, verified: verify })
  else print(textOf(result, verify))
}

function textOfProgress(done: number, total: number | undefined, verify: boolean): string {
  if (total === undefined) return `${size(done)} of what is new`
  if (verify && done >= total) return 'checking the copy'
  return `${size(done)} of ${size(total)}`
}

function textOf(result: BackupResult, verified: boolean): string {
  const { path, sequence, pages, bytes, durationMs } = result
  const seconds = (durationMs / 1000).toFixed(2)
  return [
    `${path}: up to commit ${number(sequence)}${verified ? ', checked and sound' : ''}`,
    `  ${counted(pages, 'page')}, ${size(bytes)} in ${seconds} s`,
  ].join('\n')
}
