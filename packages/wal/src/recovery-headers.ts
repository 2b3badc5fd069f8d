/**
 * The headers of a log's segments, and which segments are live. Changes nothing.
 */
import {
  LogCorruptError,
  LogForeignError,
  LogMismatchError,
  type LogPlace,
  LogVersionError,
} from './errors.ts'
import { SEGMENT_BLOCK_BYTES, SEGMENT_FIRST_GROUP_OFFSET } from './layout.ts'
import type { LogFile, LogStore } from './log-store.ts'
import type { RecoveryPolicy } from './recovery-report.ts'
import {
  decodeSegmentHeader,
  epochOfName,
  idText,
  isSegmentName,
  type SegmentHeader,
  type SegmentHeaderRead,
} from './segment.ts'
import { SegmentReader } from './segment-reader.ts'

export interface RecoveryOptions {
  readonly policy: RecoveryPolicy
  readonly readOnly: boolean
  /** The log that is expected; any when undefined. */
  readonly logId: Uint8Array | undefined
}

export interface Named {
  readonly name: string
  readonly read: SegmentHeaderRead
}

export function readHeaders(store: LogStore, options: RecoveryOptions): Named[] {
  const names = store.list().filter(isSegmentName).sort()
  let logId = options.logId
  const named = names.map((name): Named => {
    const read = withFile(store, name, (file) => readHeader(file, epochOfName(name)))
    if (read.ok) {
      logId ??= read.header.logId
      if (Buffer.compare(read.header.logId, logId) !== 0) {
        throw wrongLog(store, name, logId, read.header)
      }
    } else if (options.policy !== 'salvage') {
      throw headerError(store, name, read)
    }
    return { name, read }
  })
  // A log that is wholly of another version is not for this program to take apart.
  const [first] = named
  if (first !== undefined && !first.read.ok && first.read.kind === 'version') {
    if (!named.some(({ read }) => read.ok)) throw headerError(store, first.name, first.read)
  }
  return named
}

export function readHeader(file: LogFile, firstEpoch: number): SegmentHeaderRead {
  const block = Buffer.alloc(SEGMENT_BLOCK_BYTES)
  const filled = file.readAt(0, block)
  return decodeSegmentHeader(block.subarray(0, filled), file.length(), firstEpoch)
}

/** For a segment of another log than the expected one. */
export function wrongLog(
  store: LogStore,
  name: string,
  logId: Uint8Array,
  header: SegmentHeader,
): LogMismatchError {
  const expected = idText(logId)
  const actual = idText(header.logId)
  return new LogMismatchError(placeOf(store, name, 0), { what: 'log id', expected, actual })
}

function headerError(
  store: LogStore,
  name: string,
  read: SegmentHeaderRead & { ok: false },
): LogForeignError | LogVersionError | LogCorruptError {
  const place = placeOf(store, name, read.byteOffset)
  if (read.kind === 'foreign') return new LogForeignError(place, read.mismatch)
  if (read.kind === 'version') return new LogVersionError(place, read.mismatch)
  return new LogCorruptError(place, read.mismatch)
}

export function soundHeader({ name, read }: Named): { name: string; header: SegmentHeader } {
  if (!read.ok) throw new Error(`${name}: its header is not sound`)
  return { name, header: read.header }
}

export interface Headed {
  readonly name: string
  readonly header: SegmentHeader
}

/** From the newest back: whoever begins at or past a cut that comes later is void (C8). */
export function chooseLive(
  segments: readonly Headed[],
  bound: number,
): { live: Headed[]; voided: Headed[] } {
  const live: Headed[] = []
  const voided: Headed[] = []
  for (const segment of segments.toReversed()) {
    const next = live[0]
    const nextLsn = next?.header.firstLsn ?? bound
    if (segment.header.firstLsn >= nextLsn && (next?.header.cut ?? true)) voided.unshift(segment)
    // If two claim the same range without a cut, the chain between them will show it.
    else live.unshift(segment)
  }
  return { live, voided }
}

/**
 * Where a segment without a sound header begins, as its first group tells: it may have been a cut, and
 * what it made void must not come back. Infinity when it cannot be told.
 */
export function boundOf(
  store: LogStore,
  name: string | undefined,
  logId: Uint8Array | undefined,
): number {
  if (name === undefined || logId === undefined) return Number.POSITIVE_INFINITY
  return withFile(store, name, (file) => {
    const limit = file.length()
    const read = new SegmentReader(file, logId, true).group(SEGMENT_FIRST_GROUP_OFFSET, limit)
    const header = read.ok ? read.group.header : read.header
    const first = header?.foreignId === undefined && header?.epoch === epochOfName(name)
    return header !== undefined && first ? header.firstLsn : Number.POSITIVE_INFINITY
  })
}

export function placeOf(store: LogStore, name: string, byteOffset: number): LogPlace {
  return { file: `${store.location}/${name}`, byteOffset, epoch: epochOfName(name) }
}

export function withFile<T>(store: LogStore, name: string, use: (file: LogFile) => T): T {
  const file = store.open(name)
  try {
    return use(file)
  } finally {
    file.close()
  }
}
