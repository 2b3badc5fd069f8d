import { expect, test } from 'vitest'
import type { Collection } from '../collection.ts'
import { defineCollection } from '../define-collection.ts'
import { things, type User, user, users } from './collections.ts'
import type { StoreTester } from './store-tester.ts'

const plainUsers = defineCollection<User>()({ name: 'users' })
const emailUsers = defineCollection<User>()({
  name: 'users',
  indexes: { email: { on: 'email', unique: true } },
})
const agedUsers = defineCollection<User>()({ name: 'users', indexes: { age: { on: 'age' } } })

export function describeIndexes(store: StoreTester): void {
  test('S3: standard, unique, each and composite follow every write', async () => {
    const u = (await store.open(users)).collection(users)
    const ulm = { city: 'Ulm', zip: '89073' }
    const a = await u.insert(user('a', { age: 1, tags: ['x', 'y', 'x'], address: ulm }))
    const b = await u.insert(user('b', { age: 2, tags: ['y'] }))
    expect(u.findUnique('email', 'b')?.id).toBe(b)
    expect([...u.range('tags', { gte: 'y' })].map(({ id }) => id)).toEqual([a, b])
    expect(
      [...u.range('cityAge', { gte: ['Ulm', 1], lt: ['Ulm', 2] })].map(({ id }) => id),
    ).toEqual([a])
    expect([...u.range('cityAge', { prefix: ['Ulm'] })]).toHaveLength(1)
    await u.update(a, (d) => {
      d.tags = ['z']
      d.age = 5
      delete d.address
    })
    expect([...u.range('tags')].map(({ tags }) => tags[0])).toEqual(['y', 'z'])
    expect([...u.range('age', { reverse: true })].map(({ age }) => age)).toEqual([5, 2])
    expect([...u.range('cityAge')]).toEqual([])
    await u.upsert({ ...user('c', { tags: ['y'], address: ulm }), id: a })
    expect(u.findUnique('email', 'a')).toBeUndefined()
    expect([...u.range('tags', { gte: 'y', lte: 'y' })]).toHaveLength(2)
    await u.delete(a)
    await u.delete(b)
    for (const name of ['email', 'age', 'tags', 'cityAge'] as const) {
      expect([...u.range(name)]).toEqual([])
    }
  })

  test('S3: a unique value is taken once; the error names collection, index and value', async () => {
    const u = (await store.open(users)).collection(users)
    const a = await u.insert(user('a'))
    const b = await u.insert(user('b'))
    const refused = {
      code: 'RINGBOLT_UNIQUE',
      facts: { collection: 'users', index: 'email', value: '"a"' },
    }
    await expect(u.insert(user('a'))).rejects.toMatchObject(refused)
    await expect(u.update(b, (d) => void (d.email = 'a'))).rejects.toMatchObject(refused)
    await expect(u.upsert({ ...user('a'), id: b })).rejects.toMatchObject(refused)
    expect(u.get(b)?.email).toBe('b')
    await u.upsert({ ...user('a', { age: 99 }), id: a })
    await u.delete(a)
    await u.update(b, (d) => void (d.email = 'a'))
    expect(u.findUnique('email', 'a')?.id).toBe(b)
  })

  test('S3: added to a filled collection, dropped, added again otherwise', async () => {
    const db = await store.open(plainUsers)
    const u = db.collection(plainUsers)
    for (let n = 0; n < 600; n++) await u.insert(user(`u${n}`, { age: n % 7, tags: [`t${n % 3}`] }))
    const indexed = await store.another(users)
    const v = indexed.collection(users)
    expect([...v.range('age', { gte: 3, lte: 3 })]).toHaveLength(86)
    expect([...v.range('tags', { gte: 't1', lte: 't1' })]).toHaveLength(200)
    expect(v.findUnique('email', 'u77')?.age).toBe(0)
    // The first handle does not know of the indexes yet, and maintains them nevertheless.
    const id = await u.insert(user('late', { age: 100 }))
    expect([...v.range('age', { gte: 100 })].map(({ email }) => email)).toEqual(['late'])
    await u.update(id, (d) => void (d.age = 101))
    await indexed.dropIndex('users', 'age')
    await u.delete(id)
    await v.insert(user('more', { age: 50 }))
    expect(() => [...v.range('age')]).toThrow(/no index 'age'/)
    await expect(indexed.dropIndex('users', 'age')).rejects.toMatchObject({
      code: 'RINGBOLT_UNKNOWN_INDEX',
    })
    expect(() => indexed.collection(agedUsers)).toThrow(
      expect.objectContaining({ code: 'RINGBOLT_DEFINITION' }),
    )
    await indexed.define([agedUsers])
    expect([...indexed.collection(agedUsers).range('age', { gte: 7 })]).toHaveLength(1)
    expect(v.findUnique('email', 'more')?.age).toBe(50)
  })

  test('S3: added while others write, without stopping them; in step afterwards', async () => {
    const db = await store.open(plainUsers)
    const u = db.collection(plainUsers)
    const ids = await u.insertMany(
      Array.from({ length: 900 }, (_, n) => user(`u${n}`, { age: n, tags: [`t${n % 5}`] })),
    )
    let isBuilding = true
    const writing = (async () => {
      let round = 0
      for (; isBuilding || round < 40; round++) {
        const id = ids[(round * 37) % ids.length]!
        if (u.get(id) !== undefined) {
          await u.update(id, (d) => void (d.age += 10_000))
          if (round % 3 === 0) await u.delete(id)
        }
        await u.insert(user(`new${round}`, { age: -round }))
      }
      return round
    })()
    const indexed = await store.another(users)
    isBuilding = false
    expect(await writing).toBeGreaterThan(0)
    const v = indexed.collection(users)
    const byAge = [...v.all()].toSorted((a, b) => a.age - b.age)
    expect([...v.range('age')].map(({ age }) => age)).toEqual(byAge.map(({ age }) => age))
    expect([...v.range('email')]).toHaveLength(v.count())
    for (const document of v.all()) {
      expect(v.findUnique('email', document.email)).toEqual(document)
    }
    const tagged = byAge.filter(({ tags }) => tags.includes('t1')).length
    expect([...v.range('tags', { gte: 't1', lte: 't1' })]).toHaveLength(tagged)
  })

  test('S3: a unique index that cannot be is gone again', async () => {
    const db = await store.open(plainUsers)
    const u = db.collection(plainUsers)
    for (let n = 0; n < 300; n++) await u.insert(user(`u${n % 299}`))
    await expect(store.another(emailUsers)).rejects.toMatchObject({
      code: 'RINGBOLT_UNIQUE',
      facts: { collection: 'users', index: 'email', value: '"u0"' },
    })
    await u.insert(user('u5'))
    expect(u.count()).toBe(301)
    expect(() => db.collection(emailUsers)).toThrow(/does not have index email/)
  })

  test('S3: several open with the same definitions at once', async () => {
    const first = await store.open(plainUsers)
    await first
      .collection(plainUsers)
      .insertMany(Array.from({ length: 300 }, (_, n) => user(`u${n}`)))
    const all = await Promise.all([1, 2, 3].map(() => store.another(users, things)))
    for (const db of all) {
      expect(db.collectionNames()).toEqual(['things', 'users'])
      expect([...db.collection(users).range('email')]).toHaveLength(300)
    }
  })

  test('S3: a dropped collection is gone for all; one made anew begins empty', async () => {
    const db = await store.open(users)
    const stale = (await store.another(users)).collection(users)
    const u: Collection<User & { readonly id: number }, unknown, (typeof users)['indexes']> = stale
    await u.insert(user('a'))
    expect(await db.dropCollection('users')).toBe(true)
    expect(await db.dropCollection('users')).toBe(false)
    const gone = expect.objectContaining({ code: 'RINGBOLT_UNKNOWN_COLLECTION' })
    expect(() => stale.get(1)).toThrow(gone)
    expect(() => stale.count()).toThrow(gone)
    expect(() => stale.find().toArray()).toThrow(gone)
    await expect(stale.insert(user('b'))).rejects.toThrow(gone)
    await expect(stale.delete(1)).rejects.toThrow(gone)
    await db.define([users])
    expect(stale.count()).toBe(0)
    await stale.insert(user('a'))
    expect(db.collection(users).findUnique('email', 'a')).toBeDefined()
  })

  test('S3: values that an index cannot hold, or are too long for it', async () => {
    const odd = defineCollection<{ v?: unknown; w?: unknown }>()({
      name: 'odd',
      indexes: { v: { on: 'v' }, w: { on: 'w', unique: true } },
    })
    const c = (await store.open(odd)).collection(odd)
    for (const v of [undefined, null, Number.NaN, {}, [1, 2], new Map(), 1, 'x'])
      await c.insert({ v })
    expect([...c.range('v')].map(({ v }) => v)).toEqual([null, 1, 'x'])
    expect(c.count()).toBe(8)
    expect(c.find({ v: 2 }).count()).toBe(1)
    await c.insert({ w: null })
    await expect(c.insert({ w: null })).rejects.toMatchObject({ code: 'RINGBOLT_UNIQUE' })
    await expect(c.insert({ v: 'x'.repeat(2000) })).rejects.toMatchObject({
      code: 'RINGBOLT_TOO_LARGE',
    })
    expect(c.count()).toBe(9)
  })

  test('S5: a snapshot stays as it is while writers go on, over collections and indexes', async () => {
    const db = await store.open(users, things)
    const u = db.collection(users)
    const id = await u.insert(user('a', { age: 1 }))
    {
      using snapshot = db.snapshot()
      const s = snapshot.collection(users)
      await u.update(id, (d) => void (d.age = 2))
      await u.insert(user('b', { age: 1 }))
      await db.collection(things).insert({ id: 'x' })
      await db.dropIndex('users', 'tags')
      expect(s.get(id)?.age).toBe(1)
      expect(s.count()).toBe(1)
      expect([...s.all()]).toHaveLength(1)
      expect([...s.range('age', { lte: 1 })].map(({ email }) => email)).toEqual(['a'])
      expect(s.findUnique('email', 'b')).toBeUndefined()
      expect(s.find({ age: 2 }).first()).toBeUndefined()
      expect(snapshot.collection(things).count()).toBe(0)
      snapshot.close()
      expect(() => s.get(id)).toThrow(expect.objectContaining({ code: 'RINGBOLT_CLOSED' }))
    }
    expect(u.get(id)?.age).toBe(2)
    const walk = u.all()
    walk.next()
    await u.insert(user('c'))
    expect([...walk]).toHaveLength(1)
  })
}
