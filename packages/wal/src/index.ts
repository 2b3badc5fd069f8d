export { type CommitRecord, decodeCommitRecord, encodeCommitRecord } from './commit-record.ts'
export { EpochLog, type EpochLogOptions, type LogTimers } from './epoch-log.ts'
export {
  LogClosedError,
  LogCloseError,
  LogCorruptError,
  LogEpochError,
  LogFolderReplacedError,
  LogForeignError,
  LogIoError,
  LogMismatchError,
  LogNotFoundError,
  type LogPlace,
  LogPoisonedError,
  LogReadOnlyError,
  LogThreadError,
  LogTimeoutError,
  LogTooLargeError,
  LogTruncatedError,
  LogVersionError,
  type Mismatch,
} from './errors.ts'
export { type Fault, FaultStore, type StoreCall } from './fault-store.ts'
export { FileStore, type FileStoreOptions } from './file-store.ts'
export { frameBytesOf, writeFrame } from './frame.ts'
export type { WrittenGroup } from './group-writer.ts'
export {
  forEachRecord,
  type InspectedGroup,
  type InspectOptions,
  inspectLog,
  type LogFinding,
  type LogInspection,
  type SegmentInspection,
} from './inspect.ts'
export { type AcknowledgedBy, LogClient } from './log-client.ts'
export { type FlushPolicy, type GroupSink, LogConsumer } from './log-consumer.ts'
export { LogFollower, type LogHead, type LogPosition } from './log-follower.ts'
export type { LogFile, LogStore } from './log-store.ts'
export { type Lsn, lsnOf } from './lsn.ts'
export { MemoryStore } from './memory-store.ts'
export type { LeftOut, RecoveryPolicy, RecoveryReport } from './recovery-report.ts'
export { removeLog } from './remove-log.ts'
export { segmentName } from './segment.ts'
export {
  type FollowedGroup,
  type FollowedSegment,
  SegmentFolder,
  SegmentFollower,
} from './segment-follower.ts'
export {
  type LogStats,
  SegmentedLog,
  type SegmentInfo,
} from './segmented-log.ts'
export { type AppendPolicy, LogAppender } from './segmented-log-appender.ts'
export type { SegmentedLogOptions, SyncPolicy } from './segmented-log-options.ts'
export type { LogGroup, LogRecord } from './segmented-log-reader.ts'
export {
  attachLog,
  type Log,
  type LogHandle,
  type LogLock,
  type LogOptions,
  openLog,
  type SharedLogStats,
} from './shared-log.ts'
export { WATERMARK_BYTES, Watermarks } from './watermarks.ts'
