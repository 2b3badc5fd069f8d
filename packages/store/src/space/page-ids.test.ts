import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { FIRST_PAGE, PAGE_BYTES } from '../page/page.ts'
import { PAGE_COUNT_MAX } from './main-layout.ts'
import { PageIds } from './page-ids.ts'
import { PageIdSet } from './page-ids-set.ts'

const CHUNK_IDS = 32_768

describe('page id set', () => {
  test('agrees with a plain set, extents and lowest included', () => {
    // Around words' and chunks' ends, where runs must join.
    const id = fc.oneof(
      fc.integer({ min: 2, max: 130 }),
      fc.integer({ min: CHUNK_IDS - 40, max: CHUNK_IDS + 40 }),
      fc.integer({ min: 5 * CHUNK_IDS - 3, max: 5 * CHUNK_IDS + 3 }),
    )
    const extent = fc.tuple(
      id,
      fc.oneof(fc.integer({ min: 1, max: 70 }), fc.constant(CHUNK_IDS + 9)),
    )
    const operation = fc.oneof(
      fc.record({ kind: fc.constant('add' as const), id }),
      fc.record({ kind: fc.constant('delete' as const), id }),
      fc.record({ kind: fc.constant('take' as const) }),
      fc.record({ kind: fc.constant('extent' as const), extent }),
    )
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 60 }), (operations) => {
        const set = new PageIdSet()
        const model = new Set<number>()
        for (const step of operations) {
          if (step.kind === 'add') {
            expect(set.add(step.id)).toBe(!model.has(step.id))
            model.add(step.id)
          } else if (step.kind === 'delete') {
            expect(set.delete(step.id)).toBe(model.delete(step.id))
          } else if (step.kind === 'take') {
            const lowest = model.size === 0 ? undefined : Math.min(...[...model].slice(0, 90_000))
            expect(set.takeLowest()).toBe(lowest)
            if (lowest !== undefined) model.delete(lowest)
          } else {
            const [first, count] = step.extent
            if (Array.from({ length: count }, (_, at) => first + at).some((at) => model.has(at)))
              continue
            for (let at = first; at < first + count; at++) model.add(at)
            set.addExtent(first, count)
          }
          expect(set.size).toBe(model.size)
        }
        const copy = set.copy()
        expect(listed(copy)).toEqual(extentsOf(model))
        set.add(77)
        expect(copy.has(77)).toBe(model.has(77))
      }),
      { numRuns: 150 },
    )
  })

  test('billions of free ids in one extent cost next to nothing', () => {
    const set = new PageIdSet()
    set.addExtent(3, PAGE_COUNT_MAX - 3)
    expect(set.size).toBe(PAGE_COUNT_MAX - 3)
    expect(listed(set)).toEqual([[3, PAGE_COUNT_MAX - 3]])
    expect(set.takeLowest()).toBe(3)
    expect(set.delete(PAGE_COUNT_MAX - 1)).toBe(true)
    expect(listed(set)).toEqual([[4, PAGE_COUNT_MAX - 5]])
  })
})

function listed(set: PageIdSet): (readonly [number, number])[] {
  const extents: [number, number][] = []
  set.forEachExtent((first, count) => extents.push([first, count]))
  return extents
}

function extentsOf(ids: ReadonlySet<number>): (readonly [number, number])[] {
  const extents: [number, number][] = []
  for (const id of [...ids].toSorted((a, b) => a - b)) {
    const last = extents.at(-1)
    if (last !== undefined && last[0] + last[1] === id) last[1]++
    else extents.push([id, 1])
  }
  return extents
}

/** A page in the model; versions are plain numbers that never wrap. */
interface ModelPage {
  readonly pageId: number
  readonly birth: number
  retired: number
  released: boolean
}

/** Every page that ever was; what a checkpoint holds is looked up, not kept. */
class Model {
  ids: PageIds
  pages: ModelPage[] = []
  /** The working version. */
  version = 1
  published = 0
  progress: number | undefined
  durable = 0
  lists: { durable: number[]; progress: number[] } = { durable: [], progress: [] }
  free: { readonly free: PageIdSet; readonly end: number } | undefined
  /** What the last durable checkpoint's list says. */
  kept: { readonly free: PageIdSet; readonly end: number } | undefined
  readonly #firstVersion: number

  constructor(firstVersion: number) {
    this.#firstVersion = firstVersion
    this.ids = PageIds.forCheckpoint(new PageIdSet(), FIRST_PAGE, [])
  }

  /** As the sequencer counts: 32 bits, never 0. */
  wrapped(version: number): number {
    if (version <= 0) return 0
    const count = this.#firstVersion + version
    return (count > 2 ** 32 - 1 ? count + 1 : count) | 0
  }

  holders(version: number): Set<number> {
    const held = this.pages.filter(({ birth, retired }) => birth <= version && version < retired)
    return new Set(held.map(({ pageId }) => pageId))
  }

  inUse(): Set<number> {
    const used = new Set([...this.lists.durable, ...this.lists.progress])
    for (const { pageId, released } of this.pages) if (!released) used.add(pageId)
    for (const id of this.holders(this.durable)) used.add(id)
    if (this.progress !== undefined) for (const id of this.holders(this.progress)) used.add(id)
    return used
  }

  take(): void {
    const used = this.inUse()
    let lowest = FIRST_PAGE
    while (used.has(lowest)) lowest++
    expect(this.ids.take(this.wrapped(this.version))).toBe(lowest)
    const page = { pageId: lowest, birth: this.version, retired: Infinity, released: false }
    this.pages.push(page)
  }

  retire(pick: number): void {
    const live = this.pages.filter(({ retired }) => retired === Infinity)
    const page = live[pick % Math.max(1, live.length)]
    if (page === undefined) return
    // One that was made in the working version is no longer needed at once.
    page.retired = this.version
    if (page.birth === this.version) this.#release(page)
  }

  /** Publishes all but the newest versions; then some of what no reader can come upon is released. */
  publish(unpublished: number): void {
    this.published = Math.max(this.published, this.version - 1 - unpublished)
    for (const page of this.pages) {
      const unseen = page.retired <= this.published && !page.released
      if (unseen && (page.pageId + unpublished) % 3 > 0) this.#release(page)
    }
  }

  #release(page: ModelPage): void {
    page.released = true
    this.ids.release(page.pageId, this.wrapped(page.birth), this.wrapped(page.retired))
  }

  #begin(): void {
    if (this.published === 0) return
    this.progress = this.published
    this.ids.beginCheckpoint(this.wrapped(this.progress))
  }

  #list(pages: number): void {
    if (this.progress === undefined || this.free !== undefined) return
    const free = this.ids.freeWith({
      forEachRetired: (visit) => {
        for (const page of this.pages) {
          if (page.released || page.retired === Infinity) continue
          visit(page.pageId, this.wrapped(page.birth), this.wrapped(page.retired))
        }
      },
    })
    for (let count = 0; count < pages; count++) {
      const pageId = this.ids.takeForList()
      expect(free.delete(pageId) || pageId === this.ids.end - 1).toBe(true)
      this.lists.progress.push(pageId)
    }
    this.free = { free, end: this.ids.end }
    this.checkFree(free, this.progress)
  }

  /** Free or reachable: never both, never neither. */
  checkFree(free: PageIdSet, version: number): void {
    const reachable = new Set([...this.holders(version), ...this.lists.progress])
    for (let pageId = FIRST_PAGE; pageId < this.ids.end; pageId++) {
      expect([pageId, free.has(pageId)]).toEqual([pageId, !reachable.has(pageId)])
    }
  }

  #finish(): void {
    if (this.progress === undefined || this.free === undefined) return
    this.kept = this.free
    this.ids.checkpointDurable()
    this.durable = this.progress
    this.progress = undefined
    this.lists = { durable: this.lists.progress, progress: [] }
    this.free = undefined
  }

  /** The process ends; the next one finds the checkpoint that was completed last. */
  crash(): void {
    if (this.kept === undefined) return
    this.ids = PageIds.forCheckpoint(this.kept.free.copy(), this.kept.end, this.lists.durable)
    this.pages = this.pages
      .filter(({ birth, retired }) => birth <= this.durable && this.durable < retired)
      .map(({ pageId }) => ({ pageId, birth: 0, retired: Infinity, released: false }))
    this.progress = undefined
    this.free = undefined
    this.lists.progress = []
    this.durable = 0
    this.version = 1
    this.published = 0
  }

  /** Begin, list, finish, by turns. */
  checkpoint(value: number): void {
    if (this.progress === undefined) this.#begin()
    else if (this.free === undefined) this.#list(value % 4)
    else this.#finish()
  }
}

describe('page ids', () => {
  const step = fc.oneof(
    { weight: 30, arbitrary: fc.constant({ kind: 'take' as const, value: 0 }) },
    {
      weight: 4,
      arbitrary: fc.record({ kind: fc.constant('retire' as const), value: fc.nat(50) }),
    },
    { weight: 12, arbitrary: fc.constant({ kind: 'version' as const, value: 0 }) },
    {
      weight: 3,
      arbitrary: fc.record({ kind: fc.constant('publish' as const), value: fc.nat(3) }),
    },
    {
      weight: 12,
      arbitrary: fc.record({ kind: fc.constant('checkpoint' as const), value: fc.nat(11) }),
    },
    { weight: 1, arbitrary: fc.constant({ kind: 'crash' as const, value: 0 }) },
  )

  test('S8: lowest first, and never one that a checkpoint holds; across the wrap of versions', () => {
    const firsts = fc.constantFrom(0, 2 ** 31 - 12, 2 ** 32 - 12)
    const steps = fc.array(step, { minLength: 50, maxLength: 200 })
    fc.assert(
      fc.property(firsts, steps, (firstVersion, list) => {
        const model = new Model(firstVersion)
        for (const { kind, value } of list) {
          if (kind === 'take') model.take()
          else if (kind === 'retire') model.retire(value)
          else if (kind === 'version') model.version++
          else if (kind === 'publish') model.publish(value)
          else if (kind === 'checkpoint') model.checkpoint(value)
          else model.crash()
        }
      }),
      { numRuns: 300 },
    )
  })

  test('in memory an id is free at once', () => {
    const ids = PageIds.forMemory()
    expect([ids.take(1), ids.take(1), ids.take(2)]).toEqual([2, 3, 4])
    ids.release(3, 1, 3)
    expect(ids.freeCount).toBe(1)
    expect(ids.take(4)).toBe(3)
  })

  test('an id that is given back twice, or was never given, is refused', () => {
    const ids = PageIds.forMemory()
    ids.take(1)
    ids.release(2, 1, 2)
    expect(() => ids.release(2, 1, 2)).toThrow('not in use')
    expect(() => ids.release(3, 1, 2)).toThrow('not in use')
    expect(() => ids.release(1, 1, 2)).toThrow('not in use')
  })

  test("another process's checkpoint whose free list stands on a page that is used here is corrupt", () => {
    const ids = PageIds.forCheckpoint(new PageIdSet(), 10, [])
    ids.beCautious(false)
    const list = { file: 'app.db', pageCount: 10, free: new PageIdSet(), listPages: [7] }
    expect(() => ids.adoptCheckpoint(1, list, 1)).toThrow(
      expect.objectContaining({
        code: 'RINGBOLT_CORRUPT',
        facts: expect.objectContaining({ file: 'app.db', offset: 7 * PAGE_BYTES, actual: 7 }),
      }),
    )
  })

  test('a file with all the pages there can be is full', () => {
    const ids = PageIds.forCheckpoint(new PageIdSet(), PAGE_COUNT_MAX - 1, [])
    expect(ids.take(1)).toBe(PAGE_COUNT_MAX - 1)
    expect(() => ids.take(1)).toThrow(expect.objectContaining({ code: 'RINGBOLT_FULL' }))
  })
})
