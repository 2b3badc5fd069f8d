/** What may go wrong with a simulated disk, as data, and the counts of what did. */

export type DiskCall =
  | 'list'
  | 'open'
  | 'read'
  | 'length'
  | 'create'
  | 'write'
  | 'sync'
  | 'truncate'
  | 'rename'
  | 'remove'
  | 'syncFolder'

/**
 * `power`: the machine stops; what is not synced survives or not, sector by sector. `kill`: the process
 * stops; what was written stays visible, and what was not synced stays unsynced.
 */
export type CrashKind = 'power' | 'kill'

/** Where in a call the crash hits. In the middle of a write, some first bytes of it have been taken. */
export type CrashPhase = 'before' | 'middle' | 'after'

export interface CrashPlan {
  /** The kind of call that is hit; `any` counts all of them. */
  readonly call: DiskCall | 'any'
  /** Which one, counted from 1 since the plan was made. */
  readonly nth: number
  readonly phase: CrashPhase
  readonly kind: CrashKind
}

/** Where a crash hit; `call` is `none` for one between two calls. */
export interface CrashFacts {
  readonly kind: CrashKind
  readonly call: DiskCall | 'none'
  readonly phase: CrashPhase
  /** The file's name, or the name that a rename starts from. */
  readonly name: string
}

/**
 * What a failed sync does with sectors that it has not written.
 * `lost`: they count as clean, reads still give the new bytes, and no later sync writes them.
 * `reverted`: they count as clean, and reads give the old bytes again. `kept`: they stay dirty.
 * `mixed`: each one by chance.
 */
export type SyncLoss = 'lost' | 'reverted' | 'kept' | 'mixed'

export interface FaultPlan {
  readonly call: DiskCall
  /** Which call of that kind fails, counted from 1 since the plan was made. */
  readonly nth: number
  /** All later ones of that kind too. */
  readonly forever: boolean
  readonly errno: 'EIO' | 'ENOSPC'
  readonly syncLoss: SyncLoss
}

/** How likely what is at a power failure. One disk draws them anew for each crash. */
export interface CrashOdds {
  /** That a dirty sector has its last written bytes. */
  readonly kept: number
  /** That it is torn: a mixture of two versions of it. */
  readonly torn: number
  /** That a change of the folder which is not synced survives. */
  readonly entryKept: number
  /** Changes of the folder survive in the order in which they were made, as with a journal. */
  readonly entriesInOrder: boolean
  /** What stands where a file got longer and no byte arrived. */
  readonly unwritten: 'zeros' | 'garbage' | 'stale'
}

export type DiskEvent =
  | 'sector kept'
  | 'sector dropped'
  | 'sector torn'
  | 'sector of an older version'
  | 'length lost'
  | 'length kept'
  | 'entry kept'
  | 'create lost'
  | 'rename lost'
  | 'remove lost'
  | 'write cut short'
  | 'disk full'
  | 'sync failed, bytes lost'
  | 'sync failed, bytes reverted'
  | 'sync failed, bytes kept'
  | 'page evicted'
  | 'EIO once'
  | 'EIO for ever'
  | 'ENOSPC injected'

/** Counts of events, added up over disks and seeds. */
export class EventCounts<E extends string = string> {
  readonly #counts = new Map<E, number>()

  add(event: E, count = 1): void {
    this.#counts.set(event, (this.#counts.get(event) ?? 0) + count)
  }

  get(event: E): number {
    return this.#counts.get(event) ?? 0
  }

  addAll(other: EventCounts<E>): void {
    for (const [event, count] of other.#counts) this.add(event, count)
  }

  /** By name. */
  entries(): [E, number][] {
    return [...this.#counts].toSorted(([a], [b]) => (a < b ? -1 : 1))
  }
}
