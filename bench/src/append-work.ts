import type { LogHandle } from '@ringbolt/wal'
import type { LmdbOptions } from './peer-modules.ts'

/** How a thread appends: so many awaited at a time, or one after another, blocking. */
export interface LoadShape {
  readonly threads: number
  readonly inFlight: number
  readonly blocking: boolean
}

/** What a load thread appends to. */
export type AppendTarget =
  | { readonly kind: 'ringbolt'; readonly handle: LogHandle }
  | { readonly kind: 'lmdb'; readonly options: LmdbOptions; readonly form: LmdbForm }
  | { readonly kind: 'sqlite'; readonly path: string; readonly rowsPerTransaction: number }

/**
 * `put`: the promise of each put is awaited. `put-sync`: one `putSync` after another, which commits
 * by itself.
 */
export type LmdbForm = 'put' | 'put-sync'

export interface AppendWork {
  readonly target: AppendTarget
  readonly shape: LoadShape
  readonly recordBytes: number
  readonly threadIndex: number
  /** Take the time of each operation: for blocking shapes. */
  readonly timed: boolean
  readonly phases: SharedArrayBuffer
}
