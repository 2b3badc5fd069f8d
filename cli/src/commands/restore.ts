/** `ringbolt restore`: a new database from a backup, its increments and the log. */
import { type Command, Option } from 'commander'
import { type RestoreOptions, type RestoreResult, restore } from 'ringbolt'
import { EXIT_HELP } from '../exit-codes.ts'
import { interruptible } from '../interrupt.ts'
import { moment, wholeNumber } from '../option-values.ts'
import { createProgress } from '../progress.ts'
import { counted, number, print, printJson, size } from '../text.ts'

interface RestoreFlags {
  readonly increment?: readonly string[]
  readonly archive?: string
  readonly live?: string
  readonly toSequence?: number
  readonly toTime?: Date
  readonly json?: true
}

export function addRestore(program: Command): void {
  program
    .command('restore')
    .description('Makes a new database of a backup, and of what came after it.')
    .argument('<backup>', 'a full backup')
    .argument('<target>', 'the database to be made: nothing may be there')
    .option('--increment <file...>', 'incremental backups that follow it, in their order')
    .option('--archive <folder>', 'the archive of the log')
    .option('--live <database>', 'the database, or what is left of it, for the log beside it')
    .addOption(
      new Option('--to-sequence <n>', 'up to this commit (default: all that there is)')
        .argParser(wholeNumber)
        .conflicts('toTime'),
    )
    .addOption(
      new Option(
        '--to-time <iso>',
        'up to this time, with its zone: 2026-01-31T14:05:00Z',
      ).argParser(moment),
    )
    .option('--json', 'the result as JSON')
    .addHelpText(
      'after',
      `
Backups, archive and database are only read. The target is checked, the whole of it, and gets its name last; it is a
database of its own from then on: begin with a full backup of it. A time needs the log: --archive, --live or both.
Refused, failed or interrupted by Ctrl-C it leaves no file.
${EXIT_HELP}

Examples:
  $ ringbolt restore backups/monday.db restored.db --increment backups/tuesday backups/wednesday
  $ ringbolt restore backups/monday.db restored.db --archive /mnt/archive --to-time 2026-01-31T14:05:00Z
  $ ringbolt restore backups/monday.db restored.db --archive /mnt/archive --live app.db --to-sequence 48210`,
    )
    .action(restoreInto)
}

async function restoreInto(from: string, target: string, flags: RestoreFlags): Promise<void> {
  const progress = createProgress()
  const result = await interruptible(async (signal) => {
    try {
      return await restore({
        from,
        target,
        ...sourcesOf(flags),
        signal,
        onProgress: ({ bytesDone, bytesTotal }) =>
          progress.show(bytesDone, bytesTotal, textOfProgress(bytesDone, bytesTotal)),
      })
    } finally {
      progress.end()
    }
  })
  if (flags.json === true) printJson({ ...result, time: result.time ?? null })
  else print(textOf(result))
}

function sourcesOf(flags: RestoreFlags): Partial<RestoreOptions> {
  const { increment, archive, live, toSequence, toTime } = flags
  return {
    ...(increment !== undefined && { increments: increment }),
    ...(archive !== undefined && { archive }),
    ...(live !== undefined && { live }),
    ...(toSequence !== undefined && { to: { sequence: toSequence } }),
    ...(toTime !== undefined && { to: { time: toTime } }),
  }
}

/** What follows the pages takes its time, and says nothing meanwhile. */
function textOfProgress(done: number, total: number): string {
  return done < total ? `${size(done)} of ${size(total)}` : 'the log, and the check'
}

function textOf({ path, sequence, time, pages, durationMs }: RestoreResult): string {
  const when = time === undefined ? '' : `, of ${time.toISOString()}`
  return [
    `${path}: up to commit ${number(sequence)}${when}, checked and sound`,
    `  ${counted(pages, 'page')} in ${(durationMs / 1000).toFixed(2)} s`,
    '  its history is a new one: make a full backup of it',
  ].join('\n')
}
