/**
 * Work that can be awaited or blocked for: written once, as a generator that hands out each step at which it
 * would have to wait; `drive` awaits the steps, `driveBlocking` blocks for them. A step keeps its own result.
 */

import { AsyncInSyncError, CommandRefusedError, ConflictError, StoreFullError } from '../errors.ts'
import type { CommandBuilder } from '../sequencer/command.ts'
import type { Engine, Refusal, WriteHold } from './engine.ts'
import type { StoreEnvironment } from './environment.ts'

export interface WorkContext {
  readonly engine: Engine
  readonly environment: StoreEnvironment
  /** True while the thread is inside `driveBlocking`: no promise is going to settle. */
  blocking: boolean
  /** @throws StoreClosedError */
  assertOpen(): void
}

interface Step {
  run(context: WorkContext): Promise<void>
  runBlocking(context: WorkContext): void
}

export type Work<T> = Generator<Step, T, void>

/** An error of a step is thrown into the work, which may handle it. */
export async function drive<T>(work: Work<T>, context: WorkContext): Promise<T> {
  context.assertOpen()
  let next = work.next()
  while (next.done !== true) {
    try {
      await next.value.run(context)
    } catch (error) {
      next = work.throw(error)
      continue
    }
    next = work.next()
  }
  return next.value
}

export function driveBlocking<T>(work: Work<T>, context: WorkContext): T {
  context.assertOpen()
  const outer = context.blocking
  context.blocking = true
  try {
    return block(work, context)
  } finally {
    context.blocking = outer
  }
}

function block<T>(work: Work<T>, context: WorkContext): T {
  let next = work.next()
  while (next.done !== true) {
    try {
      next.value.runBlocking(context)
    } catch (error) {
      next = work.throw(error)
      continue
    }
    next = work.next()
  }
  return next.value
}

/** Commits a command. */
export class CommitStep implements Step {
  readonly #command: CommandBuilder
  #refusal: Refusal | undefined

  constructor(command: CommandBuilder) {
    this.#command = command
  }

  async run({ engine }: WorkContext): Promise<void> {
    this.#refusal = await engine.commit(this.#command)
  }

  runBlocking({ engine }: WorkContext): void {
    this.#refusal = engine.commitSync(this.#command)
  }

  /**
   * Why it was refused: conflict or definition; undefined when it was not.
   * @throws StoreFullError; CommandRefusedError, which shows a bug
   */
  refusal(): Refusal | undefined {
    const refusal = this.#refusal
    if (refusal?.reason === 'full') throw new StoreFullError('there is no room for the change')
    if (refusal?.reason === 'malformed') throw new CommandRefusedError(refusal.operation)
    return refusal
  }
}

/** The same in one go. */
export function* commit(command: CommandBuilder): Work<Refusal | undefined> {
  const step = new CommitStep(command)
  yield step
  return step.refusal()
}

/** Waits until no other process writes. */
export class HoldStep implements Step {
  readonly #hold: WriteHold

  constructor(hold: WriteHold) {
    this.#hold = hold
  }

  run(): Promise<void> {
    return this.#hold.wait()
  }

  runBlocking(): void {
    this.#hold.waitSync()
  }
}

class PauseStep implements Step {
  readonly #delayMs: number

  constructor(delayMs: number) {
    this.#delayMs = delayMs
  }

  run({ environment }: WorkContext): Promise<void> {
    return new Promise((resolve) => {
      environment.after(this.#delayMs, resolve)
    })
  }

  runBlocking({ environment }: WorkContext): void {
    environment.sleep(this.#delayMs)
  }
}

class SettleStep<T> implements Step {
  value: T | undefined
  readonly #promise: PromiseLike<T>
  readonly #what: string

  constructor(promise: PromiseLike<T>, what: string) {
    this.#promise = promise
    this.#what = what
  }

  async run(): Promise<void> {
    this.value = await this.#promise
  }

  runBlocking(): void {
    // Nobody is going to look at it: its failure must not end the process beside the error thrown here.
    this.#promise.then(undefined, () => undefined)
    throw new AsyncInSyncError(this.#what)
  }
}

/**
 * The value of what may be a promise.
 * @throws AsyncInSyncError when it is one and the work is blocking
 */
export function* settled<T>(value: T | PromiseLike<T>, what: string): Work<T> {
  if (!isPromiseLike(value)) return value
  const step = new SettleStep(value, what)
  yield step
  // Set by the step, whatever T is.
  // oxlint-disable-next-line no-unsafe-type-assertion
  return step.value as T
}

function isPromiseLike<T>(value: T | PromiseLike<T>): value is PromiseLike<T> {
  return (
    typeof value === 'object' &&
    value !== null &&
    'then' in value &&
    typeof value.then === 'function'
  )
}

const ATTEMPTS_AT_ONCE = 2
const PAUSE_MS_FIRST = 0.5
const PAUSE_MS_MAX = 50

/**
 * Counts attempts of something that others may interfere with, with growing random pauses in between. A
 * refusal comes only once what caused it is visible, so the first repetitions need no pause.
 */
export class Attempts {
  readonly #what: string
  readonly #retriesMax: number
  readonly #environment: StoreEnvironment
  #failed = 0

  constructor(what: string, retriesMax: number, environment: StoreEnvironment) {
    this.#what = what
    this.#retriesMax = retriesMax
    this.#environment = environment
  }

  /** @throws ConflictError when there were enough */
  *failed(): Work<void> {
    this.#failed++
    this.#environment.onConflict?.(this.#what, this.#failed, this.#failed > this.#retriesMax)
    if (this.#failed > this.#retriesMax) throw new ConflictError(this.#what, this.#failed)
    if (this.#failed <= ATTEMPTS_AT_ONCE) return
    const boundMs = Math.min(PAUSE_MS_MAX, PAUSE_MS_FIRST * 2 ** (this.#failed - ATTEMPTS_AT_ONCE))
    yield new PauseStep(boundMs * this.#environment.random())
  }
}
