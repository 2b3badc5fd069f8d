/**
 * What a transaction has read: keys, with the sequence seen or their absence, and ranges.
 */
import type { CommandBuilder, Expectation } from '../sequencer/command.ts'
import { keyText } from './index-entries.ts'

interface KeyRead {
  readonly tree: number
  readonly key: Uint8Array
  readonly seen: Expectation
}

/** A range as far as it was walked: it grows with the walk, and holds nothing before its first step. */
export interface RangeRead {
  readonly tree: number
  from: Uint8Array | undefined
  to: Uint8Array | undefined
  isEmpty: boolean
}

/** That so many documents have no entry in the index: which those are follows from what was written over them. */
export interface MissingRead {
  readonly index: number
  readonly primaryTree: number
  readonly missing: number
}

export class ReadSet {
  readonly #keys = new Map<number, Map<string, KeyRead>>()
  readonly #ranges: RangeRead[] = []
  readonly #wholeTrees = new Set<number>()
  readonly #missing = new Map<number, MissingRead>()

  seen(tree: number, key: Uint8Array): Expectation | undefined {
    return this.#keys.get(tree)?.get(keyText(key))?.seen
  }

  /** True when it had not been read before. The key is copied. */
  addKey(tree: number, key: Uint8Array, seen: Expectation): boolean {
    let keys = this.#keys.get(tree)
    if (keys === undefined) {
      keys = new Map()
      this.#keys.set(tree, keys)
    }
    const text = keyText(key)
    if (keys.has(text)) return false
    keys.set(text, { tree, key: new Uint8Array(key), seen })
    return true
  }

  beginRange(tree: number): RangeRead {
    const range: RangeRead = { tree, from: undefined, to: undefined, isEmpty: true }
    this.#ranges.push(range)
    return range
  }

  addTree(tree: number): void {
    this.#wholeTrees.add(tree)
  }

  addMissing(read: MissingRead): void {
    this.#missing.set(read.index, read)
  }

  /** Conditions on everything, but for keys that are written and have conditions there. */
  check(command: CommandBuilder, isWritten: (tree: number, key: Uint8Array) => boolean): void {
    for (const keys of this.#keys.values()) {
      for (const { tree, key, seen } of keys.values()) {
        if (!this.#wholeTrees.has(tree) && !isWritten(tree, key)) command.check(tree, key, seen)
      }
    }
    for (const tree of this.#wholeTrees) command.checkRange(tree, undefined, undefined)
    for (const { index, primaryTree, missing } of this.#missing.values()) {
      command.checkMissing(index, primaryTree, missing)
    }
    for (const { tree, from, to, isEmpty } of this.#ranges) {
      if (!isEmpty && !this.#wholeTrees.has(tree)) command.checkRange(tree, from, to)
    }
  }
}
