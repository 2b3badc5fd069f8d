/** A process of the harness, as the one that directs it sees it. */
import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { ChildEndedError } from '../errors.ts'
import type { ProcessMessage, ProcessWork, QuestionKind, Questions } from './process-protocol.ts'

export interface ProcessEnd {
  /** Null: a signal ended it. */
  readonly exitCode: number | null
  readonly signal: string | null
  /** What it gave as the reason, or wrote last. */
  readonly reason: string
}

/** What it says to one question. */
type Answer<K extends QuestionKind> =
  | { readonly kind: 'answer'; readonly id: number; readonly answer: Questions[K]['answer'] }
  | { readonly kind: 'refused'; readonly id: number; readonly reason: string }

const OUTPUT_KEPT = 4000

/** What directs a process needs of it. */
export interface RunningProcess {
  readonly work: ProcessWork
  readonly pid: number | undefined
  /** Resolves with how long the database took to open; never, when it ends before. */
  readonly opened: Promise<number>
  readonly ended: Promise<ProcessEnd>
  /** @throws ChildEndedError when it ends before it has answered; Error with what it says when it cannot */
  ask<K extends QuestionKind>(
    kind: K,
    asked: Questions[K]['asked'],
  ): Promise<Questions[K]['answer']>
  kill(): Promise<ProcessEnd>
}

export class DatabaseProcess implements RunningProcess {
  readonly work: ProcessWork
  readonly opened: Promise<number>
  readonly ended: Promise<ProcessEnd>
  readonly #child: ChildProcess
  /** Questions without an answer so far, by id: how each is told that there will be none. */
  readonly #pending = new Map<number, (reason: Error) => void>()
  #opened: (openMs: number) => void = () => undefined
  #questions = 0
  #output = ''
  #end: ProcessEnd | undefined

  constructor(work: ProcessWork) {
    this.work = work
    const path = fileURLToPath(new URL('./process-child.js', import.meta.url))
    this.#child = fork(path, [JSON.stringify(work)], {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    })
    this.opened = new Promise((resolve) => {
      this.#opened = resolve
    })
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#output = (this.#output + text).slice(-OUTPUT_KEPT)
    })
    this.#child.setMaxListeners(0)
    this.#child.on('message', (message: ProcessMessage) => this.#hear(message))
    // What the channel's end did not let through: the process is gone, and `ended` says so.
    this.#child.on('error', (error) => {
      this.#output += String(error)
    })
    this.ended = new Promise((resolve) => {
      this.#child.once('close', (exitCode, signal) => {
        this.#end = { exitCode, signal, reason: this.#output.trim() }
        const gone = new ChildEndedError('a process', exitCode, signal, this.#output)
        for (const reject of this.#pending.values()) reject(gone)
        this.#pending.clear()
        resolve(this.#end)
      })
    })
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  ask<K extends QuestionKind>(
    kind: K,
    asked: Questions[K]['asked'],
  ): Promise<Questions[K]['answer']> {
    return new Promise((resolve, reject) => {
      const { exitCode, signal, reason } = this.#end ?? {}
      if (this.#end !== undefined || !this.#child.connected) {
        reject(new ChildEndedError('a process', exitCode ?? null, signal ?? null, reason ?? ''))
        return
      }
      const id = this.#questions++
      const hear = (message: Answer<K>): void => {
        if (message.id !== id) return
        this.#child.off('message', hear)
        this.#pending.delete(id)
        if (message.kind === 'answer') resolve(message.answer)
        else reject(new Error(message.reason))
      }
      this.#pending.set(id, reject)
      this.#child.on('message', hear)
      this.#child.send({ id, kind, ...asked })
    })
  }

  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#child.kill(signal)
  }

  async kill(): Promise<ProcessEnd> {
    this.#child.kill('SIGKILL')
    return await this.ended
  }

  #hear(message: ProcessMessage): void {
    if (message.kind === 'opened') this.#opened(message.openMs)
    else if (message.kind === 'failed') this.#output = message.reason
  }
}
