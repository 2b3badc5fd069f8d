/** Sums tell sets apart: whatever is changed in one changes its sums. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { EntrySum } from './entry-sum.ts'

const SEED = { first: 0x1234_5678, second: -77 }

type Entry = readonly [key: Uint8Array, value: Uint8Array]

function sumOf(entries: readonly Entry[]): EntrySum {
  const sum = new EntrySum(SEED)
  for (const [key, value] of entries) sum.add(key, key.length, value, 0, value.length)
  return sum
}

const entryArbitrary = fc.tuple(fc.uint8Array({ maxLength: 12 }), fc.uint8Array({ maxLength: 6 }))

test('M7: the same entries in another order have the same sum', () => {
  fc.assert(
    fc.property(fc.array(entryArbitrary), (entries) => {
      expect(sumOf(entries).equals(sumOf(entries.toReversed()))).toBe(true)
    }),
  )
})

test('M7: one bit, one byte moved from key to value, one entry in place of another: another sum', () => {
  fc.assert(
    fc.property(
      fc.array(entryArbitrary, { minLength: 1 }),
      fc.nat(),
      fc.nat(),
      (entries, which, where) => {
        const at = which % entries.length
        const [key, value] = entries[at]!
        const others = entries.toSpliced(at, 1)
        const sum = sumOf(entries)
        expect(sum.equals(sumOf(others))).toBe(false)
        expect(sum.equals(sumOf([...entries, entries[at]!]))).toBe(false)
        if (key.length === 0) return
        const changed = Uint8Array.from(key)
        changed[where % key.length]! ^= 1 << (where % 8)
        expect(sum.equals(sumOf([...others, [changed, value]]))).toBe(false)
        const moved = Uint8Array.of(key.at(-1)!, ...value)
        expect(sum.equals(sumOf([...others, [key.subarray(0, -1), moved]]))).toBe(false)
      },
    ),
    { numRuns: 1000 },
  )
})

test('M7: two sets that differ in two numbers of thousands, with the same total, have sums of their own', () => {
  const numbers = Array.from({ length: 5000 }, (_, at) => at)
  const sum = sumOf(numbers.map(entryOf))
  for (let at = 1; at < 4999; at += 97) {
    const others = numbers.with(at, at + 1).with(at + 1, at)
    expect(sum.equals(sumOf(others.map(entryOf)))).toBe(true)
    const wrong = numbers.with(at, at - 1).with(at + 1, at + 2)
    expect(sum.equals(sumOf(wrong.map(entryOf)))).toBe(false)
  }
})

function entryOf(number: number): Entry {
  const key = Buffer.alloc(8)
  key.writeUInt32BE(number, 4)
  return [key, Buffer.alloc(0)]
}
