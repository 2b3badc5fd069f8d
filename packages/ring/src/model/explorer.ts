/**
 * Explores a program's executions depth first: all of them, or one of each class of executions that
 * differ only in the order of independent accesses.
 *
 * The reduction is source-DPOR with sleep sets (Abdulla, Aronsson, Jonsson, Sagonas, "Optimal dynamic
 * partial order reduction", POPL 2014, algorithm 1). Each step has a vector clock of the steps that
 * happen before it by dependence. When a new step races with an earlier one (dependent, of another
 * thread, nothing between that orders them, and not enabled by it), the reverse order is worth a look:
 * a thread that can begin the part that does not depend on the earlier step is added to the backtrack
 * set in front of it, unless one is there already.
 *
 * Two conditions the algorithm asks for hold by construction (execution.ts): a step never disables
 * another thread, and dependence is judged in the state in which a step is taken. `always` would see
 * states that the reduction skips; writes to what it reads therefore depend on each other, and when it
 * comes to read more, the exploration begins again with that.
 */
import { Execution, type Finding } from './execution.ts'
import { dependent, newFootprint } from './footprint.ts'
import type { ThreadHistory } from './history.ts'
import type { AnyProgram, Death } from './program.ts'

export const EXECUTIONS_MAX_DEFAULT = 1_000_000

export interface Exploration {
  executions: number
  redundantExecutions: number
  discardedExecutions: number
  stepsTotal: number
  complete: boolean
  deathSeen: boolean
}

/** Masks of threads, at the state in front of a step. */
class Frame {
  isNew = true
  backtrack = 0
  /** Need not be taken from here: explored already, here or in an equivalent place. */
  sleep = 0
}

/** What to do after a violation. */
export type OnFinding = (finding: Finding, schedule: string) => 'stop' | 'continue'

export function explore(
  program: AnyProgram,
  death: Death | null,
  histories: readonly ThreadHistory[],
  executionsMax: number,
  onFinding: OnFinding,
): Exploration {
  const execution = new Execution(program, death, histories)
  return new Explorer(execution, program.reduction !== 'none', executionsMax, onFinding).run()
}

class Explorer {
  readonly #execution: Execution
  readonly #reduces: boolean
  readonly #executionsMax: number
  readonly #onFinding: OnFinding
  readonly #frames: Frame[] = []
  /** One row a step: how many steps of each thread happen before it, by dependence; itself included. */
  readonly #clocks: Int32Array
  readonly #sleeping = newFootprint()
  /** For `#initials`: by thread, its first step in the sequence looked at; 0: none yet. */
  readonly #firsts: Int32Array
  #counts: Exploration = emptyExploration()
  #stopped = false

  constructor(execution: Execution, reduces: boolean, executionsMax: number, onFinding: OnFinding) {
    this.#execution = execution
    this.#reduces = reduces
    this.#executionsMax = executionsMax
    this.#onFinding = onFinding
    this.#clocks = new Int32Array((execution.stepsMax + 1) * execution.threadCount)
    this.#firsts = new Int32Array(execution.threadCount)
  }

  run(): Exploration {
    const execution = this.#execution
    const finding = execution.begin()
    execution.watched.grew = false
    if (finding !== null) {
      this.#counts.executions = 1
      this.#counts.complete = this.#onFinding(finding, execution.schedule()) === 'continue'
      return this.#counts
    }
    this.#openFrame(0, 0)
    for (;;) {
      const frame = this.#frame(execution.depth)
      const thread = this.#choose(frame)
      if (this.#stopped) break
      if (thread >= 0) this.#descend(frame, thread)
      else if (!this.#retreat()) break
      if (this.#stopped) break
    }
    this.#counts.complete = !this.#stopped
    this.#counts.deathSeen = execution.deathSeen
    return this.#counts
  }

  /** The next thread to try from here; -1 when there is nothing left. */
  #choose(frame: Frame): number {
    if (frame.isNew) {
      frame.isNew = false
      if (!this.#prepare(frame)) return -1
    }
    const open = frame.backtrack & ~frame.sleep
    return open === 0 ? -1 : lowestBit(open)
  }

  /** Fills a new frame's backtrack set. False when the execution ends here. */
  #prepare(frame: Frame): boolean {
    const execution = this.#execution
    const enabled = execution.enabledMask()
    const ending = execution.ending(enabled)
    if (ending !== null) {
      if (ending === 'discarded') this.#counts.discardedExecutions++
      else this.#counts.executions++
      if (typeof ending === 'object') this.#report(ending)
      this.#checkBound()
      return false
    }
    if (!this.#reduces) {
      frame.backtrack = enabled
      return true
    }
    const candidates = enabled & ~frame.sleep
    if (candidates === 0) {
      this.#counts.redundantExecutions++
      this.#checkBound()
      return false
    }
    // Staying with the thread that ran last makes schedules short and easy to read.
    const last = execution.depth === 0 ? -1 : execution.record(execution.depth - 1).thread
    const stays = last >= 0 && (candidates & (1 << last)) !== 0
    frame.backtrack = stays ? 1 << last : candidates & -candidates
    return true
  }

  #checkBound(): void {
    const { executions, redundantExecutions, discardedExecutions } = this.#counts
    if (executions + redundantExecutions + discardedExecutions >= this.#executionsMax) {
      this.#stopped ||= !this.#isExhausted()
    }
  }

  #isExhausted(): boolean {
    for (let depth = 0; depth < this.#execution.depth; depth++) {
      const { backtrack, sleep } = this.#frame(depth)
      const taken = 1 << this.#execution.record(depth).thread
      if ((backtrack & ~sleep & ~taken) !== 0) return false
    }
    return true
  }

  #descend(frame: Frame, thread: number): void {
    const execution = this.#execution
    const asleep = this.#reduces ? frame.sleep : 0
    const step = execution.depth
    // Whoever sleeps is asked for its footprint in this state, before the step changes it.
    const stillAsleep = this.#independentOf(thread, asleep)
    const finding = execution.step(thread)
    this.#counts.stepsTotal++
    if (this.#reduces) {
      this.#order(step)
      if (execution.watched.grew) {
        this.#restart()
        return
      }
    }
    this.#openFrame(execution.depth, stillAsleep)
    if (finding !== null) {
      this.#frame(execution.depth).isNew = false
      this.#counts.executions++
      this.#report(finding)
      this.#checkBound()
    }
  }

  #retreat(): boolean {
    const execution = this.#execution
    if (execution.depth === 0) return false
    execution.undo()
    this.#frame(execution.depth).sleep |= 1 << execution.record(execution.depth).thread
    return true
  }

  #report(finding: Finding): void {
    if (this.#onFinding(finding, this.#execution.schedule()) === 'stop') this.#stopped = true
  }

  /** The invariant has read what no step before was ordered by: begin again, knowing that. */
  #restart(): void {
    const execution = this.#execution
    execution.watched.grew = false
    while (execution.depth > 0) execution.undo()
    this.#counts = emptyExploration()
    this.#openFrame(0, 0)
  }

  #openFrame(depth: number, sleep: number): void {
    const frame = this.#frames[depth] ?? new Frame()
    this.#frames[depth] = frame
    frame.isNew = true
    frame.backtrack = 0
    frame.sleep = sleep
  }

  #frame(depth: number): Frame {
    const frame = this.#frames[depth]
    if (frame === undefined) throw new RangeError(`no frame at depth ${depth}`)
    return frame
  }

  /** Those of `asleep` whose next step commutes with this thread's next. */
  #independentOf(thread: number, asleep: number): number {
    if (asleep === 0) return 0
    const execution = this.#execution
    const own = execution.record(execution.depth).footprint
    execution.footprintOf(thread, own)
    let independent = 0
    for (let other = 0; other < execution.threadCount; other++) {
      if ((asleep & (1 << other)) === 0) continue
      execution.footprintOf(other, this.#sleeping)
      if (!dependent(own, this.#sleeping)) independent |= 1 << other
    }
    return independent
  }

  /**
   * The new step's clock, and its races. Backwards from the newest: a dependent step that the clock
   * does not cover yet has nothing between that orders the two.
   */
  #order(step: number): void {
    const execution = this.#execution
    const record = execution.record(step)
    const clocks = this.#clocks
    const width = execution.threadCount
    const row = step * width
    for (let thread = 0; thread < width; thread++) clocks[row + thread] = 0
    if (record.stepBefore >= 0) this.#join(row, record.stepBefore * width)
    if (record.enabledBy >= 0) this.#join(row, record.enabledBy * width)
    clocks[row + record.thread] = record.localStep
    for (let earlier = step - 1; earlier >= 0; earlier--) {
      const other = execution.record(earlier)
      if ((clocks[row + other.thread] ?? 0) >= other.localStep) continue
      if (!dependent(other.footprint, record.footprint)) continue
      this.#join(row, earlier * width)
      this.#reverse(earlier, step)
    }
  }

  #join(into: number, from: number): void {
    const clocks = this.#clocks
    for (let thread = 0; thread < this.#execution.threadCount; thread++) {
      const clock = clocks[from + thread] ?? 0
      if (clock > (clocks[into + thread] ?? 0)) clocks[into + thread] = clock
    }
  }

  #reverse(earlier: number, later: number): void {
    const frame = this.#frame(earlier)
    const initials = this.#initials(earlier, later)
    if ((initials & (frame.backtrack | frame.sleep)) !== 0) return
    const preferred = 1 << this.#execution.record(later).thread
    frame.backtrack |= (initials & preferred) !== 0 ? preferred : initials & -initials
  }

  /** Threads that can begin the steps after `earlier` that do not depend on it, then `later`. */
  #initials(earlier: number, later: number): number {
    const execution = this.#execution
    const clocks = this.#clocks
    const width = execution.threadCount
    const firsts = this.#firsts.fill(0)
    const first = execution.record(earlier)
    let initials = 0
    for (let step = earlier + 1; step <= later; step++) {
      const { thread, localStep } = execution.record(step)
      if (firsts[thread] !== 0) continue
      const row = step * width
      if (step !== later && (clocks[row + first.thread] ?? 0) >= first.localStep) continue
      let begins = true
      for (let other = 0; other < width && begins; other++) {
        const firstOfOther = firsts[other] ?? 0
        begins = firstOfOther === 0 || (clocks[row + other] ?? 0) < firstOfOther
      }
      firsts[thread] = localStep
      if (begins) initials |= 1 << thread
    }
    return initials
  }
}

function lowestBit(mask: number): number {
  return 31 - Math.clz32(mask & -mask)
}

function emptyExploration(): Exploration {
  return {
    executions: 0,
    redundantExecutions: 0,
    discardedExecutions: 0,
    stepsTotal: 0,
    complete: false,
    deathSeen: false,
  }
}
