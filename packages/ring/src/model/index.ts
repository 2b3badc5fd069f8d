export { assertHolds, check, checkDeaths } from './check.ts'
export { ModelError } from './model-error.ts'
export type { Death, Program, Report, ThreadContext, Violation, ViolationKind } from './program.ts'
export { type Replay, replay } from './replay.ts'
