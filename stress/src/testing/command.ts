/** Runs the command line as a user would. */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

export interface CommandResult {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

const cli = fileURLToPath(new URL('../cli.js', import.meta.url))

/** @param under a program with its arguments that runs it, `strace` for one */
export async function runCommand(
  args: readonly string[],
  under: readonly string[] = [],
): Promise<CommandResult> {
  const [program, ...rest] = [...under, process.execPath, cli, ...args]
  const child = spawn(program ?? process.execPath, rest, { stdio: ['ignore', 'pipe', 'pipe'] })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  return { code, stdout, stderr }
}
