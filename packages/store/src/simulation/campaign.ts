/** Campaigns over the store's simulation. */
import {
  type CampaignResult,
  messageOf,
  runOneSeed,
  runSeeds,
  type SeedRange,
  type SeedResult,
  type SeedRun,
} from '@ringbolt/wal/simulation'
import { StoreCoverage } from './coverage.ts'
import { type StoreSeedOptions, StoreSimulation } from './store-simulation.ts'

export interface StoreCampaignOptions extends StoreSeedOptions, SeedRange {}

/** One seed, from beginning to end; the same seed and options give the same result. */
export function runStoreSeed(seed: number, options: StoreSeedOptions = {}): SeedResult {
  return runOneSeed(simulate, seed, options)
}

export function runStoreCampaign(
  options: StoreCampaignOptions,
): CampaignResult & { readonly coverage: StoreCoverage } {
  return runSeeds(simulate, options, new StoreCoverage())
}

function simulate(seed: number, options: StoreSeedOptions, recorded: boolean): SeedRun {
  const simulation = new StoreSimulation(seed, options, recorded)
  const { coverage, lines } = simulation
  let failure: string | undefined
  try {
    simulation.run()
  } catch (error) {
    failure = messageOf(error)
  }
  return { coverage, lines, operations: simulation.operations, failure }
}
