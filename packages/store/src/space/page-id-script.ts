/** The page ids that somebody else took, given out again in the same order. */

/** What was done again did not come out as it was written down. */
export class ScriptError extends Error {
  readonly expected: string
  readonly actual: string

  constructor(expected: string, actual: string) {
    super(`expected ${expected}, found ${actual}`)
    this.expected = expected
    this.actual = actual
  }
}

export class PageIdScript {
  readonly #pageIds: readonly number[]
  readonly #take: (pageId: number) => boolean
  #used = 0

  /** @param take false when the page is in use */
  constructor(pageIds: readonly number[], take: (pageId: number) => boolean) {
    this.#pageIds = pageIds
    this.#take = take
  }

  /** @throws ScriptError */
  next(): number {
    const pageId = this.#pageIds[this.#used]
    if (pageId === undefined) {
      throw new ScriptError(`${this.#pageIds.length} new pages`, 'one more')
    }
    if (!this.#take(pageId)) throw new ScriptError(`a free page ${pageId}`, 'one in use')
    this.#used++
    return pageId
  }

  end(): void {
    const { length } = this.#pageIds
    if (this.#used < length) throw new ScriptError(`${length} new pages`, `${this.#used}`)
  }
}
