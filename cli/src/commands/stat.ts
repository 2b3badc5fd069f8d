/** `ringbolt stat`: what a database holds, as of its last checkpoint. */
import type { Command } from 'commander'
import { describeFile, type FileDescription } from 'ringbolt'
import { EXIT_HELP } from '../exit-codes.ts'
import { counted, number, print, printJson, size, table } from '../text.ts'

export function addStat(program: Command): void {
  program
    .command('stat')
    .description('Sizes, pages, collections with their indexes, the log. Takes no lock.')
    .argument('<file>', 'the database, closed or in use')
    .option('--json', 'the figures as JSON')
    .addHelpText(
      'after',
      `
Collections are as of the last checkpoint; what the log holds beyond it is counted in records.
${EXIT_HELP}

Examples:
  $ ringbolt stat app.db
  $ ringbolt stat app.db --json | jq '.collections[] | {name, documents}'`,
    )
    .action((file: string, { json }: { readonly json?: true }) => {
      const description = describeFile(file)
      if (json === true) printJson(description)
      else print(textOf(description))
    })
}

function textOf(description: FileDescription): string {
  const { file, fileBytes, pages, freePages, pageBytes, collections } = description
  const rows = collections.flatMap(({ name, version, documents, indexes }) => [
    [name, number(documents), `version ${version}`],
    ...indexes.map(({ name: index, entries, ...form }) => [
      `  ${index}`,
      number(entries),
      [
        `on ${form.fields.join(', ')}`,
        ...(form.unique ? ['unique'] : []),
        ...(form.each ? ['each'] : []),
        ...(form.state === 'ready' ? [] : [form.state]),
      ].join(', '),
    ]),
  ])
  const share = pages === 0 ? 0 : (100 * freePages) / pages
  return [
    file,
    `  file         ${size(fileBytes)}: ${counted(pages, 'page')} of ${number(pageBytes)} bytes, ` +
      `${number(freePages)} free (${number(share)} %)`,
    `  state        ${stateOf(description)}`,
    `  last commit  ${number(description.lastSequence)}`,
    `  log          ${logOf(description)}`,
    '',
    rows.length === 0 ? 'no collections' : table(['collection', 'entries', ''], rows, new Set([1])),
  ].join('\n')
}

function stateOf({ clean, checkpoint, checkpointSequence }: FileDescription): string {
  const at = `checkpoint ${number(checkpoint)}, of commit ${number(checkpointSequence)}`
  return clean ? `closed cleanly, ${at}` : `in use, or not closed cleanly; ${at}`
}

function logOf({ log }: FileDescription): string {
  if (log === undefined) return 'none'
  const spares = log.spares === 0 ? '' : ` and ${counted(log.spares, 'spare')}`
  return (
    `${size(log.bytes)} in ${counted(log.segments, 'segment')}${spares}: ` +
    `${counted(log.groups, 'group')}, ${counted(log.records, 'record')}`
  )
}
