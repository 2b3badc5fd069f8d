import { createContext, runInContext } from 'node:vm'
import fc from 'fast-check'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { StoreTooLargeError } from '../errors.ts'
import { VALUE_BYTES_MAX } from '../sequencer/command.ts'
import { DocumentCodec } from './codec.ts'
import { EncodingCorruptError, UnknownShapeError, ValidationError } from './errors.ts'
import { DOCUMENT_FORMAT, type Fields, NESTING_MAX } from './format.ts'
import { MemoryShapes } from './testing/memory-shapes.ts'

const key = fc.oneof(
  fc.constantFrom(
    'id',
    'name',
    '__proto__',
    'constructor',
    'toString',
    '',
    '0',
    '17',
    'a b',
    'ä',
    '日',
  ),
  fc.string({ unit: 'binary', maxLength: 8 }),
)
const leaf = fc.oneof(
  fc.constantFrom(null, undefined, true, false, -0, 0, 127, 128, 65_535, 65_536, -1, -70_000),
  fc.constantFrom(2 ** 31, 2 ** 32 - 1, 2 ** 32, -(2 ** 31), -(2 ** 32), 1e300, Number.NaN),
  fc.constantFrom(Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.MAX_SAFE_INTEGER),
  fc.integer(),
  fc.double(),
  fc.string({ unit: 'binary', maxLength: 300 }),
  fc.string({ maxLength: 70 }),
  fc.bigInt(),
  fc.bigInt({ min: -(2n ** 600n), max: 2n ** 600n }),
  fc.date({ noInvalidDate: true }),
  fc.uint8Array({ maxLength: 40 }),
)
const { fields: anyDocument } = fc.letrec<{ value: unknown; fields: Fields }>((tie) => ({
  fields: fc
    .array(fc.tuple(key, tie('value')), { maxLength: 8 })
    .map((entries) => entries.reduce(withField, {})),
  value: fc.oneof(
    { maxDepth: 3, depthIdentifier: 'value' },
    leaf,
    tie('fields'),
    fc.array(tie('value'), { maxLength: 5 }),
    fc.array(fc.nat(300), { minLength: 30, maxLength: 34 }),
    fc.array(fc.tuple(leaf, tie('value')), { maxLength: 4 }).map((entries) => new Map(entries)),
    fc.array(leaf, { maxLength: 4 }).map((values) => new Set(values)),
  ),
}))

function withField(fields: Fields, [name, value]: [string, unknown]): Fields {
  return Object.defineProperty(fields, name, {
    value,
    configurable: true,
    enumerable: true,
    writable: true,
  })
}

/** As it comes back: exactly, keys in order, -0 told from 0. */
function expectSame(actual: unknown, expected: unknown): void {
  expect(describeValue(actual)).toBe(describeValue(expected))
}

function describeValue(value: unknown): string {
  if (typeof value === 'bigint') return `${value}n`
  if (typeof value === 'string') return JSON.stringify(value)
  if (typeof value !== 'object' || value === null) {
    return Object.is(value, -0) ? '-0' : String(value)
  }
  if (Array.isArray(value)) return `[${Array.from(value, describeValue).join()}]`
  if (value instanceof Date) return `date ${value.getTime()}`
  if (value instanceof Uint8Array) return `bytes ${Array.from(value).join()}`
  if (value instanceof Set) return `set ${describeValue([...value])}`
  if (value instanceof Map) return `map ${describeValue([...value])}`
  const fields = Object.keys(value).map(
    (name) => `${JSON.stringify(name)}: ${describeValue(Reflect.get(value, name))}`,
  )
  expect(Object.getPrototypeOf(value)).toBe(Object.prototype)
  return `{${fields.join()}}`
}

function newCodec(shapes = new MemoryShapes()): DocumentCodec {
  return new DocumentCodec(shapes)
}

function roundTrip(codec: DocumentCodec, document: object): Fields {
  const bytes = codec.encode(document, 1)
  return codec.decode(bytes, 0, bytes.length)
}

const person = (id: number) => ({
  id,
  email: `user${id}@example.org`,
  name: 'Some Name',
  age: 41,
  city: 'Springfield',
  tags: ['a', 'b'],
  note: 'a note of about sixty characters that says nothing at all…',
})

/** `levels` objects in one another. */
function nested(levels: number): Fields {
  let document: Fields = {}
  for (let level = 1; level < levels; level++) document = { in: document }
  return document
}

afterEach(() => {
  vi.unstubAllGlobals()
})

describe('documents come back as they were', () => {
  test('S7: any of them, with their keys and with shapes, by another codec too', () => {
    const shapes = new MemoryShapes()
    const [writer, reader] = [newCodec(shapes), newCodec(shapes)]
    fc.assert(
      fc.property(anyDocument, (document) => {
        for (let time = 0; time < 4; time++) {
          const bytes = writer.encode(document, 7)
          expectSame(reader.decode(bytes, 0, bytes.length), document)
          expect(reader.schemaVersion).toBe(7)
        }
      }),
      { numRuns: 200 },
    )
    expect(shapes.lists.length).toBeGreaterThan(10)
  })

  test('S7: the same where code generation is not allowed', () => {
    vi.stubGlobal('Function', function refuse() {
      throw new EvalError('code generation is not allowed')
    })
    const codec = newCodec()
    for (let id = 1; id < 6; id++) expectSame(roundTrip(codec, person(id)), person(id))
  })

  test('S7: out of shared memory, without aliasing it', () => {
    const codec = newCodec()
    const document = { ...person(1), raw: Uint8Array.of(1, 2, 3), text: 'ä日'.repeat(200) }
    for (let time = 0; time < 4; time++) {
      const bytes = codec.encode(document, 300)
      const shared = Buffer.from(new SharedArrayBuffer(bytes.length + 9))
      bytes.copy(shared, 5)
      const decoded = codec.decode(shared, 5, 5 + bytes.length)
      shared.fill(0xff)
      bytes.fill(0xff)
      expectSame(decoded, document)
    }
  })

  test('S7: an earlier document is not touched by encoding the next', () => {
    const codec = newCodec()
    const documents = Array.from({ length: 600 }, (_, id) => person(id))
    const bytes = documents.map((document) => codec.encode(document, 1))
    for (const [id, encoded] of bytes.entries()) {
      expectSame(codec.decode(encoded, 0, encoded.length), person(id))
    }
  })

  test('S7: __proto__ is a key like any other, and nothing is polluted', () => {
    const codec = newCodec()
    const evil: Fields = JSON.parse('{"__proto__": {"polluted": 1}, "in": {"__proto__": 5}}')
    for (let time = 0; time < 5; time++) {
      const decoded = roundTrip(codec, evil)
      expectSame(decoded, evil)
      expect(Object.hasOwn(decoded, '__proto__')).toBe(true)
      expect(Reflect.get({}, 'polluted')).toBeUndefined()
    }
    const shapes = new MemoryShapes()
    shapes.lists.push(['__proto__', 'a'])
    const hostile = Buffer.from([DOCUMENT_FORMAT, 1, 0, 0, 0xd2, 1, 0xd1, 0, 5])
    const decoded = newCodec(shapes).decode(hostile, 0, hostile.length)
    expect(Object.getPrototypeOf(decoded)).toBe(Object.prototype)
    expect(Object.keys(decoded)).toEqual(['__proto__', 'a'])
  })

  test('S7: Buffers come back as Uint8Array, objects of other realms as plain ones, holes as undefined', () => {
    const foreign = runInContext(
      '({ a: [1], d: new Date(5), m: new Map([[1, 2]]) })',
      createContext(),
    )
    const bare: Fields = Object.assign(Object.create(null), { b: 1 })
    // oxlint-disable-next-line no-sparse-arrays
    const document = { raw: Buffer.from([1, 2]), foreign, bare, list: [1, , 2] }
    const decoded = roundTrip(newCodec(), document)
    expect(Object.getPrototypeOf(decoded['raw'])).toBe(Uint8Array.prototype)
    expectSame(decoded, {
      raw: Uint8Array.of(1, 2),
      foreign: { a: [1], d: new Date(5), m: new Map([[1, 2]]) },
      bare: { b: 1 },
      list: [1, undefined, 2],
    })
  })

  test('S7: from empty to 64 MiB', () => {
    const codec = newCodec()
    expectSame(roundTrip(codec, {}), {})
    // A key that is no name never gets a shape, so the sizes differ by the bytes alone.
    const sized = (length: number) => ({ 1: new Uint8Array(length) })
    const tried = VALUE_BYTES_MAX - 100
    const room = VALUE_BYTES_MAX - (codec.encode(sized(tried), 1).length - tried)
    const largest = codec.encode(sized(room), 1)
    expect(largest).toHaveLength(VALUE_BYTES_MAX)
    expect(codec.decode(largest, 0, largest.length)['1']).toHaveLength(room)
    expect(() => codec.encode(sized(room + 1), 1)).toThrow(StoreTooLargeError)
    expectSame(roundTrip(codec, person(1)), person(1))
  })
})

describe('what cannot be stored is refused with its path', () => {
  class Money {
    readonly amount = 1
  }
  const cyclic: Fields = { list: [{}] }
  cyclic['list'] = [1, new Map([['x', cyclic]])]
  const selfish: unknown[] = []
  selfish.push(selfish)

  test.each<[string, object, string]>([
    ['a function', { a: { b: [1, () => 1] } }, 'a.b[1]: a function'],
    ['a symbol', { s: Symbol('x') }, 's: a symbol'],
    [
      'a lone surrogate',
      { user: { 'first name': 'x\ud800' } },
      'user["first name"]: text with a lone',
    ],
    ['a long lone surrogate', { a: `${'x'.repeat(500)}\udc00` }, 'a: text with a lone'],
    ['a lone surrogate in a key', { a: { '\ud800': 1 } }, 'a["\\ud800"]: text with a lone'],
    ['an invalid date', { at: new Date(Number.NaN) }, 'at: an invalid date'],
    ['a class instance', { price: new Money() }, 'price: an object of class Money'],
    ['an error', { e: new Error('x') }, 'e: an object of class Error'],
    ['a regular expression', { r: [/x/] }, 'r[0]: an object of class RegExp'],
    ['a typed array', { t: new Float64Array(1) }, 't: an object of class Float64Array'],
    ['a promise', { p: Promise.resolve() }, 'p: an object of class Promise'],
    ['a value in a map', { m: new Map([[1, Symbol('x')]]) }, 'm[0]: a symbol'],
    ['a value in a set', { m: new Set([1, Symbol('x')]) }, 'm[1]: a symbol'],
    ['a cycle', { a: cyclic }, 'a.list[1][0]: refers to an object that it is itself part of'],
    ['a cycle of an array', { a: selfish }, 'a[0]: refers to an object'],
    ['too many levels', nested(NESTING_MAX + 1), 'nested 512 levels deep'],
    ['10,000 levels', nested(10_000), 'nested 512 levels deep'],
    ['a million levels', nested(1_000_000), 'nested 512 levels deep'],
    ['an array as document', [1], 'a document must be an object, not an array'],
    [
      'a date as document',
      new Date(0),
      'a document must be an object, not an object of class Date',
    ],
  ])('S7: %s', (_, document, words) => {
    const codec = newCodec()
    expect(() => codec.encode(document, 1)).toThrow(ValidationError)
    expect(() => codec.encode(document, 1)).toThrow(words)
    expectSame(roundTrip(codec, person(1)), person(1))
  })

  test('S7: no document at all', () => {
    for (const value of [null, undefined, 5, 'x']) {
      // oxlint-disable-next-line no-unsafe-type-assertion
      expect(() => newCodec().encode(value as unknown as object, 1)).toThrow(ValidationError)
    }
  })

  test('S7: 512 levels are fine; so is one object in many places', () => {
    expectSame(roundTrip(newCodec(), nested(NESTING_MAX)), nested(NESTING_MAX))
    const shared = { a: 1 }
    expectSame(roundTrip(newCodec(), { x: shared, y: [shared] }), { x: { a: 1 }, y: [{ a: 1 }] })
  })

  test('S7: what would be endless is refused by size, with the path', () => {
    let document: Fields = { text: 'x'.repeat(1000) }
    for (let level = 0; level < 40; level++) document = { l: document, r: document }
    expect(() => newCodec().encode(document, 1)).toThrow(StoreTooLargeError)
    expect(() => newCodec().encode({ a: [new Uint8Array(VALUE_BYTES_MAX + 100)] }, 1)).toThrow(
      /document, counted up to a\[0\],/,
    )
  })

  test('S7: a getter may use the codec, and one that changes what is being stored is noticed', () => {
    const codec = newCodec()
    const meddling = {
      a: 1,
      get inner() {
        return roundTrip(codec, person(2))
      },
      b: 'text',
    }
    expectSame(roundTrip(codec, meddling), { a: 1, inner: person(2), b: 'text' })
    const map = new Map<number, unknown>()
    map.set(1, {
      get x() {
        return map.set(2, 2).size
      },
    })
    expect(() => codec.encode({ map }, 1)).toThrow('changed while it was being stored')
  })

  test('S6: schema versions are 32-bit numbers', () => {
    const codec = newCodec()
    const bytes = codec.encode({ a: 1 }, 0xffff_ffff)
    expectSame(codec.decode(bytes, 0, bytes.length), { a: 1 })
    expect(codec.schemaVersion).toBe(0xffff_ffff)
    for (const version of [-1, 2 ** 32, 1.5, Number.NaN]) {
      expect(() => codec.encode({}, version)).toThrow(ValidationError)
    }
  })
})

describe('shapes', () => {
  test('S7: a list of keys becomes a shape at its third sighting, and is asked for once', () => {
    const shapes = new MemoryShapes()
    const codec = newCodec(shapes)
    const lengths = [1, 2, 3, 4, 5].map((id) => codec.encode(person(id), 1).length)
    expect(shapes.lists).toEqual([Object.keys(person(1))])
    expect(lengths[2]).toBeLessThan(lengths[1]! - 20)
    expect(shapes.calls).toBe(1)
  })

  test('S7: objects used as dictionaries register none', () => {
    const shapes = new MemoryShapes()
    const codec = newCodec(shapes)
    for (let id = 0; id < 5000; id++) {
      codec.encode({ counts: { [`page ${id}`]: 1, [`${id}`]: 2 } }, 1)
      codec.encode({ byDay: { '2026-11-21': 1 }, byUser: { user48151623: 1 } }, 1)
    }
    expect(shapes.lists).toEqual([['counts'], ['byDay', 'byUser']])
  })

  test('S7: a store that declines is asked again, ever more rarely', () => {
    const shapes = new MemoryShapes()
    const idOf = vi.spyOn(shapes, 'idOf').mockReturnValue(undefined)
    const codec = newCodec(shapes)
    for (let id = 0; id < 100; id++) codec.encode({ a: id }, 1)
    expect(idOf).toHaveBeenCalledTimes(6)
    idOf.mockRestore()
    for (let id = 0; id < 100; id++) codec.encode({ a: id }, 1)
    expect(shapes.lists).toEqual([['a']])
  })

  test('S7: a shape that is not known yet is told by its id; decoding succeeds once it is', () => {
    const shapes = new MemoryShapes()
    const codec = newCodec(shapes)
    for (let id = 0; id < 3; id++) codec.encode(person(id), 1)
    const bytes = codec.encode(person(4), 1)
    const late = new MemoryShapes()
    const reader = newCodec(late)
    const decode = () => reader.decode(bytes, 0, bytes.length)
    expect(decode).toThrow(UnknownShapeError)
    expect(decode).toThrow('shape 1 is not known here')
    late.lists.push(...shapes.lists)
    expectSame(decode(), person(4))
  })
})

describe('hostile bytes', () => {
  function expectDecodedOrRefused(codec: DocumentCodec, bytes: Buffer): void {
    let decoded: Fields
    try {
      decoded = codec.decode(bytes, 0, bytes.length)
    } catch (error) {
      const isTyped = error instanceof EncodingCorruptError || error instanceof UnknownShapeError
      if (!isTyped) throw error
      return
    }
    describeValue(decoded)
  }

  test('S7: every cut of a document is refused', () => {
    const codec = newCodec()
    for (let time = 0; time < 4; time++) {
      const bytes = codec.encode(
        { ...person(1), when: new Date(5), big: 2n ** 70n, m: new Map() },
        1,
      )
      for (let end = 0; end < bytes.length; end++) {
        expect(() => codec.decode(bytes, 0, end)).toThrow(EncodingCorruptError)
      }
      const longer = Buffer.concat([bytes, Buffer.from([0])])
      expect(() => codec.decode(longer, 0, longer.length)).toThrow(EncodingCorruptError)
    }
  })

  test('S7: changed bytes give a typed error or some document, and pollute nothing', () => {
    const shapes = new MemoryShapes()
    const codec = newCodec(shapes)
    const change = fc.tuple(fc.nat(400), fc.nat(255))
    const changes = fc.array(change, { minLength: 1, maxLength: 4 })
    fc.assert(
      fc.property(anyDocument, changes, (document, edits) => {
        const bytes = Buffer.from(codec.encode(document, 1))
        for (const [at, to] of edits) bytes[at % bytes.length] = to
        expectDecodedOrRefused(codec, bytes)
      }),
      { numRuns: 1000 },
    )
    expect(Object.keys(Object.prototype)).toEqual([])
  })

  test('S7: noise gives a typed error or some document', () => {
    const codec = newCodec()
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), fc.boolean(), (noise, isObject) => {
        const start = isObject ? [DOCUMENT_FORMAT, 1, 0, 0, 0xd1, 1] : []
        expectDecodedOrRefused(codec, Buffer.from([...start, ...noise]))
      }),
      { numRuns: 3000 },
    )
  })

  test.each([
    ['another format', [2, 1, 0, 0, 0xd1, 0]],
    ['a text block beyond the end', [1, 1, 0xff, 0x0f, 0xd1, 0]],
    ['an array as document', [1, 1, 0, 0, 0xe0]],
    ['a count of 4 billion keys', [1, 1, 0, 0, 0xd1, 0xff, 0xff, 0xff, 0xff, 0x0f]],
    ['an endless varint', [1, 1, 0, 0, 0xd1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]],
    [
      'a count of 4 billion elements',
      [1, 1, 0, 0, 0xd1, 1, 0x80, 0xd3, 0xff, 0xff, 0xff, 0xff, 0x0f],
    ],
    ['4 GB of bytes', [1, 1, 0, 0, 0xd1, 1, 0x80, 0xce, 0xff, 0xff, 0xff, 0xff, 0x0f]],
    ['a bigint of 4 GB', [1, 1, 0, 0, 0xd1, 1, 0x80, 0xcb, 0xff, 0xff, 0xff, 0xff, 0x0f]],
    ['a bigint with leading zeros', [1, 1, 0, 0, 0xd1, 1, 0x80, 0xcb, 2, 0, 1]],
    ['a key that is no text', [1, 1, 0, 0, 0xd1, 1, 5, 5]],
    ['a date that is none', [1, 1, 0, 0, 0xd1, 1, 0x80, 0xcd, 0, 0, 0, 0, 0, 0, 0xf8, 0x7f]],
    ['text that is not UTF-8', [1, 1, 0, 0, 0xd1, 1, 0x80, 0xc2, 2, 0xc3, 0x28]],
    ['text left over', [1, 1, 1, 0, 0xd1, 0, 0x61]],
    ['an unknown tag', [1, 1, 0, 0, 0xd1, 1, 0x80, 0xdf]],
    [
      '100,000 levels',
      [1, 1, 0, 0, 0xd1, 1, 0x80, ...Array.from({ length: 100_000 }, () => 0xe1), 0],
    ],
  ])('S7: %s', (_, bytes) => {
    expect(() => newCodec().decode(Buffer.from(bytes), 0, bytes.length)).toThrow(
      EncodingCorruptError,
    )
  })
})
