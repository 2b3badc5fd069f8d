/**
 * One execution of a program, step by step, forwards and back: the memory, where each thread stands,
 * who is parked. Exploring drives it in both directions; replaying only forwards.
 *
 * A thread always stands *before* its next access. Its status follows from its place in its history:
 * it can go on, is parked (its wait has begun and nobody has woken it), waits for a thread's end, is
 * over, or is dead. Threads disable nobody but themselves; others can only enable them.
 *
 * Invariants
 * 1. `undo` restores exactly what was before the last step: memory, places, waiters, clocks.
 * 2. A violation is a function of the state reached; going on after one is not possible, undoing is.
 */
import { WatchedMemory } from './direct-memory.ts'
import {
  FINDS_ANOTHER_VALUE,
  type Footprint,
  MAY_TIME_OUT,
  NOT_WAITING,
  NOTIFIES_NOBODY,
  NOTIFIES_SOME,
  PARKS,
} from './footprint.ts'
import { type HistoryNode, ThreadHistory } from './history.ts'
import { MemoryContent } from './memory-content.ts'
import { ModelError, messageOf } from './model-error.ts'
import {
  describeOperation,
  type Operation,
  WAIT_NOT_EQUAL,
  WAIT_OK,
  WAIT_TIMED_OUT,
} from './operation.ts'
import { type AnyProgram, assertProgram, type Death, type ViolationKind } from './program.ts'
import { type Race, RaceDetector } from './race-detector.ts'
import { formatSchedule } from './schedule.ts'
import { StepRecord } from './step-record.ts'

/** A violation before its trace is made. */
export interface Finding {
  readonly kind: ViolationKind
  readonly message: string
  readonly cause: unknown
}

/** How an execution ended. */
export type Ending = Finding | 'finished' | 'discarded'

const STEPS_MAX_DEFAULT = 1_000

export class Execution {
  readonly program: AnyProgram
  readonly threadNames: readonly string[]
  readonly threadCount: number
  readonly stepsMax: number
  readonly watched: WatchedMemory
  /** Steps taken so far. */
  depth = 0
  /** The mortal thread reached its death in this execution or an earlier one. */
  deathSeen = false

  readonly #histories: readonly ThreadHistory[]
  readonly #content: MemoryContent
  readonly #races: RaceDetector
  readonly #records: StepRecord[] = []
  readonly #nodes: HistoryNode[] = []
  /** By thread: the step that parked it, the step that notified it, its last step; -1: none. */
  readonly #parkedBy: number[] = []
  readonly #notifiedBy: number[] = []
  readonly #lastStep: number[] = []
  readonly #localSteps: number[] = []
  readonly #mayStayBlocked: number
  readonly #death: Death | null
  readonly #mortal: number
  readonly #accessesMax: number

  constructor(program: AnyProgram, death: Death | null, histories?: readonly ThreadHistory[]) {
    assertProgram(program, death)
    this.program = program
    this.threadNames = Object.keys(program.threads)
    this.threadCount = this.threadNames.length
    this.stepsMax = program.stepsMax ?? STEPS_MAX_DEFAULT
    this.#death = death
    this.#mortal = death === null ? -1 : this.threadNames.indexOf(death.thread)
    this.#accessesMax = death?.accesses ?? Infinity
    this.#histories = histories ?? historiesOf(program)
    this.#mayStayBlocked = (program.mayStayBlocked ?? []).reduce(
      (mask, name) => mask | (1 << this.threadNames.indexOf(name)),
      0,
    )
    this.#content = new MemoryContent(program.memoryBytes)
    this.watched = new WatchedMemory(this.#content.direct)
    this.#races = new RaceDetector(this.threadCount, program.memoryBytes, this.stepsMax)
    program.setup?.(this.#content.direct)
    for (const { root } of this.#histories) {
      this.#nodes.push(root)
      this.#parkedBy.push(-1)
      this.#notifiedBy.push(-1)
      this.#lastStep.push(-1)
      this.#localSteps.push(0)
    }
    if (this.#mortal >= 0) this.deathSeen = this.#isDead(this.#mortal)
  }

  /** What is wrong before the first step is taken. */
  begin(): Finding | null {
    for (let thread = 0; thread < this.threadCount; thread++) {
      const finding = this.#exceptionOf(thread)
      if (finding !== null) return finding
    }
    return this.#judgeInvariant()
  }

  record(step: number): StepRecord {
    const known = this.#records[step]
    if (known !== undefined) return known
    const record = new StepRecord()
    this.#records[step] = record
    return record
  }

  schedule(): string {
    const threads = this.#records.slice(0, this.depth).map((record) => record.thread)
    return formatSchedule(threads, this.#death)
  }

  /** The thread's last step so far; -1: none. */
  lastStepOf(thread: number): number {
    return this.#lastStep[thread] ?? -1
  }

  enabledMask(): number {
    let mask = 0
    for (let thread = 0; thread < this.threadCount; thread++) {
      if (this.isEnabled(thread)) mask |= 1 << thread
    }
    return mask
  }

  isEnabled(thread: number): boolean {
    const operation = this.#node(thread).operation
    if (operation === null || this.#isDead(thread)) return false
    if (this.#isParked(thread)) return this.#isNotified(thread) || this.#mayTimeOut(operation)
    return operation.kind !== 'awaitDeath' || this.#isOver(operation.value)
  }

  /** What the thread's next step would touch if it were taken now. */
  footprintOf(thread: number, into: Footprint): void {
    const operation = this.#operation(thread)
    const { kind, byteOffset, byteLength } = operation
    into.start = byteOffset
    into.end = byteOffset + byteLength
    into.writes = false
    into.listOffset = -1
    into.listRole = NOT_WAITING
    switch (kind) {
      case 'load':
      case 'bytesOut':
      case 'awaitDeath':
        break
      case 'store':
      case 'add':
      case 'exchange':
      case 'bytesIn':
      case 'zero':
        into.writes = true
        break
      case 'compareExchange':
        into.writes = this.#content.wordAt(byteOffset) === operation.expected
        break
      case 'wait':
        if (this.#isParked(thread)) {
          into.end = into.start
          if (this.#mayTimeOut(operation)) this.#usesList(into, byteOffset, MAY_TIME_OUT)
        } else {
          const parks = this.#content.wordAt(byteOffset) === operation.expected
          this.#usesList(into, byteOffset, parks ? PARKS : FINDS_ANOTHER_VALUE)
        }
        break
      case 'notify':
        into.end = into.start
        if (operation.value > 0) {
          const nobody = this.#firstWaiting(byteOffset) < 0
          this.#usesList(into, byteOffset, nobody ? NOTIFIES_NOBODY : NOTIFIES_SOME)
        }
        break
    }
    into.watched = into.writes && this.watched.isWatched(into.start, into.end)
  }

  #usesList(into: Footprint, byteOffset: number, role: number): void {
    into.listOffset = byteOffset
    into.listRole = role
  }

  /** Takes the thread's next step. It must be enabled. */
  step(thread: number): Finding | null {
    const step = this.depth
    const record = this.record(step)
    const operation = this.#operation(thread)
    this.footprintOf(thread, record.footprint)
    record.thread = thread
    record.nodeBefore = this.#node(thread)
    record.isWake = this.#isParked(thread)
    record.parkedBefore = this.#parkedBy[thread] ?? -1
    record.notifiedBefore = this.#notifiedBy[thread] ?? -1
    record.stepBefore = this.lastStepOf(thread)
    record.localStep = (this.#localSteps[thread] ?? 0) + 1
    record.clearEffects()
    record.enabledBy = this.#enabler(record, operation)
    record.raceMark = this.#races.mark
    this.#races.begin(step, thread, record.localStep, record.stepBefore)
    const parks = this.#perform(record, operation, step)
    const race = this.#findRace(record, operation, step)

    this.#localSteps[thread] = record.localStep
    this.#lastStep[thread] = step
    this.depth = step + 1
    if (parks) {
      this.#parkedBy[thread] = step
    } else {
      this.#parkedBy[thread] = -1
      this.#notifiedBy[thread] = -1
      const history = this.#history(thread)
      this.#nodes[thread] = history.advance(record.nodeBefore, record.result, record.resultBytes)
    }
    if (thread === this.#mortal && this.#isDead(thread)) this.deathSeen = true
    if (race !== null) return this.#raceFinding(record, operation, race)
    const finding = record.footprint.watched ? this.#judgeInvariant() : null
    return finding ?? this.#exceptionOf(thread)
  }

  undo(): void {
    this.depth--
    const record = this.record(this.depth)
    const { thread, nodeBefore } = record
    if (nodeBefore !== null) this.#nodes[thread] = nodeBefore
    this.#parkedBy[thread] = record.parkedBefore
    this.#notifiedBy[thread] = record.notifiedBefore
    this.#lastStep[thread] = record.stepBefore
    this.#localSteps[thread] = record.localStep - 1
    for (let other = 0; other < this.threadCount; other++) {
      if ((record.woken & (1 << other)) !== 0) this.#notifiedBy[other] = -1
    }
    this.#content.revert(record)
    this.#races.undo(record.raceMark)
  }

  /** How the execution ended; null while it can go on. */
  ending(enabledMask: number): Ending | null {
    if (enabledMask !== 0) {
      if (this.depth < this.stepsMax) return null
      return finding('livelock', `no end within ${this.stepsMax} steps`)
    }
    const blocked: string[] = []
    let discarded = false
    for (let thread = 0; thread < this.threadCount; thread++) {
      const { end } = this.#node(thread)
      if (end?.kind === 'discarded') discarded = true
      if (end !== null || this.#isDead(thread)) continue
      if ((this.#mayStayBlocked & (1 << thread)) === 0) blocked.push(this.#blockedText(thread))
    }
    if (discarded) return 'discarded'
    if (blocked.length > 0) return finding('deadlock', `nobody can go on: ${blocked.join('; ')}`)
    return this.#finish() ?? 'finished'
  }

  #finish(): Finding | null {
    if (this.program.finish === undefined) return null
    const values: Record<string, unknown> = {}
    for (let thread = 0; thread < this.threadCount; thread++) {
      const { end } = this.#node(thread)
      if (end?.kind === 'value') values[this.#name(thread)] = end.value
    }
    return this.#content.preserving(() =>
      judge(() => this.program.finish?.(this.#content.direct, values)),
    )
  }

  #judgeInvariant(): Finding | null {
    if (this.program.always === undefined) return null
    return judge(() => this.program.always?.(this.watched))
  }

  #exceptionOf(thread: number): Finding | null {
    const { end } = this.#node(thread)
    if (end?.kind !== 'exception' || this.#isDead(thread)) return null
    return finding(
      'exception',
      `thread ${this.#name(thread)} threw ${messageOf(end.error)}`,
      end.error,
    )
  }

  /** Changes memory and waiters, and notes the result. True when the thread parks. */
  #perform(record: StepRecord, operation: Operation, step: number): boolean {
    const { kind, byteOffset, value, expected } = operation
    if (kind === 'notify') record.result = this.#notify(record, byteOffset, value, step)
    else if (kind === 'awaitDeath') record.result = this.#isDead(value) ? 1 : 0
    else if (kind !== 'wait') this.#content.perform(operation, record)
    else if (record.isWake) record.result = record.notifiedBefore >= 0 ? WAIT_OK : WAIT_TIMED_OUT
    else if (this.#content.wordAt(byteOffset) !== expected) record.result = WAIT_NOT_EQUAL
    else return true
    return false
  }

  /** First come, first woken, as V8 does; those that died in their wait have left the list. */
  #notify(record: StepRecord, byteOffset: number, count: number, step: number): number {
    let woken = 0
    while (woken < count) {
      const thread = this.#firstWaiting(byteOffset)
      if (thread < 0) break
      this.#notifiedBy[thread] = step
      record.woken |= 1 << thread
      woken++
    }
    return woken
  }

  /** The thread that has been parked on this word the longest; -1: none. */
  #firstWaiting(byteOffset: number): number {
    let first = -1
    let firstSince = Infinity
    for (let thread = 0; thread < this.threadCount; thread++) {
      const since = this.#parkedBy[thread] ?? -1
      if (since < 0 || since >= firstSince || this.#isNotified(thread)) continue
      if (this.#operation(thread).byteOffset !== byteOffset || this.#isDead(thread)) continue
      first = thread
      firstSince = since
    }
    return first
  }

  #enabler(record: StepRecord, operation: Operation): number {
    if (operation.kind === 'awaitDeath') return this.lastStepOf(operation.value)
    // Where it could have timed out instead, the notify did not enable this step: the two are a race.
    return record.isWake && !this.#mayTimeOut(operation) ? record.notifiedBefore : -1
  }

  #findRace(record: StepRecord, operation: Operation, step: number): Race | null {
    const races = this.#races
    const { kind, byteOffset, byteLength } = operation
    const end = byteOffset + byteLength
    const word = byteOffset >> 2
    if (kind === 'bytesOut') return races.plain(byteOffset, end, false)
    if (kind === 'bytesIn' || kind === 'zero') return races.plain(byteOffset, end, true)
    if (kind === 'notify') return null
    if (kind === 'awaitDeath' || record.isWake) {
      const before = record.isWake ? record.notifiedBefore : record.enabledBy
      if (before >= 0) races.acquire(before)
      return null
    }
    if (kind === 'load' || kind === 'wait') return races.atomic(step, word, true, false, false)
    return races.atomic(step, word, kind !== 'store', true, record.footprint.writes)
  }

  #raceFinding(record: StepRecord, operation: Operation, race: Race): Finding {
    const access = describeOperation(operation, this.threadNames)
    return finding(
      'race',
      `byte ${race.byte}: ${this.#name(record.thread)} does ${access}, and nothing orders it after a ${
        race.otherAccess
      } by ${this.#name(race.otherThread)}`,
    )
  }

  #blockedText(thread: number): string {
    const operation = this.#operation(thread)
    const what = describeOperation(operation, this.threadNames)
    if (operation.kind !== 'wait') return `${this.#name(thread)} is blocked in ${what}`
    const holds = this.#content.wordAt(operation.byteOffset)
    return `${this.#name(thread)} is parked in ${what}, which holds ${holds}`
  }

  #isParked(thread: number): boolean {
    return (this.#parkedBy[thread] ?? -1) >= 0
  }

  #isNotified(thread: number): boolean {
    return (this.#notifiedBy[thread] ?? -1) >= 0
  }

  #mayTimeOut(operation: Operation): boolean {
    return this.program.timeoutsMayFire === true && operation.timeoutMs < Infinity
  }

  #isDead(thread: number): boolean {
    return (
      thread === this.#mortal &&
      (this.#localSteps[thread] ?? 0) >= this.#accessesMax &&
      this.#node(thread).operation !== null
    )
  }

  #isOver(thread: number): boolean {
    return this.#node(thread).end?.kind === 'value' || this.#isDead(thread)
  }

  #name(thread: number): string {
    return this.threadNames[thread] ?? ''
  }

  #node(thread: number): HistoryNode {
    const node = this.#nodes[thread]
    if (node === undefined) throw new RangeError(`there is no thread ${thread}`)
    return node
  }

  #operation(thread: number): Operation {
    const { operation } = this.#node(thread)
    if (operation === null) throw new RangeError(`thread ${this.#name(thread)} is over`)
    return operation
  }

  #history(thread: number): ThreadHistory {
    const history = this.#histories[thread]
    if (history === undefined) throw new RangeError(`there is no thread ${thread}`)
    return history
  }
}

/** Shared by all executions of a program, whoever dies in them. */
export function historiesOf(program: AnyProgram): readonly ThreadHistory[] {
  const names = Object.keys(program.threads)
  return Object.values(program.threads).map(
    (body, index) => new ThreadHistory(names, index, body, program.memoryBytes),
  )
}

function judge(property: () => void): Finding | null {
  try {
    property()
    return null
  } catch (error) {
    if (error instanceof ModelError) throw error
    return finding('property', messageOf(error), error)
  }
}

function finding(kind: ViolationKind, message: string, cause?: unknown): Finding {
  return { kind, message, cause }
}
