/** A process of its own that has a test's database open, does what a module's text says, and tells it by lines. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { onTestFinished } from 'vitest'
import type { OpenOptions } from '../options.ts'

export interface ElsewhereOptions {
  readonly options?: OpenOptions
  /** A program with its arguments that runs it, `strace` for one. */
  readonly under?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}

export interface Elsewhere {
  readonly child: ChildProcess
  /** The next line that it tells; `undefined` as text when it has ended. */
  readonly next: () => Promise<string>
  /** Lets it go on where it does `await told()`. */
  readonly tell: () => void
  readonly ended: () => Promise<void>
}

/**
 * The text finds `db`, the collections `cells`, `notes`, `say` for a line, `told` to wait for `tell`, and `failure`
 * for what became of a promise.
 */
export function elsewhere(path: string, body: string, how: ElsewhereOptions = {}): Elsewhere {
  const url = (name: string): string => JSON.stringify(new URL(name, import.meta.url).href)
  const program = `
    import { once } from 'node:events'
    import { open } from ${url('../open.js')}
    import { cells, notes } from ${url('./collections.js')}
    // At once, and the whole of it: standard output is a pipe.
    const say = (line) => void process.stdout.write(line + '\\n')
    const told = async () => {
      process.stdin.resume()
      await once(process.stdin, 'data')
      process.stdin.pause()
    }
    const failure = async (promise) => {
      try { await promise; return 'none' } catch (error) { return error.code + ' ' + error.message }
    }
    try {
      const db = await open(${JSON.stringify(path)}, { ...${JSON.stringify(how.options ?? {})}, collections: [cells, notes] })
      ${body}
      await db.close()
      say('closed')
    } catch (error) {
      say('failed ' + error.code + ' ' + error.message)
      process.exit(1)
    }`
  const node = [process.execPath, '--input-type=module', '--eval', program]
  const [command = process.execPath, ...args] = [...(how.under ?? []), ...node]
  const child = spawn(command, args, {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, ...how.env },
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  return {
    child,
    next: async () => String((await lines.next()).value),
    tell: () => void child.stdin.write('\n'),
    async ended() {
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
    },
  }
}
