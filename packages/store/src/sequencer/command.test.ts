import fc from 'fast-check'
import { expect, test } from 'vitest'
import { StoreTooLargeError } from '../errors.ts'
import { CommandBuilder, CommandReader, KEY_BYTES_MAX, NO_SLOT } from './command.ts'
import { decodeCommand } from './testing/decode-command.ts'

const key = fc.uint8Array({ maxLength: 20 })
const tree = fc.nat(2039)
const expectation = fc.option(fc.oneof(fc.constant('absent' as const), fc.maxSafeNat()), {
  nil: undefined,
})

test('every operation is read as it was built', () => {
  const operation = fc.record({ tree, key, value: fc.uint8Array({ maxLength: 2000 }), expectation })
  fc.assert(
    fc.property(fc.array(operation, { minLength: 1, maxLength: 20 }), (operations) => {
      const builder = new CommandBuilder()
      for (const { tree, key, value, expectation } of operations) {
        builder.put(tree, key, value, expectation)
      }
      const decoded = decodeCommand(builder.finish(3))
      expect(
        decoded.map(({ tree, key, value, expect }) => ({ tree, key, value, expectation: expect })),
      ).toEqual(
        operations.map((each) => ({
          ...each,
          key: Buffer.from(each.key),
          value: Buffer.from(each.value),
        })),
      )
    }),
    { numRuns: 50 },
  )
})

test('ranges with and without bounds, checks, deletes and definitions', () => {
  const builder = new CommandBuilder()
  builder.snapshotSequence = 2 ** 40 + 7
  builder.checkRange(1, undefined, Buffer.from('b'))
  builder.checkRange(1, Buffer.from('a'), undefined)
  builder.checkRange(1, Buffer.alloc(0), Buffer.alloc(0))
  builder.delete(2, Buffer.from('k'), 5)
  builder.check(2, Buffer.from('l'), 'absent')
  builder.checkMissing(4, 3, 12)
  builder.createTree(7, 0xffff_ffff)
  const bytes = builder.finish(9)
  const reader = new CommandReader()
  expect(reader.open(bytes, 0, bytes.length)).toBe(true)
  expect(reader.slot).toBe(9)
  expect(reader.snapshotSequence).toBe(2 ** 40 + 7)
  const bounds: unknown[] = []
  for (let at = 0; at < 3 && reader.next(); at++) {
    bounds.push([reader.from?.toString(), reader.to?.toString()])
  }
  expect(bounds).toEqual([
    [undefined, 'b'],
    ['a', undefined],
    ['', ''],
  ])
  expect(decodeCommand(bytes).map(({ code }) => code)).toEqual([
    'checkRange',
    'checkRange',
    'checkRange',
    'delete',
    'check',
    'checkMissing',
    'createTree',
  ])
  while (reader.next() && reader.ordinal < 5);
  expect([reader.tree, reader.otherTree, reader.number]).toEqual([4, 3, 12])
})

test('S11: a tree that cannot be, in place of a key', () => {
  const builder = new CommandBuilder()
  builder.checkMissing(4, 2040, 0)
  expect(() => decodeCommand(builder.finish(0))).toThrow('tree 2040 of 2040')
})

test('a key beyond its limit is refused when it is built', () => {
  const builder = new CommandBuilder()
  expect(() => builder.put(1, Buffer.alloc(KEY_BYTES_MAX + 1), Buffer.alloc(0))).toThrow(
    StoreTooLargeError,
  )
  expect(builder.operationCount).toBe(0)
})

test('a command that cannot be read does not keep the slot of the one before', () => {
  const builder = new CommandBuilder()
  builder.put(1, Buffer.from('k'), Buffer.from('v'))
  const bytes = builder.finish(3)
  const reader = new CommandReader()
  reader.open(bytes, 0, bytes.length)
  expect(reader.open(Buffer.from('garbage, and long enough'), 0, 24)).toBe(false)
  expect(reader.slot).toBe(NO_SLOT)
})

test('S11: a cut command, or one with bytes too many, has a fault and no operation beyond its end', () => {
  const builder = new CommandBuilder()
  builder.put(1, Buffer.from('key'), Buffer.from('value'), 12)
  builder.checkRange(1, Buffer.from('a'), Buffer.from('b'))
  const bytes = Buffer.concat([builder.finish(0), Buffer.from([0])])
  for (let length = 0; length <= bytes.length; length++) {
    if (length === bytes.length - 1) continue
    const reader = new CommandReader()
    reader.open(bytes, 0, length)
    while (reader.next()) {
      expect(reader.key.length + reader.value.length).toBeLessThanOrEqual(length)
    }
    expect(reader.fault).toBeTypeOf('string')
  }
})
