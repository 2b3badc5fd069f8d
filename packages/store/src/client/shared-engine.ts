/**
 * The engine of one thread: reads pages where they stand in shared memory, commits through the ring.
 *
 * Threads: belongs to the thread that made it. Every read enters the thread's reader slot, looks, and leaves
 * before it returns, so nothing that it found outlives the call but copies. Reads do not nest, except that a
 * callback given to `read` may read again: it is inside the same stay.
 *
 * Crash: a thread that ends inside a read leaves its slot and pins; `freeThread` clears them.
 */
import type { CommandBuilder } from '../sequencer/command.ts'
import type { PageReader, Pin } from '../space/page-reader.ts'
import type { DirectoryReferences } from '../tree/directory.ts'
import { compareBytes } from '../tree/node.ts'
import { TreeCursor } from '../tree/tree-cursor.ts'
import { TreeReader } from '../tree/tree-reader.ts'
import type { CommandClient } from './command-client.ts'
import type {
  CommitOptions,
  Engine,
  Entry,
  KeyedEntry,
  KeyRange,
  ReadEach,
  ReadView,
  Refusal,
  SnapshotView,
  WriteHold,
} from './engine.ts'

/** Where a view looks: enters a state, and says which directory is its root. */
interface Stay {
  enter(): DirectoryReferences
  leave(): void
  readonly sequence: number
}

class TreeView implements ReadView {
  readonly #stay: Stay
  readonly #trees: TreeReader
  readonly #bytes: Buffer
  readonly #iterate: (tree: number, range: KeyRange) => IterableIterator<KeyedEntry>

  constructor(
    stay: Stay,
    trees: TreeReader,
    bytes: Buffer,
    iterate: (tree: number, range: KeyRange) => IterableIterator<KeyedEntry>,
  ) {
    this.#stay = stay
    this.#trees = trees
    this.#bytes = bytes
    this.#iterate = iterate
  }

  get sequence(): number {
    return this.#stay.sequence
  }

  get(tree: number, key: Uint8Array): Entry | undefined {
    const trees = this.#trees
    const directory = this.#stay.enter()
    try {
      if (!trees.find(directory, tree, key)) return undefined
      return { sequence: trees.foundSequence, value: trees.value() }
    } finally {
      this.#stay.leave()
    }
  }

  read<T>(
    tree: number,
    key: Uint8Array,
    read: (bytes: Buffer, start: number, end: number, sequence: number) => T,
  ): T | undefined {
    const trees = this.#trees
    const directory = this.#stay.enter()
    try {
      if (!trees.find(directory, tree, key)) return undefined
      if (trees.foundInline) {
        const start = trees.foundStart
        return read(this.#bytes, start, start + trees.foundValueBytes, trees.foundSequence)
      }
      const value = trees.value()
      return read(value, 0, value.length, trees.foundSequence)
    } finally {
      this.#stay.leave()
    }
  }

  readEach(tree: number, keys: readonly Uint8Array[], count: number, read: ReadEach): void {
    const trees = this.#trees
    const directory = this.#stay.enter()
    try {
      trees.prepare(directory, tree, keys, count)
      for (let at = 0; at < count; at++) {
        // Long values come one by one, when they are asked for.
        if (!trees.findPrepared(at) || !trees.foundInline) continue
        const start = trees.foundStart
        read(at, this.#bytes, start, start + trees.foundValueBytes, trees.foundSequence)
      }
    } finally {
      this.#stay.leave()
    }
  }

  entries(tree: number, range: KeyRange): IterableIterator<KeyedEntry> {
    return this.#iterate(tree, range)
  }

  count(tree: number): number {
    const directory = this.#stay.enter()
    try {
      return this.#trees.count(directory, tree)
    } finally {
      this.#stay.leave()
    }
  }

  definition(tree: number): number {
    const directory = this.#stay.enter()
    try {
      return this.#trees.definition(directory, tree)
    } finally {
      this.#stay.leave()
    }
  }
}

class PinnedView extends TreeView implements SnapshotView {
  readonly #close: () => void

  constructor(
    stay: Stay,
    trees: TreeReader,
    bytes: Buffer,
    iterate: (tree: number, range: KeyRange) => IterableIterator<KeyedEntry>,
    close: () => void,
  ) {
    super(stay, trees, bytes, iterate)
    this.#close = close
  }

  close(): void {
    this.#close()
  }
}

export class SharedEngine implements Engine {
  readonly latest: ReadView
  readonly #reader: PageReader
  readonly #trees: TreeReader
  readonly #bytes: Buffer
  readonly #client: CommandClient
  readonly #freshen: () => void

  readonly hold: (() => WriteHold) | undefined

  /** @param freshen called before a read of the newest state begins */
  constructor(
    reader: PageReader,
    client: CommandClient,
    freshen: () => void = () => undefined,
    hold?: () => WriteHold,
  ) {
    this.hold = hold
    this.#reader = reader
    this.#client = client
    this.#freshen = freshen
    this.#trees = new TreeReader(reader)
    this.#bytes = Buffer.from(reader.bytes.buffer, reader.bytes.byteOffset, reader.bytes.byteLength)
    this.latest = new TreeView(this.#newest(), this.#trees, this.#bytes, (tree, range) =>
      this.#iterateNewest(tree, range),
    )
  }

  snapshot(): SnapshotView {
    this.#freshen()
    const pin = this.#reader.pin()
    let open = true
    const close = (): void => {
      if (open) this.#reader.unpin(pin)
      open = false
    }
    const iterate = (tree: number, range: KeyRange): IterableIterator<KeyedEntry> =>
      this.#iterate(pin, tree, range)
    return new PinnedView(this.#pinned(pin), this.#trees, this.#bytes, iterate, close)
  }

  commit(command: CommandBuilder, options?: CommitOptions): Promise<Refusal | undefined> {
    return this.#client.commit(command, options)
  }

  commitSync(command: CommandBuilder, timeoutMs?: number): Refusal | undefined {
    return this.#client.commitSync(command, timeoutMs)
  }

  #newest(): Stay {
    const reader = this.#reader
    const freshen = this.#freshen
    return {
      enter: () => {
        freshen()
        reader.enter()
        return reader.directory
      },
      leave: () => reader.leave(),
      get sequence() {
        freshen()
        reader.enter()
        reader.leave()
        return reader.sequence
      },
    }
  }

  #pinned(pin: Pin): Stay {
    const reader = this.#reader
    return {
      enter: () => {
        reader.enterPinned(pin)
        return pin.directory
      },
      leave: () => reader.leave(),
      sequence: pin.sequence,
    }
  }

  /** An iteration sees one state, from its first step to its last. */
  #iterateNewest(tree: number, range: KeyRange): IterableIterator<KeyedEntry> {
    let pin: Pin | undefined
    const reader = this.#reader
    const begin = (): Pin => {
      this.#freshen()
      pin = reader.pin()
      return pin
    }
    return new EntryIterator(reader, tree, range, begin, () => {
      if (pin !== undefined) reader.unpin(pin)
    })
  }

  #iterate(pin: Pin, tree: number, range: KeyRange): IterableIterator<KeyedEntry> {
    return new EntryIterator(
      this.#reader,
      tree,
      range,
      () => pin,
      () => undefined,
    )
  }
}

/** Entries read in one stay: few at first, since many iterations end early. */
const BATCH_FIRST = 16
const BATCH_MAX = 128
/** Values in a batch: long ones come one by one. */
const BATCH_BYTES_MAX = 64 * 1024

/**
 * Entries of a range, lazily, some at a time: entering and leaving, and everything that the walk keeps at hand,
 * are paid once for each batch. What it yields are copies, so a batch may be yielded after the stay.
 */
class EntryIterator implements IterableIterator<KeyedEntry> {
  readonly #reader: PageReader
  readonly #tree: number
  readonly #range: KeyRange
  readonly #begin: () => Pin
  readonly #end: () => void
  #pin: Pin | undefined
  #cursor: TreeCursor | undefined
  #batch: KeyedEntry[] = []
  #next = 0
  #batchMax = BATCH_FIRST
  #isOver = false

  /**
   * @param begin gives the state, at the first step
   * @param end lets go of it, once, if it was begun
   */
  constructor(
    reader: PageReader,
    tree: number,
    range: KeyRange,
    begin: () => Pin,
    end: () => void,
  ) {
    this.#reader = reader
    this.#tree = tree
    this.#range = range
    this.#begin = begin
    this.#end = end
  }

  [Symbol.iterator](): this {
    return this
  }

  next(): IteratorResult<KeyedEntry, undefined> {
    if (this.#next === this.#batch.length && !this.#isOver) this.#fill()
    const value = this.#batch[this.#next]
    if (value === undefined) return this.return()
    this.#next++
    return { done: false, value }
  }

  return(): IteratorResult<KeyedEntry, undefined> {
    this.#isOver = true
    this.#batch = []
    this.#next = 0
    if (this.#pin !== undefined) this.#end()
    this.#pin = undefined
    return { done: true, value: undefined }
  }

  #fill(): void {
    const pin = (this.#pin ??= this.#begin())
    this.#batch = []
    this.#next = 0
    try {
      this.#reader.enterPinned(pin)
      try {
        this.#read(pin)
      } finally {
        this.#reader.leave()
      }
    } catch (error) {
      this.return()
      throw error
    }
    this.#batchMax = Math.min(2 * this.#batchMax, BATCH_MAX)
  }

  #read(pin: Pin): void {
    const { from, to, reverse = false } = this.#range
    const bound = reverse ? from : to
    let cursor = this.#cursor
    let isThere: boolean
    if (cursor === undefined) {
      cursor = new TreeCursor(this.#reader, pin.directory, this.#tree)
      this.#cursor = cursor
      isThere = cursor.seek(reverse ? to : from, reverse)
    } else isThere = cursor.step(reverse)
    let bytes = 0
    while (isThere) {
      const key = cursor.key()
      if (bound !== undefined && isBeyond(key, bound, reverse)) break
      this.#batch.push({ key, sequence: cursor.sequence, value: cursor.value() })
      bytes += cursor.valueBytes
      if (this.#batch.length >= this.#batchMax || bytes >= BATCH_BYTES_MAX) return
      isThere = cursor.step(reverse)
    }
    this.#isOver = true
  }
}

function isBeyond(key: Uint8Array, bound: Uint8Array, reverse: boolean): boolean {
  const order = compareBytes(key, 0, key.length, bound, 0, bound.length)
  return reverse ? order < 0 : order >= 0
}
