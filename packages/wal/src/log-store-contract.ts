/** What every `LogStore` must do, as tests: one function for all implementations. For test files only. */
import { describe, expect, test } from 'vitest'
import type { LogStore } from './log-store.ts'

/** @param makeStore gives an empty store at each call */
export function logStoreContract(name: string, makeStore: () => LogStore): void {
  describe(`${name}: the log store's contract`, () => {
    contentTests(makeStore)
    nameTests(makeStore)
  })
}

function contentTests(makeStore: () => LogStore): void {
  test('reads back what was written, parts one after another', () => {
    const file = makeStore().create('a')
    file.writeAt(0, [Buffer.from('abc'), Buffer.alloc(0), Buffer.from('defg')])
    file.writeAt(2, [Buffer.from('XY')])
    expect(file.length()).toBe(7)
    expect(contentOf(file)).toBe('abXYefg')
    file.close()
  })

  test('a write past the end leaves zeros between', () => {
    const file = makeStore().create('a')
    file.writeAt(4, [Buffer.from('x')])
    expect(contentOf(file)).toBe('\0\0\0\0x')
    file.close()
  })

  test('a read stops at the end of the file and says how much it is', () => {
    const file = makeStore().create('a')
    file.writeAt(0, [Buffer.from('abc')])
    const target = Buffer.alloc(8, '-')
    expect(file.readAt(1, target)).toBe(2)
    expect(target.toString()).toBe('bc------')
    expect(file.readAt(3, target)).toBe(0)
    expect(file.readAt(100, target)).toBe(0)
    expect(file.readAt(0, Buffer.alloc(0))).toBe(0)
    file.close()
  })

  test('more parts than one call of the system takes', () => {
    const file = makeStore().create('a')
    const parts = Array.from({ length: 3000 }, (_, index) => Buffer.from([index % 251, 7]))
    file.writeAt(3, parts)
    const whole = Buffer.alloc(6000)
    expect(file.readAt(3, whole)).toBe(6000)
    expect(whole.equals(Buffer.concat(parts))).toBe(true)
    file.close()
  })

  test('takes and fills views of shared memory', () => {
    const file = makeStore().create('a')
    const shared = new Uint8Array(new SharedArrayBuffer(16)).subarray(3, 8)
    shared.set([1, 2, 3, 4, 5])
    file.writeAt(0, [shared])
    const back = new Uint8Array(new SharedArrayBuffer(5))
    expect(file.readAt(0, back)).toBe(5)
    expect([...back]).toEqual([1, 2, 3, 4, 5])
    file.close()
  })

  test('truncate shortens, and lengthens with zeros', () => {
    const file = makeStore().create('a')
    file.writeAt(0, [Buffer.from('abcdef')])
    file.truncate(2)
    file.truncate(4)
    expect(contentOf(file)).toBe('ab\0\0')
    file.sync()
    file.close()
  })

  test('two handles of one file see each other; close is idempotent, use after it fails', () => {
    const store = makeStore()
    const first = store.create('a')
    const second = store.open('a')
    first.writeAt(0, [Buffer.from('abc')])
    expect(contentOf(second)).toBe('abc')
    first.close()
    first.close()
    expect(() => first.length()).toThrow(expect.objectContaining({ code: 'RINGBOLT_IO' }))
    expect(() => first.writeAt(0, [Buffer.from('z')])).toThrow('closed')
    expect(contentOf(second)).toBe('abc')
    second.close()
  })
}

function io(errno: string): unknown {
  return expect.objectContaining({ code: 'RINGBOLT_IO', facts: expect.objectContaining({ errno }) })
}

function nameTests(makeStore: () => LogStore): void {
  test('create is exclusive; list names what there is', () => {
    const store = makeStore()
    expect(store.list()).toEqual([])
    store.create('a').close()
    store.create('b').close()
    expect(() => store.create('a')).toThrow(io('EEXIST'))
    expect(store.list().sort()).toEqual(['a', 'b'])
    store.syncFolder()
  })

  test('rename keeps the content and replaces; an open handle stays on its file', () => {
    const store = makeStore()
    const a = store.create('a')
    a.writeAt(0, [Buffer.from('of a')])
    const b = store.create('b')
    b.writeAt(0, [Buffer.from('of b')])
    store.rename('a', 'b')
    store.syncFolder()
    expect(store.list()).toEqual(['b'])
    const reopened = store.open('b')
    expect(contentOf(reopened)).toBe('of a')
    a.writeAt(3, [Buffer.from('A')])
    expect(contentOf(reopened)).toBe('of A')
    expect(contentOf(b)).toBe('of b')
    for (const file of [a, b, reopened]) file.close()
  })

  test('remove takes the name away', () => {
    const store = makeStore()
    store.create('a').close()
    store.remove('a')
    store.syncFolder()
    expect(store.list()).toEqual([])
    expect(() => store.open('a')).toThrow(io('ENOENT'))
    expect(() => store.remove('a')).toThrow(io('ENOENT'))
    expect(() => store.rename('a', 'b')).toThrow(io('ENOENT'))
  })
}

function contentOf(file: {
  length(): number
  readAt(at: number, target: Uint8Array): number
}): string {
  const bytes = Buffer.alloc(file.length())
  expect(file.readAt(0, bytes)).toBe(bytes.length)
  return bytes.toString()
}
