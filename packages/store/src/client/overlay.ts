/**
 * What a transaction has written and not committed: per tree a sorted set of keys with values or deletions.
 */
import type { Expectation } from '../sequencer/command.ts'
import type { KeyRange } from './engine.ts'
import { keyText } from './index-entries.ts'

export interface OverlayEntry {
  readonly key: Uint8Array
  /** Undefined: deleted. */
  value: Uint8Array | undefined
  /** Whether the state that the transaction reads has the key. */
  readonly isInBase: boolean
  /** What has to be so of the key at commit; undefined where another condition vouches for it. */
  readonly expect: Expectation | undefined
}

/** Up to so many new keys are inserted one by one; more are sorted and merged. */
const INSERTED_MAX = 16

export class OverlayTree {
  /** How many entries more than the state below has. */
  countDifference = 0
  readonly #entries = new Map<string, OverlayEntry>()
  #sorted: OverlayEntry[] = []
  #unsorted: OverlayEntry[] = []

  find(key: Uint8Array): OverlayEntry | undefined {
    return this.#entries.get(keyText(key))
  }

  /** @param base what the state below has of the key; it counts only the first time */
  set(
    key: Uint8Array,
    value: Uint8Array | undefined,
    base: { isInBase: boolean; expect: Expectation | undefined },
  ): void {
    const text = keyText(key)
    const known = this.#entries.get(text)
    const wasThere = known === undefined ? base.isInBase : known.value !== undefined
    this.countDifference += Number(value !== undefined) - Number(wasThere)
    if (known !== undefined) {
      known.value = value
      return
    }
    const entry: OverlayEntry = { key, value, isInBase: base.isInBase, expect: base.expect }
    this.#entries.set(text, entry)
    this.#unsorted.push(entry)
  }

  /** In the order in which they were first written. */
  all(): Iterable<OverlayEntry> {
    return this.#entries.values()
  }

  /** In the order of the keys, or against it; as of now. */
  slice({ from, to, reverse }: KeyRange): OverlayEntry[] {
    const sorted = this.#inOrder()
    const first = from === undefined ? 0 : placeOf(sorted, from)
    const end = to === undefined ? sorted.length : placeOf(sorted, to)
    const entries = sorted.slice(first, Math.max(first, end))
    return reverse === true ? entries.toReversed() : entries
  }

  #inOrder(): OverlayEntry[] {
    const added = this.#unsorted
    if (added.length > INSERTED_MAX) {
      this.#sorted = [...this.#sorted, ...added].sort(byKey)
    } else {
      for (const entry of added) this.#sorted.splice(placeOf(this.#sorted, entry.key), 0, entry)
    }
    this.#unsorted = []
    return this.#sorted
  }
}

function byKey(a: OverlayEntry, b: OverlayEntry): number {
  return Buffer.compare(a.key, b.key)
}

/** Where the first key is that is not below this one. */
function placeOf(entries: readonly OverlayEntry[], key: Uint8Array): number {
  let low = 0
  let high = entries.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (Buffer.compare(entries[middle]!.key, key) < 0) low = middle + 1
    else high = middle
  }
  return low
}
