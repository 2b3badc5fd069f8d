/** Reclamation against a simple model; RINGBOLT_SEED and RINGBOLT_SCALE as everywhere. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { PageReader, Pin } from './page-reader.ts'
import { readNewest, rootContent, SpaceBench } from './testing/space-bench.ts'
import { fillLeaf, leafOf } from './testing/space-doubles.ts'

const SEED = Number(process.env['RINGBOLT_SEED'] ?? 1)
const SCALE = Number(process.env['RINGBOLT_SCALE'] ?? 1)

interface State {
  readonly version: number
  readonly content: number
  readonly pages: ReadonlySet<number>
}

/**
 * The model: each state that somebody is at, and the pages that it is made of. A state is one leaf that is
 * read, and a few more that come and go.
 */
class Model {
  readonly bench: SpaceBench
  readonly reader: PageReader
  /** Readers that stay inside for a while. */
  readonly inside = new Map<PageReader, State>()
  readonly pins: { pin: Pin; state: State }[] = []
  readonly idle: PageReader[]
  readonly #working = new Set<number>()
  /** Sealed and not yet published, the oldest first. */
  readonly #sealed: State[] = []
  #published: State
  #content = 1

  constructor(firstVersion: number) {
    this.bench = new SpaceBench(64, { readersMax: 4, firstVersion })
    this.reader = this.bench.reader()
    this.idle = [this.bench.reader(), this.bench.reader(), this.bench.reader()]
    this.#working.add(leafOf(this.bench.space, 1))
    this.#published = this.#seal()
    this.#publishOldest()
  }

  get #root(): number {
    return [...this.#working][0]!
  }

  #seal(): State {
    const version = this.bench.space.seal()
    const state = { version, content: this.#content, pages: new Set(this.#working) }
    this.#sealed.push(state)
    return state
  }

  #publishOldest(): void {
    const state = this.#sealed.shift()
    if (state === undefined) return
    this.bench.directory.pages[0] = [...state.pages][0]!
    this.bench.space.publish(state.version, ++this.bench.sequence, this.bench.directory)
    this.#published = state
  }

  /** Changes the root, and one of the other pages: made, copied or retired. */
  #change(choice: number): void {
    const { space } = this.bench
    if (this.#sealed.length > 4) return
    const others = [...this.#working].slice(1)
    const other = others[choice % Math.max(1, others.length)]
    const root = space.writable(this.#root, 0)
    fillLeaf(space, root, ++this.#content)
    this.#working.clear()
    this.#working.add(root)
    for (const page of others) if (page !== other) this.#working.add(page)
    if (other === undefined || (choice % 3 === 0 && others.length < 4)) {
      if (other !== undefined) this.#working.add(other)
      this.#working.add(leafOf(space, 0))
    } else if (choice % 3 === 1) space.retire(other)
    else this.#working.add(space.writable(other, 0))
  }

  step(action: number, choice: number): void {
    const { space } = this.bench
    switch (action) {
      case 0:
        return this.#change(choice)
      case 1:
        if (this.#sealed.length < 4) this.#seal()
        return
      case 2:
        return this.#publishOldest()
      case 3: {
        const reader = this.idle.pop()
        if (reader === undefined) return
        reader.enter()
        this.inside.set(reader, this.#published)
        return
      }
      case 4: {
        const [reader] = [...this.inside.keys()].slice(choice % 3)
        if (reader === undefined) return
        reader.leave()
        this.inside.delete(reader)
        this.idle.push(reader)
        return
      }
      case 5:
        if (this.pins.length < 6) {
          this.pins.push({ pin: this.reader.pin(), state: this.#published })
        }
        return
      case 6: {
        const [pinned] = this.pins.splice(choice % 6, 1)
        if (pinned !== undefined) this.reader.unpin(pinned.pin)
        return
      }
      default:
        space.reclaim()
        this.check()
    }
  }

  /** Exactly the pages that somebody needs are taken, and everyone reads what is right. */
  check(): void {
    const states = [this.#published, ...this.#sealed, ...this.inside.values()]
    for (const { state } of this.pins) states.push(state)
    const needed = new Set(this.#working)
    for (const { pages } of states) for (const page of pages) needed.add(page)
    expect(this.bench.pageIds.taken).toEqual(needed)
    expect(readNewest(this.reader)).toBe(this.#published.content)
    for (const [reader, { content }] of this.inside) expect(rootContent(reader)).toBe(content)
    for (const { pin, state } of this.pins) {
      this.reader.enterPinned(pin)
      expect(rootContent(this.reader)).toBe(state.content)
      this.reader.leave()
    }
  }
}

describe(`reclamation (RINGBOLT_SEED=${SEED})`, () => {
  test('S5: no page is freed that a reader or snapshot needs, none is kept that nobody needs', () => {
    const steps = fc.array(fc.tuple(fc.integer({ min: 0, max: 8 }), fc.nat({ max: 100 })), {
      maxLength: 120,
      size: 'max',
    })
    fc.assert(
      fc.property(steps, fc.constantFrom(1, -20, 0x7fff_fff0), (all, firstVersion) => {
        const model = new Model(firstVersion)
        for (const [action, choice] of all) model.step(action, choice)
        model.bench.space.reclaim()
        model.check()
      }),
      { seed: SEED, numRuns: 300 * SCALE },
    )
  })

  test('S5: what a snapshot held is freed in bounded steps', () => {
    const bench = new SpaceBench(9000, { inMemory: true })
    const { space } = bench
    const reader = bench.reader()
    const pages = Array.from({ length: 8000 }, () => leafOf(space, 1))
    bench.publish(pages[0]!)
    const pin = reader.pin()
    for (const page of pages) space.retire(page)
    bench.publish(leafOf(space, 2))
    expect([space.reclaim(), space.reclaim(), space.reclaim()]).toEqual([false, true, true])
    expect(space.stats.retiredWaiting).toBe(8000)
    reader.unpin(pin)
    expect([space.reclaim(), space.reclaim()]).toEqual([false, true])
    expect(space.stats.retiredWaiting).toBe(0)
  })
})
