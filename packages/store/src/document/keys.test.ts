import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { StoreTooLargeError } from '../errors.ts'
import { KEY_BYTES_MAX } from '../sequencer/command.ts'
import { EncodingCorruptError, ValidationError } from './errors.ts'
import { ID_TEXT_BYTES_MAX } from './ids.ts'
import {
  decodeId,
  decodeIndexKey,
  encodeId,
  encodeIdInto,
  encodeIndexKey,
  ID_BYTES_MAX,
  type Id,
  type IndexValue,
  idOf,
  isIndexValue,
  prefixEnd,
} from './keys.ts'

/** What a caller without types could hand in. */
function untypedId(value: unknown): Id {
  // oxlint-disable-next-line no-unsafe-type-assertion
  return value as Id
}

function untypedValue(value: unknown): IndexValue {
  // oxlint-disable-next-line no-unsafe-type-assertion
  return value as IndexValue
}

const loneSurrogate = 'a\ud800b'

const numberId = fc.oneof(
  fc.integer({ min: 1, max: 300 }),
  fc.maxSafeNat().map((id) => id + (id < Number.MAX_SAFE_INTEGER ? 1 : 0)),
  fc
    .tuple(fc.integer({ min: 1, max: 52 }), fc.integer({ min: -1, max: 1 }))
    .map(([bits, step]) => 2 ** bits + step),
)
const text = fc.string({ unit: 'binary', maxLength: 60 })
const textId = text.filter((id) => id.length > 0)
const anyId: fc.Arbitrary<Id> = fc.oneof(numberId, textId)

const anyValue: fc.Arbitrary<IndexValue> = fc.oneof(
  fc.constant(null),
  fc.boolean(),
  fc.integer({ min: -3, max: 3 }),
  fc.double({ noNaN: true }),
  fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n }),
  fc.bigInt({ min: -300n, max: 300n }),
  fc.date({ noInvalidDate: true }),
  text,
  fc.string({ unit: fc.constantFrom('\0', '\u0001', 'a', '\uffff', '\u{10000}'), maxLength: 4 }),
  fc.uint8Array({ maxLength: 8 }),
)

/** The order of values, in the plainest words; what the bytes are compared with. */
function compareValues(a: IndexValue, b: IndexValue): number {
  const [rankA, rankB] = [rankOf(a), rankOf(b)]
  if (rankA !== rankB) return rankA - rankB
  if (typeof a === 'string') {
    const points = (value: IndexValue) => Array.from(String(value), (c) => c.codePointAt(0) ?? 0)
    return compareLists(points(a), points(b))
  }
  if (a instanceof Uint8Array && b instanceof Uint8Array) return Buffer.compare(a, b)
  if (a === null || b === null) return 0
  return a < b ? -1 : a > b ? 1 : 0
}

function rankOf(value: IndexValue): number {
  if (value === null) return 0
  if (value instanceof Date) return 4
  if (value instanceof Uint8Array) return 6
  if (typeof value === 'boolean') return 1
  if (typeof value === 'number') return 2
  return typeof value === 'bigint' ? 3 : 5
}

function compareLists(a: readonly number[], b: readonly number[]): number {
  const at = a.findIndex((point, index) => point !== b[index])
  return at < 0 ? a.length - b.length : (a[at] ?? 0) - (b[at] ?? -1)
}

function compareIds(a: Id, b: Id): number {
  if (typeof a !== typeof b) return typeof a === 'number' ? -1 : 1
  return compareValues(a, b)
}

const sign = Math.sign
const notNegativeZero = (value: IndexValue) => (Object.is(value, -0) ? 0 : value)

describe('ids', () => {
  test('S1: come back as they were, and their order is the order of their bytes', () => {
    fc.assert(
      fc.property(anyId, anyId, (a, b) => {
        const [keyA, keyB] = [encodeId(a), encodeId(b)]
        expect(decodeId(keyA, 0, keyA.length)).toBe(a)
        expect(sign(Buffer.compare(keyA, keyB))).toBe(sign(compareIds(a, b)))
      }),
      { numRuns: 500 },
    )
  })

  test('S1: number ids below 2^31 are 4 bytes; encodeIdInto writes the same bytes', () => {
    const target = new Uint8Array(ID_BYTES_MAX)
    for (const id of [1, 255, 65_536, 2 ** 24, 2 ** 31 - 1]) expect(encodeId(id)).toHaveLength(4)
    for (const id of [1, 2 ** 31 - 1, 2 ** 31, Number.MAX_SAFE_INTEGER, 'x', 'ä\0']) {
      const key = encodeId(id)
      expect(Buffer.compare(target.subarray(0, encodeIdInto(target, id)), key)).toBe(0)
    }
    expect(encodeId(2 ** 31)).toHaveLength(5)
    expect(encodeId(Number.MAX_SAFE_INTEGER)).toHaveLength(8)
  })

  test.each([
    [0, 'must be an integer from 1'],
    [-0, 'must be an integer from 1'],
    [-1, 'must be an integer from 1'],
    [1.5, 'must be an integer from 1'],
    [2 ** 53, 'must be an integer from 1'],
    [Number.NaN, 'must be an integer from 1'],
    [Number.POSITIVE_INFINITY, 'must be an integer from 1'],
    ['', 'empty string'],
    [loneSurrogate, 'a surrogate stands alone'],
    [`${'long '.repeat(8)}\udfff`, 'a surrogate stands alone'],
    [null, 'this one is null'],
    [undefined, 'of type undefined'],
    [5n, 'of type bigint'],
    [[1], 'an array'],
    [{}, 'of type object'],
  ])('S1: the id %s is refused in plain words', (id, words) => {
    const encode = () => encodeId(untypedId(id))
    expect(encode).toThrow(ValidationError)
    expect(encode).toThrow(words)
    expect(() => encodeIdInto(new Uint8Array(ID_BYTES_MAX), untypedId(id))).toThrow(ValidationError)
  })

  test('S1: text ids may have 512 bytes, not 513 and not 10,000', () => {
    expect(encodeId('x'.repeat(ID_TEXT_BYTES_MAX))).toHaveLength(ID_BYTES_MAX)
    for (const id of ['x'.repeat(513), 'ä'.repeat(257), 'x'.repeat(10_000)]) {
      expect(() => encodeId(id)).toThrow(StoreTooLargeError)
    }
    expect(() => encodeId('x'.repeat(10_000))).toThrow('id of 10000 bytes exceeds the limit of 512')
  })

  test('S1: bytes that are no id are refused', () => {
    const bad = [
      [],
      [0x40],
      [0x40, 0, 0, 0],
      [0x40, 0, 0, 1, 0],
      [0xc3, 1, 1, 1],
      [0xc4, 0x7f, 0xff, 0xff, 0xff],
      [0xc5, 0, 0x80, 0, 0, 0],
      [0xc4, 0x80, 0, 0],
      [0xc7, 0x20, 0, 0, 0, 0, 0, 0],
      [0xc8, 1, 1, 1, 1, 1, 1, 1, 1],
      [0xe0],
      [0xe0, 0xff],
      [0xe0, 0xed, 0xa0, 0x80],
      [0xe1, 0x61],
      [0x06, 1],
    ]
    for (const bytes of bad) {
      expect(() => decodeId(Uint8Array.from(bytes), 0, bytes.length)).toThrow(EncodingCorruptError)
    }
  })
})

describe('index keys', () => {
  test('S3: the order of the bytes is the order of the values, field by field', () => {
    const values = fc.array(anyValue, { minLength: 1, maxLength: 3 })
    fc.assert(
      fc.property(values, values, anyId, anyId, (a, b, idA, idB) => {
        const shared = Math.min(a.length, b.length)
        const [keysA, keysB] = [a.slice(0, shared), b.slice(0, shared)]
        const differs = keysA.findIndex((value, at) => compareValues(value, keysB[at]!) !== 0)
        const expected =
          differs < 0 ? compareIds(idA, idB) : compareValues(keysA[differs]!, keysB[differs]!)
        const actual = Buffer.compare(encodeIndexKey(keysA, idA), encodeIndexKey(keysB, idB))
        expect(sign(actual)).toBe(sign(expected))
      }),
      { numRuns: 1000 },
    )
  })

  test('S3: values and id come back', () => {
    const values = fc.array(anyValue, { maxLength: 3 })
    fc.assert(
      fc.property(values, fc.option(anyId, { nil: undefined }), (given, id) => {
        const key = encodeIndexKey(given, id)
        const framed = Buffer.concat([Buffer.from([7, 7]), key, Buffer.from([7])])
        const end = framed.length - 1
        expect(decodeIndexKey(framed, 2, end)).toEqual({ values: given.map(notNegativeZero), id })
        if (id !== undefined) expect(idOf(framed, 2, end)).toBe(id)
      }),
      { numRuns: 500 },
    )
  })

  test('S3: the edges of numbers, bigints and dates are in order', () => {
    const rising: IndexValue[] = [
      null,
      false,
      true,
      Number.NEGATIVE_INFINITY,
      -Number.MAX_VALUE,
      -1,
      -Number.MIN_VALUE,
      0,
      Number.MIN_VALUE,
      1,
      Number.POSITIVE_INFINITY,
      -(2n ** 2000n),
      -256n,
      -255n,
      -1n,
      0n,
      1n,
      255n,
      256n,
      2n ** 2000n,
      new Date(-8.64e15),
      new Date(-1),
      new Date(0),
      new Date(1),
      new Date(8.64e15),
      '',
      '\0',
      '\0\0',
      '\u0001',
      'a',
      'a\0',
      'a\0b',
      'aa',
      '\uffff',
      '\u{10000}',
      new Uint8Array(),
      Uint8Array.of(0),
      Uint8Array.of(0, 0),
      Uint8Array.of(0xff),
    ]
    const keys = rising.map((value) => encodeIndexKey([value], 1))
    for (const [index, key] of keys.entries()) {
      expect(decodeIndexKey(key, 0, key.length)).toEqual({ values: [rising[index]], id: 1 })
      if (index > 0) expect(Buffer.compare(keys[index - 1]!, key)).toBe(-1)
    }
    expect(encodeIndexKey([-0])).toEqual(encodeIndexKey([0]))
  })

  test('S3: what cannot be indexed is told apart and refused', () => {
    const bad = [Number.NaN, undefined, {}, [], new Date(Number.NaN), loneSurrogate, Symbol('x')]
    for (const value of bad) {
      expect(isIndexValue(value)).toBe(false)
      expect(() => encodeIndexKey([untypedValue(value)])).toThrow(ValidationError)
    }
    fc.assert(fc.property(anyValue, (value) => isIndexValue(value)))
  })

  test('S3: keys up to 1,024 bytes, id included; larger ones are refused with their size', () => {
    expect(encodeIndexKey(['x'.repeat(KEY_BYTES_MAX - 6)], 1)).toHaveLength(KEY_BYTES_MAX)
    const tooLarge: [IndexValue[], Id?][] = [
      [['x'.repeat(KEY_BYTES_MAX - 5)], 1],
      [['x'.repeat(2_000_000)]],
      [['\0'.repeat(600)]],
      [['\uffff'.repeat(400)]],
      [[new Uint8Array(5000)]],
      [[2n ** 10_000n]],
      [Array.from({ length: 500 }, () => 1)],
      [['x'.repeat(600)], 'y'.repeat(500)],
    ]
    for (const [values, id] of tooLarge) {
      expect(() => encodeIndexKey(values, id)).toThrow(StoreTooLargeError)
    }
  })

  test('S3: prefixEnd is above everything with the prefix and nothing else', () => {
    const bytes = fc.uint8Array({ maxLength: 4, min: 250 })
    fc.assert(
      fc.property(bytes, bytes, (prefix, other) => {
        const end = prefixEnd(prefix)
        const has = Buffer.compare(other.subarray(0, prefix.length), prefix) === 0
        const inside =
          Buffer.compare(other, prefix) >= 0 &&
          (end === undefined || Buffer.compare(other, end) < 0)
        expect(inside).toBe(has)
      }),
      { numRuns: 500 },
    )
    expect(prefixEnd(Uint8Array.of(1, 255, 255))).toEqual(Uint8Array.of(2))
    expect(prefixEnd(Uint8Array.of(255))).toBeUndefined()
  })

  test('S3: changed bytes are refused, or are the key of what they decode to', () => {
    const mutation = fc.tuple(fc.nat(40), fc.nat(255), fc.nat(60))
    fc.assert(
      fc.property(
        fc.array(anyValue, { maxLength: 3 }),
        anyId,
        mutation,
        (values, id, [at, to, cut]) => {
          const key = encodeIndexKey(values, id)
          if (at < key.length) key[at] = to
          const bytes = key.subarray(0, key.length - (cut < key.length && cut < 8 ? cut : 0))
          let decoded: ReturnType<typeof decodeIndexKey>
          try {
            decoded = decodeIndexKey(bytes, 0, bytes.length)
          } catch (error) {
            expect(error).toBeInstanceOf(EncodingCorruptError)
            return
          }
          expect(Buffer.compare(encodeIndexKey(decoded.values, decoded.id), bytes)).toBe(0)
        },
      ),
      { numRuns: 2000 },
    )
  })
})
