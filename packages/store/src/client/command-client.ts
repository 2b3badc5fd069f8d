/**
 * Committing from one thread: commands into the ring, acknowledgements and refusals out of shared memory.
 *
 * Threads: belongs to the thread that made it. At most REFUSALS_IN_FLIGHT_MAX commands are under way at once;
 * what comes on top waits, in order.
 *
 * A time limit or an abort counts until the command is in the ring: from then on it will be decided, whoever
 * waits. An awaited commit then waits for that; a blocking one throws, saying so.
 */
import type { RingEnvironment, WaitOptions } from '@ringbolt/ring'
import { type LogClient, LogTimeoutError } from '@ringbolt/wal'
import type { CommandBuilder } from '../sequencer/command.ts'
import { PART_HEADER_BYTES, partsOf } from '../sequencer/parts.ts'
import { REFUSALS_IN_FLIGHT_MAX, type RefusalReader } from '../sequencer/refusals.ts'
import { CommitTimeoutError } from './command-client-errors.ts'
import { Turns } from './command-client-turns.ts'
import type { CommitOptions, Refusal } from './engine.ts'

/** A command longer than this share of the ring goes in parts, so that others find room beside it. */
const RING_SHARE = 4
/** One more may block at the same time. */
const IN_FLIGHT_MAX: number = REFUSALS_IN_FLIGHT_MAX - 1
/** A blocking command may come in the middle of an awaited long one. */
const AWAITED_STREAM = 0
const BLOCKING_STREAM = 1

const NOTHING_COMMITTED = 'nothing of it was committed'
const WILL_BE_DECIDED = 'it is in the ring, and will be committed or refused'

export class CommandClient {
  readonly #log: LogClient
  readonly #refusals: RefusalReader
  readonly #slot: number
  readonly #environment: RingEnvironment
  readonly #recordBytesMax: number
  readonly #busy: () => Error
  readonly #turns: Turns
  /** Long commands one at a time, since their parts must come in order. */
  readonly #longTurns: Turns
  #inFlight = 0
  #longUnderWay = false

  /** @param busy why another process did not let this one write */
  constructor(
    log: LogClient,
    refusals: RefusalReader,
    slot: number,
    environment: RingEnvironment,
    busy: () => Error,
  ) {
    this.#log = log
    this.#refusals = refusals
    this.#slot = slot
    this.#environment = environment
    this.#busy = busy
    this.#recordBytesMax = Math.floor(log.recordLengthMaxBytes / RING_SHARE)
    this.#turns = new Turns(environment)
    this.#longTurns = new Turns(environment)
  }

  /**
   * Undefined: acknowledged. The command must not be changed before it is settled.
   * @throws RingFullError, CommitTimeoutError or the signal's reason: nothing was committed; RingPoisonedError
   * with the sequencer's failure; OutcomeUnknownError
   */
  async commit(command: CommandBuilder, options?: CommitOptions): Promise<Refusal | undefined> {
    options?.signal?.throwIfAborted()
    const limits = options === undefined ? undefined : new Limits(options, this.#environment)
    if (this.#inFlight < IN_FLIGHT_MAX) this.#inFlight++
    else await this.#turns.wait(limits?.remaining)
    try {
      const bytes = command.finish(this.#slot)
      if (bytes.length > this.#recordBytesMax) return await this.#commitLong(bytes, limits)
      return this.#outcome(await this.#log.append(bytes, limits?.remaining))
    } finally {
      this.#ended()
    }
  }

  /**
   * The same, blocking this thread.
   * @throws CommitTimeoutError, whose `outcome` says whether the command is in the ring
   */
  commitSync(
    command: CommandBuilder,
    timeoutMs: number = Number.POSITIVE_INFINITY,
  ): Refusal | undefined {
    const bytes = command.finish(this.#slot)
    if (bytes.length <= this.#recordBytesMax) {
      return this.#appendSync(bytes, timeoutMs, timeoutMs, WILL_BE_DECIDED)
    }
    const deadlineMs = this.#environment.nowMs() + timeoutMs
    let sentBytes = 0
    for (const part of partsOf(bytes, this.#slot, BLOCKING_STREAM, this.#recordBytesMax)) {
      sentBytes += part.length - PART_HEADER_BYTES
      const outcome = sentBytes === bytes.length ? WILL_BE_DECIDED : NOTHING_COMMITTED
      const remainingMs = Math.max(0, deadlineMs - this.#environment.nowMs())
      const refusal = this.#appendSync(part, remainingMs, timeoutMs, outcome)
      if (refusal !== undefined) return refusal
    }
    return undefined
  }

  /** @param outcome of the command, should the record be in the ring and not be acknowledged in time */
  #appendSync(
    record: Buffer,
    remainingMs: number,
    timeoutMs: number,
    outcome: string,
  ): Refusal | undefined {
    try {
      return this.#outcome(this.#log.appendSync(record, remainingMs))
    } catch (error) {
      if (!(error instanceof LogTimeoutError)) throw error
      throw new CommitTimeoutError(timeoutMs, outcome, error)
    }
  }

  async #commitLong(bytes: Buffer, limits: Limits | undefined): Promise<Refusal | undefined> {
    if (this.#longUnderWay) await this.#longTurns.wait(limits?.remaining)
    this.#longUnderWay = true
    try {
      for (const part of partsOf(bytes, this.#slot, AWAITED_STREAM, this.#recordBytesMax)) {
        limits?.assertNotOver()
        const refusal = this.#outcome(await this.#log.append(part, limits?.remaining))
        if (refusal !== undefined) return refusal
      }
      return undefined
    } finally {
      // Whoever is next takes over, so nobody comes in between.
      this.#longUnderWay = this.#longTurns.next()
    }
  }

  /** Of a command that the mark has passed. @throws what `busy` gives when another process did not let this one write */
  #outcome(address: number): Refusal | undefined {
    const refusal = this.#refusals.take(address)
    if (refusal?.reason === 'busy') throw this.#busy()
    return refusal
  }

  #ended(): void {
    // Whoever is next has the place at once.
    if (this.#turns.next()) return
    this.#inFlight--
    if (this.#inFlight === 0) this.#refusals.forget()
  }
}

/** What is left of a commit's limits, stage after stage. */
class Limits {
  readonly #timeoutMs: number | undefined
  readonly #deadlineMs: number
  readonly #signal: AbortSignal | undefined
  readonly #environment: RingEnvironment

  constructor({ timeoutMs, signal }: CommitOptions, environment: RingEnvironment) {
    this.#timeoutMs = timeoutMs
    this.#deadlineMs = environment.nowMs() + (timeoutMs ?? Number.POSITIVE_INFINITY)
    this.#signal = signal
    this.#environment = environment
  }

  get remaining(): WaitOptions {
    const signal = this.#signal === undefined ? {} : { signal: this.#signal }
    if (this.#timeoutMs === undefined) return signal
    return { ...signal, timeoutMs: Math.max(0, this.#deadlineMs - this.#environment.nowMs()) }
  }

  /** Between the parts of a command. */
  assertNotOver(): void {
    this.#signal?.throwIfAborted()
    if (this.#timeoutMs !== undefined && this.#environment.nowMs() >= this.#deadlineMs) {
      throw new CommitTimeoutError(this.#timeoutMs, NOTHING_COMMITTED)
    }
  }
}
