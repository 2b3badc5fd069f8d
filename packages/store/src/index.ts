/** An embedded, ACID document store: see the README. */

export { BusyError } from '@ringbolt/locks'
export {
  errorFromPlain,
  errorToPlain,
  isRingboltError,
  type PlainError,
  RingboltError,
} from '@ringbolt/ring'
export * from './backup/errors.ts'
export type { Change, Changes, ChangesOptions, CommittedChanges } from './client/changes.ts'
export { Collection } from './client/collection.ts'
export {
  type CollectionDefinition,
  defineCollection,
  type IndexSpec,
  type Migration,
} from './client/define-collection.ts'
export type { DocOf, InsertTypeOf, StoredDocument } from './client/definition-types.ts'
export { Snapshot } from './client/snapshot.ts'
export type { StoredRecord } from './client/stored-documents.ts'
export type { Isolation, Transaction } from './client/transaction.ts'
export type { BlockingTransactionOptions, TransactionOptions } from './client/transaction-runner.ts'
export { ValidationError } from './document/errors.ts'
export type { Id, IndexValue } from './document/keys.ts'
export type { StoreHandle } from './engine/attachment.ts'
export type { BackupOptions, BackupProgress, BackupResult } from './engine/backup.ts'
export { checkFile } from './engine/check-file.ts'
export { type CompactOptions, type CompactResult, compact } from './engine/compact.ts'
export {
  type CollectionDescription,
  describeFile,
  type FileDescription,
  type IndexDescription,
  type LogDescription,
} from './engine/describe-file.ts'
export {
  type BusyEvent,
  type CheckpointEvent,
  type ConflictEvent,
  EVENT_CHANNELS,
  type FailedEvent,
  type GroupsEvent,
  type LockWaitEvent,
  type SlowSyncEvent,
  type SnapshotsRevokedEvent,
} from './engine/events.ts'
export type { LiveIntegrityOptions } from './engine/integrity-check.ts'
export type {
  IntegrityOptions,
  IntegrityProgress,
  IntegrityReport,
} from './engine/integrity-report.ts'
export type { Latency } from './engine/latency-histogram.ts'
export { attach, Database, open } from './engine/open.ts'
export type { OpenOptions } from './engine/options.ts'
export { type RestoreOptions, type RestoreResult, restore } from './engine/restore.ts'
export { decodeSharedHead, type SharedHead } from './engine/shared-head.ts'
export type { StoreStats } from './engine/stats.ts'
export * from './errors.ts'
export type { IntegrityFinding, IntegrityKind } from './finding.ts'
export type { Filter, FindOptions, Sort } from './query/filter-types.ts'
export { type Explanation, Query } from './query/query.ts'
