/** What a tree must be: a sorted map that remembers deletions. */

export interface ModelEntry {
  readonly key: Buffer
  readonly value: Buffer
  readonly sequence: number
}

function isWithin(key: Buffer, from: Uint8Array | undefined, to: Uint8Array | undefined): boolean {
  return (
    (from === undefined || Buffer.compare(key, from) >= 0) &&
    (to === undefined || Buffer.compare(key, to) < 0)
  )
}

export class TreeModel {
  readonly #entries = new Map<string, ModelEntry>()
  readonly #deleted = new Map<string, number>()

  get size(): number {
    return this.#entries.size
  }

  copy(): TreeModel {
    const copy = new TreeModel()
    for (const [name, entry] of this.#entries) copy.#entries.set(name, entry)
    return copy
  }

  put(key: Buffer, value: Buffer, sequence: number): void {
    this.#entries.set(key.toString('hex'), { key, value, sequence })
  }

  delete(key: Buffer, sequence: number): boolean {
    const name = key.toString('hex')
    if (!this.#entries.delete(name)) return false
    this.#deleted.set(name, sequence)
    return true
  }

  entries(): ModelEntry[] {
    return [...this.#entries.values()].toSorted((a, b) => Buffer.compare(a.key, b.key))
  }

  /** From `from` on, or in reverse all below it, downwards. */
  range(from: Buffer | undefined, reverse: boolean): ModelEntry[] {
    if (!reverse) return this.entries().filter(({ key }) => isWithin(key, from, undefined))
    return this.entries()
      .filter(({ key }) => isWithin(key, undefined, from))
      .toReversed()
  }

  changedSince(from: Buffer | undefined, to: Buffer | undefined, since: number): boolean {
    for (const { key, sequence } of this.#entries.values()) {
      if (sequence > since && isWithin(key, from, to)) return true
    }
    for (const [name, sequence] of this.#deleted) {
      if (sequence > since && isWithin(Buffer.from(name, 'hex'), from, to)) return true
    }
    return false
  }

  hasDeletedSince(since: number): boolean {
    return [...this.#deleted.values()].some((sequence) => sequence > since)
  }
}
