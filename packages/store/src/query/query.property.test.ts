import fc from 'fast-check'
import { expect, it } from 'vitest'
import { parseFilter } from './filter.ts'
import { considerPlans } from './plan.ts'
import { Query, run } from './query.ts'
import { parseSort, type SortField, sortInMemory } from './sort.ts'
import {
  type IndexDefinition,
  MemoryCollection,
  type MemoryDocument,
} from './testing/memory-reader.ts'

const SEED = process.env['RINGBOLT_SEED']

/** Few values, so that they meet; of all types, so that brackets do; text with zero bytes and surrogates. */
const scalar = fc.constantFrom<unknown>(
  ...[null, false, true, -1, 0, 1, 2.5, 3, Infinity, -5n, 1n, 2n],
  ...[new Date(-1), new Date(1), new Date(2)],
  ...['', 'a', 'a\0', 'a\0b', 'ab', 'b', '\uffee', '\u{1f600}'],
  ...[new Uint8Array(), Uint8Array.of(0), Uint8Array.of(1, 255)],
)
const value = fc.oneof(
  { weight: 6, arbitrary: scalar },
  { weight: 1, arbitrary: fc.array(scalar, { maxLength: 3 }) },
  {
    weight: 1,
    arbitrary: fc.constantFrom<unknown>(
      undefined,
      {},
      { b: 1 },
      [[1, 'a'], 3],
      [{ b: 2 }, { b: 'a' }],
      new Map(),
    ),
  },
)
const paths = ['a', 'b', 'c', 'a.b']
const path = fc.constantFrom(...paths)

const documents = fc
  .array(fc.record({ a: value, b: value, c: value }, { requiredKeys: [] }), { maxLength: 25 })
  .map((fields) =>
    fields.map((one, ordinal) => ({
      ...one,
      id: ordinal % 5 === 4 ? `id${ordinal}` : ordinal * 3 + 1,
    })),
  )

const indexes = fc
  .uniqueArray(
    fc.record({
      fields: fc.uniqueArray(path, { minLength: 1, maxLength: 3 }),
      each: fc.boolean(),
    }),
    { maxLength: 4, selector: (one) => JSON.stringify(one) },
  )
  .map((all): IndexDefinition[] => all.map((one, ordinal) => ({ ...one, name: `index${ordinal}` })))

const comparison = fc.constantFrom('$gt', '$gte', '$lt', '$lte')
const condition = fc.oneof(
  { weight: 3, arbitrary: scalar },
  { weight: 4, arbitrary: fc.tuple(comparison, scalar).map(([name, v]) => ({ [name]: v })) },
  { weight: 2, arbitrary: fc.record({ $gte: scalar, $lt: scalar }) },
  { weight: 3, arbitrary: fc.array(scalar, { maxLength: 3 }).map(($in) => ({ $in })) },
  fc.array(scalar, { maxLength: 3 }).map(($nin) => ({ $nin })),
  fc.array(scalar, { maxLength: 2 }).map(($all) => ({ $all })),
  scalar.map(($ne) => ({ $ne })),
  fc.boolean().map(($exists) => ({ $exists })),
  fc.record({ $gt: scalar, $lte: scalar }).map(($elemMatch) => ({ $elemMatch })),
  fc.tuple(comparison, scalar).map(([name, v]) => ({ $not: { [name]: v } })),
  fc.constantFrom<unknown>({ $size: 2 }, { $regex: '^a' }, /b$/, [1, 'a'], { b: 1 }),
)
const idCondition = fc.oneof(
  fc.constantFrom<unknown>(1, 4, 'id4', 99, 0, -3, null, 2.5),
  fc
    .array(fc.constantFrom<unknown>(1, 7, 10, 'id4', 'id9', 0), { maxLength: 4 })
    .map(($in) => ({ $in })),
  fc
    .tuple(
      comparison,
      fc.constantFrom<unknown>(-1, 0, 4, 4.5, 20, 1e300, Infinity, '', 'id4', 'z', true),
    )
    .map(([name, v]) => ({ [name]: v })),
)
const flat = fc.oneof(
  { weight: 5, arbitrary: fc.dictionary(path, condition, { maxKeys: 3 }) },
  {
    weight: 1,
    arbitrary: fc.tuple(path, condition, idCondition).map(([p, c, id]) => ({ [p]: c, id })),
  },
  { weight: 1, arbitrary: idCondition.map((id) => ({ id })) },
)
const group = fc.constantFrom('$and', '$or', '$nor')
const filters = fc.oneof(
  { weight: 4, arbitrary: flat },
  {
    weight: 1,
    arbitrary: fc
      .tuple(flat, group, fc.array(flat, { minLength: 1, maxLength: 3 }))
      .map(([one, name, parts]) => ({ ...one, [name]: parts })),
  },
)
const sorts = fc.oneof(
  fc.constant(undefined),
  fc
    .uniqueArray(fc.constantFrom(...paths, 'id'), { minLength: 1, maxLength: 3 })
    .chain((names) => fc.tuple(fc.constant(names), fc.constantFrom<1 | -1>(1, -1), fc.boolean()))
    .map(([names, first, mixed]) =>
      Object.fromEntries(names.map((name, i) => [name, mixed && i % 2 === 1 ? -first : first])),
    ),
)
const counts = fc.option(fc.nat({ max: 6 }), { nil: undefined })

function plain(
  all: readonly MemoryDocument[],
  filter: unknown,
  sort: readonly SortField[],
): MemoryDocument[] {
  const { matches } = parseFilter(filter)
  return sortInMemory(all.filter(matches), sort, Infinity)
}

/** Documents that are equal in the sort may change places: only what the order says is compared. */
function sortKeys(found: readonly MemoryDocument[], sort: readonly SortField[]): unknown[] {
  return found.map((document) => sort.map(({ path: p }) => sortInMemoryKey(document, p)))
}

function sortInMemoryKey(document: MemoryDocument, p: string): unknown {
  let at: unknown = document
  for (const step of p.split('.')) at = (at as Record<string, unknown> | null | undefined)?.[step]
  if (at === undefined) return null
  return typeof at === 'object' &&
    at !== null &&
    !(at instanceof Date) &&
    !(at instanceof Uint8Array)
    ? 'other'
    : at
}

function ids(found: readonly MemoryDocument[]): string[] {
  return found.map(({ id }) => String(id)).sort()
}

it('S4: every plan gives what filtering and sorting a plain array gives', () => {
  fc.assert(
    fc.property(
      documents,
      indexes,
      filters,
      sorts,
      counts,
      counts,
      (all, defs, filter, by, s, l) => {
        const collection = new MemoryCollection(all, defs)
        const sort = parseSort(by)
        const expected = plain(all, filter, sort)
        const parsed = parseFilter(filter)
        const question = { reader: collection, filter: parsed, sort }
        const skip = s ?? 0
        const limit = l ?? Infinity
        for (const { plan } of considerPlans(question).candidates) {
          const told = JSON.stringify([plan.kind, plan.index], null, 1)
          const figures = { entriesExamined: 0, documentsExamined: 0, documentsReturned: 0 }
          const whole = [
            ...run(collection, plan, { filter: parsed, sort, skip: 0, limit: Infinity }, figures),
          ]
          expect(ids(whole), told).toEqual(ids(expected))
          expect(sortKeys(whole, sort), told).toEqual(sortKeys(expected, sort))
          const cut = [...run(collection, plan, { filter: parsed, sort, skip, limit }, figures)]
          expect(cut, told).toEqual(whole.slice(skip, skip + limit))
        }
        expect(collection.view.iteratorsOpen).toBe(0)
      },
    ),
    { numRuns: 2000, ...(SEED === undefined ? {} : { seed: Number(SEED) }) },
  )
})

it('S4: count and explain agree with iterating, and the figures with what was really looked at', () => {
  fc.assert(
    fc.property(
      documents,
      indexes,
      filters,
      sorts,
      counts,
      counts,
      (all, defs, filter, by, s, l) => {
        const collection = new MemoryCollection(all, defs)
        let query = Query.find(collection.snapshot, filter as {})
        if (by !== undefined) query = query.sort(by as {})
        query = query.skip(s ?? 0).limit(l ?? Infinity)
        const found = query.toArray()
        expect(query.count()).toBe(found.length)
        expect(query.first()).toBe(found[0])
        collection.documentsRead = 0
        collection.view.entriesRead = 0
        const told = query.explain()
        expect(told.documentsReturned).toBe(found.length)
        expect(told.documentsExamined).toBe(collection.documentsRead)
        if (told.kind !== 'id' && told.kind !== 'unique' && told.sort !== 'index') {
          const peeks = collection.view.entriesRead - told.entriesExamined
          expect(peeks).toBeGreaterThanOrEqual(0)
          expect(peeks).toBeLessThanOrEqual(2 * defs.length)
        }
        expect(told.rejected.length + (told.index === null ? 0 : 1)).toBe(defs.length)
        expect([collection.snapshotsOpen, collection.view.iteratorsOpen]).toEqual([0, 0])
      },
    ),
    { numRuns: 500, ...(SEED === undefined ? {} : { seed: Number(SEED) }) },
  )
})
