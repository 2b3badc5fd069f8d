/** Trees as sorted maps: what commands need of trees, in the plainest way. */
import type { DirectoryReferences } from '../../space/published.ts'
import type { CommandTrees } from '../apply.ts'

export interface MapEntry {
  readonly value: Buffer
  readonly sequence: number
}

interface MapTree {
  definition: number
  readonly entries: Map<string, MapEntry>
  /** Sequence at which a key last went. */
  readonly deleted: Map<string, number>
}

function byKey([a]: [string, MapEntry], [b]: [string, MapEntry]): number {
  return a < b ? -1 : Number(a > b)
}

/** Latin-1, so that strings order as bytes do. */
function keyOf(key: Uint8Array): string {
  return Buffer.from(key).toString('latin1')
}

export class MapTrees implements CommandTrees {
  readonly directory: DirectoryReferences = {
    pages: new Uint32Array(8),
    checksums: new Uint32Array(8),
  }
  foundSequence = 0
  /** Called before each change; a test may throw here. */
  beforeChange: () => void = () => undefined
  readonly #trees = new Map<number, MapTree>()

  reclaimDropped(): boolean {
    return false
  }

  exists(tree: number): boolean {
    return this.#trees.has(tree)
  }

  definition(tree: number): number {
    return this.#trees.get(tree)?.definition ?? 0
  }

  count(tree: number): number {
    return this.#tree(tree).entries.size
  }

  find(tree: number, key: Uint8Array): boolean {
    const entry = this.get(tree, key)
    if (entry !== undefined) this.foundSequence = entry.sequence
    return entry !== undefined
  }

  get(tree: number, key: Uint8Array): MapEntry | undefined {
    return this.#trees.get(tree)?.entries.get(keyOf(key))
  }

  changedSince(
    tree: number,
    from: Uint8Array | undefined,
    to: Uint8Array | undefined,
    sequence: number,
  ): boolean {
    const { entries, deleted } = this.#tree(tree)
    const within = (key: string): boolean =>
      (from === undefined || key >= keyOf(from)) && (to === undefined || key < keyOf(to))
    const changed = [...entries].some(([key, entry]) => within(key) && entry.sequence > sequence)
    return changed || [...deleted].some(([key, at]) => within(key) && at > sequence)
  }

  put(tree: number, key: Uint8Array, value: Uint8Array, sequence: number): void {
    this.beforeChange()
    this.#tree(tree).entries.set(keyOf(key), { value: Buffer.from(value), sequence })
  }

  delete(tree: number, key: Uint8Array, sequence: number): boolean {
    this.beforeChange()
    const { entries, deleted } = this.#tree(tree)
    if (!entries.delete(keyOf(key))) return false
    deleted.set(keyOf(key), sequence)
    return true
  }

  create(tree: number, definition: number): void {
    this.beforeChange()
    if (this.exists(tree)) throw new Error(`tree ${tree} is there`)
    this.#trees.set(tree, { definition, entries: new Map(), deleted: new Map() })
  }

  drop(tree: number): void {
    this.beforeChange()
    if (!this.#trees.delete(tree)) throw new Error(`tree ${tree} is not there`)
  }

  setDefinition(tree: number, definition: number): void {
    this.#tree(tree).definition = definition
  }

  /** All content, comparable. */
  dump(): unknown {
    return [...this.#trees]
      .sort(([a], [b]) => a - b)
      .map(([tree, { definition, entries }]) => [tree, definition, [...entries].sort(byKey)])
  }

  #tree(tree: number): MapTree {
    const found = this.#trees.get(tree)
    if (found === undefined) throw new Error(`tree ${tree} is not there`)
    return found
  }
}
