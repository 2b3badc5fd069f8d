/** A store as the benchmarks see it: opened by one thread, used by any. */

import type { Fields, StoredDocument } from './document.ts'
import type { LevelTarget } from './level.ts'
import type { LmdbTarget } from './lmdb.ts'
import type { RingboltTarget } from './ringbolt.ts'
import type { SqliteTarget } from './sqlite.ts'

export interface Setup {
  /** Whether documents are found by age. */
  readonly indexed: boolean
  /** What the store may keep of its file, where it can be told. */
  readonly cacheBytes: number
}

export interface Candidate {
  readonly name: string
  /** The settings that were chosen for it, and why. */
  readonly settings: string
  readonly acknowledged: 'synced' | 'at its commit'
  /** Why no second thread of the process can use it; undefined when threads can. */
  readonly oneThreadOnly: string | undefined
  /** Loads its code; false when that is not installed. */
  load(): Promise<boolean>
  /** Opens what is in the folder, or makes it. Called after `load`. */
  open(folder: string, setup: Setup): Promise<Store>
}

/** Held open by the thread that starts the others. */
export interface Store {
  /** What another thread opens its client with. */
  readonly target: StoreTarget
  /** In this thread; closed before the store is. */
  client(): Promise<StoreClient>
  /** Where processes take turns at writing: what this one has waited for them since it was opened. */
  readonly turns?: () => Turns
  close(): Promise<void>
}

export interface Turns {
  readonly count: number
  /** All together. */
  readonly waitMs: number
}

/** Can be cloned to another thread. */
export type StoreTarget = RingboltTarget | LmdbTarget | SqliteTarget | LevelTarget

type Eventually<T> = T | Promise<T>

/** One thread's. Ids are given by the store, or from a range of the thread's own. */
export interface StoreClient {
  /** Each resolves once it is acknowledged; undefined when there are only blocking ones. */
  readonly awaited: AwaitedWrites | undefined
  /** Each returns once it is acknowledged; undefined when there are none. */
  readonly blocking: BlockingWrites | undefined
  get(id: number): StoredDocument | undefined
  /** All of these ages, `ageTo` excluded, by age. */
  range(ageFrom: number, ageTo: number): Eventually<readonly StoredDocument[]>
  /** One transaction; the ids in the same order. */
  insertAll(batch: readonly Fields[]): Eventually<readonly number[]>
  count(): Eventually<number>
  /** Where the store has snapshots that are compared. */
  readonly snapshot?: () => Snapshot
  close(): Promise<void>
}

/** False: there was no such document. */
export interface AwaitedWrites {
  insert(fields: Fields): Promise<number>
  /** Changes the age of what is there. */
  update(id: number, age: number): Promise<boolean>
  delete(id: number): Promise<boolean>
}

export interface BlockingWrites {
  insert(fields: Fields): number
  update(id: number, age: number): boolean
  delete(id: number): boolean
}

export interface Snapshot {
  get(id: number): StoredDocument | undefined
  close(): void
}

const IDS_PER_THREAD = 2 ** 28

/** Each thread has a place of its own to insert at. */
export function firstIdOf(threadIndex: number): number {
  return threadIndex * IDS_PER_THREAD + 1
}
