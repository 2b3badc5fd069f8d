import { expect, it } from 'vitest'
import { indexTuples } from './paths.ts'

const UNPLACED = [[]]

it.each<[string, object, string[], boolean, unknown[][]]>([
  ['a value', { a: 1 }, ['a'], false, [[1]]],
  ['null', { a: null }, ['a'], false, [[null]]],
  ['nothing', {}, ['a'], false, []],
  ['NaN', { a: Number.NaN }, ['a'], false, []],
  ['an object', { a: {} }, ['a'], false, []],
  ['a step', { a: { b: 'x' } }, ['a.b'], false, [['x']]],
  ['a step into null', { a: null }, ['a.b'], false, []],
  ['an array where one value is expected', { a: [1] }, ['a'], false, UNPLACED],
  ['an array in the way', { a: [{ b: 1 }] }, ['a.b'], false, UNPLACED],
  ['an empty array', { a: [] }, ['a'], false, []],
  ['an array of objects', { a: [{}] }, ['a'], false, []],
  ['several fields', { a: 1, b: 2n }, ['a', 'b'], false, [[1, 2n]]],
  ['one of several missing', { a: [1] }, ['a', 'b'], false, []],
  ['elements, each once', { a: ['y', 'x', 'y', {}, null] }, ['a'], true, [[null], ['x'], ['y']]],
  ['elements of elements', { a: [[1, [2]], 1] }, ['a'], true, [[1], [2]]],
  ['fields of elements', { a: [{ b: 1 }, { b: [2] }, 5] }, ['a.b'], true, [[1], [2]]],
  ['no array', { a: 1 }, ['a'], true, [[1]]],
  [
    'elements beside a value',
    { a: [1, 2], b: 'x' },
    ['b', 'a'],
    true,
    [
      ['x', 1],
      ['x', 2],
    ],
  ],
  ['two arrays', { a: [1], b: [2] }, ['a', 'b'], true, UNPLACED],
  ['what comes from a prototype', {}, ['constructor'], false, []],
  ['__proto__', {}, ['__proto__'], false, []],
])('S3: entries for %s', (_, document, fields, each, expected) => {
  expect(indexTuples(document, { fields, each })).toEqual(expected)
})
