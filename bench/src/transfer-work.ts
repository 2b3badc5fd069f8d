import type { MessagePort } from 'node:worker_threads'

/** How records get from the producers to the one consumer. */
export type Channel =
  | { readonly kind: 'ring'; readonly ring: SharedArrayBuffer }
  /** One port per producer; a message carries `recordsPerMessage` records. */
  | {
      readonly kind: 'post-message'
      readonly ports: readonly MessagePort[]
      readonly recordsPerMessage: number
    }

/** A producer has one port, the consumer has all of them. */
export interface TransferWork {
  readonly role: 'producer' | 'consumer'
  readonly channel: Channel
  readonly recordBytes: number
  /** What this producer sends, or what the consumer awaits in all. */
  readonly records: number
  readonly phases: SharedArrayBuffer
}

export interface TransferResult {
  readonly records: number
  readonly bytes: number
  /** By `performance`, time origin included: comparable between threads. */
  readonly finishedAtMs: number
}
