/** Runs seeds, and makes of a failing one what a person needs: the story, and the fewest operations. */
import { errorToPlain } from '@ringbolt/ring'
import { Coverage } from './coverage.ts'
import { type SeedOptions, Simulation, SimulationFailure } from './simulation.ts'

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
  readonly coverage: Coverage
  readonly operations: number
  readonly failure: SeedFailure | undefined
}

export interface CampaignOptions extends SeedOptions {
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
  readonly coverage: Coverage
  readonly failures: readonly SeedFailure[]
}

/** Runs of the minimiser for one failing seed. */
const MINIMISER_RUNS_MAX = 300

/** One seed, from beginning to end; the same seed and options give the same result. */
export function runSeed(seed: number, options: SeedOptions = {}): SeedResult {
  const { simulation, error } = simulate(seed, options, false)
  const failure = error === undefined ? undefined : minimise(seed, options, simulation.operations)
  const { coverage, operations } = simulation
  return { seed, coverage, operations, failure }
}

export function runCampaign(options: CampaignOptions): CampaignResult {
  const { firstSeed, count, onProgress, signal, failuresMax = 10 } = options
  const coverage = new Coverage()
  const failures: SeedFailure[] = []
  let operations = 0
  let seeds = 0
  while (seeds < count && signal?.aborted !== true && failures.length < failuresMax) {
    const result = runSeed(firstSeed + seeds, options)
    seeds++
    operations += result.operations
    coverage.addAll(result.coverage)
    if (result.failure !== undefined) failures.push(result.failure)
    onProgress?.(seeds, failures.length)
  }
  return { seeds, operations, coverage, failures }
}

interface Simulated {
  readonly simulation: Simulation
  readonly error: unknown
}

function simulate(seed: number, options: SeedOptions, recorded: boolean): Simulated {
  const simulation = new Simulation(seed, options, recorded)
  try {
    simulation.run()
    return { simulation, error: undefined }
  } catch (error) {
    return { simulation, error: error ?? new Error('threw nothing') }
  }
}

/** Leaves out operations, the late ones first, for as long as the seed still fails. */
function minimise(seed: number, options: SeedOptions, operationsWhole: number): SeedFailure {
  let operationsMax = Math.min(operationsWhole, options.operationsMax ?? operationsWhole)
  const skip = new Set(options.skip)
  let runs = 0
  const fails = (candidate: SeedOptions): boolean =>
    ++runs <= MINIMISER_RUNS_MAX && simulate(seed, candidate, false).error !== undefined
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
  const { simulation, error } = simulate(seed, { ...options, skip, operationsMax }, true)
  const message =
    error === undefined ? 'it failed, and did not when it was run again' : messageOf(error)
  return {
    seed,
    message,
    replay: `RINGBOLT_SEED=${seed} RINGBOLT_SEEDS=1`,
    operationLog: [...(simulation.lines ?? []), `FAILED: ${message}`].join('\n'),
    operations: operationsMax - [...skip].filter((number) => number < operationsMax).length,
    operationsWhole,
  }
}

function messageOf(error: unknown): string {
  const { name, message, cause } = errorToPlain(error)
  if (error instanceof SimulationFailure) return message
  const stack = error instanceof Error ? `\n${error.stack ?? ''}` : ''
  return `${name}: ${message}${cause === null ? '' : ` (${cause.message})`}${stack}`
}
