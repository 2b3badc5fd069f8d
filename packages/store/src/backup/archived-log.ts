/**
 * The log of a database from where it is kept, archive files and segments of its log folder alike: which commits there
 * are, and the groups that hold those after a given one, in order.
 *
 * Nothing is changed. What is read is checked: an archive file against its checksum, all groups and the chain between
 * them by the log's own recovery, which sees a folder of segments. Gaps and forks are errors, never passed over.
 */
import {
  type LogFile,
  type LogGroup,
  LogNotFoundError,
  type LogStore,
  SegmentedLog,
  segmentName,
} from '@ringbolt/wal'
import { StoreCorruptError } from '../errors.ts'
import { COMMAND_BYTES_MAX } from '../sequencer/command.ts'
import { checkArchiveContent, isArchiveName, readArchiveHeader } from './archive-format.ts'
import { ArchiveForkError, ArchiveGapError, BackupChainError } from './errors.ts'
import { ARCHIVE_HEADER_BYTES } from './layout.ts'

/** A segment, wherever it is. */
interface Part {
  readonly logId: string
  readonly baseSequence: number
  readonly firstEpoch: number
  readonly firstLsn: number
  readonly endLsn: number
  /** Commit sequences of the first record, and of the last; one below the first: it has none. */
  readonly firstCommit: number
  readonly lastCommit: number
  open(): LogFile
}

/** A group, and the commits in it. */
export interface CommittedGroup {
  readonly group: LogGroup
  readonly baseSequence: number
  readonly firstCommit: number
  readonly lastCommit: number
  /** For messages. */
  readonly location: string
}

/** What the main file of the log's database says, where there is one. */
export interface LiveLog {
  readonly store: LogStore
  /** Undefined: the main file cannot be read. */
  readonly owner:
    | {
        readonly databaseId: Uint8Array
        readonly logId: Uint8Array
        readonly baseSequence: number
      }
    | undefined
}

export class KeptLog {
  readonly #databaseId: Uint8Array
  readonly #location: string
  readonly #parts: Part[] = []

  /** @param location for messages: where it is looked for */
  constructor(databaseId: Uint8Array, location: string) {
    this.#databaseId = databaseId
    this.#location = location
  }

  /** @throws for a file that bears an archive's name and is not sound */
  addArchive(store: LogStore): void {
    for (const name of store.list().filter((found) => isArchiveName(found, this.#databaseId))) {
      const place = `${store.location}/${name}`
      const file = store.open(name)
      try {
        const header = readArchiveHeader(file, place)
        if (Buffer.compare(header.databaseId, this.#databaseId) !== 0) {
          throw new BackupChainError(place, 'is of another database than its name says')
        }
        const { baseSequence, firstOrdinal, endOrdinal } = header
        this.#parts.push({
          logId: hexId(header.logId),
          baseSequence,
          firstEpoch: header.firstEpoch,
          firstLsn: header.firstLsn,
          endLsn: header.endLsn,
          firstCommit: baseSequence + firstOrdinal,
          lastCommit: baseSequence + endOrdinal - 1,
          open: () => openArchived(store, name),
        })
      } finally {
        file.close()
      }
    }
  }

  /** The log that a database has beside it; after the archive. */
  addLive({ store, owner }: LiveLog): void {
    const log = openLog(store)
    if (log === undefined) return
    try {
      const baseSequence = this.#baseOf(log, owner)
      const { segments, nextSequence } = log
      for (const [at, { name, header, endLsn }] of segments.entries()) {
        const { firstEpoch, firstLsn, firstSequence } = header
        if (endLsn === firstLsn) continue
        this.#parts.push({
          logId: hexId(log.logId),
          baseSequence,
          firstEpoch,
          firstLsn,
          endLsn,
          firstCommit: baseSequence + firstSequence,
          lastCommit: baseSequence + (segments[at + 1]?.header.firstSequence ?? nextSequence) - 1,
          open: () => store.open(name),
        })
      }
    } finally {
      log.close()
    }
  }

  #baseOf(log: SegmentedLog, owner: LiveLog['owner']): number {
    const logId = hexId(log.logId)
    const { location } = log.store
    if (owner !== undefined && Buffer.compare(owner.databaseId, this.#databaseId) !== 0) {
      throw new BackupChainError(location, 'is the log of another database than the backup')
    }
    if (owner !== undefined && hexId(owner.logId) === logId) return owner.baseSequence
    const archived = this.#parts.find((part) => part.logId === logId)
    if (archived !== undefined) return archived.baseSequence
    // An open that did not come to its end: nothing was committed in it.
    if (log.nextSequence === 1) return 0
    const problem =
      'holds commits, and neither a database file nor an archive says which: give the archive, or the whole database'
    throw new BackupChainError(location, problem, { logId })
  }

  /**
   * Every group with commits after that one, in order; the first may hold earlier ones, too.
   * @throws ArchiveGapError, ArchiveForkError, and what is wrong with the files
   */
  *groupsAfter(sequence: number): Generator<CommittedGroup, void, undefined> {
    let current = sequence
    for (;;) {
      const run = this.#runFrom(current)
      if (run.length === 0) return
      const before = current
      for (const group of groupsOf(run)) {
        if (group.lastCommit <= current) continue
        yield group
        current = group.lastCommit
      }
      if (current === before) {
        throw new ArchiveGapError(this.#location, before + 1, run.at(-1)?.lastCommit ?? before + 1)
      }
    }
  }

  /** Segments of one log, each beginning where the one before ends, the first with the next commit in it. */
  #runFrom(current: number): Part[] {
    const later = this.#parts.filter(({ lastCommit }) => lastCommit > current)
    const next = later.filter(({ firstCommit }) => firstCommit <= current + 1)
    if (later.length === 0) return []
    if (next.length === 0) {
      const first = later.reduce((lowest, part) => Math.min(lowest, part.firstCommit), Infinity)
      throw new ArchiveGapError(this.#location, current + 1, first - 1)
    }
    const logIds = [...new Set(next.map(({ logId }) => logId))]
    if (logIds.length > 1) throw new ArchiveForkError(this.#location, current + 1, logIds)
    const own = this.#parts.filter(({ logId }) => logId === logIds[0])
    const run: Part[] = []
    for (let part = longest(next); part !== undefined; ) {
      run.push(part)
      const { endLsn } = part
      part = longest(own.filter(({ firstLsn }) => firstLsn === endLsn))
    }
    return run
  }
}

/** Of copies of one segment the one that has grown most. */
function longest(parts: readonly Part[]): Part | undefined {
  return parts.reduce<Part | undefined>(
    (best, part) => (best === undefined || part.endLsn > best.endLsn ? part : best),
    undefined,
  )
}

function* groupsOf(run: readonly Part[]): Generator<CommittedGroup, void, undefined> {
  const store = new SegmentsView(run)
  const log = openLog(store)
  if (log === undefined) return
  const baseSequence = run[0]?.baseSequence ?? 0
  try {
    for (const group of log.groups()) {
      const firstCommit = baseSequence + group.firstSequence
      const lastCommit = firstCommit + group.recordCount - 1
      yield { group, baseSequence, firstCommit, lastCommit, location: store.location }
    }
  } finally {
    log.close()
  }
}

function openLog(store: LogStore): SegmentedLog | undefined {
  try {
    return SegmentedLog.open(store, { readOnly: true, recordLengthMaxBytes: COMMAND_BYTES_MAX })
  } catch (error) {
    if (error instanceof LogNotFoundError) return undefined
    throw error
  }
}

function hexId(id: Uint8Array): string {
  return Buffer.from(id).toString('hex')
}

/** Segments from several places as a folder that is only read. */
class SegmentsView implements LogStore {
  readonly location: string
  readonly #parts: ReadonlyMap<string, Part>

  constructor(parts: readonly Part[]) {
    this.#parts = new Map(parts.map((part) => [segmentName(part.firstEpoch), part]))
    this.location = `the kept log ${parts[0]?.logId ?? ''}`
  }

  list(): string[] {
    return [...this.#parts.keys()]
  }

  open(name: string): LogFile {
    const part = this.#parts.get(name)
    if (part === undefined) throw new Error(`there is no segment ${name} in ${this.location}`)
    return part.open()
  }

  create(): never {
    throw readOnly(this.location)
  }

  rename(): never {
    throw readOnly(this.location)
  }

  remove(): never {
    throw readOnly(this.location)
  }

  syncFolder(): never {
    throw readOnly(this.location)
  }
}

function readOnly(location: string): Error {
  return new Error(`${location} is only read`)
}

/** A segment's field in its own header: see the log's layout. */
const SEGMENT_BYTES_OFFSET = 32
const SEGMENT_HEADER_BYTES = 64
/** No group is longer than 4 GiB. */
const SEGMENT_BYTES_MAX: number = 8 * 2 ** 30

function openArchived(store: LogStore, name: string): LogFile {
  const place = `${store.location}/${name}`
  const file = store.open(name)
  try {
    const header = readArchiveHeader(file, place)
    checkArchiveContent(file, header, place)
    return new ArchivedSegment(file, header.contentBytes, place)
  } catch (error) {
    file.close()
    throw error
  }
}

/** A segment in an archive file: behind the header, and as long as it was, what was not written yet as zeros. */
class ArchivedSegment implements LogFile {
  readonly name: string
  readonly #file: LogFile
  readonly #contentBytes: number
  readonly #lengthBytes: number

  constructor(file: LogFile, contentBytes: number, place: string) {
    this.name = file.name
    this.#file = file
    this.#contentBytes = contentBytes
    const head = Buffer.alloc(SEGMENT_HEADER_BYTES)
    file.readAt(ARCHIVE_HEADER_BYTES, head)
    const lengthBytes = Number(head.readBigUInt64LE(SEGMENT_BYTES_OFFSET))
    if (lengthBytes < contentBytes || lengthBytes > SEGMENT_BYTES_MAX) {
      const expected = `from ${contentBytes} to ${SEGMENT_BYTES_MAX}`
      const offset = ARCHIVE_HEADER_BYTES + SEGMENT_BYTES_OFFSET
      throw new StoreCorruptError({ file: place, offset }, 'segment length', expected, lengthBytes)
    }
    this.#lengthBytes = lengthBytes
  }

  readAt(position: number, target: Uint8Array): number {
    const wanted = Math.max(0, Math.min(target.length, this.#lengthBytes - position))
    const stored = Math.max(0, Math.min(wanted, this.#contentBytes - position))
    if (stored > 0) {
      const part = target.subarray(0, stored)
      const length = this.#file.readAt(ARCHIVE_HEADER_BYTES + position, part)
      if (length < stored) return length
    }
    target.fill(0, stored, wanted)
    return wanted
  }

  length(): number {
    return this.#lengthBytes
  }

  writeAt(): never {
    throw readOnly(this.name)
  }

  sync(): never {
    throw readOnly(this.name)
  }

  truncate(): never {
    throw readOnly(this.name)
  }

  close(): void {
    this.#file.close()
  }
}
