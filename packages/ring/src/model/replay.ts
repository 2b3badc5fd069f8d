import { Execution, type Finding } from './execution.ts'
import { ModelError } from './model-error.ts'
import {
  describeOperation,
  hex,
  type Operation,
  WAIT_NOT_EQUAL,
  waitResultOf,
} from './operation.ts'
import type { AnyProgram, Program, ViolationKind } from './program.ts'
import { parseSchedule } from './schedule.ts'
import type { StepRecord } from './step-record.ts'

export interface Replay {
  /** One line an access: number, thread, operation, result; then the violation, or how it ended. */
  readonly trace: readonly string[]
  readonly violation: { readonly kind: ViolationKind; readonly message: string } | null
}

/**
 * Runs one schedule of a program. Throws a `ModelError` (`RINGBOLT_MODEL_SCHEDULE`) when the schedule
 * asks for a thread that cannot go on: then it is not of this program.
 */
export function replay<Values extends Record<string, unknown>>(
  program: Program<Values>,
  schedule: string,
): Replay {
  return replayAny(program, schedule)
}

export function replayAny(program: AnyProgram, schedule: string): Replay {
  const { threadOfStep, death } = parseSchedule(schedule, Object.keys(program.threads).length)
  const execution = new Execution(program, death)
  const trace: string[] = []
  let finding = execution.begin()
  for (const thread of threadOfStep) {
    if (finding !== null) break
    if (!execution.isEnabled(thread)) {
      throw new ModelError(
        'SCHEDULE',
        `step ${execution.depth + 1} of schedule ${schedule}: thread ${execution.threadNames[thread]} cannot go on`,
      )
    }
    finding = execution.step(thread)
    trace.push(describeStep(execution, execution.depth - 1))
  }
  if (finding === null) {
    const ending = execution.ending(execution.enabledMask())
    if (ending === null) trace.push('the schedule ends here, before the program does')
    else if (typeof ending === 'string') trace.push(`${ending}: no violation`)
    else finding = ending
  }
  if (finding !== null) trace.push(describeFinding(finding))
  return {
    trace,
    violation: finding === null ? null : { kind: finding.kind, message: finding.message },
  }
}

function describeFinding({ kind, message }: Finding): string {
  return `${kind}: ${message}`
}

function describeStep(execution: Execution, step: number): string {
  const record = execution.record(step)
  const operation = record.nodeBefore?.operation ?? null
  if (operation === null) throw new RangeError(`step ${step} has no operation`)
  const { threadNames } = execution
  const width = Math.max(...threadNames.map((name) => name.length))
  const name = (threadNames[record.thread] ?? '').padEnd(width)
  const start = `${String(step + 1).padStart(3)} ${name} `
  const text = describeOperation(operation, threadNames)
  if (record.isWake) return `${start}wakes from ${text} = ${waitResultOf(record.result)}`
  return start + text + describeResult(operation, record)
}

function describeResult({ kind }: Operation, { result, resultBytes }: StepRecord): string {
  if (kind === 'store' || kind === 'bytesIn' || kind === 'zero') return ''
  if (kind === 'wait') return result === WAIT_NOT_EQUAL ? ' = not-equal' : ' parks'
  if (kind === 'awaitDeath') return ` = ${result === 1}`
  return ` = ${resultBytes === null ? result : hex(resultBytes)}`
}
