/** What a run has exercised, as counts by name: a campaign that never exercises something is a defect. */
import type { RecoveryReport } from '../recovery-report.ts'
import type { LogStats } from '../segmented-log.ts'
import { type CrashFacts, EventCounts } from './disk-plans.ts'
import type { OperationKind } from './seed-plan.ts'

/** What the simulation is doing when something happens. */
export type Activity = OperationKind | 'open' | 'verify' | 'close'

const WRITING: ReadonlySet<Activity> = new Set<Activity>([
  'append',
  'appendAndSync',
  'writeGroup',
  'flush',
  'sync',
  'acknowledge',
  'ensureDurable',
  'close',
])
const CUTTING: ReadonlySet<Activity> = new Set<Activity>(['truncateAfter', 'truncate'])
const RELEASING: ReadonlySet<Activity> = new Set<Activity>(['truncateBefore', 'cleanupSegments'])

export class Coverage extends EventCounts {
  countCrash({ kind, call, phase, name }: CrashFacts, activity: Activity): void {
    this.add(`crash: ${kind}`)
    this.add(`crash at: ${call}`)
    if (call !== 'none') this.add(`crash phase: ${phase}`)
    if (activity === 'open') this.add('crash while: opening')
    if (activity === 'prepareStep') this.add('crash while: preparing a spare')
    if (CUTTING.has(activity)) this.add('crash while: cutting')
    if (RELEASING.has(activity)) this.add('crash while: releasing')
    const changesFolder = call === 'create' || call === 'rename' || call === 'syncFolder'
    if (WRITING.has(activity) && (changesFolder || name.startsWith('spare'))) {
      this.add('crash while: rotating')
    }
  }

  countRecovery(report: RecoveryReport): void {
    this.add(report.reason === 'clean' ? 'recovery: clean' : 'recovery: tail dropped')
    if (report.created) this.add('recovery: log made')
    if (report.droppedGroups > 1) this.add('recovery: several groups dropped')
  }

  countStats(stats: LogStats): void {
    this.add('rotations', stats.rotations)
    this.add('segments created', stats.segmentsCreated)
    this.add('segments recycled', stats.segmentsRecycled)
    this.add('records', stats.records)
  }
}
