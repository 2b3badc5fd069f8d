export { type CampaignOptions, messageOf, runCampaign, runSeed } from './campaign.ts'
export { Coverage } from './coverage.ts'
export {
  type CrashFacts,
  type CrashKind,
  type CrashOdds,
  type CrashPhase,
  type CrashPlan,
  type DiskCall,
  type DiskEvent,
  EventCounts,
  type FaultPlan,
  type SyncLoss,
} from './disk-plans.ts'
export { Random } from './random.ts'
export {
  type CampaignResult,
  type RunOptions,
  type RunSimulation,
  runOneSeed,
  runSeeds,
  type SeedFailure,
  type SeedRange,
  type SeedResult,
  type SeedRun,
} from './seed-runs.ts'
export {
  drawOdds,
  SimulatedCrashError,
  SimulatedDisk,
  type SimulatedDiskOptions,
} from './simulated-disk.ts'
export { type SeedOptions, type SimulationContext, SimulationFailure } from './simulation.ts'
export { STRACE_CALLS, traceOfStrace } from './strace-trace.ts'
export { checkSyncOrder, type OrderViolation, type TraceEvent } from './sync-order.ts'
export { TracingStore } from './tracing-store.ts'
