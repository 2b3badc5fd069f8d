/** Starting peer processes, and folders that go away with the test. */
import { type ChildProcess, type ForkOptions, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import type { Order, Outcome } from './peer.ts'

const PEER_PATH = fileURLToPath(new URL('./peer.js', import.meta.url))

export function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'ringbolt-locks-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

function isOutcome(value: unknown): value is Outcome {
  return typeof value === 'object' && value !== null
}

export class Peer {
  readonly process: ChildProcess
  readonly #ended: Promise<unknown>

  constructor(options: ForkOptions = {}, path: string = PEER_PATH) {
    this.process = fork(path, [], { execArgv: [], ...options })
    this.#ended = once(this.process, 'exit')
    onTestFinished(async () => this.kill('SIGKILL'))
  }

  get pid(): number {
    return this.process.pid ?? 0
  }

  /** One order at a time. */
  async ask(order: Order): Promise<Outcome> {
    const ended = this.#ended.then(() => {
      throw new TypeError(`the peer ended while it was asked to ${order.does}`)
    })
    const answer = once(this.process, 'message')
    this.process.send(order)
    const [outcome] = await Promise.race([answer, ended])
    if (!isOutcome(outcome)) throw new TypeError('a peer answers with an outcome')
    return outcome
  }

  /** Its outcome's value; an error fails the test with the peer's own words. */
  async must(order: Order): Promise<unknown> {
    const { value, code, message } = await this.ask(order)
    if (message !== undefined) throw new TypeError(`${order.does}: ${code ?? ''} ${message}`)
    return value
  }

  signal(signal: NodeJS.Signals): void {
    this.process.kill(signal)
  }

  async kill(signal: NodeJS.Signals): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return
    this.process.kill(signal)
    await this.#ended
  }

  /** Closes everything and goes; returns the exit code. */
  async end(): Promise<number | null> {
    this.process.send({ does: 'end' } satisfies Order)
    await this.#ended
    return this.process.exitCode
  }
}
