/** What opening a log found, and what became of it. */
import type { Lsn } from './lsn.ts'

/**
 * What to do about a bad group.
 * `torn-tail`: drop an unsynced tail; refuse when what is bad had been durable. The default.
 * `strict`: refuse anything bad, a torn tail too.
 * `salvage`: keep the durable prefix, put all else aside under other names, and list it.
 */
export type RecoveryPolicy = 'torn-tail' | 'strict' | 'salvage'

/** A range that salvage left out. */
export interface LeftOut {
  /** The segment's file name. */
  readonly segment: string
  readonly byteOffset: number
  readonly byteLength: number
  /** The first epoch that is missing from here, by the file's name or the chain. */
  readonly firstEpoch: number
  /** Groups in the range whose own header is sound; they follow a bad one. */
  readonly groupsSound: number
  readonly reason: string
  /** The file that keeps it; null in a read-only open, which changes nothing. */
  readonly keptAs: string | null
}

export interface RecoveryReport {
  readonly policy: RecoveryPolicy
  readonly created: boolean
  readonly groups: number
  readonly records: number
  readonly aborted: number
  readonly firstLsn: Lsn
  readonly endLsn: Lsn
  readonly lastEpoch: number
  /** Extent of the dropped tail, up to its last byte that is not zero. */
  readonly droppedBytes: number
  /** Groups of the dropped tail whose header is sound, the torn one included. */
  readonly droppedGroups: number
  readonly leftOut: readonly LeftOut[]
  /** Why the log ends where it does: `clean`, or what was wrong with the bytes after it. */
  readonly reason: string
}
