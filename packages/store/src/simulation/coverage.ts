/** What a run has exercised, as counts by name: a campaign that never exercises something is a defect. */
import { type CrashFacts, EventCounts } from '@ringbolt/wal/simulation'
import type { StoreCounters } from '../engine/stats.ts'
import { LOG_PREFIX, MAIN_NAME } from './simulated-folders.ts'
import type { OperationKind } from './store-plan.ts'

/** What the simulation is doing when something happens. */
export type Activity = OperationKind | 'open' | 'look' | 'verify' | 'close'

const COUNTED = [
  'commits',
  'groups',
  'checkpoints',
  'sequencerMisses',
  'admissions',
  'evictions',
  'spills',
  'pinsRevoked',
] as const

export class StoreCoverage extends EventCounts {
  countStats(stats: StoreCounters): void {
    for (const name of COUNTED) this.add(`engine: ${name}`, stats[name])
  }

  countCrash({ kind, call, phase, name }: CrashFacts, activity: Activity): void {
    this.add(`crash: ${kind}`)
    if (call === 'none') {
      this.add('crash between calls')
      return
    }
    const where = name.startsWith(LOG_PREFIX) ? 'log' : name === MAIN_NAME ? 'main' : 'folder'
    this.add(`crash at: ${call}, ${where}`)
    this.add(`crash phase: ${phase}`)
    this.add(`crash while: ${activity === 'open' || activity === 'close' ? activity : 'working'}`)
  }
}
