/** `ringbolt stress`: the stress harness, which is a package of its own. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Command } from 'commander'
import { EXIT_COULD_NOT } from '../exit-codes.ts'

const HARNESS = '@ringbolt/stress/cli'

export function addStress(program: Command): void {
  program
    .command('stress')
    .description('Runs that are to break database and log: hands all that follows to the harness.')
    .argument('[args...]', 'a run and its options; --help says which there are')
    .helpOption(false)
    .allowUnknownOption()
    .passThroughOptions()
    .addHelpText(
      'after',
      `
The harness says itself what it takes: ringbolt stress --help.

Examples:
  $ ringbolt stress documents --seconds 60 --kills 5
  $ ringbolt stress simulate --count 1000`,
    )
    .action(stress)
}

async function stress(args: readonly string[]): Promise<void> {
  const harness = pathOfHarness()
  if (harness === undefined) {
    process.stderr.write('the harness is not installed: add the package @ringbolt/stress\n')
    process.exitCode = EXIT_COULD_NOT
    return
  }
  const child = spawn(process.execPath, [harness, ...args], { stdio: 'inherit' })
  const [code] = await once(child, 'exit')
  process.exitCode = typeof code === 'number' ? code : EXIT_COULD_NOT
}

function pathOfHarness(): string | undefined {
  try {
    return fileURLToPath(import.meta.resolve(HARNESS))
  } catch {
    // It is optional.
    return undefined
  }
}
