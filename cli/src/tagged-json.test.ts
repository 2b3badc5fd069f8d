/** What JSON lacks, and what could be mistaken for it. */
import { expect, test } from 'vitest'
import { tagged } from './tagged-json.ts'

test.each([
  [{ a: 1, b: 'text', c: [true, null] }, '{"a":1,"b":"text","c":[true,null]}'],
  [new Date(0), '{"$date":"1970-01-01T00:00:00.000Z"}'],
  [new Date(Number.NaN), '{"$date":null}'],
  [2n ** 80n, '{"$bigint":"1208925819614629174706176"}'],
  [Uint8Array.of(1, 2, 3), '{"$bytes":"AQID"}'],
  [
    new Map<unknown, unknown>([
      ['k', 1n],
      [2, undefined],
    ]),
    '{"$map":[["k",{"$bigint":"1"}],[2,{"$undefined":true}]]}',
  ],
  [new Set([1, new Set([])]), '{"$set":[1,{"$set":[]}]}'],
  [
    [Number.NaN, Infinity, -Infinity, -0, 0],
    '[{"$number":"NaN"},{"$number":"Infinity"},{"$number":"-Infinity"},{"$number":"-0"},0]',
  ],
  [{ $date: 'mine' }, '{"$object":{"$date":"mine"}}'],
  [{ $object: { $date: 1 } }, '{"$object":{"$object":{"$object":{"$date":1}}}}'],
  [{ $a: 1, $b: 2 }, '{"$a":1,"$b":2}'],
  [JSON.parse('{"__proto__":{"x":1},"y":2}'), '{"__proto__":{"x":1},"y":2}'],
])('M10: %o', (value, text) => {
  expect(JSON.stringify(tagged(value))).toBe(text)
})
