#!/usr/bin/env node
/** The command line: parses, dispatches, and says by its exit code how it went. Each command has a file of its own. */
import { readFileSync } from 'node:fs'
import { isRingboltError } from '@ringbolt/ring'
import { Command, CommanderError } from 'commander'
import { addBackup } from './commands/backup.ts'
import { addCheck } from './commands/check.ts'
import { addCompact } from './commands/compact.ts'
import { addDump } from './commands/dump.ts'
import { addRestore } from './commands/restore.ts'
import { addStat } from './commands/stat.ts'
import { addStress } from './commands/stress.ts'
import { addTop } from './commands/top.ts'
import { addWal } from './commands/wal.ts'
import { EXIT_COULD_NOT, EXIT_HELP, EXIT_USAGE } from './exit-codes.ts'

const program = new Command('ringbolt')
  .description(
    'Looks into Ringbolt databases, and looks after them. Nothing changes one unless its help says so.',
  )
  .version(version(), '--version', 'the version of this command')
  .exitOverride()
  .enablePositionalOptions()
  .showHelpAfterError('(ringbolt --help says more)')
  .addHelpText('after', EXIT_HELP)
  .addHelpText(
    'after',
    `
Examples:
  $ ringbolt check app.db
  $ ringbolt stat app.db --json
  $ ringbolt backup app.db backups/monday.db --verify
  $ ringbolt help dump`,
  )

const commands = [
  addCheck,
  addStat,
  addTop,
  addDump,
  addWal,
  addBackup,
  addRestore,
  addCompact,
  addStress,
]
for (const add of commands) add(program)

// Whoever reads what is written may have seen enough: `ringbolt dump … | head`.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
  process.exit()
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

function version(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8')
  const fields: unknown = JSON.parse(text)
  if (typeof fields === 'object' && fields !== null && 'version' in fields)
    return String(fields.version)
  throw new Error('package.json has no version')
}
