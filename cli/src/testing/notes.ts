/** A collection, and a process of its own that writes it. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { defineCollection } from 'ringbolt'

interface Note {
  readonly id: number
  readonly text: string
}

export const notes = defineCollection<Note>()({ name: 'notes' })

const main = fileURLToPath(new URL('./writer-main.js', import.meta.url))

export interface WriterProcess {
  readonly pid: number
  /** Resolves once it is done; see writer-main.ts. */
  tell(order: string): Promise<void>
  signal(name: 'SIGSTOP' | 'SIGCONT' | 'SIGKILL'): void
  /** Idempotent. */
  end(): Promise<void>
}

export async function startWriter(path: string, archive?: string): Promise<WriterProcess> {
  const args = archive === undefined ? [path] : [path, archive]
  const child = spawn(process.execPath, [main, ...args], { stdio: ['pipe', 'pipe', 'inherit'] })
  const exited = once(child, 'exit')
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const { pid } = child
  if (pid === undefined) throw new Error('the process has not started')
  const answered = async (): Promise<void> => {
    if ((await lines.next()).done === true) throw new Error('the process has ended')
  }
  await answered()
  return {
    pid,
    async tell(order) {
      child.stdin.write(`${order}\n`)
      await answered()
    },
    signal: (name) => void child.kill(name),
    async end() {
      child.stdin.end()
      await exited
    },
  }
}
