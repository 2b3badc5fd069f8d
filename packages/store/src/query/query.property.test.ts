import fc from 'fast-check'
import { expect, it } from 'vitest'
import { isIndexValue } from '../document/keys.ts'
import { parseFilter } from './filter.ts'
import { valueAt } from './paths.ts'
import { considerPlans } from './plan.ts'
import { Query, run } from './query.ts'
import { parseSort, type SortField, sortInMemory } from './sort.ts'
import {
  type IndexDefinition,
  MemoryCollection,
  type MemoryDocument,
} from './testing/memory-reader.ts'

const SEED = process.env['RINGBOLT_SEED']

/** Of all types, so that brackets meet; text with zero bytes and beyond the surrogates. */
const scalars: unknown[] = [null, false, true, -1, 0, 1, 2.5, 3, Infinity, -5n, 1n, 2n]
scalars.push(new Date(-1), new Date(1), new Date(2), new Uint8Array(), Uint8Array.of(0, 255))
scalars.push('', 'a', 'a\0', 'a\0b', 'ab', 'b', '\uffee', '\u{1f600}')
/** Of these a few, so that documents and filters meet. */
const pools = fc.subarray(scalars, { minLength: 2, maxLength: 4 })

const odd: unknown[] = [undefined, {}, { b: 1 }, [[1, 'a'], 3], [{ b: 2 }, { b: 'a' }], new Map()]
const paths = ['a', 'b', 'a.b']
const path = fc.constantFrom('a', 'a', 'b', 'b', 'a.b')

function documentsOf(scalar: fc.Arbitrary<unknown>) {
  const regular = fc.record({ a: scalar, b: scalar })
  const value = fc.oneof(
    { weight: 5, arbitrary: scalar },
    { weight: 2, arbitrary: fc.array(scalar, { maxLength: 3 }) },
    { weight: 1, arbitrary: fc.constantFrom(...odd) },
    { weight: 1, arbitrary: fc.record({ b: scalar }) },
    { weight: 1, arbitrary: fc.record({ b: scalar }).map((one) => [one]) },
  )
  const wild = fc.record({ a: value, b: value }, { requiredKeys: [] })
  return fc
    .oneof(
      fc.array(regular, { maxLength: 16 }),
      fc.array(wild, { maxLength: 16 }),
      fc.array(fc.oneof({ weight: 9, arbitrary: regular }, { weight: 1, arbitrary: wild }), {
        minLength: 8,
        maxLength: 16,
      }),
    )
    .map((all) =>
      all.map((one, ordinal) => ({
        ...one,
        id: ordinal % 5 === 4 ? `id${ordinal}` : ordinal * 3 + 1,
      })),
    )
}

const indexes = fc
  .uniqueArray(
    fc.record({
      fields: fc.uniqueArray(path, { minLength: 1, maxLength: 2 }),
      each: fc.boolean(),
    }),
    { maxLength: 4, selector: (one) => JSON.stringify(one) },
  )
  .map((all): IndexDefinition[] => all.map((one, ordinal) => ({ ...one, name: `index${ordinal}` })))

const comparison = fc.constantFrom('$gt', '$gte', '$lt', '$lte')

function conditionsOf(scalar: fc.Arbitrary<unknown>) {
  const few = fc.array(scalar, { maxLength: 3 })
  return fc.oneof(
    { weight: 3, arbitrary: scalar },
    { weight: 4, arbitrary: fc.tuple(comparison, scalar).map(([name, v]) => ({ [name]: v })) },
    { weight: 3, arbitrary: fc.record({ $gte: scalar, $lt: scalar }) },
    { weight: 1, arbitrary: fc.record({ $gt: scalar, $in: few, $lte: scalar }) },
    { weight: 3, arbitrary: few.map(($in) => ({ $in })) },
    few.map(($nin) => ({ $nin })),
    few.map(($all) => ({ $all })),
    scalar.map(($ne) => ({ $ne })),
    fc.boolean().map(($exists) => ({ $exists })),
    fc.record({ $gt: scalar, $lte: scalar }).map(($elemMatch) => ({ $elemMatch })),
    fc.tuple(comparison, scalar).map(([name, v]) => ({ $not: { [name]: v } })),
    fc.constantFrom<unknown>({ $size: 2 }, { $regex: '^a' }, /b$/, [1, 'a'], { b: 1 }),
  )
}

const someIds: unknown[] = [1, 4, 7, 10, 'id4', 'id9', 99, 0, -3, 2.5]
const idBounds: unknown[] = [-1, 0, 4, 4.5, 20, 1e300, Infinity, '', 'id4', 'z', true]
const idCondition = fc.oneof(
  fc.constantFrom(...someIds),
  fc.array(fc.constantFrom(...someIds), { minLength: 2, maxLength: 6 }).map(($in) => ({ $in })),
  fc.tuple(comparison, fc.constantFrom(...idBounds)).map(([name, v]) => ({ [name]: v })),
)

function filtersOf(scalar: fc.Arbitrary<unknown>) {
  const condition = conditionsOf(scalar)
  const onPaths = fc.dictionary(path, condition, { minKeys: 1, maxKeys: 2 })
  const flat = fc.oneof(
    { weight: 5, arbitrary: onPaths },
    { weight: 1, arbitrary: fc.tuple(onPaths, idCondition).map(([one, id]) => ({ ...one, id })) },
    { weight: 1, arbitrary: idCondition.map((id) => ({ id })) },
    { weight: 1, arbitrary: fc.constant({}) },
  )
  const groups = fc
    .tuple(
      flat,
      fc.constantFrom('$and', '$or', '$nor'),
      fc.array(flat, { minLength: 1, maxLength: 3 }),
    )
    .map(([one, name, parts]) => ({ ...one, [name]: parts }))
  return fc.oneof({ weight: 4, arbitrary: flat }, { weight: 1, arbitrary: groups })
}

const sorts = fc.oneof(
  fc.constant(undefined),
  fc
    .uniqueArray(fc.constantFrom(...paths, 'id'), { minLength: 1, maxLength: 2 })
    .chain((names) => fc.tuple(fc.constant(names), fc.constantFrom<1 | -1>(1, -1), fc.boolean()))
    .map(([names, first, mixed]) =>
      Object.fromEntries(names.map((name, i) => [name, mixed && i % 2 === 1 ? -first : first])),
    ),
)
const counts = fc.option(fc.nat({ max: 6 }), { nil: undefined })

const cases = pools.chain((pool) => {
  const scalar = fc.constantFrom(...pool)
  return fc.tuple(documentsOf(scalar), indexes, filtersOf(scalar), sorts, counts, counts)
})
const runs = (numRuns: number) => ({
  numRuns,
  ...(SEED === undefined ? {} : { seed: Number(SEED) }),
})

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
  return found.map((document) =>
    sort.map((field) => {
      const at = valueAt(document, field.path.split('.'))
      return isIndexValue(at) ? at : at === undefined ? null : 'other'
    }),
  )
}

function ids(found: readonly MemoryDocument[]): string[] {
  return found.map(({ id }) => String(id)).sort()
}

it('S4: every plan gives what filtering and sorting a plain array gives', () => {
  fc.assert(
    fc.property(cases, ([all, defs, filter, by, s, l]) => {
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
    }),
    runs(3000),
  )
})

it('S4: count and explain agree with iterating, and the figures with what was really looked at', () => {
  fc.assert(
    fc.property(cases, ([all, defs, filter, by, s, l]) => {
      const collection = new MemoryCollection(all, defs)
      let query = Query.find(collection.snapshot, filter)
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
    }),
    runs(1000),
  )
})
