/**
 * One state over any source of its pages: what the client's code asks of the engine, without an engine.
 *
 * Threads: belongs to the one that made it.
 */
import type { CheckedView } from '../client/check-collections.ts'
import type { Entry, KeyedEntry, KeyRange } from '../client/engine.ts'
import type { PageSource } from '../page/page-space.ts'
import type { DirectoryView } from '../tree/directory.ts'
import { TreeCursor } from '../tree/tree-cursor.ts'
import { TreeReader } from '../tree/tree-reader.ts'

export class FileView implements CheckedView {
  readonly sequence: number
  readonly #source: PageSource
  readonly #directory: DirectoryView
  readonly #file: string
  readonly #trees: TreeReader

  /** @param file its name, for messages */
  constructor(source: PageSource, directory: DirectoryView, sequence: number, file: string) {
    this.#source = source
    this.#directory = directory
    this.sequence = sequence
    this.#file = file
    this.#trees = new TreeReader(source, file)
  }

  get(tree: number, key: Uint8Array): Entry | undefined {
    const trees = this.#trees
    if (!trees.find(this.#directory, tree, key)) return undefined
    return { sequence: trees.foundSequence, value: trees.value() }
  }

  read<T>(
    tree: number,
    key: Uint8Array,
    read: (bytes: Buffer, start: number, end: number, sequence: number) => T,
  ): T | undefined {
    const entry = this.get(tree, key)
    return entry && read(entry.value, 0, entry.value.length, entry.sequence)
  }

  *entries(tree: number, range: KeyRange): Generator<KeyedEntry, undefined, undefined> {
    const { from, to, reverse = false } = range
    const cursor = new TreeCursor(this.#source, this.#directory, tree, this.#file)
    const bound = reverse ? from : to
    let found = cursor.seek(reverse ? to : from, reverse)
    while (found) {
      const order = bound === undefined ? 0 : cursor.compareKey(bound)
      if (bound !== undefined && (reverse ? order < 0 : order >= 0)) break
      yield { key: cursor.key(), sequence: cursor.sequence, value: cursor.value() }
      found = cursor.step(reverse)
    }
    return undefined
  }

  *located(tree: number): Generator<KeyedEntry & { readonly pageId: number }, void, undefined> {
    const cursor = new TreeCursor(this.#source, this.#directory, tree, this.#file)
    for (let found = cursor.seek(undefined, false); found; found = cursor.step(false)) {
      const { sequence, pageId } = cursor
      yield { key: cursor.key(), sequence, value: cursor.value(), pageId }
    }
  }

  count(tree: number): number {
    return this.#trees.count(this.#directory, tree)
  }

  definition(tree: number): number {
    return this.#trees.definition(this.#directory, tree)
  }
}
