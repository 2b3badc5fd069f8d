export { runStoreCampaign, runStoreSeed, type StoreCampaignOptions } from './campaign.ts'
export type { StoreCoverage } from './coverage.ts'
export type { StoreSeedOptions, StoreSimulationContext } from './store-simulation.ts'
