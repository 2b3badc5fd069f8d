/**
 * Runs the seeds of any simulation, and makes of a failing one what a person needs: the story, and the
 * fewest operations that still fail.
 */
import type { EventCounts } from './disk-plans.ts'

/** What every simulation can be told. */
export interface RunOptions {
  /** Operations after this many, over all rounds, are left out. */
  readonly operationsMax?: number
  /** Operations to leave out, by their number from 0. */
  readonly skip?: ReadonlySet<number>
}

/** A simulation that has been run. */
export interface SeedRun {
  readonly coverage: EventCounts
  readonly operations: number
  /** What happened, line by line; undefined: not recorded. */
  readonly lines: readonly string[] | undefined
  /** What is wrong, in words; undefined: nothing. */
  readonly failure: string | undefined
}

/** The same seed and options give the same run. */
export type RunSimulation<O extends RunOptions> = (
  seed: number,
  options: O,
  recorded: boolean,
) => SeedRun

export interface SeedFailure {
  readonly seed: number
  readonly message: string
  /** How to see it again. */
  readonly replay: string
  /** What was done and what the disk did, line by line, in the smallest run that fails. */
  readonly operationLog: string
  /** Operations of that run, and of the whole seed. */
  readonly operations: number
  readonly operationsWhole: number
}

export interface SeedResult {
  readonly seed: number
  readonly coverage: EventCounts
  readonly operations: number
  readonly failure: SeedFailure | undefined
}

export interface SeedRange {
  readonly firstSeed: number
  readonly count: number
  /** Called after each seed. */
  readonly onProgress?: (done: number, failures: number) => void
  /** Stops before the next seed. */
  readonly signal?: AbortSignal
  /** Stops after so many failing seeds. Default 10. */
  readonly failuresMax?: number
}

export interface CampaignResult {
  readonly seeds: number
  readonly operations: number
  readonly coverage: EventCounts
  readonly failures: readonly SeedFailure[]
}

/** Runs of the minimiser for one failing seed. */
const MINIMISER_RUNS_MAX = 300

/** One seed, from beginning to end. */
export function runOneSeed<O extends RunOptions>(
  run: RunSimulation<O>,
  seed: number,
  options: O,
): SeedResult {
  const { coverage, operations, failure } = run(seed, options, false)
  return {
    seed,
    coverage,
    operations,
    failure: failure === undefined ? undefined : minimise(run, seed, options, operations),
  }
}

/** @param coverage empty; takes what all seeds exercise */
export function runSeeds<O extends RunOptions & SeedRange, C extends EventCounts>(
  run: RunSimulation<O>,
  options: O,
  coverage: C,
): CampaignResult & { readonly coverage: C } {
  const { firstSeed, count, onProgress, signal, failuresMax = 10 } = options
  const failures: SeedFailure[] = []
  let operations = 0
  let seeds = 0
  while (seeds < count && signal?.aborted !== true && failures.length < failuresMax) {
    const result = runOneSeed(run, firstSeed + seeds, options)
    seeds++
    operations += result.operations
    coverage.addAll(result.coverage)
    if (result.failure !== undefined) failures.push(result.failure)
    onProgress?.(seeds, failures.length)
  }
  return { seeds, operations, coverage, failures }
}

/** Leaves out operations, the late ones first, for as long as the seed still fails. */
function minimise<O extends RunOptions>(
  run: RunSimulation<O>,
  seed: number,
  options: O,
  operationsWhole: number,
): SeedFailure {
  let operationsMax = Math.min(operationsWhole, options.operationsMax ?? operationsWhole)
  const skip = new Set(options.skip)
  let runs = 0
  const fails = (candidate: O): boolean =>
    ++runs <= MINIMISER_RUNS_MAX && run(seed, candidate, false).failure !== undefined
  for (let step = Math.ceil(operationsMax / 2); step >= 1; step = Math.floor(step / 2)) {
    while (
      operationsMax - step >= 0 &&
      fails({ ...options, skip, operationsMax: operationsMax - step })
    ) {
      operationsMax -= step
    }
  }
  for (let operation = operationsMax - 1; operation >= 0; operation--) {
    if (skip.has(operation)) continue
    skip.add(operation)
    if (!fails({ ...options, skip, operationsMax })) skip.delete(operation)
  }
  const { lines, failure } = run(seed, { ...options, skip, operationsMax }, true)
  const message = failure ?? 'it failed, and did not when it was run again'
  return {
    seed,
    message,
    replay: `RINGBOLT_SEED=${seed} RINGBOLT_SEEDS=1`,
    operationLog: [...(lines ?? []), `FAILED: ${message}`].join('\n'),
    operations: operationsMax - [...skip].filter((number) => number < operationsMax).length,
    operationsWhole,
  }
}
