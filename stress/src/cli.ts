#!/usr/bin/env node
/** The command line: parses, dispatches, and says by its exit code how it went. */
import { availableParallelism, tmpdir } from 'node:os'
import { extname, join, resolve } from 'node:path'
import { isRingboltError } from '@ringbolt/ring'
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander'
import { deaths } from './deaths.ts'
import { DOCUMENT_SETTINGS_DEFAULT, type DocumentSettings } from './documents/document-settings.ts'
import { backupsExist } from './harness/backup.ts'
import { PROCESSES_DEFAULT, runHarness } from './harness/harness.ts'
import { PROCESS_KILLS_DEFAULT, processKills } from './harness/process-kills.ts'
import { writeRunReport } from './harness/run-report.ts'
import { killRounds } from './kill-rounds.ts'
import { createProgress, type ProgressView } from './progress.ts'
import { isProved, type Report, reportAsJson, reportAsText } from './report.ts'
import { RunFolder } from './run-folder.ts'
import { RECORD_BYTES_DEFAULT, SETTINGS_DEFAULT, type Settings } from './settings.ts'
import { type SimulateOptions, simulate } from './simulate.ts'
import { soak } from './soak.ts'
import { RECORD_BYTES_MIN } from './workload.ts'

const SEEDS = 2 ** 32

/** Seconds between hot backups, in a version that has them. */
const BACKUP_DEFAULT = backupsExist() ? 10 : 0

const EXIT_FINDINGS = 1
const EXIT_USAGE = 2
const EXIT_COULD_NOT = 3

const EXIT_HELP = `
Exit codes: 0 all is proved, 1 findings, 2 usage, 3 could not run.`

/** What every run on a real disk takes. */
interface FolderFlags {
  readonly seed?: number
  readonly folder?: string
  readonly keep?: true
  readonly json?: true
}

interface RunFlags extends FolderFlags {
  readonly workers: number
  readonly recordBytes?: { readonly min: number; readonly max: number }
  readonly sync: Settings['sync']
  readonly inFlight: number
  readonly blocking?: true
  readonly ringBytes: number
  readonly segmentBytes: number
  readonly syncDelayMs: number
  readonly watchdogSeconds: number
}

interface DocumentLoadFlags extends FolderFlags {
  readonly workers: number
  readonly sync: Settings['sync']
  readonly inFlight: number
  readonly blocking?: true
  readonly cacheBytes: number
  readonly checkpointLogBytes: number
  readonly syncDelayMs: number
  readonly watchdogSeconds: number
  readonly processes: number
  readonly documents: number
}

interface DocumentFlags extends DocumentLoadFlags {
  readonly seconds: number
  readonly kill: number
  readonly backup: number
  readonly heartbeat: number
  readonly report: string
}

function wholeNumber(min: number, max: number = Number.MAX_SAFE_INTEGER) {
  return (text: string): number => {
    const value = Number(text)
    if (!Number.isSafeInteger(value) || value < min || value > max) {
      throw new InvalidArgumentError(`It is a whole number from ${min} to ${max}.`)
    }
    return value
  }
}

function seconds(text: string): number {
  const value = Number(text)
  if (!(value > 0 && value <= 1e7)) throw new InvalidArgumentError('It is a time in seconds.')
  return value
}

/** 0: never. */
function interval(text: string): number {
  return text === '0' ? 0 : seconds(text)
}

function backupInterval(text: string): number {
  if (interval(text) > 0 && !backupsExist()) {
    throw new InvalidArgumentError('This version of ringbolt has no hot backups.')
  }
  return interval(text)
}

function htmlFile(text: string): string {
  if (extname(text) !== '.html') throw new InvalidArgumentError('It is a file named *.html.')
  return resolve(text)
}

function byteRange(text: string): { min: number; max: number } {
  const [min, max = min] = text.split('..').map(wholeNumber(RECORD_BYTES_MIN, 2 ** 20))
  if (min === undefined || max === undefined || max < min) {
    throw new InvalidArgumentError('It is a length, or two as in 64..256.')
  }
  return { min, max }
}

/** The options that every run on a real disk takes. */
function withFolderOptions(command: Command): Command {
  return command
    .option(
      '--seed <n>',
      'of the workload and of every random moment (default: RINGBOLT_SEED, or by the clock)',
      wholeNumber(0, SEEDS - 1),
    )
    .option('--folder <path>', 'where the files go, empty or missing (default: a temporary one)')
    .option('--keep', 'keep the folder also when all is proved')
    .option('--json', 'the report as JSON; progress goes to standard error')
    .addHelpText('after', EXIT_HELP)
}

/** Who writes, and how: the log's runs and those on documents. */
function withLoadOptions(command: Command, d: typeof SETTINGS_DEFAULT): Command {
  return withFolderOptions(command)
    .option('--workers <n>', 'Piscina workers that write', wholeNumber(2, 64), d.workers)
    .addOption(
      new Option('--sync <policy>', 'what an acknowledgement promises')
        .choices(['full', 'normal', 'off'])
        .default(d.sync),
    )
    .option(
      '--in-flight <n>',
      'operations under way per worker',
      wholeNumber(1, 65_536),
      d.inFlightMax,
    )
    .option('--blocking', 'one operation at a time, blocking its thread')
    .option(
      '--sync-delay-ms <n>',
      'added to each sync: a slower disk',
      wholeNumber(0),
      d.syncDelayMs,
    )
    .option(
      '--watchdog-seconds <n>',
      'how long nothing may be acknowledged',
      seconds,
      d.silenceMaxMs / 1000,
    )
}

/** The options that every run over a real log takes. */
function withRunOptions(command: Command): Command {
  const d = SETTINGS_DEFAULT
  const { min, max } = RECORD_BYTES_DEFAULT
  return withLoadOptions(command, d)
    .option('--record-bytes <min..max>', `length of a record (default: ${min}..${max})`, byteRange)
    .option('--ring-bytes <n>', 'size of the ring, a power of two', wholeNumber(64), d.ringBytes)
    .option('--segment-bytes <n>', 'size of a segment file', wholeNumber(8192), d.segmentBytes)
}

/** The options that every run of processes on one database takes. */
function withDocumentOptions(
  command: Command,
  d: Omit<DocumentSettings, 'seed'>,
  processes: Option,
): Command {
  const inFlightMax = d.lanes
  return withLoadOptions(command, { ...SETTINGS_DEFAULT, ...d, inFlightMax })
    .addOption(processes)
    .option('--documents <n>', 'live documents of a worker at most', wholeNumber(1), d.documentsMax)
    .option('--cache-bytes <n>', 'shared memory for pages', wholeNumber(2 ** 20), d.cacheBytes)
    .option(
      '--checkpoint-log-bytes <n>',
      'how much log begins a checkpoint',
      wholeNumber(1),
      d.checkpointLogBytes,
    )
}

function processesOption(min: number, byDefault: number): Option {
  return new Option('--processes <n>', 'processes that share the database')
    .argParser(wholeNumber(min, 64))
    .default(byDefault)
}

function settingsOf(flags: RunFlags, seed: number): Settings {
  const { min, max } = flags.recordBytes ?? RECORD_BYTES_DEFAULT
  return {
    workload: { seed, recordBytesMin: min, recordBytesMax: max },
    workers: flags.workers,
    inFlightMax: flags.blocking === true ? 1 : flags.inFlight,
    blocking: flags.blocking ?? false,
    sync: flags.sync,
    ringBytes: flags.ringBytes,
    segmentBytes: flags.segmentBytes,
    syncDelayMs: flags.syncDelayMs,
    silenceMaxMs: flags.watchdogSeconds * 1000,
  }
}

function seedOf(flags: FolderFlags): number {
  const { RINGBOLT_SEED } = process.env
  if (flags.seed !== undefined) return flags.seed
  if (RINGBOLT_SEED === undefined) return Date.now() % SEEDS
  const seed = Number(RINGBOLT_SEED)
  if (Number.isSafeInteger(seed) && seed >= 0 && seed < SEEDS) return seed
  return program.error(
    `error: RINGBOLT_SEED is a whole number below ${SEEDS}, not ${RINGBOLT_SEED}`,
  )
}

type Run = (
  seed: number,
  folder: RunFolder,
  progress: ProgressView,
) => Promise<Omit<Report, 'replay' | 'folder'>>

/** Runs, reports, keeps or removes the folder, and sets the exit code. */
async function carryOut(command: string, flags: FolderFlags, run: Run): Promise<void> {
  const seed = seedOf(flags)
  const folder = new RunFolder(flags.folder)
  const progress = createProgress(flags.json === true ? process.stderr : process.stdout)
  progress.note(`seed ${seed}, in ${folder.path}`)
  try {
    const outcome = await run(seed, folder, progress)
    progress.end()
    const replay = replayOf(command, seed)
    const kept = !isProved({ ...outcome, replay, folder: null }) || flags.keep === true
    if (!kept) folder.remove()
    conclude({ ...outcome, replay, folder: kept ? folder.path : null }, flags.json)
  } catch (error) {
    progress.end()
    process.stderr.write(`seed ${seed}, kept: ${folder.path}\n`)
    throw error
  }
}

function conclude(report: Report, json: true | undefined): void {
  process.stdout.write(`${(json === true ? reportAsJson : reportAsText)(report)}\n`)
  process.exitCode = isProved(report) ? 0 : EXIT_FINDINGS
}

/** The command that does the same again: with its seed, if it was not given one. */
function replayOf(command: string, seed?: number): string {
  const given = process.argv.slice(3)
  const added = seed === undefined || given.includes('--seed') ? [] : ['--seed', seed]
  return ['pnpm stress', command, ...added, ...given].join(' ')
}

function documentSettingsOf(flags: DocumentLoadFlags, seed: number): DocumentSettings {
  return {
    seed,
    workers: flags.workers,
    lanes: flags.blocking === true ? 1 : flags.inFlight,
    documentsMax: flags.documents,
    blocking: flags.blocking ?? false,
    sync: flags.sync,
    cacheBytes: flags.cacheBytes,
    checkpointLogBytes: flags.checkpointLogBytes,
    syncDelayMs: flags.syncDelayMs,
    silenceMaxMs: flags.watchdogSeconds * 1000,
  }
}

const program = new Command('stress')
  .description('Runs that are to break database and log, and an oracle that says whether they did.')
  .exitOverride()
  .addHelpText('after', EXIT_HELP)

withDocumentOptions(
  program
    .command('documents')
    .description(
      'The harness: processes with pools of workers insert, update, delete and read documents of one database; workers and whole processes are killed and replaced; in the end every document is compared. Writes a page of charts.',
    ),
  { ...DOCUMENT_SETTINGS_DEFAULT, workers: 2 },
  processesOption(1, PROCESSES_DEFAULT),
)
  .option('--seconds <n>', 'how long they write', seconds, 30)
  .option(
    '--kill <seconds>',
    'mean time between kills, by turns a worker and a process',
    interval,
    5,
  )
  .option('--backup <seconds>', 'time between hot backups', backupInterval, BACKUP_DEFAULT)
  .option(
    '--heartbeat <seconds>',
    'a line that stays so often, and none for each kill: for runs of hours',
    interval,
    0,
  )
  .option(
    '--report <file.html>',
    'the page of charts; its figures go beside it, as .json',
    htmlFile,
    resolve('ringbolt-report.html'),
  )
  .addHelpText(
    'after',
    `
Examples:
  $ pnpm stress documents
  $ pnpm stress documents --seconds 300 --kill 2 --seed 7 --json
  $ pnpm stress documents --cache-bytes 4194304 --checkpoint-log-bytes 1000000
  $ pnpm stress documents --seconds 28800 --kill 60 --documents 5000 --heartbeat 60`,
  )
  .action(async (flags: DocumentFlags) => {
    await carryOut('documents', flags, async (seed, folder, progress) => {
      const settings = documentSettingsOf(flags, seed)
      const { report, data } = await runHarness(
        {
          settings,
          processes: flags.processes,
          seconds: flags.seconds,
          killSeconds: flags.kill,
          backupSeconds: flags.backup,
          heartbeatSeconds: flags.heartbeat,
          replay: replayOf('documents', seed),
        },
        folder,
        progress,
      )
      writeRunReport(flags.report, data)
      progress.note(`Report: ${flags.report}`)
      return report
    })
  })

withRunOptions(
  program
    .command('log')
    .description(
      'The soak: workers append, some are killed and replaced; then a process doing the same is killed, and its log recovered.',
    ),
)
  .option('--seconds <n>', 'how long the workers append', seconds, 20)
  .option('--kills <n>', 'workers killed on the way', wholeNumber(0, 100_000), 2)
  .option(
    '--checkpoint-seconds <n>',
    'how often what was verified is let go of; 0: never',
    wholeNumber(0),
    4,
  )
  .addHelpText(
    'after',
    `
Examples:
  $ pnpm stress log
  $ pnpm stress log --seconds 300 --kills 20 --seed 7 --json
  $ pnpm stress log --workers 8 --record-bytes 16..4096 --sync normal
  $ pnpm stress log --ring-bytes 4096 --in-flight 256 --record-bytes 64..900 --seconds 5`,
  )
  .action(
    async (flags: RunFlags & { seconds: number; kills: number; checkpointSeconds: number }) => {
      await carryOut('log', flags, (seed, folder, progress) =>
        soak({ settings: settingsOf(flags, seed), ...flags }, folder, progress),
      )
    },
  )

withRunOptions(
  program
    .command('deaths')
    .description('Workers killed one after the other, in three ways, while the others append.'),
)
  .option('--deaths <n>', 'how many are killed', wholeNumber(1, 1_000_000), 1000)
  .addHelpText(
    'after',
    `
Examples:
  $ pnpm stress deaths
  $ pnpm stress deaths --deaths 100 --workers 8 --in-flight 8`,
  )
  .action(async (flags: RunFlags & { deaths: number }) => {
    await carryOut('deaths', flags, (seed, folder, progress) =>
      deaths({ settings: settingsOf(flags, seed), deaths: flags.deaths }, folder, progress),
    )
  })

withRunOptions(
  program
    .command('kill')
    .description(
      'SIGKILL again and again on one log, each process going on where the last one died.',
    ),
)
  .option('--rounds <n>', 'processes killed', wholeNumber(1, 100_000), 100)
  .addHelpText(
    'after',
    `
Examples:
  $ pnpm stress kill
  $ pnpm stress kill --rounds 20 --sync off --segment-bytes 65536`,
  )
  .action(async (flags: RunFlags & { rounds: number }) => {
    await carryOut('kill', flags, (seed, folder, progress) =>
      killRounds({ settings: settingsOf(flags, seed), rounds: flags.rounds }, folder, progress),
    )
  })

withDocumentOptions(
  program
    .command('kill-processes')
    .description(
      'SIGKILL again and again on one of several processes that share a database: in its turn, while it waits, in a checkpoint, while it starts. The others go on, the killed one is started again, and each compares everything that was acknowledged.',
    ),
  PROCESS_KILLS_DEFAULT,
  processesOption(2, 3),
)
  .option('--rounds <n>', 'how often', wholeNumber(1, 100_000), 200)
  .option('--close-every <n>', 'rounds after which all close', wholeNumber(1), 20)
  .addHelpText(
    'after',
    `
Examples:
  $ pnpm stress kill-processes
  $ pnpm stress kill-processes --rounds 20 --processes 2 --seed 7 --json
  $ pnpm stress kill-processes --checkpoint-log-bytes 20000 --sync-delay-ms 2`,
  )
  .action(async (flags: DocumentLoadFlags & { rounds: number; closeEvery: number }) => {
    await carryOut('kill-processes', flags, (seed, folder, progress) =>
      processKills({ ...flags, settings: documentSettingsOf(flags, seed) }, folder, progress),
    )
  })

program
  .command('simulate')
  .description('A database on a simulated disk: seeds of workloads, faults and crashes.')
  .addOption(
    new Option('--of <what>', 'the whole engine, or the log alone')
      .choices(['store', 'log'])
      .default('store'),
  )
  .option('--first-seed <n>', 'the first one', wholeNumber(0), 0)
  .option('--count <n>', 'how many', wholeNumber(1), 10_000)
  .option('--threads <n>', 'over how many threads', wholeNumber(1, 256), availableParallelism())
  .option('--failures-max <n>', 'stop after so many failing seeds', wholeNumber(1), 10)
  .option(
    '--failure-folder <path>',
    'where operation logs of failing seeds go',
    join(tmpdir(), 'ringbolt-simulation-failures'),
  )
  .option('--json', 'the report as JSON; progress goes to standard error')
  .addHelpText(
    'after',
    `${EXIT_HELP}

Examples:
  $ pnpm stress simulate
  $ pnpm stress simulate --of log
  $ pnpm stress simulate --first-seed 1000000 --count 1000000
  $ pnpm stress simulate --first-seed 4711 --count 1`,
  )
  .action(async (flags: SimulateOptions & { json?: true }) => {
    const progress = createProgress(flags.json === true ? process.stderr : process.stdout)
    const outcome = await simulate(flags, progress)
    progress.end()
    conclude({ ...outcome, replay: replayOf('simulate') }, flags.json)
  })

try {
  await program.parseAsync()
} catch (error) {
  process.exitCode = exitCodeOf(error)
}

/** Commander has said by itself what is wrong with the usage. */
function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE
  const text = isRingboltError(error) ? `${error.code}: ${error.message}` : String(error)
  process.stderr.write(`${text}\n`)
  return EXIT_COULD_NOT
}
