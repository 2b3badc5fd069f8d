/** `ringbolt compact`: a main file without free pages. */
import type { Command } from 'commander'
import { type CompactResult, compact } from 'ringbolt'
import { assertDatabase } from '../existing-database.ts'
import { EXIT_HELP } from '../exit-codes.ts'
import { busyTimeoutOption } from '../option-values.ts'
import { createProgress } from '../progress.ts'
import { counted, print, printJson, size } from '../text.ts'

interface CompactFlags {
  readonly archive?: string
  readonly busyTimeout: number
  readonly json?: true
}

export function addCompact(program: Command): void {
  program
    .command('compact')
    .description('Makes the file of a database as short as it can be. Nobody may have it open.')
    .argument('<file>', 'the database')
    .option('--archive <folder>', 'the archive of its log: to be given when the database has one')
    .addOption(busyTimeoutOption('everybody else to close it'))
    .option('--json', 'the result as JSON')
    .addHelpText(
      'after',
      `
The database is written anew beside the old file, in the order of its keys, checked, and put in its place: it takes as much
room as what is in use. Interrupted at any point, by Ctrl-C or by a crash, it leaves the old database or the new one, whole.
Backups begin anew: make a full one afterwards.
${EXIT_HELP}

Examples:
  $ ringbolt compact app.db
  $ ringbolt compact app.db --archive /mnt/archive --json`,
    )
    .action(compactInPlace)
}

async function compactInPlace(file: string, flags: CompactFlags): Promise<void> {
  const { archive, busyTimeout } = flags
  assertDatabase(file)
  const progress = createProgress()
  let result: CompactResult
  try {
    result = await compact(file, {
      busyTimeout,
      ...(archive !== undefined && { archive }),
      onProgress: ({ bytesDone, bytesTotal }) =>
        progress.show(bytesDone, bytesTotal, `${size(bytesDone)} of ${size(bytesTotal)}`),
    })
  } finally {
    progress.end()
  }
  if (flags.json === true) printJson(result)
  else print(textOf(result))
}

function textOf({ path, bytesBefore, bytesAfter, pages, durationMs }: CompactResult): string {
  const seconds = (durationMs / 1000).toFixed(2)
  return [
    `${path}: ${size(bytesBefore)} before, ${size(bytesAfter)} now`,
    `  ${counted(pages, 'page')} in ${seconds} s; the next backup must be a full one`,
  ].join('\n')
}
