import { expect, it } from 'vitest'
import { encodeId } from '../document/keys.ts'
import { findUnique, type RangeOptions, range } from './range.ts'
import { MemoryCollection } from './testing/memory-reader.ts'

const collection = () =>
  new MemoryCollection(
    [
      { id: 1, name: 'ab', city: 'Ulm', age: 30, tags: ['x', 'y'] },
      { id: 2, name: 'a\0b', city: 'Ulm', age: 20, tags: ['y'] },
      { id: 3, name: 'b', city: 'Bonn', age: 40 },
      { id: 4, name: 'a', city: 'Bonn', age: '25' },
      { id: 5, name: 'abc', city: 'Köln', age: [25] },
    ],
    [
      { name: 'name', fields: ['name'], unique: true },
      { name: 'age', fields: ['age'] },
      { name: 'cityAge', fields: ['city', 'age'] },
      { name: 'tags', fields: ['tags'], each: true },
      { name: 'late', fields: ['age'], state: 'building' },
    ],
  )

function ids(index: string, options: RangeOptions) {
  return [...range(collection().snapshot, index, options)].map(({ id }) => id)
}

it.each<[string, RangeOptions, unknown[]]>([
  ['age', {}, [2, 1, 3, 4]],
  ['age', { reverse: true }, [4, 3, 1, 2]],
  ['age', { gte: 30 }, [1, 3]],
  ['age', { gt: 20, lt: 40 }, [1]],
  ['age', { gt: 20, lte: 40, reverse: true, limit: 1 }, [3]],
  ['age', { lt: 35 }, [2, 1]],
  ['age', { gt: 40, lt: 20 }, []],
  ['age', { gte: '' }, [4]],
  ['age', { limit: 0 }, []],
  ['name', { gt: 'a' }, [2, 1, 5, 3]],
  ['name', { lte: 'a' }, [4]],
  ['name', { prefix: 'a' }, [4, 2, 1, 5]],
  ['name', { prefix: 'ab', reverse: true }, [5, 1]],
  ['name', { prefix: 'a\0' }, [2]],
  ['cityAge', { prefix: ['Ulm'] }, [2, 1]],
  ['cityAge', { gte: ['Ulm', 25] }, [1]],
  ['cityAge', { gt: ['Bonn'] }, [2, 1]],
  ['cityAge', { gte: 'Bonn', lt: ['Ulm', 30] }, [3, 4, 2]],
  ['tags', {}, [1, 2]],
  ['tags', { reverse: true }, [2, 1]],
])('S4: range of %s %j', (index, options, expected) => {
  expect(ids(index, options)).toEqual(expected)
})

it('S4: a range is lazy, and can be iterated again', () => {
  const things = collection()
  const found = range(things.snapshot, 'age', { gte: 0 })
  expect(things.snapshotsTaken).toBe(0)
  for (const document of found) {
    expect(document.id).toBe(2)
    break
  }
  expect([things.documentsRead, things.snapshotsOpen, things.view.iteratorsOpen]).toEqual([1, 0, 0])
  expect([...found]).toHaveLength(3)
})

it.each<[string, unknown, RegExp]>([
  ['none', {}, /has no index 'none'; it has name, age/],
  ['late', {}, /is still building 'late'/],
  ['age', { gte: 1, gt: 2 }, /gt or gte/],
  ['age', { gte: 1, prefix: 'a' }, /prefix alone/],
  ['age', { gte: 1, lt: 'a' }, /bounds of one type/],
  ['age', { gte: Number.NaN }, /takes a value of age, not NaN/],
  ['age', { gte: [1] }, /takes a value of age, not an array/],
  ['age', { prefix: 3 }, /takes a string as prefix/],
  ['age', { prefix: '\ud800' }, /well-formed/],
  ['age', { from: 1 }, /knows no 'from'/],
  ['age', { limit: -1 }, /limit must be/],
  ['age', null, /a range must be an object/],
  ['cityAge', { gte: [] }, /takes tuples of values of city, age/],
  ['cityAge', { gte: ['a', 1, 2] }, /takes tuples/],
])('S4: a range of %s %j is refused', (index, options, message) => {
  // @ts-expect-error: what is wrong on purpose
  expect(() => [...range(collection().snapshot, index, options)]).toThrow(message)
})

it('S3: the document with a unique value', () => {
  const things = collection()
  expect(findUnique(things, 'name', 'a')?.id).toBe(4)
  expect(findUnique(things, 'name', 'zz')).toBeUndefined()
  expect(findUnique(things, 'name', 'x'.repeat(5000))).toBeUndefined()
  expect(() => findUnique(things, 'age', 3)).toThrow(/not unique/)
  expect(() => findUnique(things, 'name', {})).toThrow(/takes a value of name/)
  things.view.set(2, [{ key: Buffer.from([0x0c, 0x61, 0]), value: Buffer.from(encodeId(99)) }])
  expect(() => findUnique(things, 'name', 'a')).toThrow(/document 99, which does not exist/)
})
