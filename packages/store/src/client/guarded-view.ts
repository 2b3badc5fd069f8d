import type { Entry, KeyedEntry, KeyRange, ReadView } from './engine.ts'

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

  *entries(tree: number, range: KeyRange): Generator<KeyedEntry, undefined, undefined> {
    this.#assertOpen()
    for (const entry of this.#view.entries(tree, range)) {
      yield entry
      this.#assertOpen()
    }
    return undefined
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
