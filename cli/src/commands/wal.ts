/** `ringbolt wal`: what a log's files hold. */
import { existsSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import {
  FileStore,
  forEachRecord,
  type InspectedGroup,
  inspectLog,
  type LogInspection,
  LogNotFoundError,
} from '@ringbolt/wal'
import type { Command } from 'commander'
import { describeFile } from 'ringbolt'
import { EXIT_FINDINGS, EXIT_HELP } from '../exit-codes.ts'
import { counted, number, print, printJson, size, table } from '../text.ts'

interface WalFlags {
  readonly json?: true
  readonly groups?: true
  readonly records?: true
}

const LOG_FOLDER_SUFFIX = '-wal'

export function addWal(program: Command): void {
  program
    .command('wal')
    .description('Segments, groups and records of a log, and whether its chain is whole.')
    .argument('<path>', 'the folder of a log, or a database whose log is meant')
    .option('--groups', 'a line for each group')
    .option('--records', 'a line for each record')
    .option('--json', 'the same as JSON: with --groups or --records one object a line')
    .addHelpText(
      'after',
      `
A sequence is the ordinal of a record in its log, an LSN the byte at which its frame begins. What a crash has left
torn at the end is no finding.
${EXIT_HELP}

Examples:
  $ ringbolt wal app.db
  $ ringbolt wal app.db-wal --records
  $ ringbolt wal app.db --groups --json | jq -s 'map(.recordCount) | add'`,
    )
    .action(wal)
}

function wal(path: string, flags: WalFlags): void {
  const folder = folderOf(path)
  if (folder === undefined) {
    if (flags.json !== true) print(`${path} was closed cleanly: it has no log`)
    else if (flags.groups !== true && flags.records !== true) printJson({ folder: null })
    return
  }
  const onGroup = (group: InspectedGroup): void => {
    if (flags.groups === true) printGroup(group, flags.json)
    if (flags.records === true) printRecords(group, flags.json)
  }
  const steps = inspectLog(new FileStore(folder, { readOnly: true }), { onGroup })
  let step = steps.next()
  while (step.done !== true) step = steps.next()
  const log = step.value
  if (log.logId === undefined && log.findings.length === 0) throw new LogNotFoundError(folder)
  const isListed = flags.groups === true || flags.records === true
  if (flags.json !== true) print(textOf(folder, log))
  else if (isListed) for (const finding of log.findings) print(JSON.stringify({ finding }))
  else printJson({ folder, ...log })
  if (log.findings.length > 0) process.exitCode = EXIT_FINDINGS
}

/** A database's log stands beside it; undefined for one that was closed cleanly. */
function folderOf(path: string): string | undefined {
  const isFile = existsSync(path) && statSync(path).isFile()
  const folder = resolve(isFile ? path + LOG_FOLDER_SUFFIX : path)
  if (existsSync(folder)) return folder
  if (isFile && describeFile(path).clean) return undefined
  throw new LogNotFoundError(folder)
}

function printGroup({ body, ...group }: InspectedGroup, json: true | undefined): void {
  if (json === true) print(JSON.stringify({ ...group, bodyBytes: body.length }))
  else {
    const { epoch, firstSequence, recordCount, firstLsn, segment, byteOffset } = group
    const end = firstSequence + recordCount - 1
    const range = recordCount === 0 ? 'no record' : `records ${firstSequence} to ${end}`
    print(
      `group ${epoch}: ${range}, LSN ${firstLsn}, ${size(body.length)}, ${segment} at byte ${byteOffset}`,
    )
  }
}

function printRecords(group: InspectedGroup, json: true | undefined): void {
  const { epoch } = group
  forEachRecord(group, ({ sequence, lsn, record }) => {
    const bytes = record.length
    if (json === true) print(JSON.stringify({ sequence, lsn, epoch, bytes }))
    else print(`record ${sequence}: LSN ${lsn}, group ${epoch}, ${counted(bytes, 'byte')}`)
  })
}

function textOf(folder: string, log: LogInspection): string {
  const { segments, findings, spares, tornBytes } = log
  const rows = segments.map((segment) => [
    segment.name,
    size(segment.segmentBytes),
    number(segment.groups),
    number(segment.records),
    segment.groups === 0 ? '' : `${segment.firstEpoch} to ${segment.lastEpoch}`,
    segment.records === 0 ? '' : `${segment.firstSequence} to ${segment.endSequence - 1}`,
    `${segment.firstLsn} to ${segment.endLsn}`,
  ])
  const verdict =
    findings.length === 0 ? 'whole' : `damaged: ${counted(findings.length, 'finding')}`
  return [
    `${folder}: the log ${log.logId ?? 'without an id'} is ${verdict}`,
    ...findings.map(
      ({ file, byteOffset, epoch, what, expected, actual }) =>
        `  log-chain: ${file} at byte ${byteOffset}, epoch ${epoch}: ${what} is ${actual}, expected ${expected}`,
    ),
    ...(tornBytes === 0 ? [] : [`  ${size(tornBytes)} torn at the end, as a crash leaves them`]),
    `  ${counted(segments.length, 'segment')}, ${counted(spares, 'spare')}`,
    '',
    table(['segment', 'size', 'groups', 'records', 'epochs', 'sequences', 'LSNs'], rows, RIGHT),
  ].join('\n')
}

const RIGHT: ReadonlySet<number> = new Set([1, 2, 3])
