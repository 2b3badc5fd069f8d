import { expectTypeOf, it } from 'vitest'
import type { Filter, FindOptions, Path, Sort, ValueAt } from './filter-types.ts'

interface Person {
  id: number
  email: string
  age?: number
  tags: string[]
  born: Date
  kind: 'a' | 'b'
  home: { city: string; zip: number | null } | undefined
  orders: { sku: string; items: { count: number }[] }[]
}

const accept = <T>(filter: Filter<T>): Filter<T> => filter

it('S4: paths and their values follow from the document', () => {
  expectTypeOf<Path<Person>>().toEqualTypeOf<
    | ('id' | 'email' | 'age' | 'tags' | 'born' | 'kind' | 'home' | 'orders')
    | ('home.city' | 'home.zip' | 'orders.sku' | 'orders.items' | 'orders.items.count')
  >()
  expectTypeOf<ValueAt<Person, 'orders.items.count'>>().toEqualTypeOf<number>()
  expectTypeOf<ValueAt<Person, 'home.zip'>>().toEqualTypeOf<number | null>()
  expectTypeOf<Path<Record<string, unknown>>>().toEqualTypeOf<string>()
  expectTypeOf<{ age: 1; 'home.city': -1 }>().toExtend<Sort<Person>>()
  expectTypeOf<{ sort: { nope: 1 } }>().not.toExtend<FindOptions<Person>>()
})

it('S4: filters are checked by the compiler', () => {
  accept<Person>({ age: { $gte: 18, $lt: 30 }, tags: 'x', email: /@/, kind: { $in: ['a'] } })
  accept<Person>({ born: { $lt: new Date(0) }, 'home.city': 'Ulm', 'home.zip': null })
  accept<Person>({ orders: { $elemMatch: { sku: 'x', 'items.count': { $gt: 1 } } } })
  accept<Person>({
    $or: [{ age: null }, { tags: { $all: ['x'], $size: 1 } }],
    age: { $not: { $gt: 3 } },
  })
  accept<Record<string, unknown>>({ anything: { $gt: 3 }, 'goes.here': 'x' })
  // @ts-expect-error: a number is no string
  accept<Person>({ age: '18' })
  // @ts-expect-error: there is no such path
  accept<Person>({ 'home.street': 'x' })
  // @ts-expect-error: there is no such operator
  accept<Person>({ age: { $greater: 18 } })
  // @ts-expect-error: not one of its values
  accept<Person>({ kind: 'c' })
  // @ts-expect-error: undefined is no value
  accept<Person>({ age: undefined })
  // @ts-expect-error: numbers have no pattern
  accept<Person>({ age: { $regex: 'x' } })
})
