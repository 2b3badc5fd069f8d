/**
 * The state that a transaction reads, with its own writes over it. What is read is noted: at commit all of it
 * has to be as it was. Of a range only what was walked counts.
 */
import { StoreTooLargeError } from '../errors.ts'
import { COMMAND_BYTES_MAX, CommandBuilder, type Expectation } from '../sequencer/command.ts'
import type { Entry, KeyedEntry, KeyRange, ReadView, SnapshotView } from './engine.ts'
import { OverlayTree } from './overlay.ts'
import { ReadSet } from './read-set.ts'

/** Keys read, ranges read and keys written; beyond it a transaction would be held in memory only with effort. */
const OPERATIONS_MAX = 1_000_000
/** What an operation takes in a command beside its key and value. */
const OPERATION_BYTES = 20

const FREE = { isInBase: false, expect: 'absent' } as const

type Reader<T> = (bytes: Buffer, start: number, end: number, sequence: number) => T

export class TransactionView implements ReadView {
  readonly sequence: number
  readonly #base: SnapshotView
  readonly #assertActive: () => void
  readonly #overlay = new Map<number, OverlayTree>()
  readonly #reads = new ReadSet()
  #operations = 0
  #byteLength = 0

  constructor(base: SnapshotView, assertActive: () => void) {
    this.sequence = base.sequence
    this.#base = base
    this.#assertActive = assertActive
  }

  get(tree: number, key: Uint8Array): Entry | undefined {
    this.#assertActive()
    const own = this.#overlay.get(tree)?.find(key)
    if (own !== undefined) return own.value && { sequence: 0, value: Buffer.from(own.value) }
    const entry = this.#base.get(tree, key)
    this.#noteKey(tree, key, entry?.sequence ?? 'absent')
    return entry
  }

  read<T>(tree: number, key: Uint8Array, read: Reader<T>): T | undefined {
    this.#assertActive()
    const own = this.#overlay.get(tree)?.find(key)
    if (own !== undefined) {
      return own.value && read(Buffer.from(own.value), 0, own.value.length, 0)
    }
    let seen: Expectation = 'absent'
    const result = this.#base.read(tree, key, (bytes, start, end, sequence) => {
      seen = sequence
      return read(bytes, start, end, sequence)
    })
    this.#noteKey(tree, key, seen)
    return result
  }

  *entries(tree: number, range: KeyRange): Generator<KeyedEntry, undefined, undefined> {
    this.#assertActive()
    const own = this.#overlay.get(tree)?.slice(range) ?? []
    const direction = range.reverse === true ? -1 : 1
    let next = 0
    for (const entry of this.#noted(tree, range)) {
      let isReplaced = false
      for (; next < own.length && !isReplaced; next++) {
        const order = Buffer.compare(own[next]!.key, entry.key) * direction
        if (order > 0) break
        isReplaced = order === 0
        yield* presentEntry(own[next]!)
      }
      if (!isReplaced) yield entry
      this.#assertActive()
    }
    for (; next < own.length; next++) {
      yield* presentEntry(own[next]!)
      this.#assertActive()
    }
    return undefined
  }

  count(tree: number): number {
    this.#assertActive()
    this.#reads.addTree(tree)
    return this.#base.count(tree) + this.#ownCount(tree)
  }

  /**
   * Noted only when there is none: otherwise the index is not used. By own writes it may be another number than in
   * the state read; what they were written over has conditions of its own, so if the state's number is the same at
   * commit, it is the same documents that lack an entry.
   */
  missing(index: number, primaryTree: number): number {
    this.#assertActive()
    const missing = this.#base.count(primaryTree) - this.#base.count(index)
    const own = this.#ownCount(primaryTree) - this.#ownCount(index)
    // Of a sound index, never below 0; one that is not sound counts as not complete.
    if (missing < 0) return missing
    if (missing + own === 0) this.#reads.addMissing({ index, primaryTree, missing })
    return missing + own
  }

  #ownCount(tree: number): number {
    return this.#overlay.get(tree)?.countDifference ?? 0
  }

  definition(tree: number): number {
    this.#assertActive()
    return this.#base.definition(tree)
  }

  /** What the transaction itself has written; undefined for a deletion and for nothing. */
  written(tree: number, key: Uint8Array): Uint8Array | undefined {
    return this.#overlay.get(tree)?.find(key)?.value
  }

  /**
   * Whether nothing stands under the key, without noting it as read: for a key that `writeFree` then writes, which
   * states the same at commit.
   */
  isFree(tree: number, key: Uint8Array): boolean {
    this.#assertActive()
    const own = this.#overlay.get(tree)?.find(key)
    if (own !== undefined) return own.value === undefined
    return this.#base.read(tree, key, isThere) === undefined
  }

  /** Writes a key that `isFree`; the condition is that it still is. */
  writeFree(tree: number, key: Uint8Array, value: Uint8Array): void {
    this.#write(tree, key, value, FREE)
  }

  /** Writes a key that has been read before; the condition is that it is still as it was read. */
  writeRead(tree: number, key: Uint8Array, value: Uint8Array | undefined): void {
    const expect = this.#reads.seen(tree, key)
    this.#write(tree, key, value, { isInBase: expect !== 'absent', expect })
  }

  /** Writes a key that some document's condition vouches for. */
  writeVouched(tree: number, key: Uint8Array, value: Uint8Array | undefined): void {
    // It is put because the document was not under it before, or deleted because it was.
    this.#write(tree, key, value, { isInBase: value === undefined, expect: undefined })
  }

  #write(
    tree: number,
    key: Uint8Array,
    value: Uint8Array | undefined,
    base: { isInBase: boolean; expect: Expectation | undefined },
  ): void {
    this.#assertActive()
    this.#grow(key.length + (value?.length ?? 0))
    let overlay = this.#overlay.get(tree)
    if (overlay === undefined) {
      overlay = new OverlayTree()
      this.#overlay.set(tree, overlay)
    }
    overlay.set(key, value, base)
  }

  /** Undefined when nothing was written. */
  command(
    isolation: 'serializable' | 'snapshot',
    definitions: readonly { readonly tree: number; readonly definition: number }[],
  ): CommandBuilder | undefined {
    const command = new CommandBuilder()
    command.snapshotSequence = this.sequence
    for (const { tree, definition } of definitions) command.checkDefinition(tree, definition)
    let isChanging = false
    for (const [tree, overlay] of this.#overlay) {
      for (const { key, value, isInBase, expect } of overlay.all()) {
        if (value !== undefined) command.put(tree, key, value, expect)
        else if (isInBase) command.delete(tree, key, expect)
        else if (expect !== undefined) command.check(tree, key, expect)
        isChanging ||= value !== undefined || isInBase
      }
    }
    if (!isChanging) return undefined
    if (isolation === 'serializable') {
      this.#reads.check(command, (tree, key) => this.#hasCondition(tree, key))
    }
    return command
  }

  #hasCondition(tree: number, key: Uint8Array): boolean {
    return this.#overlay.get(tree)?.find(key)?.expect !== undefined
  }

  *#noted(tree: number, range: KeyRange): Generator<KeyedEntry, undefined, undefined> {
    const { from, to, reverse = false } = range
    const note = this.#reads.beginRange(tree)
    this.#grow((from?.length ?? 0) + (to?.length ?? 0))
    if (reverse) note.to = to
    else note.from = from
    for (const entry of this.#base.entries(tree, range)) {
      if (reverse) note.from = entry.key
      else note.to = after(entry.key)
      note.isEmpty = false
      yield entry
    }
    note.from = from
    note.to = to
    note.isEmpty = false
    return undefined
  }

  #noteKey(tree: number, key: Uint8Array, seen: Expectation): void {
    if (this.#reads.addKey(tree, key, seen)) this.#grow(key.length)
  }

  #grow(byteLength: number): void {
    this.#operations++
    this.#byteLength += OPERATION_BYTES + byteLength
    if (this.#operations > OPERATIONS_MAX) {
      throw new StoreTooLargeError('a transaction', this.#operations, OPERATIONS_MAX, 'operations')
    }
    if (this.#byteLength > COMMAND_BYTES_MAX) {
      throw new StoreTooLargeError('a transaction', this.#byteLength, COMMAND_BYTES_MAX)
    }
  }
}

function isThere(): true {
  return true
}

function* presentEntry({
  key,
  value,
}: {
  key: Uint8Array
  value: Uint8Array | undefined
}): Generator<KeyedEntry, undefined, undefined> {
  if (value !== undefined) yield { key: Buffer.from(key), value: Buffer.from(value), sequence: 0 }
  return undefined
}

/** The smallest key above it. */
function after(key: Uint8Array): Uint8Array {
  const next = new Uint8Array(key.length + 1)
  next.set(key)
  return next
}
