import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import type { Database } from '../database.ts'
import { defineCollection } from '../define-collection.ts'
import { accounts, asChange, asId, things, untyped, user, users } from './collections.ts'
import type { StoreTester } from './store-tester.ts'

export function describeCollections(store: StoreTester): void {
  const open = (): Promise<Database> => store.open(users, things, accounts)

  test('S1: insert, get, update, upsert, delete, all, count', async () => {
    const u = (await open()).collection(users)
    const id = await u.insert(user('a@b.c', { age: 41 }))
    expect(u.get(id)).toEqual({ id, email: 'a@b.c', age: 41, tags: [] })
    const updated = await u.update(id, (d) => {
      d.age += 1
    })
    expect(updated).toEqual({ id, email: 'a@b.c', age: 42, tags: [] })
    expect(u.get(id)).toEqual(updated)
    await u.update(id, (d) => ({ ...d, tags: ['x'] }))
    await u.update(id, async (d) => {
      await Promise.resolve()
      d.email = 'c@d.e'
    })
    expect(u.get(id)).toEqual({ id, email: 'c@d.e', age: 42, tags: ['x'] })
    const other = await u.upsert(user('new'))
    expect(await u.upsert({ ...user('newer'), id: other })).toBe(other)
    expect(u.count()).toBe(2)
    expect([...u.all()].map(({ email }) => email)).toEqual(['c@d.e', 'newer'])
    expect(await u.delete(id)).toBe(true)
    expect(await u.delete(id)).toBe(false)
    expect(u.get(id)).toBeUndefined()
    expect(u.count()).toBe(1)
  })

  test('S1: blocking variants of every write', async () => {
    const u = (await open()).collection(users)
    const id = u.sync.insert(user('a'))
    u.sync.update(id, (d) => {
      d.age = 1
    })
    expect(u.get(id)?.age).toBe(1)
    expect(u.sync.upsert({ ...user('b'), id })).toBe(id)
    expect(u.sync.insertMany([user('c'), user('d')])).toHaveLength(2)
    expect(u.sync.delete(id)).toBe(true)
    expect(u.sync.delete(id)).toBe(false)
    expect(u.count()).toBe(2)
    expect(() => u.sync.update(id, () => undefined)).toThrow(/no document with id/)
    const promised = (): Promise<void> => Promise.reject(new Error('not to be seen'))
    const last = u.sync.insert(user('e'))
    // @ts-expect-error nobody could wait for it
    expect(() => u.sync.update(last, promised)).toThrow(
      expect.objectContaining({ code: 'RINGBOLT_ASYNC' }),
    )
  })

  test('S1: not found is undefined on read, an error with collection and id on update', async () => {
    const u = (await open()).collection(users)
    expect(u.get(7)).toBeUndefined()
    await expect(u.update(7, () => undefined)).rejects.toMatchObject({
      code: 'RINGBOLT_NOT_FOUND',
      facts: { collection: 'users', id: 7 },
    })
  })

  test('S1: ids are given out, rising and each once, over several handles', async () => {
    const first = await open()
    const second = await store.another(users, things, accounts)
    const handles = [first.collection(accounts), second.collection(accounts)]
    const rounds = Array.from({ length: 200 }, (_, n) => handles[n % 2]!.insert({ balance: n }))
    const ids = await Promise.all(rounds)
    expect(new Set(ids).size).toBe(200)
    expect(ids.every((id) => Number.isSafeInteger(id) && id > 0)).toBe(true)
    expect(first.collection(accounts).count()).toBe(200)
  })

  test('S1: ids chosen by callers are passed over when numbers are given out', async () => {
    const a = (await open()).collection(accounts)
    await a.insertMany(Array.from({ length: 300 }, (_, n) => ({ id: n + 1, balance: n })))
    const id = await a.insert({ balance: 1 })
    expect(id).toBeGreaterThan(300)
    await a.insert({ id: Number.MAX_SAFE_INTEGER, balance: 2 })
    await a.insertMany(Array.from({ length: 500 }, (_, n) => ({ id: id + n + 1, balance: n })))
    expect(await a.insert({ balance: 3 })).toBe(id + 501)
    expect(a.sync.insert({ balance: 4 })).toBe(id + 502)
  })

  test('S1: what one handle writes, others read, whatever form it gave the documents', async () => {
    const writer = (await open()).collection(things)
    const reader = (await store.another(users, things, accounts)).collection(things)
    const value = { name: 'n', size: { width: 1, height: 2 } }
    for (let n = 0; n < 8; n++) {
      await writer.insert({ id: `a${n}`, value })
      expect(reader.get(`a${n}`)?.value).toEqual(value)
    }
    for (let n = 0; n < 8; n++) reader.sync.insert({ id: `b${n}`, value: { other: n } })
    expect([...writer.all()].map((document) => document.value)).toEqual([
      ...Array.from({ length: 8 }, () => value),
      ...Array.from({ length: 8 }, (_, n) => ({ other: n })),
    ])
    expect(reader.find({ 'value.other': 3 } as object).count()).toBe(1)
  })

  test('S1: a document is a copy: neither what was given nor what was got is the store’s', async () => {
    const u = (await open()).collection(users)
    const given = user('a', { tags: ['x'] })
    const id = await u.insert(given)
    given.tags.push('y')
    const got = u.get(id)!
    got.tags.push('z')
    expect(u.get(id)?.tags).toEqual(['x'])
    expect(given).not.toHaveProperty('id')
  })

  test('S1: concurrent updates of one document all count', async () => {
    const db = await open()
    const a = db.collection(accounts)
    const other = (await store.another(users, things, accounts)).collection(accounts)
    const id = await a.insert({ balance: 0 })
    const add = (d: { balance: number }): void => {
      d.balance++
    }
    await Promise.all(Array.from({ length: 30 }, (_, n) => (n % 2 ? a : other).update(id, add)))
    expect(a.get(id)?.balance).toBe(30)
  })

  test('S7: whatever JSON can say, and Date, bigint, bytes, Map, Set; __proto__ is data', async () => {
    const t = (await open()).collection(things)
    const values: unknown[] = [
      null,
      undefined,
      -0,
      Number.NaN,
      Number.NEGATIVE_INFINITY,
      '',
      'é😀',
      10n ** 40n,
      new Date(0),
      new Uint8Array([0, 255]),
      new Map<unknown, unknown>([[{ a: 1 }, new Set([1, 'x'])]]),
      JSON.parse('{"__proto__": {"a": 1}, "b": [[], {}, [1.5]]}'),
      Array.from({ length: 40 }, (_, n) => ({ n, name: `name ${n}` })),
    ]
    for (const [n, value] of values.entries()) {
      await t.insert({ id: `v${n}`, value })
      expect(t.get(`v${n}`)?.value).toStrictEqual(value)
    }
    const own: object = JSON.parse('{"id": "p", "__proto__": {"polluted": true}}')
    await t.insert({ id: 'p', ...own })
    expect(Object.hasOwn(t.get('p')!, '__proto__')).toBe(true)
    expect(t.get('p')).not.toHaveProperty('polluted')
    await t.insert({ id: 'empty' })
    expect(t.get('empty')).toEqual({ id: 'empty' })
    await t.insert({ id: 'big', value: 'x'.repeat(3_000_000) })
    expect(t.get('big')?.value).toHaveLength(3_000_000)
  })

  describe('S6: schemas', () => {
    const schema = z.object({ email: z.string(), tags: z.array(z.string()).default([]) })
    const strict = z.strictObject({ name: z.string() })
    const withId = z.object({ id: z.string().regex(/^k/), n: z.number() })
    const slow = z.object({ n: z.number() }).refine(async (d) => Promise.resolve(d.n > 0))

    test('what is written is what the schema makes of it', async () => {
      const definition = defineCollection({ name: 'a', schema })
      const c = (await store.open(definition)).collection(definition)
      const id = await c.insert({ email: 'x' })
      expect(c.get(id)).toEqual({ id, email: 'x', tags: [] })
      // @ts-expect-error a number is no email
      await expect(c.insert({ email: 1 })).rejects.toMatchObject({ code: 'RINGBOLT_VALIDATION' })
      const change = c.update(id, (d) => {
        Reflect.set(d, 'tags', 'none')
      })
      await expect(change).rejects.toThrow(/tags/)
      expect(c.get(id)).toEqual({ id, email: 'x', tags: [] })
      expect(c.count()).toBe(1)
    })

    test('the id may be the schema’s or stand beside it', async () => {
      const outside = defineCollection({ name: 'a', schema: strict })
      const inside = defineCollection({ name: 'b', schema: withId })
      const db = await store.open(outside, inside)
      const id = await db.collection(outside).insert({ name: 'x' })
      expect(db.collection(outside).get(id)).toEqual({ id, name: 'x' })
      const c = db.collection(inside)
      expect(await c.insert({ id: 'k1', n: 1 })).toBe('k1')
      expect(c.get('k1')).toEqual({ id: 'k1', n: 1 })
      await expect(c.insert({ id: 'x1', n: 1 })).rejects.toMatchObject({
        code: 'RINGBOLT_VALIDATION',
      })
    })

    test('an asynchronous one serves awaited writes only', async () => {
      const definition = defineCollection({ name: 'a', schema: slow })
      const db = await store.open(definition)
      const c = db.collection(definition)
      const id = await c.insert({ n: 1 })
      await expect(c.insert({ n: -1 })).rejects.toMatchObject({ code: 'RINGBOLT_VALIDATION' })
      expect(() => c.sync.insert({ n: 1 })).toThrow(
        expect.objectContaining({ code: 'RINGBOLT_ASYNC' }),
      )
      await db.transaction(async (tx) => {
        await tx.collection(definition).update(id, (d) => {
          d.n = 2
        })
      })
      expect([...c.all()]).toEqual([{ id, n: 2 }])
    })

    test('documents of older versions are migrated as they are read', async () => {
      const first = defineCollection<{ name: string }>()({
        name: 'm',
        indexes: { name: { on: 'name' } },
      })
      const third = defineCollection<{ first: string; tags: string[] }>()({
        name: 'm',
        version: 3,
        indexes: { first: { on: 'first', unique: true } },
        migrate: {
          1: ({ name, ...old }) => ({ ...old, first: name }),
          2: (old) => ({ ...old, tags: [] }),
        },
      })
      const old = (await store.open(first)).collection(first)
      const id = await old.insert({ name: 'x' })
      const db = await store.another(third)
      const c = db.collection(third)
      expect(c.get(id)).toEqual({ id, first: 'x', tags: [] })
      expect(c.findUnique('first', 'x')).toEqual({ id, first: 'x', tags: [] })
      await c.update(id, (d) => {
        d.tags.push('t')
      })
      expect(c.get(id)).toEqual({ id, first: 'x', tags: ['t'] })
      await expect(old.insert({ name: 'y' })).rejects.toMatchObject({ code: 'RINGBOLT_DEFINITION' })
      await expect(store.another(first)).rejects.toMatchObject({ code: 'RINGBOLT_DEFINITION' })
    })

    test('a migration that fails says which document and step', async () => {
      const one = defineCollection<{ a: number }>()({ name: 'm' })
      const broken = (step: () => object) =>
        defineCollection<{ a: number }>()({ name: 'm', version: 2, migrate: { 1: step } })
      const id = await (await store.open(one)).collection(one).insert({ a: 1 })
      const steps = [() => ({ id: 5 }), () => [], (): object => JSON.parse('{')]
      for (const step of steps) {
        const definition = broken(step)
        const c = (await store.another(definition)).collection(definition)
        expect(() => c.get(id)).toThrow(
          expect.objectContaining({
            code: 'RINGBOLT_MIGRATION',
            facts: { collection: 'm', id, version: 1 },
          }),
        )
      }
    })
  })

  describe('bad input changes nothing', () => {
    const cycle: Record<string, unknown> = {}
    cycle['self'] = cycle
    const deep: unknown = JSON.parse('['.repeat(10_000) + ']'.repeat(10_000))
    class Point {
      readonly x = 1
    }
    const documents: [string, unknown][] = [
      ['undefined', undefined],
      ['null', null],
      ['text', 'text'],
      ['an array', [1]],
      ['a Map', new Map()],
      ['a Date', new Date(0)],
      ['a function inside', { id: 'x', value: { f: () => 1 } }],
      ['a symbol inside', { id: 'x', value: Symbol('s') }],
      ['a cycle', { id: 'x', value: cycle }],
      ['10,000 levels', { id: 'x', value: deep }],
      ['a lone surrogate', { id: 'x', value: '\ud800' }],
      ['a lone surrogate in a key', { id: 'x', value: { '\udfff': 1 } }],
      ['a class', { id: 'x', value: new Point() }],
      ['an invalid date', { id: 'x', value: new Date(Number.NaN) }],
      ['a promise', { id: 'x', value: Promise.resolve() }],
    ]

    test.each(documents)('a document: %s', async (_, document) => {
      const db = await open()
      const t = db.collection(untyped(things))
      const refused = { code: 'RINGBOLT_VALIDATION' }
      await expect(t.insert(document)).rejects.toMatchObject(refused)
      await expect(t.upsert(document)).rejects.toMatchObject(refused)
      expect(() => t.sync.insert(document)).toThrow(expect.objectContaining(refused))
      const inside = db.transaction((tx) => tx.collection(untyped(things)).insert(document))
      await expect(inside).rejects.toMatchObject(refused)
      expect(t.count()).toBe(0)
    })

    const ids: [string, unknown, string][] = [
      ['0', 0, 'RINGBOLT_VALIDATION'],
      ['negative', -1, 'RINGBOLT_VALIDATION'],
      ['fractional', 1.5, 'RINGBOLT_VALIDATION'],
      ['above 2^53', 2 ** 53, 'RINGBOLT_VALIDATION'],
      ['NaN', Number.NaN, 'RINGBOLT_VALIDATION'],
      ['null', null, 'RINGBOLT_VALIDATION'],
      ['an object', {}, 'RINGBOLT_VALIDATION'],
      ['empty', '', 'RINGBOLT_VALIDATION'],
      ['a lone surrogate', '\ud800', 'RINGBOLT_VALIDATION'],
      ['10 kB', 'x'.repeat(10_000), 'RINGBOLT_TOO_LARGE'],
    ]

    test.each(ids)('an id: %s', async (_, id, code) => {
      const t = (await open()).collection(untyped(things))
      const wrong = asId(id)
      await expect(t.insert({ id })).rejects.toMatchObject({ code })
      await expect(t.upsert({ id })).rejects.toMatchObject({ code })
      await expect(t.update(wrong, () => undefined)).rejects.toMatchObject({ code })
      await expect(t.delete(wrong)).rejects.toMatchObject({ code })
      expect(() => t.get(wrong)).toThrow(expect.objectContaining({ code }))
      expect(t.count()).toBe(0)
    })

    test('a duplicate id', async () => {
      const t = (await open()).collection(things)
      await t.insert({ id: 'x', value: 1 })
      await expect(t.insert({ id: 'x', value: 2 })).rejects.toMatchObject({
        code: 'RINGBOLT_UNIQUE',
        facts: { collection: 'things', index: 'id', value: '"x"' },
      })
      await expect(t.insertMany([{ id: 'y' }, { id: 'y' }])).rejects.toMatchObject({
        code: 'RINGBOLT_UNIQUE',
      })
      expect([...t.all()]).toEqual([{ id: 'x', value: 1 }])
    })

    test('a closure that changes the id, returns something else, or throws', async () => {
      const t = (await open()).collection(untyped(things))
      await t.insert({ id: 'x', value: 1 })
      const changes: ((d: { id: string }) => unknown)[] = [
        (d) => {
          d.id = 'y'
        },
        () => ({ value: 2 }),
        () => 5,
        () => [],
        (d) => Reflect.deleteProperty(d, 'id'),
      ]
      for (const change of changes) {
        await expect(t.update('x', asChange(change))).rejects.toMatchObject({
          code: 'RINGBOLT_VALIDATION',
        })
      }
      const failing = t.update('x', () => {
        throw new RangeError('mine')
      })
      await expect(failing).rejects.toThrow(new RangeError('mine'))
      expect(t.get('x')).toEqual({ id: 'x', value: 1 })
    })

    test('unknown collections', async () => {
      const db = await store.open(users)
      expect(() => db.collection(things)).toThrow(
        expect.objectContaining({
          code: 'RINGBOLT_UNKNOWN_COLLECTION',
          facts: { collection: 'things' },
        }),
      )
      using snapshot = db.snapshot()
      expect(() => snapshot.collection(things)).toThrow(/no collection things/)
      await expect(db.transaction((tx) => tx.collection(things).count())).rejects.toThrow(
        /no collection/,
      )
    })

    test('unknown indexes and operators', async () => {
      const u = (await open()).collection(users)
      // @ts-expect-error there is no such index
      expect(() => [...u.range('nix', { gte: 1 })]).toThrow(/nix/)
      // @ts-expect-error it is not unique
      expect(() => u.findUnique('age', 1)).toThrow(/not unique/)
      // @ts-expect-error there is no such operator
      expect(() => u.find({ age: { $near: 1 } })).toThrow(/\$near/)
    })

    test('a document too large', async () => {
      const t = (await open()).collection(things)
      const value = 'x'.repeat(64 * 1024 * 1024)
      await expect(t.insert({ id: 'x', value })).rejects.toMatchObject({
        code: 'RINGBOLT_TOO_LARGE',
      })
      expect(t.count()).toBe(0)
    })

    test('use after close', async () => {
      const db = await open()
      const t = db.collection(things)
      const snapshot = db.snapshot()
      const inSnapshot = snapshot.collection(things)
      await t.insert({ id: 'x' })
      await t.insert({ id: 'y' })
      const walk = t.all()
      walk.next()
      await db.close()
      await db.close()
      const closed = expect.objectContaining({ code: 'RINGBOLT_CLOSED' })
      expect(() => t.get('x')).toThrow(closed)
      expect(() => t.count()).toThrow(closed)
      expect(() => walk.next()).toThrow(closed)
      expect(() => [...t.find()]).toThrow(closed)
      expect(() => t.sync.delete('x')).toThrow(closed)
      await expect(t.insert({ id: 'z' })).rejects.toThrow(closed)
      expect(() => db.snapshot()).toThrow(closed)
      expect(() => inSnapshot.get('x')).toThrow(closed)
      expect(() => db.collection(things)).toThrow(closed)
      await expect(db.transaction(() => 1)).rejects.toThrow(closed)
      expect(db.isClosed).toBe(true)
    })
  })
}
