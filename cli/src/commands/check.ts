/** `ringbolt check`: the integrity check, its verdict, each finding. */
import { isRingboltError } from '@ringbolt/ring'
import type { Command } from 'commander'
import { checkFile, type IntegrityProgress, type IntegrityReport, open } from 'ringbolt'
import { assertDatabase } from '../existing-database.ts'
import { EXIT_FINDINGS, EXIT_HELP } from '../exit-codes.ts'
import { createProgress } from '../progress.ts'
import { counted, number, print, printJson, size } from '../text.ts'

interface CheckFlags {
  readonly json?: true
  readonly applyLog?: true
}

export function addCheck(program: Command): void {
  program
    .command('check')
    .description(
      'Looks through a database: every page, every document, every index entry, the log. Repairs nothing.',
    )
    .argument('<file>', 'the database, closed or in use')
    .option(
      '--apply-log',
      'check the state that the log leads to, in memory, not the last checkpoint: as after a crash',
    )
    .option('--json', 'the report as JSON')
    .addHelpText(
      'after',
      `
Each finding has a kind: checksum, page, dangling-reference, page-used-twice, orphan-page, depth, fence, key-order,
overflow, sequence, count, free-list, meta, catalog, document, missing-index-entry, orphaned-index-entry, log-chain.
docs/CLI.md says what they mean.
${EXIT_HELP}

Examples:
  $ ringbolt check app.db
  $ ringbolt check app.db --json | jq '.findings[].message'
  $ ringbolt check app.db --apply-log`,
    )
    .action(check)
}

async function check(file: string, { json, applyLog }: CheckFlags): Promise<void> {
  const progress = createProgress()
  const onProgress = ({ pages, pagesTotal, findings }: IntegrityProgress): void => {
    const found = findings === 0 ? '' : `, ${counted(findings, 'finding')}`
    progress.show(pages, pagesTotal, `${number(pages)} of ${number(pagesTotal)} pages${found}`)
  }
  let report: IntegrityReport
  try {
    report = await (applyLog === true ? checkOpened : checkAsItIs)(file, onProgress)
  } finally {
    progress.end()
  }
  const isSound = report.findings.length === 0
  if (json === true) printJson({ file, verdict: isSound ? 'sound' : 'damaged', ...report })
  else print(textOf(file, report))
  if (!isSound) process.exitCode = EXIT_FINDINGS
}

type OnProgress = (progress: IntegrityProgress) => void

/** When writers make checkpoints faster than they can be looked through, as one of those who have it open. */
async function checkAsItIs(file: string, onProgress: OnProgress): Promise<IntegrityReport> {
  try {
    return checkFile(file, { onProgress })
  } catch (error) {
    if (!isRingboltError(error) || error.code !== 'RINGBOLT_BUSY') throw error
    return checkOpened(file, onProgress)
  }
}

async function checkOpened(file: string, onProgress: OnProgress): Promise<IntegrityReport> {
  assertDatabase(file)
  const db = await open(file, { readOnly: true })
  try {
    return await db.integrityCheck({ onProgress })
  } finally {
    await db.close()
  }
}

function textOf(file: string, report: IntegrityReport): string {
  const { findings, notes, documents, indexEntries, durationMs, bytes } = report
  const seconds = durationMs / 1000
  const verdict =
    findings.length === 0 ? 'sound' : `damaged: ${counted(findings.length, 'finding')}`
  const lines = findings.map(({ kind, message }) => `  ${kind}: ${message}`)
  return [
    `${file} is ${verdict}`,
    ...lines,
    ...notes.map((note) => `  note: ${note}`),
    `  ${counted(report.pages, 'page')}, ${counted(documents, 'document')}, ` +
      `${counted(indexEntries, 'index entry', 'index entries')}, up to commit ${number(report.sequence)}`,
    `  ${size(bytes)} in ${seconds.toFixed(2)} s, ${number(bytes / 1e6 / seconds)} MB/s`,
  ].join('\n')
}
