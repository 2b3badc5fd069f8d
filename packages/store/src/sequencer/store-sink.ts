/**
 * What wal's LogConsumer drives instead of a plain log: commands are validated and applied on their way from the
 * ring to the log, and what was acknowledged is published.
 *
 *   runs of the ring ─► frames ─► validate ─┬─► refused: an entry in the client's ring of refusals
 *                                           └─► apply, sequence given ─► one log group: a note, and the
 *                                               commands without a copy
 *
 * Threads: the sequencer's. The marks that `LogConsumer` moves are ring addresses.
 *
 * Invariants
 *  Q1 A command is in the log exactly when it was applied, in the order in which it was; its commit sequence
 *     is the base plus its ordinal in the log. Before the first of a group stands a note (group-note.ts).
 *  Q2 A state is published only after its group was synced (`full`) or written (otherwise); the mark moves after.
 *  Q3 A refusal is stored before the mark passes its command.
 *  Q4 After a failure, of a write, a sync, or half-way through a command, nothing is logged or published any more:
 *     the trees hold what was never acknowledged.
 *
 * Crash: what was written whole is replayed by `apply`, as it was applied here.
 */
import { FRAME_HEADER_BYTES, FRAME_LENGTH_MASK, frameBytes } from '@ringbolt/ring'
import { frameBytesOf, type GroupSink, writeFrame } from '@ringbolt/wal'
import type { Refusal, RefusalReason } from '../client/engine.ts'
import { StoreFullError } from '../errors.ts'
import type { DirectoryReferences } from '../space/published.ts'
import { apply, type CommandTrees, validate } from './apply.ts'
import { CommandReader } from './command.ts'
import { encodeNoteFrame } from './group-note.ts'
import { Assemblies, isPart } from './parts.ts'
import type { RefusalWriter } from './refusals.ts'

/** The log behind it; `SegmentedLog` is one. */
export interface CommandLog {
  /** Where the next frame goes. */
  readonly endLsn: number
  /** Ordinal of the next record, from 1. */
  readonly nextSequence: number
  readonly poisoned: unknown
  writeGroup(runs: readonly Uint8Array[], recordCount: number, abortedCount: number): unknown
  sync(): void
}

/** What the sink needs of the pages. */
export interface VersionedSpace {
  seal(): number
  publish(version: number, sequence: number, directory: DirectoryReferences): void
  reclaim(): boolean
  /** Ids of the pages made since it was last asked, in order. */
  takenPageIds(): readonly number[]
}

/** `Trees` is one. */
export interface SinkTrees extends CommandTrees {
  /** Of the working version. */
  readonly directory: DirectoryReferences
  /** Gives back about so many pages of dropped trees; false when there was nothing to be done. */
  reclaimDropped(pagesMax: number): boolean
}

export interface StoreSinkParts {
  readonly log: CommandLog
  readonly trees: SinkTrees
  readonly space: VersionedSpace
  readonly refusals: RefusalWriter
  /** Makes room for one operation; throws StoreFullError. */
  readonly makeRoom: () => void
  /** Makes room for a whole command of so many operations and bytes, or throws StoreFullError. */
  readonly admit: (operations: number, bytes: number, hasPut: boolean) => void
  /** Of the state that is published when it begins. */
  readonly sequence: number
  /** Where the ring stands. */
  readonly address: number
  /** When a group is acknowledged. */
  readonly acknowledgedBy: 'sync' | 'write'
  readonly groupBodyBytesMax: number
  /** Called with each state that is published, before anybody hears that its commits are acknowledged. */
  readonly onPublished: (state: PublishedState) => void
  /** For the notes. Undefined: nobody reads the log, and it gets none. */
  readonly wallMs: (() => number) | undefined
}

/** The newest published state, and where the log stands after it. */
export interface PublishedState {
  readonly sequence: number
  readonly logLsn: number
}

interface Sealed extends PublishedState {
  readonly version: number
}

const BUSY: Refusal = { reason: 'busy', operation: 0 }
const MALFORMED: Refusal = { reason: 'malformed', operation: 0 }

export class StoreSink implements GroupSink {
  readonly groupBodyBytesMax: number
  /** Commands are refused, since another process may not be kept waiting, or from writing. */
  isBusy = false
  readonly #parts: StoreSinkParts
  readonly #reader = new CommandReader()
  readonly #assemblies: Assemblies
  readonly #makeRoom: () => void
  #endAddress: number
  #durableAddress: number
  #published: PublishedState
  #sealed: Sealed | undefined
  #sequence: number
  #failure: unknown
  // Of the group that is being gathered.
  #out: Uint8Array[] = []
  #accepted = 0
  #commits = 0
  readonly #refusals: Record<RefusalReason, number> = {
    conflict: 0,
    definition: 0,
    malformed: 0,
    full: 0,
    busy: 0,
  }

  constructor(parts: StoreSinkParts) {
    this.#parts = parts
    this.groupBodyBytesMax = parts.groupBodyBytesMax
    this.#makeRoom = parts.makeRoom
    this.#assemblies = new Assemblies(parts.refusals.slots)
    this.#endAddress = parts.address
    this.#durableAddress = parts.address
    this.#sequence = parts.sequence
    this.#published = { sequence: parts.sequence, logLsn: parts.log.endLsn }
  }

  /** Just past the last command that was decided, in the ring. */
  get endLsn(): number {
    return this.#endAddress
  }

  get durableLsn(): number {
    return this.#durableAddress
  }

  /** The first failure: of the log, or in the middle of a command (Q4). */
  get poisoned(): unknown {
    return this.#failure ?? this.#parts.log.poisoned
  }

  get published(): PublishedState {
    return this.#published
  }

  /** Everything that was applied is published. */
  get isSettled(): boolean {
    return this.#sealed === undefined && this.poisoned === undefined
  }

  get commits(): number {
    return this.#commits
  }

  get refusals(): Readonly<Record<RefusalReason, number>> {
    return this.#refusals
  }

  /** One group out of the ring: the runs are frames one after another, one of them perhaps split. */
  writeGroup(runs: readonly Uint8Array[]): void {
    this.#guarded(() => {
      this.#gather(runs)
      if (this.#parts.acknowledgedBy === 'write') this.#publish()
    })
  }

  sync(): void {
    this.#guarded(() => {
      this.#parts.log.sync()
      this.#durableAddress = this.#endAddress
      this.#publish()
    })
  }

  /**
   * Gives back pages of dropped trees, by a group of its own. Only when settled.
   * @returns false when there was nothing to be done
   */
  reclaimDropped(pagesMax: number): boolean {
    let isDone = false
    this.#guarded(() => {
      const { log, trees } = this.#parts
      isDone = trees.reclaimDropped(pagesMax)
      if (!isDone) return
      const note = this.#note(pagesMax)
      if (note !== undefined) {
        log.writeGroup([note], 0, 1)
        if (this.#parts.acknowledgedBy === 'sync') log.sync()
      }
      this.#seal()
      this.#publish()
    })
    return isDone
  }

  /** What others logged was applied and published. Only when settled. */
  follow(state: PublishedState): void {
    this.#sequence = state.sequence
    this.#published = state
  }

  /** Whatever fails leaves trees, log and marks at odds: that ends it for good (Q4). */
  #guarded(change: () => void): void {
    const { poisoned } = this
    if (poisoned !== undefined) throw asError(poisoned)
    try {
      change()
    } catch (error) {
      this.#failure = error
      throw error
    }
  }

  #gather(runs: readonly Uint8Array[]): void {
    this.#out = []
    this.#accepted = 0
    let address = this.#endAddress
    for (const frames of wholeRuns(runs)) address = this.#takeRun(frames, address)
    this.#endAddress = address
    if (this.#accepted === 0) return
    const note = this.#note(0)
    const { log } = this.#parts
    if (note === undefined) log.writeGroup(this.#out, this.#accepted, 0)
    else log.writeGroup([note, ...this.#out], this.#accepted, 1)
    this.#out = []
    this.#seal()
    this.#commits += this.#accepted
  }

  /** The frame of the note on what was done since the last one. */
  #note(reclaimedPagesMax: number): Buffer | undefined {
    const { space, wallMs } = this.#parts
    const pageIds = space.takenPageIds()
    if (wallMs === undefined) return undefined
    return encodeNoteFrame({ pageIds, reclaimedPagesMax, timeMs: wallMs() })
  }

  #seal(): void {
    const { log, space } = this.#parts
    this.#sealed = { version: space.seal(), sequence: this.#sequence, logLsn: log.endLsn }
  }

  #publish(): void {
    const { space, trees } = this.#parts
    const sealed = this.#sealed
    if (sealed !== undefined) {
      this.#sealed = undefined
      space.publish(sealed.version, sealed.sequence, trees.directory)
      this.#published = sealed
      this.#parts.onPublished(sealed)
    }
    space.reclaim()
  }

  /** @returns the address after the run */
  #takeRun(frames: Buffer, address: number): number {
    let spanStart = 0
    let at = 0
    while (at < frames.length) {
      const header = frames.readInt32LE(at)
      const recordBytes = header & FRAME_LENGTH_MASK
      const next = at + frameBytes(recordBytes)
      const start = at + FRAME_HEADER_BYTES
      const end = start + recordBytes
      const isAborted = header < 0
      const isCommand = !isAborted && !isPart(frames, start)
      const stays = isCommand && this.#decide(frames, start, end, address + at)
      if (!stays) {
        if (spanStart < at) this.#out.push(frames.subarray(spanStart, at))
        spanStart = next
        if (!isCommand && !isAborted) this.#takePart(frames, start, end, address + at)
      }
      at = next
    }
    if (spanStart < at) this.#out.push(frames.subarray(spanStart, at))
    return address + at
  }

  #takePart(frames: Buffer, start: number, end: number, address: number): void {
    const outcome = this.#assemblies.accept(frames, start, end)
    if (outcome.kind === 'refused') {
      this.#refuse(outcome.slot, address, { reason: outcome.reason, operation: 0 })
    } else if (outcome.kind === 'whole') {
      const { command } = outcome
      if (!this.#decide(command, 0, command.length, address)) return
      const frame = Buffer.allocUnsafe(frameBytesOf(command.length))
      writeFrame(frame, 0, command)
      this.#out.push(frame)
    }
  }

  /** Applies the command, or refuses it. */
  #decide(bytes: Buffer, start: number, end: number, address: number): boolean {
    const reader = this.#reader
    reader.open(bytes, start, end)
    const { slot } = reader
    const refusal = this.#refusalOf(end - start)
    if (refusal !== undefined) {
      this.#refuse(slot, address, refusal)
      return false
    }
    this.#sequence++
    reader.open(bytes, start, end)
    apply(reader, this.#parts.trees, this.#sequence, this.#makeRoom)
    this.#accepted++
    return true
  }

  /** Of the command that the reader has open. Room is asked for before anything is changed. */
  #refusalOf(commandBytes: number): Refusal | undefined {
    const reader = this.#reader
    if (this.isBusy) return BUSY
    // A state that is not there yet can't have been read.
    if (reader.snapshotSequence > this.#sequence) return MALFORMED
    try {
      const refusal = validate(reader, this.#parts.trees, this.#makeRoom)
      if (refusal === undefined) {
        this.#parts.admit(reader.operationCount, commandBytes, reader.hasPut)
      }
      return refusal
    } catch (error) {
      if (!(error instanceof StoreFullError)) throw error
      return { reason: 'full', operation: Math.max(0, reader.ordinal) }
    }
  }

  #refuse(slot: number, address: number, refusal: Refusal): void {
    this.#refusals[refusal.reason]++
    this.#parts.refusals.refuse(slot, address, refusal)
  }
}

function asError(cause: unknown): Error {
  return cause instanceof Error ? cause : new Error('the sequencer has failed', { cause })
}

/** The runs as buffers in which no frame is split: a frame over the end of the ring is copied. */
function* wholeRuns(runs: readonly Uint8Array[]): Generator<Buffer> {
  const [first, second] = runs.map((run) => Buffer.from(run.buffer, run.byteOffset, run.byteLength))
  if (first === undefined) return
  if (second === undefined) {
    yield first
    return
  }
  let at = 0
  let last = 0
  while (at < first.length) {
    last = at
    at += frameBytes(first.readInt32LE(at) & FRAME_LENGTH_MASK)
  }
  if (at === first.length) {
    yield first
    yield second
    return
  }
  if (last > 0) yield first.subarray(0, last)
  const rest = at - first.length
  yield Buffer.concat([first.subarray(last), second.subarray(0, rest)])
  if (rest < second.length) yield second.subarray(rest)
}
