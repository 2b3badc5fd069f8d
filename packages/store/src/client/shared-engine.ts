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
import { TreeCursor } from '../tree/tree-cursor.ts'
import { TreeReader } from '../tree/tree-reader.ts'
import type { CommandClient } from './command-client.ts'
import type {
  CommitOptions,
  Engine,
  Entry,
  KeyedEntry,
  KeyRange,
  ReadView,
  Refusal,
  SnapshotView,
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

  constructor(reader: PageReader, client: CommandClient) {
    this.#reader = reader
    this.#client = client
    this.#trees = new TreeReader(reader)
    this.#bytes = Buffer.from(reader.bytes.buffer, reader.bytes.byteOffset, reader.bytes.byteLength)
    this.latest = new TreeView(this.#newest(), this.#trees, this.#bytes, (tree, range) =>
      this.#iterateNewest(tree, range),
    )
  }

  snapshot(): SnapshotView {
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
    return {
      enter: () => {
        reader.enter()
        return reader.directory
      },
      leave: () => reader.leave(),
      get sequence() {
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
  *#iterateNewest(tree: number, range: KeyRange): Generator<KeyedEntry, undefined, undefined> {
    const pin = this.#reader.pin()
    try {
      yield* this.#iterate(pin, tree, range)
    } finally {
      this.#reader.unpin(pin)
    }
    return undefined
  }

  *#iterate(
    pin: Pin,
    tree: number,
    { from, to, reverse = false }: KeyRange,
  ): Generator<KeyedEntry, undefined, undefined> {
    const cursor = new TreeCursor(this.#reader, pin.directory, tree)
    const bound = reverse ? from : to
    let entry = this.#stepped(pin, cursor, bound, reverse, () =>
      cursor.seek(reverse ? to : from, reverse),
    )
    const step = (): boolean => cursor.step(reverse)
    while (entry !== undefined) {
      yield entry
      entry = this.#stepped(pin, cursor, bound, reverse, step)
    }
    return undefined
  }

  /** One move of the cursor and what it found, within one stay. */
  #stepped(
    pin: Pin,
    cursor: TreeCursor,
    bound: Uint8Array | undefined,
    reverse: boolean,
    move: () => boolean,
  ): KeyedEntry | undefined {
    this.#reader.enterPinned(pin)
    try {
      if (!move()) return undefined
      const key = cursor.key()
      if (bound !== undefined) {
        const order = key.compare(bound)
        if (reverse ? order < 0 : order >= 0) return undefined
      }
      return { key, sequence: cursor.sequence, value: cursor.value() }
    } finally {
      this.#reader.leave()
    }
  }
}
