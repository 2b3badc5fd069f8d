/**
 * Runs transactions: a closure against one state of the database, its writes kept back, in the end one command, conditional
 * on everything that was read ('serializable') or on what was written ('snapshot').
 *
 * Threads: belongs to the thread of its database. A transaction that is thrown out of, aborted or late has changed
 * nothing. One that has begun to commit is waited for: it is committed or refused as a whole.
 */
import type { Id } from '../document/keys.ts'
import { TransactionError, TransactionTimeoutError } from '../errors.ts'
import type { CommandBuilder } from '../sequencer/command.ts'
import type { Catalog } from './catalog.ts'
import type { CollectionDefinition } from './define-collection.ts'
import type { StoreEnvironment } from './environment.ts'
import { type Isolation, OpenTransaction, type Transaction } from './transaction.ts'
import { Attempts, commit, settled, type Work, type WorkContext } from './work.ts'

export interface BlockingTransactionOptions {
  /** Default 'serializable'. */
  readonly isolation?: Isolation
  /** How often the closure is run again after a conflict; default 100. */
  readonly retries?: number
  /** From the call to the beginning of the commit; default without end. */
  readonly timeoutMs?: number
}

export interface TransactionOptions extends BlockingTransactionOptions {
  readonly signal?: AbortSignal
}

const RETRIES = 100

export class TransactionRunner {
  readonly #context: WorkContext
  readonly #catalog: Catalog
  /** Whose closure is on the stack, innermost last. */
  readonly #running: Transaction[] = []

  constructor(context: WorkContext, catalog: Catalog) {
    this.#context = context
    this.#catalog = catalog
  }

  *run<T>(closure: (tx: Transaction) => T | Promise<T>, options: TransactionOptions): Work<T> {
    if (typeof closure !== 'function') throw new TypeError('a transaction takes a closure')
    checkOptions(options)
    const limits = new Limits(options, this.#context.environment)
    const body = (tx: OpenTransaction): Work<T> => {
      return settled(limits.apply(this.#call(closure, tx)), "the transaction's closure")
    }
    return yield* this.#attempts(body, options, limits)
  }

  /** All of them or none. */
  *insertMany(definition: CollectionDefinition, inputs: readonly unknown[]): Work<Id[]> {
    const limits = new Limits({}, this.#context.environment)
    return yield* this.#attempts((tx) => tx.insertMany(definition, inputs), {}, limits)
  }

  *#attempts<T>(
    body: (tx: OpenTransaction) => Work<T>,
    { isolation = 'serializable', retries = RETRIES }: TransactionOptions,
    limits: Limits,
  ): Work<T> {
    const attempts = new Attempts('the transaction', retries, this.#context.environment)
    for (;;) {
      limits.assert()
      const tx = new OpenTransaction(this.#context, this.#catalog, (one) => this.#assertOwn(one))
      try {
        const { result, command } = yield* closed(tx, body, isolation, limits)
        const refusal = command && (yield* commit(command))
        if (refusal === undefined) return result
      } finally {
        tx.release()
      }
      yield* attempts.failed()
    }
  }

  #call<T>(closure: (tx: Transaction) => T, tx: Transaction): T {
    this.#running.push(tx)
    try {
      return closure(tx)
    } finally {
      this.#running.pop()
    }
  }

  #assertOwn(transaction: Transaction): void {
    const running = this.#running.at(-1)
    if (running === undefined || running === transaction) return
    throw new TransactionError("the transaction is used inside another transaction's closure")
  }
}

/** Runs the closure to its end: what it returned, and what it wrote. */
function* closed<T>(
  tx: OpenTransaction,
  body: (tx: OpenTransaction) => Work<T>,
  isolation: Isolation,
  limits: Limits,
): Work<{ result: T; command: CommandBuilder | undefined }> {
  try {
    const result = yield* body(tx)
    limits.assert()
    return { result, command: tx.command(isolation) }
  } finally {
    tx.end()
  }
}

function checkOptions({
  isolation = 'serializable',
  retries = 0,
  timeoutMs = 0,
}: TransactionOptions): void {
  if (isolation !== 'serializable' && isolation !== 'snapshot') {
    throw new TypeError(`isolation is 'serializable' or 'snapshot', not ${String(isolation)}`)
  }
  if (!(Number.isInteger(retries) && retries >= 0)) {
    throw new TypeError(`retries is a whole number from 0, not ${retries}`)
  }
  if (!(timeoutMs >= 0)) throw new TypeError(`timeoutMs is a number from 0, not ${timeoutMs}`)
}

/** The time that a transaction may take, and the signal that calls it off. */
class Limits {
  readonly #signal: AbortSignal | undefined
  readonly #timeoutMs: number | undefined
  readonly #endMs: number
  readonly #environment: StoreEnvironment

  constructor({ signal, timeoutMs }: TransactionOptions, environment: StoreEnvironment) {
    this.#signal = signal
    this.#timeoutMs = timeoutMs
    this.#environment = environment
    this.#endMs =
      timeoutMs === undefined ? Number.POSITIVE_INFINITY : environment.nowMs() + timeoutMs
  }

  /** @throws TransactionTimeoutError; the signal's reason */
  assert(): void {
    this.#signal?.throwIfAborted()
    if (this.#timeoutMs === undefined || this.#environment.nowMs() < this.#endMs) return
    throw new TransactionTimeoutError(this.#timeoutMs)
  }

  /** A promise is not waited for beyond the limits. */
  apply<T>(result: T | Promise<T>): T | Promise<T> {
    const isLimited = this.#signal !== undefined || this.#timeoutMs !== undefined
    return isLimited && result instanceof Promise ? this.#bounded(result) : result
  }

  #bounded<T>(promise: Promise<T>): Promise<T> {
    const signal = this.#signal
    const timeoutMs = this.#timeoutMs
    return new Promise((resolve, reject) => {
      const onAbort = (): void => reject(reasonOf(signal))
      signal?.addEventListener('abort', onAbort)
      const cancel =
        timeoutMs === undefined
          ? undefined
          : this.#environment.after(this.#endMs - this.#environment.nowMs(), () =>
              reject(new TransactionTimeoutError(timeoutMs)),
            )
      void promise.then(resolve, reject).finally(() => {
        signal?.removeEventListener('abort', onAbort)
        cancel?.()
      })
    })
  }
}

function reasonOf(signal: AbortSignal | undefined): Error {
  const reason: unknown = signal?.reason
  return reason instanceof Error ? reason : new Error('aborted', { cause: reason })
}
