import type { Entry, KeyedEntry, KeyRange, ReadEach, ReadView } from './engine.ts'

/** A view that asks at each step whether it may still be read: iterations may outlive what they read. */
export class GuardedView implements ReadView {
  readonly #view: ReadView
  readonly #assertOpen: () => void

  constructor(view: ReadView, assertOpen: () => void) {
    this.#view = view
    this.#assertOpen = assertOpen
  }

  get sequence(): number {
    return this.#view.sequence
  }

  get(tree: number, key: Uint8Array): Entry | undefined {
    this.#assertOpen()
    return this.#view.get(tree, key)
  }

  read<T>(
    tree: number,
    key: Uint8Array,
    read: (bytes: Buffer, start: number, end: number, sequence: number) => T,
  ): T | undefined {
    this.#assertOpen()
    return this.#view.read(tree, key, read)
  }

  readEach(tree: number, keys: readonly Uint8Array[], count: number, read: ReadEach): void {
    this.#assertOpen()
    this.#view.readEach?.(tree, keys, count, read)
  }

  entries(tree: number, range: KeyRange): IterableIterator<KeyedEntry> {
    this.#assertOpen()
    return new GuardedEntries(this.#view.entries(tree, range), this.#assertOpen)
  }

  count(tree: number): number {
    this.#assertOpen()
    return this.#view.count(tree)
  }

  definition(tree: number): number {
    this.#assertOpen()
    return this.#view.definition(tree)
  }
}

class GuardedEntries implements IterableIterator<KeyedEntry> {
  readonly #entries: IterableIterator<KeyedEntry>
  readonly #assertOpen: () => void

  constructor(entries: IterableIterator<KeyedEntry>, assertOpen: () => void) {
    this.#entries = entries
    this.#assertOpen = assertOpen
  }

  [Symbol.iterator](): this {
    return this
  }

  next(): IteratorResult<KeyedEntry> {
    this.#assertOpen()
    return this.#entries.next()
  }

  return(): IteratorResult<KeyedEntry> {
    return this.#entries.return?.() ?? { done: true, value: undefined }
  }
}
