/**
 * Applies what somebody logged: a group at a time, by the functions that committed it, to the very same pages.
 *
 * Threads: the sequencer's. What was logged had been validated; what does not hold now was never logged by this
 * database, or the state that it is applied to is another.
 */
import { FRAME_HEADER_BYTES, FRAME_LENGTH_MASK } from '@ringbolt/ring'
import { frameBytesOf } from '@ringbolt/wal'
import { StoreCorruptError, type StorePlace } from '../errors.ts'
import { ScriptError } from '../space/page-id-script.ts'
import { apply, PAGES_PER_OPERATION, validate } from './apply.ts'
import { CommandReader } from './command.ts'
import { decodeNoteFrame, type GroupNote } from './group-note.ts'
import type { SinkTrees } from './store-sink.ts'

/** What applying a group needs of the pages; `SharedSpace` is it. */
export interface ScriptedSpace {
  makeRoom(pages: number): void
  withPageIds(pageIds: readonly number[], make: () => void): void
}

export class GroupApplier {
  readonly #space: ScriptedSpace
  readonly #trees: SinkTrees
  readonly #reader = new CommandReader()
  readonly #makeRoom: () => void

  constructor(space: ScriptedSpace, trees: SinkTrees) {
    this.#space = space
    this.#trees = trees
    this.#makeRoom = () => space.makeRoom(PAGES_PER_OPERATION)
  }

  /**
   * @param body frames, the first of them the note's
   * @param firstSequence of the first command
   * @param place where the body begins
   */
  apply(body: Uint8Array, firstSequence: number, place: StorePlace): void {
    const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength)
    const head = decodeNoteFrame(bytes)
    if (typeof head === 'string') throw corrupt(place, 'head of a group', 'a note', head)
    const { note, endByte } = head
    try {
      this.#space.withPageIds(note.pageIds, () => {
        this.#reclaim(note)
        this.#commands(bytes, endByte, firstSequence, place)
      })
    } catch (error) {
      if (!(error instanceof ScriptError)) throw error
      throw corrupt(place, `group of record ${firstSequence}`, error.expected, error.actual)
    }
  }

  /**
   * The commands alone, to pages under any ids: for a database of its own, whose history leaves this one sooner or later.
   * What the note says of ids and of dropped trees is left to that database.
   * @param lastSequence later commands are left out
   * @returns the sequence of the last command that was applied
   */
  applyCommands(
    body: Uint8Array,
    firstSequence: number,
    place: StorePlace,
    lastSequence: number,
  ): number {
    const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength)
    const head = decodeNoteFrame(bytes)
    if (typeof head === 'string') throw corrupt(place, 'head of a group', 'a note', head)
    return this.#commands(bytes, head.endByte, firstSequence, place, lastSequence)
  }

  #reclaim({ reclaimedPagesMax }: GroupNote): void {
    if (reclaimedPagesMax > 0) this.#trees.reclaimDropped(reclaimedPagesMax)
  }

  /** @returns the sequence of the last command */
  #commands(
    bytes: Buffer,
    from: number,
    firstSequence: number,
    place: StorePlace,
    lastSequence: number = Number.POSITIVE_INFINITY,
  ): number {
    let sequence = firstSequence
    for (let at = from; at < bytes.length && sequence <= lastSequence; ) {
      const header = bytes.readInt32LE(at)
      const recordBytes = header & FRAME_LENGTH_MASK
      const start = at + FRAME_HEADER_BYTES
      if (header > 0) {
        const { file, offset } = place
        this.#command(bytes, start, start + recordBytes, sequence, { file, offset: offset + at })
        sequence++
      }
      at += frameBytesOf(recordBytes)
    }
    return sequence - 1
  }

  #command(bytes: Buffer, start: number, end: number, sequence: number, place: StorePlace): void {
    const trees = this.#trees
    const reader = this.#reader
    reader.open(bytes, start, end)
    const refusal = validate(reader, trees, this.#makeRoom)
    if (refusal !== undefined) {
      const { reason, operation } = refusal
      const actual = `refused as ${reason}${reader.fault === undefined ? '' : `: ${reader.fault}`}`
      throw corrupt(
        place,
        `record ${sequence}, operation ${operation}`,
        'a command that holds',
        actual,
      )
    }
    reader.open(bytes, start, end)
    apply(reader, trees, sequence, this.#makeRoom)
  }
}

function corrupt(
  place: StorePlace,
  what: string,
  expected: string,
  actual: string,
): StoreCorruptError {
  return new StoreCorruptError(place, what, expected, actual)
}
