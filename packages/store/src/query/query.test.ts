import { describe, expect, it } from 'vitest'
import { ValidationError } from '../document/errors.ts'
import { encodeIndexKey } from '../document/keys.ts'
import { FILTER_DEPTH_MAX, parseFilter } from './filter.ts'
import { Query } from './query.ts'
import {
  type IndexDefinition,
  MemoryCollection,
  type MemoryDocument,
} from './testing/memory-reader.ts'

const PEOPLE: readonly MemoryDocument[] = [
  { id: 1, email: 'a@x', city: 'Ulm', age: 30, tags: ['x', 'y'] },
  { id: 2, email: 'b@x', city: 'Ulm', age: 20, tags: ['y'] },
  { id: 3, email: 'c@x', city: 'Bonn', age: 40, tags: [] },
  { id: 4, city: 'Bonn', age: 25, tags: ['x', 'z', 'y'] },
  { id: 5, email: 'e@x', city: 'Köln', age: 25 },
]
const INDEXES: readonly IndexDefinition[] = [
  { name: 'email', fields: ['email'], unique: true },
  { name: 'age', fields: ['age'] },
  { name: 'cityAge', fields: ['city', 'age'] },
  { name: 'tags', fields: ['tags'], each: true },
]

function people(indexes: readonly IndexDefinition[] = INDEXES): MemoryCollection {
  return new MemoryCollection(PEOPLE, indexes)
}

function find(filter: object, options: object = {}, collection = people()) {
  return Query.find<MemoryDocument>(collection.snapshot, filter, options)
}

function idsOf(query: Iterable<MemoryDocument>) {
  return [...query].map(({ id }) => id)
}

describe('choosing an index', () => {
  it.each([
    ['S4: ids before all', { id: 2, email: 'b@x' }, {}, 'id', null],
    ['S4: several ids', { id: { $in: [5, 1, 99, 'x', 1.5] } }, {}, 'id', null],
    [
      'S4: all of a unique index before a longer prefix',
      { email: 'a@x', city: 'Ulm', age: 30 },
      {},
      'unique',
      'email',
    ],
    ['S4: the longest prefix', { city: 'Ulm', age: 30 }, {}, 'index', 'cityAge'],
    ['S4: a value and then a range', { city: 'Ulm', age: { $gte: 20 } }, {}, 'index', 'cityAge'],
    ['S4: a range', { age: { $gt: 20, $lt: 40 } }, {}, 'index', 'age'],
    [
      'S4: $and is looked into',
      { $and: [{ age: { $gt: 20 } }, { $or: [{ age: { $lt: 40 } }] }] },
      {},
      'index',
      'age',
    ],
    ['S3: elements', { tags: 'x' }, {}, 'index', 'tags'],
    ['S4: the order alone', {}, { sort: { age: 1 } }, 'index', 'age'],
    ['S4: neither', { name: 'x' }, { sort: { name: 1 } }, 'scan', null],
    ['S4: null is also what is missing', { email: null }, {}, 'scan', null],
    ['S4: alternatives', { $or: [{ age: 20 }, { age: 40 }] }, {}, 'scan', null],
  ])('%s', (_, filter, options, kind, index) => {
    expect(find(filter, options).explain()).toMatchObject({ kind, index })
  })

  it('S4: tells why others were not taken, and what was looked at', () => {
    expect(find({ city: 'Ulm' }, { sort: { age: -1 }, limit: 1 }).explain()).toEqual({
      kind: 'index',
      index: 'cityAge',
      ranges: [{ equal: ['Ulm'] }],
      direction: 'reverse',
      sort: 'index',
      entriesExamined: 1,
      documentsExamined: 1,
      documentsReturned: 1,
      rejected: [
        { index: 'age', reason: "index 'cityAge' was better" },
        {
          index: 'email',
          reason: "documents without a value in 'email' have no entry and might match",
        },
        {
          index: 'tags',
          reason: "documents without a value in 'tags' have no entry and might match",
        },
      ],
    })
  })

  it('S3: an index that is being built is not used', () => {
    const building = people([{ name: 'age', fields: ['age'], state: 'building' }])
    expect(find({ age: 30 }, {}, building).explain()).toMatchObject({
      kind: 'scan',
      documentsExamined: 5,
      rejected: [{ index: 'age', reason: 'it is still being built' }],
    })
  })

  it('S3: an index that lacks documents gives no order, nor those of its first field', () => {
    const optional = people([{ name: 'cityEmail', fields: ['city', 'email'] }])
    expect(find({ city: 'Bonn' }, {}, optional).explain()).toMatchObject({ kind: 'scan' })
    expect(idsOf(find({ city: 'Bonn' }, {}, optional))).toEqual([3, 4])
    expect(find({ city: 'Bonn', email: { $gt: '' } }, {}, optional).explain()).toMatchObject({
      index: 'cityEmail',
      documentsExamined: 1,
    })
  })

  it('S3: a document with an array where one value is expected is found through the index', () => {
    const odd = new MemoryCollection([...PEOPLE, { id: 6, age: [1, 25] }], INDEXES)
    const query = find({ age: 25 }, {}, odd)
    expect(query.explain()).toMatchObject({ index: 'age', documentsExamined: 3 })
    expect(idsOf(query)).toEqual([4, 5, 6])
    expect(query.count()).toBe(3)
    expect(find({ age: { $gt: 0 } }, { sort: { age: 1 } }, odd).explain()).toMatchObject({
      index: 'age',
      sort: 'memory',
    })
  })

  it('S4: a value longer than a key can be finds nothing, and bounds nothing', () => {
    const long = 'x'.repeat(5000)
    expect(find({ city: long, age: 3 }).explain()).toMatchObject({
      index: 'cityAge',
      entriesExamined: 0,
    })
    expect(find({ email: { $lt: long } }).explain()).toMatchObject({
      kind: 'scan',
      documentsReturned: 4,
    })
  })
})

describe('order, limits, counting', () => {
  it.each([
    [{ sort: { age: 1 }, limit: 2 }, [2, 4]],
    [{ sort: { age: -1 }, skip: 1, limit: 1 }, [1]],
    [{ sort: { city: 1, age: -1 } }, [3, 4, 5, 1, 2]],
    [{ sort: { id: -1 }, limit: 2 }, [5, 4]],
    [{ limit: 0 }, []],
    [{ skip: 9 }, []],
  ])('S4: %j', (options, expected) => {
    expect(idsOf(find({}, options))).toEqual(expected)
    expect(idsOf(find({}, options, people([])))).toEqual(expected)
    expect(find({}, options).count()).toBe(expected.length)
  })

  it('S4: several values are walked in either direction', () => {
    const query = find({ age: { $in: [40, 25, 40] } }).sort({ age: -1 })
    expect(idsOf(query)).toEqual([3, 5, 4])
    expect(query.explain()).toMatchObject({ sort: 'index', entriesExamined: 3 })
  })

  it('S4: fields with one value do not matter to the order', () => {
    const query = find({ city: 'Ulm' }, { sort: { age: -1, city: 1, id: -1 } })
    expect(query.explain()).toMatchObject({ index: 'cityAge', sort: 'index' })
    expect(idsOf(query)).toEqual([1, 2])
    expect(find({ age: { $in: [25, 30] } }, { sort: { age: 1, id: 1 } }).explain().sort).toBe(
      'index',
    )
    expect(find({ age: { $in: [25, 30] } }, { sort: { id: 1 } }).explain().sort).toBe('memory')
    expect(find({ age: 25 }, { sort: { id: -1 } }).explain().sort).toBe('index')
  })

  it('S4: text is ordered by code points, with an index and without', () => {
    const faces = [
      { id: 1, a: '\u{1f600}' },
      { id: 2, a: '\uffee' },
    ]
    for (const indexes of [[], [{ name: 'a', fields: ['a'] }]]) {
      const collection = new MemoryCollection(faces, indexes)
      expect(idsOf(find({ a: { $gt: '\uffee' } }, {}, collection))).toEqual([1])
      expect(idsOf(find({}, { sort: { a: 1 } }, collection))).toEqual([2, 1])
    }
  })

  it('S4: counting reads no document where the index decides', () => {
    const collection = people()
    expect(find({ age: { $gte: 25 } }, {}, collection).count()).toBe(4)
    expect(find({ tags: { $in: ['x', 'y'] } }, {}, collection).count()).toBe(3)
    expect(find({ email: 'a@x' }, {}, collection).count()).toBe(1)
    expect(find({ id: [1] }, {}, people()).count()).toBe(0)
    expect(find({}, {}, collection).count()).toBe(5)
    expect(collection.documentsRead).toBe(0)
    expect(find({ age: { $gte: 25 }, city: /n$/ }, {}, collection).count()).toBe(3)
    expect(collection.documentsRead).toBe(4)
  })

  it('S3: a document with several matching elements comes once', () => {
    expect(idsOf(find({ tags: { $in: ['x', 'y'] } }))).toEqual([1, 4, 2])
  })
})

describe('a run', () => {
  it('S4, S5: takes its state at the first step and lets go of it however it ends', () => {
    const collection = people()
    const query = find({ age: { $gte: 20 } }, {}, collection)
    const iterator = query[Symbol.iterator]()
    expect(collection.snapshotsTaken).toBe(0)
    iterator.next()
    expect([collection.snapshotsOpen, collection.view.iteratorsOpen]).toEqual([1, 1])
    iterator.return()
    expect([collection.snapshotsOpen, collection.view.iteratorsOpen]).toEqual([0, 0])
    expect(query.first()).toBe(PEOPLE[1])
    expect(query.toArray()).toHaveLength(5)
    expect(() => {
      for (const _ of query) throw new Error('enough')
    }).toThrow('enough')
    expect([collection.snapshotsOpen, collection.view.iteratorsOpen]).toEqual([0, 0])
  })

  it('S4: an entry without its document is corruption, and nothing stays open', () => {
    const collection = people()
    collection.view.set(3, [{ key: Buffer.from(encodeIndexKey([1], 77)), value: Buffer.alloc(0) }])
    expect(() => find({ age: 1 }, {}, collection).toArray()).toThrow(
      expect.objectContaining({
        code: 'RINGBOLT_CORRUPT',
        facts: { collection: 'things', index: 'age', id: 77 },
      }),
    )
    expect([collection.snapshotsOpen, collection.view.iteratorsOpen]).toEqual([0, 0])
  })

  it('S4: changing a query gives another one', () => {
    const query = find({})
    expect(query.limit(1).toArray()).toHaveLength(1)
    expect(query.toArray()).toHaveLength(5)
  })
})

describe('a filter or an option that is wrong', () => {
  const nested = (depth: number): unknown =>
    depth === 0 ? { a: 1 } : { $and: [nested(depth - 1)] }
  const cyclic: Record<string, unknown> = {}
  cyclic['a'] = cyclic

  it.each<[string, unknown, RegExp]>([
    ['null', null, /must be an object/],
    ['an array', [], /this one is an empty array/],
    ['a date', new Date(), /this one is a date/],
    ['a function', () => true, /this one is a function/],
    ['$where', { $where: 'process.exit()' }, /unknown operator \$where/],
    ['an operator of a field', { a: { $foo: 1 } }, /unknown operator \$foo/],
    ['$expr', { a: { $eq: 1, $expr: {} } }, /unknown operator \$expr/],
    ['a mixture', { a: { $eq: 1, b: 2 } }, /mixes operators and fields/],
    ['undefined', { a: undefined }, /'a' is compared with undefined/],
    ['undefined inside', { a: { b: [undefined] } }, /compared with undefined/],
    ['NaN', { a: Number.NaN }, /cannot be compared with NaN/],
    ['a function as value', { a: () => true }, /cannot be compared with a function/],
    ['a function in $in', { a: { $in: [() => true] } }, /cannot be compared with a function/],
    ['an object as bound', { a: { $gt: {} } }, /\$gt takes a value that has an order/],
    ['an instance', { a: new URL('http://x') }, /cannot be compared with a URL/],
    ['$in without an array', { a: { $in: 3 } }, /\$in takes an array; this is a number/],
    ['$or without filters', { $or: [] }, /\$or takes an array of at least one filter/],
    ['$or of nothing', { $or: [null] }, /a filter in \$or must be an object/],
    ['$exists', { a: { $exists: 1 } }, /\$exists takes true or false/],
    ['$size', { a: { $size: -1 } }, /\$size takes a count/],
    ['$regex', { a: { $regex: '(' } }, /no regular expression/],
    ['$options', { a: { $options: 'i' } }, /\$options without \$regex/],
    ['flags', { a: { $regex: 'a', $options: 'q' } }, /no regular expression/],
    ['flags of a RegExp', { a: { $regex: /a/, $options: 'q' } }, /no regular expression/],
    ['$not', { a: { $not: 3 } }, /\$not takes operators or a RegExp/],
    ['$elemMatch', { a: { $elemMatch: 3 } }, /\$elemMatch takes operators or a filter/],
    ['too deep', nested(FILTER_DEPTH_MAX + 1), /nested deeper/],
    ['a value in itself', { a: cyclic }, /nested deeper/],
  ])('S4: %s', (_, filter, message) => {
    expect(() => parseFilter(filter)).toThrow(message)
    expect(() => parseFilter(filter)).toThrow(ValidationError)
  })

  it.each<[object, RegExp]>([
    [{ limit: -1 }, /limit must be a whole number from 0; this is -1/],
    [{ skip: 1.5 }, /skip must be a whole number/],
    [{ limit: '3' }, /this is a string/],
    [{ sort: ['age'] }, /a sort must be an object/],
    [{ sort: { age: 'asc' } }, /must be 1 \(rising\) or -1 \(falling\); this is a string/],
  ])('S4: options %j', (options, message) => {
    expect(() => find({}, options)).toThrow(message)
  })
})

describe('what matches', () => {
  const own: unknown = JSON.parse('{"__proto__": {"x": 1}, "constructor": "Ferrari"}')
  it.each<[string, unknown, unknown, boolean]>([
    ['a date is no number', { a: 5 }, { a: new Date(5) }, false],
    ['dates by time', { a: new Date(5) }, { a: new Date(5) }, true],
    ['a bigint is no number', { a: 1n }, { a: 1 }, false],
    ['bigints by value', { a: { $gt: 9n } }, { a: 10n }, true],
    ['bytes by bytes', { a: Buffer.of(255) }, { a: Uint8Array.of(255) }, true],
    ['other bytes', { a: Buffer.of(255) }, { a: Uint8Array.of(254) }, false],
    ['maps by entries', { a: new Map([[1, { b: 2 }]]) }, { a: new Map([[1, { b: 2 }]]) }, true],
    ['other maps', { a: new Map([[1, 2]]) }, { a: new Map([[3, 4]]) }, false],
    ['sets by members', { a: new Set([1, [2]]) }, { a: new Set([[2], 1]) }, true],
    ['objects whatever the order', { a: { b: 1, c: 2 } }, { a: { c: 2, b: 1 } }, true],
    ['a number range has no strings', { a: { $gt: 1 } }, { a: '5' }, false],
    ['null is missing', { a: null }, {}, true],
    ['$ne', { a: { $ne: 1 } }, {}, true],
    ['$ne of an element', { a: { $ne: 1 } }, { a: [1, 2] }, false],
    ['$nin', { a: { $nin: [1, /x/] } }, { a: ['xx'] }, false],
    ['bounds met by two elements', { a: { $gt: 4, $lt: 2 } }, { a: [1, 5] }, true],
    ['bounds met by one element', { a: { $elemMatch: { $gt: 4, $lt: 2 } } }, { a: [1, 5] }, false],
    [
      '$elemMatch on fields',
      { a: { $elemMatch: { b: 1, c: 2 } } },
      { a: [{ b: 1 }, { b: 1, c: 2 }] },
      true,
    ],
    ['$elemMatch with groups', { a: { $elemMatch: { $or: [{ b: 1 }] } } }, { a: [{ b: 1 }] }, true],
    ['$all', { a: { $all: [1, 2] } }, { a: [2, 3, 1] }, true],
    ['$all of nothing', { a: { $all: [] } }, { a: [] }, false],
    ['$not', { a: { $not: { $gt: 3 } } }, { a: [1, 5] }, false],
    ['$regex with flags', { a: { $regex: '^X', $options: 'i' } }, { a: 'xy' }, true],
    ['$size', { a: { $size: 2 } }, { a: [1, 2] }, true],
    ['into elements', { 'a.b': 2 }, { a: [{ b: 1 }, { b: 2 }] }, true],
    ['own field __proto__', { '__proto__.x': 1 }, own, true],
    ['no field __proto__', JSON.parse('{"__proto__": null}'), {}, true],
    ['own field constructor', { constructor: 'Ferrari' }, own, true],
    ['no field constructor', { constructor: { $exists: false } }, {}, true],
    ['no field toString', { toString: null }, {}, true],
  ])('S4: %s', (_, filter, document, expected) => {
    expect(parseFilter(filter).matches(document)).toBe(expected)
  })

  it('S4: a RegExp with g keeps no place from one document to the next', () => {
    const { matches } = parseFilter({ a: /x/g })
    expect([{ a: 'xx' }, { a: 'xx' }, { a: 'x' }].map(matches)).toEqual([true, true, true])
  })
})
