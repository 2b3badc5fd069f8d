/** Campaigns over the log's simulation. */
import { errorToPlain } from '@ringbolt/ring'
import { Coverage } from './coverage.ts'
import {
  type CampaignResult,
  runOneSeed,
  runSeeds,
  type SeedRange,
  type SeedResult,
  type SeedRun,
} from './seed-runs.ts'
import { type SeedOptions, Simulation, SimulationFailure } from './simulation.ts'

export type { CampaignResult } from './seed-runs.ts'

export interface CampaignOptions extends SeedOptions, SeedRange {}

/** One seed, from beginning to end; the same seed and options give the same result. */
export function runSeed(seed: number, options: SeedOptions = {}): SeedResult {
  return runOneSeed(simulate, seed, options)
}

export function runCampaign(
  options: CampaignOptions,
): CampaignResult & { readonly coverage: Coverage } {
  return runSeeds(simulate, options, new Coverage())
}

function simulate(seed: number, options: SeedOptions, recorded: boolean): SeedRun {
  const simulation = new Simulation(seed, options, recorded)
  const { coverage, lines } = simulation
  let failure: string | undefined
  try {
    simulation.run()
  } catch (error) {
    failure = messageOf(error)
  }
  return { coverage, lines, operations: simulation.operations, failure }
}

/** What is wrong, with the stack where the simulation did not expect it. */
export function messageOf(error: unknown): string {
  const { name, message, cause } = errorToPlain(error)
  if (error instanceof SimulationFailure) return message
  const stack = error instanceof Error ? `\n${error.stack ?? ''}` : ''
  return `${name}: ${message}${cause === null ? '' : ` (${cause.message})`}${stack}`
}
