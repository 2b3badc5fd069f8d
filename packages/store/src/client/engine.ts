/**
 * The seam between documents and bytes: what collections, transactions and queries need of the engine.
 * Keys and values are bytes; trees are numbers. Single-threaded: an engine belongs to the thread that made it.
 */
import type { CommandBuilder } from '../sequencer/command.ts'
import { PREPARED_MAX } from '../tree/tree-reader.ts'

/** Bounds of keys, in byte order. An absent bound is open. `to` is exclusive, `from` inclusive. */
export interface KeyRange {
  readonly from?: Uint8Array | undefined
  readonly to?: Uint8Array | undefined
  readonly reverse?: boolean | undefined
}

export const READ_EACH_MAX: number = PREPARED_MAX

/** @param at of the keys */
export type ReadEach = (
  at: number,
  bytes: Buffer,
  start: number,
  end: number,
  sequence: number,
) => void

export interface Entry {
  /** Commit sequence of its last change. */
  readonly sequence: number
  /** A copy on the heap, the caller's. */
  readonly value: Buffer
}

export interface KeyedEntry extends Entry {
  readonly key: Buffer
}

/** One state of all trees. Views from `Engine.snapshot` stay as they are until closed. */
export interface ReadView {
  /** The highest commit sequence it shows. */
  readonly sequence: number
  get(tree: number, key: Uint8Array): Entry | undefined
  /** Reads the value where it stands; `read` must copy what it keeps. Undefined when there is none. */
  read<T>(
    tree: number,
    key: Uint8Array,
    read: (bytes: Buffer, start: number, end: number, sequence: number) => T,
  ): T | undefined
  /**
   * The same for several values, READ_EACH_MAX at the most, in the order of their keys; those that are not there,
   * and long ones, are passed over. Views that note what is read have none: not all that is read so is asked for in the end.
   */
  readonly readEach?:
    | ((tree: number, keys: readonly Uint8Array[], count: number, read: ReadEach) => void)
    | undefined
  /** Lazy; stepping off it early is `return`'s business, as of any iterator. */
  entries(tree: number, range: KeyRange): IterableIterator<KeyedEntry>
  /** Entries in the tree; O(1). */
  count(tree: number): number
  /**
   * How many entries the index has less than there are documents; of an index with one entry for each. Views that note
   * what is read note just that, not all entries of both, as counting would.
   */
  readonly missing?: ((index: number, primaryTree: number) => number) | undefined
  /** The tree's definition number; 0 when there is no such tree. See `CommandBuilder.checkDefinition`. */
  definition(tree: number): number
}

export interface SnapshotView extends ReadView {
  /** Lets go of the state. Idempotent. */
  close(): void
}

/** Why a command was refused; nothing of it was applied. */
export interface Refusal {
  readonly reason: RefusalReason
  /** Which operation of the command. */
  readonly operation: number
}

export type RefusalReason =
  /** An expectation or a range did not hold. */
  | 'conflict'
  /** The collection's definition has changed, or the tree does not exist (any more). */
  | 'definition'
  /** The command is malformed. */
  | 'malformed'
  /** No room in the cache, the file, or the table of trees. */
  | 'full'
  /** Another process writes, and did not let this one in time. */
  | 'busy'

export interface CommitOptions {
  readonly timeoutMs?: number | undefined
  readonly signal?: AbortSignal | undefined
}

/** While it lasts no other process writes. */
export interface WriteHold {
  /** @throws BusyError when another process did not let this one write in time */
  wait(): Promise<void>
  waitSync(): void
  /** Idempotent; before it was had too. */
  release(): void
}

export interface Engine {
  /** For a transaction that begins to write; undefined where there are no other processes. */
  readonly hold?: (() => WriteHold) | undefined
  /** The newest state: each call of it reads what is newest then. */
  readonly latest: ReadView
  snapshot(): SnapshotView
  /**
   * Resolves to undefined once the command is acknowledged under the durability that was chosen.
   * @throws what ring and log throw: poisoned, closed, timed out; StoreTooLargeError
   */
  commit(command: CommandBuilder, options?: CommitOptions): Promise<Refusal | undefined>
  /** The same, blocking this thread. */
  commitSync(command: CommandBuilder, timeoutMs?: number): Refusal | undefined
}
