import { type Finding, historiesOf } from './execution.ts'
import { EXECUTIONS_MAX_DEFAULT, type Exploration, explore } from './explorer.ts'
import type { ThreadHistory } from './history.ts'
import { ModelError } from './model-error.ts'
import type { AnyProgram, Death, Program, Report, Violation } from './program.ts'
import { replayAny } from './replay.ts'

/**
 * Explores every interleaving of a program (up to equivalence) and stops at the first violation. With
 * a `death`, in the world in which that thread dies there.
 */
export function check<Values extends Record<string, unknown>>(
  program: Program<Values>,
  death: Death | null = null,
): Report {
  const histories = historiesOf(program)
  const executionsMax = program.executionsMax ?? EXECUTIONS_MAX_DEFAULT
  const { exploration, violation } = checkOne(program, death, histories, executionsMax)
  return { ...countsOf(exploration), deathPoints: 0, violation }
}

/**
 * A whole exploration for each moment at which that thread may die: before its first access, before
 * its second, and so on until it never gets that far. The last one is the exploration without a death.
 * `executionsMax` bounds them together.
 */
export function checkDeaths<Values extends Record<string, unknown>>(
  program: Program<Values>,
  thread: keyof Values & string,
): Report {
  const histories = historiesOf(program)
  const executionsMax = program.executionsMax ?? EXECUTIONS_MAX_DEFAULT
  const total = { executions: 0, redundantExecutions: 0, discardedExecutions: 0, stepsTotal: 0 }
  for (let accesses = 0; ; accesses++) {
    const spent = total.executions + total.redundantExecutions + total.discardedExecutions
    if (spent >= executionsMax) {
      return { ...total, deathPoints: accesses, complete: false, violation: null }
    }
    const death = { thread, accesses }
    const { exploration, violation } = checkOne(program, death, histories, executionsMax - spent)
    total.executions += exploration.executions
    total.redundantExecutions += exploration.redundantExecutions
    total.discardedExecutions += exploration.discardedExecutions
    total.stepsTotal += exploration.stepsTotal
    const { complete, deathSeen } = exploration
    if (violation !== null || !complete || !deathSeen) {
      return { ...total, deathPoints: accesses, complete, violation }
    }
  }
}

/** Throws unless the check was complete and found nothing; the message has schedule and trace. */
export function assertHolds(report: Report): void {
  const { violation } = report
  if (violation !== null) {
    throw new ModelError(
      'VIOLATED',
      [
        `${violation.kind}: ${violation.message}`,
        `found after ${report.executions} executions; schedule: ${violation.schedule}`,
        ...violation.trace,
      ].join('\n'),
      { kind: violation.kind, schedule: violation.schedule, executions: report.executions },
      violation.cause,
    )
  }
  if (!report.complete) {
    throw new ModelError(
      'INCOMPLETE',
      `not everything was explored: the bound was reached after ${report.executions} executions, ${
        report.redundantExecutions
      } redundant and ${report.discardedExecutions} discarded ones`,
      { executions: report.executions, redundantExecutions: report.redundantExecutions },
    )
  }
}

function checkOne(
  program: AnyProgram,
  death: Death | null,
  histories: readonly ThreadHistory[],
  executionsMax: number,
): { exploration: Exploration; violation: Violation | null } {
  const found: { finding: Finding; schedule: string }[] = []
  const exploration = explore(program, death, histories, executionsMax, (finding, schedule) => {
    found.push({ finding, schedule })
    return 'stop'
  })
  const [first] = found
  return {
    exploration,
    violation: first === undefined ? null : violationOf(program, first.finding, first.schedule),
  }
}

/** Replayed at once, from nothing: a violation that does not come again is none to report. */
function violationOf(program: AnyProgram, finding: Finding, schedule: string): Violation {
  const { trace, violation } = replayAny(program, schedule)
  if (violation?.kind !== finding.kind || violation.message !== finding.message) {
    throw new ModelError(
      'NONDETERMINISTIC',
      `schedule ${schedule} first ended in ${finding.kind} (${finding.message}), when replayed in ${
        violation === null ? 'no violation' : `${violation.kind} (${violation.message})`
      }: the program depends on more than the results of its accesses`,
      { schedule },
    )
  }
  return { kind: finding.kind, message: finding.message, schedule, trace, cause: finding.cause }
}

function countsOf(exploration: Exploration) {
  const { executions, redundantExecutions, discardedExecutions, stepsTotal, complete } = exploration
  return { executions, redundantExecutions, discardedExecutions, stepsTotal, complete }
}
