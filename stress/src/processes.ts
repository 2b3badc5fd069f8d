/** The processes that a run starts, and how each is waited for. */
import { type ChildProcess, execFile, fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { ChildEndedError, SilenceError } from './errors.ts'
import type { KillChildMessage } from './kill-child.ts'
import type { OpenAttempt } from './second-opener.ts'

const OUTPUT_KEPT = 4000
/** What the start of a process, and recovery in it, may take on a busy machine. */
const UNDER_WAY_MAX_MS = 60_000

/** A second process tries to open what somebody has open. @param script relative to this module */
export async function tryOpenElsewhere(
  script: string,
  args: readonly string[],
): Promise<OpenAttempt> {
  const path = fileURLToPath(new URL(script, import.meta.url))
  const { stdout } = await promisify(execFile)(process.execPath, [path, ...args])
  return JSON.parse(stdout)
}

/** A process running a load, to be killed by the caller. */
export class KillChild {
  readonly #child: ChildProcess
  readonly #exited: Promise<[number | null, string | null]>
  #output = ''
  #opened = false
  #acknowledged = 0
  #changed: () => void = () => undefined

  /**
   * @param script relative to this module
   * @param work plain data, as the script expects it
   */
  constructor(script: string, work: object) {
    const path = fileURLToPath(new URL(script, import.meta.url))
    this.#child = fork(path, [JSON.stringify(work)], {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    })
    this.#exited = new Promise((resolve) => {
      this.#child.once('exit', (code, signal) => resolve([code, signal]))
    })
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#output = (this.#output + text).slice(-OUTPUT_KEPT)
    })
    this.#child.on('message', (message: KillChildMessage) => {
      if (message.kind === 'opened') this.#opened = true
      else this.#acknowledged = message.acknowledged
      this.#changed()
    })
  }

  /** As it said last. */
  get acknowledged(): number {
    return this.#acknowledged
  }

  /**
   * Resolves once something was acknowledged.
   * @throws ChildEndedError when it ends before that; SilenceError when it takes too long
   */
  async underWay(): Promise<void> {
    const tooLate = new AbortController()
    const late = setTimeout(UNDER_WAY_MAX_MS, 'late' as const, { signal: tooLate.signal })
    // Called off below.
    late.catch(() => undefined)
    try {
      while (!this.#opened || this.#acknowledged === 0) {
        const change = new Promise<undefined>((resolve) => {
          this.#changed = () => resolve(undefined)
        })
        const ended = await Promise.race([change, this.#exited, late])
        if (ended === 'late') {
          this.#child.kill('SIGKILL')
          throw new SilenceError(UNDER_WAY_MAX_MS, UNDER_WAY_MAX_MS, 'the loaded process')
        }
        if (ended !== undefined) {
          throw new ChildEndedError('the loaded process', ...ended, this.#output)
        }
      }
    } finally {
      tooLate.abort()
    }
  }

  /** @throws ChildEndedError when it had ended by itself */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    const [code, signal] = await this.#exited
    if (signal !== 'SIGKILL') {
      if (this.#child.stderr?.readableEnded === false) await once(this.#child.stderr, 'close')
      throw new ChildEndedError('the loaded process', code, signal, this.#output)
    }
  }
}
