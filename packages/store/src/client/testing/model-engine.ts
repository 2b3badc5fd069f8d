/**
 * An engine in one thread, of sorted arrays: small enough to be believed. It reads commands as the sequencer does
 * and decides as it must; the real engine is compared with it.
 *
 * Trees never change: a change makes a new array, so a snapshot is the table of trees of its time.
 */

import { SnapshotExpiredError } from '../../errors.ts'
import { Code, type CommandBuilder, CommandReader, Expect } from '../../sequencer/command.ts'
import type {
  Engine,
  Entry,
  KeyedEntry,
  KeyRange,
  ReadView,
  Refusal,
  RefusalReason,
  SnapshotView,
} from '../engine.ts'

interface ModelTree {
  readonly definition: number
  readonly entries: readonly KeyedEntry[]
  /** Keys that are gone, and the sequence of that: ranges must notice. */
  readonly deleted: ReadonlyMap<string, { readonly key: Buffer; readonly sequence: number }>
}

type Trees = ReadonlyMap<number, ModelTree>

/** Where the key is or would be. */
function placeOf(entries: readonly KeyedEntry[], key: Uint8Array): number {
  let low = 0
  let high = entries.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (Buffer.compare(entries[middle]!.key, key) < 0) low = middle + 1
    else high = middle
  }
  return low
}

function find(tree: ModelTree | undefined, key: Uint8Array): KeyedEntry | undefined {
  if (tree === undefined) return undefined
  const entry = tree.entries[placeOf(tree.entries, key)]
  return entry !== undefined && Buffer.compare(entry.key, key) === 0 ? entry : undefined
}

class ModelView implements ReadView {
  readonly #state: () => { trees: Trees; sequence: number }
  #isReading = false

  constructor(state: () => { trees: Trees; sequence: number }) {
    this.#state = state
  }

  get sequence(): number {
    return this.#state().sequence
  }

  get(tree: number, key: Uint8Array): Entry | undefined {
    const entry = find(this.#trees().get(tree), key)
    return entry && { sequence: entry.sequence, value: Buffer.from(entry.value) }
  }

  read<T>(
    tree: number,
    key: Uint8Array,
    read: (bytes: Buffer, start: number, end: number, sequence: number) => T,
  ): T | undefined {
    const entry = find(this.#trees().get(tree), key)
    if (entry === undefined) return undefined
    // Not at the start of the bytes, and bytes that are overwritten afterwards: as in a page.
    const bytes = Buffer.concat([Buffer.alloc(3, 0xee), entry.value, Buffer.alloc(3, 0xee)])
    this.#isReading = true
    try {
      return read(bytes, 3, 3 + entry.value.length, entry.sequence)
    } finally {
      bytes.fill(0xdd)
      this.#isReading = false
    }
  }

  *entries(
    tree: number,
    { from, to, reverse = false }: KeyRange,
  ): Generator<KeyedEntry, undefined> {
    const entries = this.#trees().get(tree)?.entries ?? []
    const first = from === undefined ? 0 : placeOf(entries, from)
    const end = to === undefined ? entries.length : placeOf(entries, to)
    for (let step = 0; step < end - first; step++) {
      const entry = entries[reverse ? end - 1 - step : first + step]!
      this.#trees()
      yield {
        key: Buffer.from(entry.key),
        value: Buffer.from(entry.value),
        sequence: entry.sequence,
      }
    }
    return undefined
  }

  count(tree: number): number {
    return this.#trees().get(tree)?.entries.length ?? 0
  }

  definition(tree: number): number {
    return this.#trees().get(tree)?.definition ?? 0
  }

  #trees(): Trees {
    if (this.#isReading) throw new Error('a read inside a read')
    return this.#state().trees
  }
}

export class ModelEngine implements Engine {
  readonly latest: ReadView
  /** Snapshots that are open. */
  snapshots = 0
  /** All snapshots have become too old. */
  expired = false
  #trees: Trees = new Map()
  #sequence = 0

  constructor() {
    this.latest = new ModelView(() => ({ trees: this.#trees, sequence: this.#sequence }))
  }

  snapshot(): SnapshotView {
    const state = { trees: this.#trees, sequence: this.#sequence }
    let isOpen = true
    this.snapshots++
    const view = new ModelView(() => {
      if (!isOpen) throw new Error('a snapshot is read after it was closed')
      if (this.expired) throw new SnapshotExpiredError(1)
      return state
    })
    return Object.assign(view, {
      close: () => {
        if (isOpen) this.snapshots--
        isOpen = false
      },
    })
  }

  async commit(command: CommandBuilder): Promise<Refusal | undefined> {
    const bytes = Buffer.from(command.finish(0))
    await Promise.resolve()
    return this.#commit(bytes)
  }

  commitSync(command: CommandBuilder): Refusal | undefined {
    return this.#commit(command.finish(0))
  }

  #commit(bytes: Buffer): Refusal | undefined {
    const refusal = validate(bytes, this.#trees)
    if (refusal !== undefined) return refusal
    this.#sequence++
    this.#trees = applied(bytes, this.#trees, this.#sequence)
    return undefined
  }
}

function reader(bytes: Buffer): CommandReader {
  const command = new CommandReader()
  command.open(bytes, 0, bytes.length)
  return command
}

/** All conditions are about the state before the command. */
function validate(bytes: Buffer, trees: Trees): Refusal | undefined {
  const command = reader(bytes)
  const isThere = new Map<number, boolean>()
  while (command.next()) {
    const { tree, ordinal } = command
    const there = isThere.get(tree) ?? trees.has(tree)
    const isMaking = command.code === Code.createTree
    if (there === isMaking || (isMaking && isThere.has(tree))) {
      return { reason: 'definition', operation: ordinal }
    }
    if (isMaking || command.code === Code.dropTree) isThere.set(tree, isMaking)
    const reason = reasonAgainst(command, trees)
    if (reason !== undefined) return { reason, operation: ordinal }
  }
  if (command.fault === undefined) return undefined
  throw new Error(`a malformed command: ${command.fault}`)
}

function reasonAgainst(command: CommandReader, trees: Trees): RefusalReason | undefined {
  const tree = trees.get(command.tree)
  if (command.code === Code.checkMissing) {
    const other = trees.get(command.otherTree)
    if (tree === undefined || other === undefined) return 'definition'
    return other.entries.length - tree.entries.length === command.number ? undefined : 'conflict'
  }
  if (command.code === Code.checkDefinition) {
    return tree?.definition === command.number ? undefined : 'definition'
  }
  if (command.code === Code.checkRange) return hasChanged(tree, command) ? 'conflict' : undefined
  if (command.expect === Expect.any) return undefined
  const found = find(tree, command.key)
  const holds =
    command.expect === Expect.absent
      ? found === undefined
      : found?.sequence === command.expectedSequence
  return holds ? undefined : 'conflict'
}

function hasChanged(tree: ModelTree | undefined, command: CommandReader): boolean {
  if (tree === undefined) return false
  const { from, to, snapshotSequence } = command
  const changed = [...tree.entries, ...tree.deleted.values()]
  return changed.some(
    ({ key, sequence }) =>
      sequence > snapshotSequence &&
      (from === undefined || Buffer.compare(key, from) >= 0) &&
      (to === undefined || Buffer.compare(key, to) < 0),
  )
}

function applied(bytes: Buffer, before: Trees, sequence: number): Trees {
  const trees = new Map(before)
  const command = reader(bytes)
  while (command.next()) {
    const { tree } = command
    const old = trees.get(tree)
    switch (command.code) {
      case Code.put:
        trees.set(
          tree,
          withEntry(old!, Buffer.from(command.key), Buffer.from(command.value), sequence),
        )
        break
      case Code.delete:
        trees.set(tree, withoutEntry(old!, Buffer.from(command.key), sequence))
        break
      case Code.createTree:
        trees.set(tree, { definition: command.number, entries: [], deleted: new Map() })
        break
      case Code.dropTree:
        trees.delete(tree)
        break
      case Code.setDefinition:
        trees.set(tree, { ...old!, definition: command.number })
        break
      default:
    }
  }
  return trees
}

function withEntry(tree: ModelTree, key: Buffer, value: Buffer, sequence: number): ModelTree {
  const place = placeOf(tree.entries, key)
  const replaced = find(tree, key) === undefined ? 0 : 1
  return { ...tree, entries: tree.entries.toSpliced(place, replaced, { key, value, sequence }) }
}

function withoutEntry(tree: ModelTree, key: Buffer, sequence: number): ModelTree {
  if (find(tree, key) === undefined) return tree
  const deleted = new Map(tree.deleted).set(key.toString('latin1'), { key, sequence })
  return { ...tree, entries: tree.entries.toSpliced(placeOf(tree.entries, key), 1), deleted }
}
