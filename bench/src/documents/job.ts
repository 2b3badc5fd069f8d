/** What a thread is told to do with a store, and what it tells afterwards. */
import type { StoredDocument } from './document.ts'
import type { StoreTarget } from './store.ts'

/** Ids by ordinal, shared by all threads. */
export type SharedIds = Float64Array<SharedArrayBuffer>

interface Common {
  /** So many share the ages: those that were loaded, or are thought to be there. */
  readonly documents: number
}

/** Puts documents in, in transactions of so many, and writes their ids down. */
export interface LoadJob extends Common {
  readonly kind: 'load'
  readonly perTransaction: number
  readonly ids: SharedIds
}

/** Gets random documents, until it is stopped. */
export interface GetJob extends Common {
  readonly kind: 'get'
  readonly ids: Float64Array
  readonly seed: number
}

/** Reads ranges of so many documents by age, until it is stopped. */
export interface RangeJob extends Common {
  readonly kind: 'range'
  readonly documentsPerRange: number
  readonly seed: number
}

/** How writes are awaited: so many at a time, or one after another, blocking. */
export interface WriteShape {
  readonly inFlight: number
  readonly blocking: boolean
}

/** In percent; what is left is deletes. */
export interface Mix {
  readonly inserts: number
  readonly updates: number
}

/** Writes documents of its own, until it is stopped. */
export interface WriteJob extends Common {
  readonly kind: 'write'
  readonly shape: WriteShape
  readonly mix: Mix
  readonly seed: number
  /** Take the time of each. */
  readonly timed: boolean
  readonly own: OwnShare | undefined
}

/** A thread's own among the documents that were loaded. */
interface OwnShare extends Common {
  readonly ids: SharedIds
  /** By ordinal; `to` is not included. */
  readonly from: number
  readonly to: number
}

/** Compares what is there with what should be. */
export interface VerifyJob extends Common {
  readonly kind: 'verify'
  readonly count: number
  readonly present: readonly StoredDocument[]
  readonly absent: readonly number[]
  readonly indexed: boolean
}

export type Job = LoadJob | GetJob | RangeJob | WriteJob | VerifyJob

export interface DocumentWork {
  readonly target: StoreTarget
  readonly threadIndex: number
  readonly job: Job
  readonly phases: SharedArrayBuffer
}

export interface JobResult {
  /** In the measured window, or all of a job that is not stopped. */
  readonly operations: number
  /** By how many documents there are more than before. */
  readonly countChange: number
  /** A sample of what must be there, as it must be. */
  readonly present: readonly StoredDocument[]
  /** A sample of what must not. */
  readonly absent: readonly number[]
  /** Of each operation in the measured window; none where nobody asked for them. */
  readonly latenciesMs: Float64Array
}
