import { isRingboltError } from '@ringbolt/ring'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Collection } from '../collection.ts'
import { defineCollection } from '../define-collection.ts'
import type { StoreTester } from './store-tester.ts'

interface Item {
  code?: number | null
  group: string
  tags: (string | number)[]
  rank: number
}

type StoredItem = Item & { readonly id: number }

const items = defineCollection<Item>()({
  name: 'items',
  indexes: {
    code: { on: 'code', unique: true },
    group: { on: 'group' },
    tags: { on: 'tags', each: true },
    groupRank: { on: ['group', 'rank'] },
  },
})

type Items = Collection<StoredItem, Item & { readonly id?: number }, (typeof items)['indexes']>

const item: fc.Arbitrary<Item> = fc.record(
  {
    code: fc.oneof(fc.integer({ min: 0, max: 6 }), fc.constant(null)),
    group: fc.constantFrom('a', 'b', '', 'é'),
    tags: fc.array(fc.constantFrom<string | number>('x', 'y', 1, 2), { maxLength: 3 }),
    rank: fc.constantFrom(-1, 0, 0.5, 7),
  },
  { requiredKeys: ['group', 'tags', 'rank'] },
)

const id = fc.integer({ min: 1, max: 8 })

type Operation =
  | { readonly kind: 'insert' | 'upsert'; readonly id: number; readonly item: Item }
  | { readonly kind: 'update'; readonly id: number; readonly item: Partial<Item> }
  | { readonly kind: 'delete'; readonly id: number }

const operation: fc.Arbitrary<Operation> = fc.oneof(
  fc.record({ kind: fc.constantFrom('insert', 'upsert'), id, item }),
  fc.record({ kind: fc.constant('update'), id, item }),
  fc.record({ kind: fc.constant('delete'), id }),
)

/** One after another, or so many in one transaction, which may be given up in the end. */
const batch = fc.record({
  operations: fc.array(operation, { minLength: 1, maxLength: 6 }),
  mode: fc.constantFrom('alone', 'transaction', 'given up'),
})

/** What the operation must do to a Map; the code of the error when it must fail. */
function expected(model: Map<number, StoredItem>, operation: Operation): string | undefined {
  const { kind, id } = operation
  if (kind === 'delete') {
    model.delete(id)
    return undefined
  }
  const old = model.get(id)
  if (kind === 'update' && old === undefined) return 'RINGBOLT_NOT_FOUND'
  if (kind === 'insert' && old !== undefined) return 'RINGBOLT_UNIQUE'
  const next = { group: '', tags: [], rank: 0, ...operation.item, id }
  const isTaken = [...model.values()].some(
    (other) => other.id !== id && next.code !== undefined && other.code === next.code,
  )
  if (isTaken) return 'RINGBOLT_UNIQUE'
  model.set(id, next)
  return undefined
}

async function done(collection: Items, operation: Operation): Promise<string | undefined> {
  try {
    if (operation.kind === 'delete') await collection.delete(operation.id)
    else if (operation.kind === 'update') {
      const whole = { group: '', tags: [], rank: 0, ...operation.item, id: operation.id }
      await collection.update(operation.id, () => whole)
    } else await collection[operation.kind]({ ...operation.item, id: operation.id })
  } catch (error) {
    if (isRingboltError(error)) return error.code
    throw error
  }
  return undefined
}

function byText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** All that can be asked of the collection is what the Map says. */
function compare(collection: Items, model: ReadonlyMap<number, StoredItem>): void {
  const documents = [...model.values()].toSorted((a, b) => a.id - b.id)
  expect(collection.count()).toBe(documents.length)
  expect([...collection.all()]).toEqual(documents)
  for (let id = 1; id <= 8; id++) expect(collection.get(id)).toEqual(model.get(id))
  for (const code of [0, 1, 2, 3, 4, 5, 6, null]) {
    expect(collection.findUnique('code', code)).toEqual(
      documents.find((document) => document.code === code),
    )
  }
  const byGroup = documents.toSorted((a, b) => byText(a.group, b.group) || a.id - b.id)
  expect([...collection.range('group')]).toEqual(byGroup)
  expect([...collection.range('group', { reverse: true })]).toEqual(byGroup.toReversed())
  for (const tag of ['x', 'y', 1, 2]) {
    const tagged = documents.filter(({ tags }) => tags.includes(tag))
    expect([...collection.range('tags', { gte: tag, lte: tag })]).toEqual(tagged)
    expect(collection.find({ tags: tag }).count()).toBe(tagged.length)
  }
  const inA = documents.filter(({ group, rank }) => group === 'a' && rank > -1 && rank <= 7)
  expect([...collection.range('groupRank', { gt: ['a', -1], lte: ['a', 7] })]).toEqual(
    inA.toSorted((a, b) => a.rank - b.rank || a.id - b.id),
  )
}

class GivenUp extends Error {}

export function describeProperties(store: StoreTester): void {
  test('S3: random operations, alone and in transactions, against a plain Map', async () => {
    const db = await store.open(items)
    const collection = db.collection(items)
    const property = fc.asyncProperty(fc.array(batch, { maxLength: 12 }), async (batches) => {
      await db.dropCollection('items')
      await db.define([items])
      let model = new Map<number, StoredItem>()
      for (const { operations, mode } of batches) {
        if (mode === 'alone') {
          for (const one of operations) {
            expect(await done(collection, one)).toBe(expected(model, one))
          }
        } else {
          const changed = new Map(model)
          const transaction = db.transaction(async (tx) => {
            const inside = tx.collection(items)
            for (const one of operations) {
              expect(await done(inside, one)).toBe(expected(changed, one))
            }
            compare(inside, changed)
            if (mode === 'given up') throw new GivenUp()
          })
          if (mode === 'given up') await expect(transaction).rejects.toThrow(GivenUp)
          else {
            await transaction
            model = changed
          }
        }
        compare(collection, model)
      }
    })
    const seed = process.env['RINGBOLT_SEED']
    await fc.assert(property, {
      numRuns: 60,
      ...(seed === undefined ? {} : { seed: Number(seed) }),
    })
  })
}
