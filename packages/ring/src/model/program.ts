import type { SharedMemory } from '../shared-memory.ts'
import { ModelError } from './model-error.ts'

/** What a model thread is given: the memory, and what only a checker can offer. */
export interface ThreadContext {
  readonly name: string
  /** Every access is a scheduling point. `waitAsync` is refused: model threads are synchronous. */
  readonly memory: SharedMemory
  /**
   * Blocks until that thread is over. True when it died (its death is proven, and everything it did
   * happened before this returns), false when it returned normally.
   */
  awaitDeath(threadName: string): boolean
  /**
   * Gives the whole execution up when the condition is false: neither a violation nor a deadlock, only
   * discarded. For spin loops: `assume(load(lock) === 0)` stands for "spin until it is", and explores
   * every execution in which the loop ends.
   */
  assume(condition: boolean): void
}

/**
 * A small concurrent program, and what must hold of it.
 *
 * Each thread must be a deterministic function of the results of its accesses: it is run again and
 * again from its start, so it builds what it needs (a ring handle, a counter) inside itself, takes no
 * clock and no randomness, changes nothing outside, and reports what it saw as its return value.
 */
export interface Program<Values> {
  /** A multiple of 4. The memory starts as zeros. */
  readonly memoryBytes: number
  readonly threads: { readonly [Name in keyof Values]: (context: ThreadContext) => Values[Name] }
  /** Prepares the memory before any thread starts. Not a scheduling point. */
  setup?(memory: SharedMemory): void
  /**
   * Runs when all threads are over; throws when a property is violated. A thread that died or stayed
   * blocked has no entry in `values`. Values are shared between executions: do not change them.
   */
  finish?(memory: SharedMemory, values: Partial<Values>): void
  /** An invariant of the memory alone: runs after every step, reads only, throws when violated. */
  always?(memory: SharedMemory): void
  /** Threads that may end parked (a consumer with nothing left to do); all others must return. */
  readonly mayStayBlocked?: readonly (keyof Values & string)[]
  /**
   * Whether a wait with a finite timeout may time out, at any moment. Default: never, so that a lost
   * wake-up shows as a deadlock instead of hiding behind the timeout.
   */
  readonly timeoutsMayFire?: boolean
  /** `none` explores every interleaving; for checking the checker. Default: `source-dpor`. */
  readonly reduction?: 'source-dpor' | 'none'
  /** Executions of any kind before the check stops as incomplete. Default: 1,000,000. */
  readonly executionsMax?: number
  /** Steps of one execution before it counts as a livelock. Default: 1,000. */
  readonly stepsMax?: number
}

/** The thread stops for good before its access number `accesses + 1`; waking up counts as one. */
export interface Death {
  readonly thread: string
  readonly accesses: number
}

export type ViolationKind = 'property' | 'race' | 'deadlock' | 'livelock' | 'exception'

export interface Violation {
  readonly kind: ViolationKind
  readonly message: string
  /** Replays exactly: `replay(program, schedule)`. */
  readonly schedule: string
  /** One line an access, ending in the violation. */
  readonly trace: readonly string[]
  /** What was thrown, where something was. */
  readonly cause: unknown
}

export interface Report {
  /** Distinct executions that ran to an end: one of each equivalence class, when reduced. */
  readonly executions: number
  /** Begun, and found to be equivalent to an earlier one (blocked by the sleep set). */
  readonly redundantExecutions: number
  /** Given up by `assume`. */
  readonly discardedExecutions: number
  readonly stepsTotal: number
  /** The death points explored; 0 unless by `checkDeaths`. */
  readonly deathPoints: number
  /** True only when everything was explored. False after a violation, or past `executionsMax`. */
  readonly complete: boolean
  readonly violation: Violation | null
}

/** A program whose values' types no longer matter: what the machinery works on. */
export type AnyProgram = Program<Record<string, unknown>>

/** A mask of threads is one integer, and a schedule has one letter for each. */
const THREADS_MAX = 16

export function assertProgram(program: AnyProgram, death: Death | null): void {
  const names = Object.keys(program.threads)
  if (!(program.memoryBytes > 0 && program.memoryBytes % 4 === 0)) {
    throw new ModelError(
      'PROGRAM',
      `memoryBytes must be a multiple of 4, not ${program.memoryBytes}`,
    )
  }
  if (names.length === 0 || names.length > THREADS_MAX) {
    throw new ModelError(
      'PROGRAM',
      `a program has 1 to ${THREADS_MAX} threads, not ${names.length}`,
    )
  }
  for (const name of names) {
    if (!/^[\w-]+$/.test(name)) {
      throw new ModelError('PROGRAM', `a thread’s name has letters, digits, _ and - only: ${name}`)
    }
  }
  for (const name of [
    ...(program.mayStayBlocked ?? []),
    ...(death === null ? [] : [death.thread]),
  ]) {
    if (!names.includes(name)) throw new ModelError('PROGRAM', `there is no thread ${name}`)
  }
}
