import { describe, expect, test } from 'vitest'
import type { Database } from '../database.ts'
import type { Transaction } from '../transaction.ts'
import { accounts, things, untyped, user, users } from './collections.ts'
import type { StoreTester } from './store-tester.ts'

export function describeTransactions(store: StoreTester): void {
  const open = (): Promise<Database> => store.open(users, things, accounts)

  test('S2: commits whole, over several collections', async () => {
    const db = await open()
    const [id, name] = await db.transaction(async (tx) => {
      const made = await tx.collection(users).insert(user('a'))
      tx.collection(things).sync.insert({ id: 't', value: made })
      expect(db.collection(users).count()).toBe(0)
      return [made, 't'] as const
    })
    expect(db.collection(users).get(id)?.email).toBe('a')
    expect(db.collection(things).get(name)?.value).toBe(id)
  })

  test('S2: a throw rolls back, async and blocking', async () => {
    const db = await open()
    const failing = db.transaction(async (tx) => {
      await tx.collection(users).insert(user('a'))
      throw new RangeError('mine')
    })
    await expect(failing).rejects.toThrow(new RangeError('mine'))
    expect(() =>
      db.transactionSync((tx) => {
        tx.collection(users).sync.insert(user('a'))
        throw new RangeError('mine')
      }),
    ).toThrow(new RangeError('mine'))
    expect(db.collection(users).count()).toBe(0)
    expect([...db.collection(users).range('age')]).toEqual([])
  })

  test('S2: reads see the transaction’s own writes, through indexes too', async () => {
    const db = await open()
    const u = db.collection(users)
    const kept = await u.insert(user('kept', { age: 10, tags: ['x'] }))
    const gone = await u.insert(user('gone', { age: 20, tags: ['x', 'y'] }))
    await db.transaction(async (tx) => {
      const t = tx.collection(users)
      await t.delete(gone)
      await t.update(kept, (d) => {
        d.age = 25
      })
      const made = await t.insert(user('made', { age: 15, tags: ['y'] }))
      expect(t.get(gone)).toBeUndefined()
      expect(t.get(kept)?.age).toBe(25)
      expect([...t.all()].map(({ id }) => id)).toEqual([kept, made])
      expect(t.count()).toBe(2)
      expect([...t.range('age')].map(({ age }) => age)).toEqual([15, 25])
      expect([...t.range('age', { reverse: true })].map(({ age }) => age)).toEqual([25, 15])
      expect([...t.range('age', { gt: 15 })].map(({ age }) => age)).toEqual([25])
      expect(t.find({ tags: 'y' }).toArray()).toHaveLength(1)
      expect(t.find({ tags: 'x' }).count()).toBe(1)
      expect(t.findUnique('email', 'gone')).toBeUndefined()
      expect(t.findUnique('email', 'made')?.id).toBe(made)
      await t.insert(user('gone', { age: 1 }))
      await t.delete(made)
      expect(t.count()).toBe(2)
      expect([...t.range('age')].map(({ age }) => age)).toEqual([1, 25])
    })
    expect([...u.range('age')].map(({ email }) => email)).toEqual(['gone', 'kept'])
    expect(u.count()).toBe(2)
  })

  test('S2: a conflict runs the closure again, on the newest state', async () => {
    const db = await open()
    const a = db.collection(accounts)
    const other = (await store.another(users, things, accounts)).collection(accounts)
    const id = await a.insert({ balance: 10 })
    let runs = 0
    const seen = await db.transaction(async (tx) => {
      const t = tx.collection(accounts)
      const { balance } = t.get(id)!
      if (runs++ === 0) await other.update(id, (d) => void (d.balance = 20))
      await t.upsert({ id, balance: balance + 1 })
      return balance
    })
    expect([runs, seen, a.get(id)?.balance]).toEqual([2, 20, 21])
  })

  const skews: [string, (tx: Transaction, id: number) => unknown][] = [
    ['a key', (tx, id) => tx.collection(accounts).get(id)],
    ['all', (tx) => [...tx.collection(accounts).all()]],
    ['a count', (tx) => tx.collection(accounts).count()],
    ['a query', (tx) => tx.collection(accounts).find({ balance: 1 }).count()],
  ]

  test.each(skews)('S2: serializable: what was read of %s must still be so', async (_, read) => {
    const db = await open()
    const a = db.collection(accounts)
    const other = (await store.another(users, things, accounts)).collection(accounts)
    const id = await a.insert({ balance: 1 })
    const run = async (isolation: 'serializable' | 'snapshot', name: string): Promise<number> => {
      let runs = 0
      await db.transaction(
        async (tx) => {
          read(tx, id)
          if (runs++ === 0) {
            await other.delete(id)
            await other.upsert({ id, balance: 5 })
            await other.insert({ balance: 1 })
          }
          await tx.collection(things).insert({ id: name })
        },
        { isolation },
      )
      return runs
    }
    expect(await run('serializable', 'a')).toBe(2)
    expect(await run('snapshot', 'b')).toBe(1)
  })

  test('S2: what was absent when it was read must still be absent', async () => {
    const db = await open()
    const other = (await store.another(users, things, accounts)).collection(things)
    let runs = 0
    await db.transaction(async (tx) => {
      const t = tx.collection(things)
      if (t.get('x') === undefined) await t.upsert({ id: 'y', value: 'alone' })
      if (runs++ === 0) await other.insert({ id: 'x' })
    })
    expect(runs).toBe(2)
    expect(db.collection(things).get('y')).toBeUndefined()
  })

  test('S2: of a range only what was walked counts', async () => {
    const db = await open()
    const u = db.collection(users)
    const other = (await store.another(users, things, accounts)).collection(users)
    for (let age = 1; age <= 9; age++) await u.insert(user(`u${age}`, { age }))
    const runsWith = async (inserted: number, reverse: boolean): Promise<number> => {
      let runs = 0
      await db.transaction(async (tx) => {
        const walked: number[] = []
        for (const { age } of tx.collection(users).range('age', { reverse })) {
          walked.push(age)
          if (walked.length === 3) break
        }
        if (runs++ === 0) await other.insert(user(`new${inserted}${reverse}`, { age: inserted }))
        await tx.collection(things).upsert({ id: 'w', value: walked })
      })
      return runs
    }
    expect(await runsWith(100, false)).toBe(1)
    expect(await runsWith(2, false)).toBe(2)
    expect(await runsWith(0, true)).toBe(1)
    expect(await runsWith(99, true)).toBe(2)
  })

  test('S2: snapshot isolation: the first of two who write the same wins', async () => {
    const db = await open()
    const a = db.collection(accounts)
    const other = (await store.another(users, things, accounts)).collection(accounts)
    const id = await a.insert({ balance: 1 })
    let runs = 0
    await db.transaction(
      async (tx) => {
        const run = runs++
        await tx.collection(accounts).update(id, async (d) => {
          if (run === 0) await other.upsert({ id, balance: 10 })
          d.balance++
        })
      },
      { isolation: 'snapshot' },
    )
    expect([runs, a.get(id)?.balance]).toEqual([2, 11])
  })

  describe('a sorted query without a filter', () => {
    /** The two oldest, and what somebody else does before the commit. @returns how often it was run */
    async function runsBeside(other: (db: Database) => Promise<unknown>): Promise<number> {
      const db = await open()
      await db.collection(users).insertMany([10, 20, 30].map((age) => user(`${age}`, { age })))
      let runs = 0
      await db.transaction(async (tx) => {
        const query = tx.collection(users).find({}, { sort: { age: -1 }, limit: 2 })
        const ages = query.toArray().map(({ age }) => age)
        expect(query.explain()).toMatchObject({ index: 'age', sort: 'index' })
        if (++runs === 1) await other(db)
        await tx.collection(things).upsert({ id: 'oldest', value: ages })
      })
      return runs
    }

    test('S2: does not quarrel with documents that it did not come to', async () => {
      const runs = await runsBeside((db) => db.collection(users).insert(user('young', { age: 1 })))
      expect(runs).toBe(1)
    })

    test('S2: is run again for one that it would have come to', async () => {
      const runs = await runsBeside((db) => db.collection(users).insert(user('older', { age: 40 })))
      expect(runs).toBe(2)
    })

    test('S2: is run again for one that the index does not have', async () => {
      const db = await open()
      const u = db.collection(users)
      await u.insertMany([10, 20, 30].map((age) => user(`${age}`, { age })))
      const kinds: string[] = []
      await db.transaction(async (tx) => {
        const query = tx.collection(users).find({}, { sort: { age: -1 }, limit: 2 })
        kinds.push(query.explain().kind)
        if (kinds.length === 1) await db.collection(untyped(users)).insert({ email: 'x', tags: [] })
        await tx.collection(things).upsert({ id: 'oldest', value: query.first()?.age })
      })
      expect(kinds).toEqual(['index', 'scan'])
    })

    test('S2: over own writes that complete the index', async () => {
      const db = await open()
      await db.collection(users).insert(user('30'))
      const id = await db.collection(untyped(users)).insert({ email: 'x', tags: [] })
      let runs = 0
      await db.transaction(
        async (tx) => {
          runs++
          await tx.collection(users).update(id, (one) => void (one.age = 40))
          const query = tx.collection(users).find({}, { sort: { age: -1 }, limit: 1 })
          expect(query.explain().index).toBe('age')
          expect(query.first()?.age).toBe(40)
          await db.collection(users).insert(user(`young ${runs}`, { age: 1 }))
        },
        { retries: 3 },
      )
      expect(runs).toBe(1)
    })
  })

  test('S2: retries are bounded: ConflictError', async () => {
    const db = await open()
    const a = db.collection(accounts)
    const other = (await store.another(users, things, accounts)).collection(accounts)
    const id = await a.insert({ balance: 0 })
    let runs = 0
    const hopeless = db.transaction(
      async (tx) => {
        runs++
        await tx.collection(accounts).update(id, (d) => void d.balance--)
        await other.update(id, (d) => void d.balance++)
      },
      { retries: 3 },
    )
    await expect(hopeless).rejects.toMatchObject({
      code: 'RINGBOLT_CONFLICT',
      facts: { attempts: 4 },
    })
    expect([runs, a.get(id)?.balance]).toEqual([4, 4])
  })

  test('S2: unique violations inside, and between transactions', async () => {
    const db = await open()
    const u = db.collection(users)
    const other = (await store.another(users, things, accounts)).collection(users)
    const id = await u.insert(user('a'))
    const inside = db.transaction(async (tx) => {
      await tx.collection(users).insert(user('b'))
      await tx.collection(users).insert(user('b'))
    })
    await expect(inside).rejects.toMatchObject({ code: 'RINGBOLT_UNIQUE' })
    let runs = 0
    const between = db.transaction(async (tx) => {
      const isFirst = runs++ === 0
      await tx.collection(users).insert(user('c'))
      if (isFirst) await other.insert(user('c'))
    })
    await expect(between).rejects.toMatchObject({
      code: 'RINGBOLT_UNIQUE',
      facts: { collection: 'users', index: 'email', value: '"c"' },
    })
    expect(runs).toBe(2)
    await db.transaction(async (tx) => {
      const t = tx.collection(users)
      await expect(t.insert(user('a', { age: 99 }))).rejects.toMatchObject({
        code: 'RINGBOLT_UNIQUE',
      })
      await t.update(id, (d) => void (d.email = 'free'))
      await t.insert(user('a'))
    })
    expect([...u.range('email')].map(({ email }) => email)).toEqual(['a', 'c', 'free'])
    expect([...u.range('age', { gte: 99 })]).toEqual([])
  })

  test('S2: writes side by side inside one transaction', async () => {
    const db = await open()
    const u = db.collection(users)
    const id = await u.insert(user('a', { age: 0 }))
    await db.transaction(async (tx) => {
      const t = tx.collection(users)
      const add = async (d: { age: number }): Promise<void> => {
        await Promise.resolve()
        d.age++
      }
      await Promise.all(Array.from({ length: 10 }, () => t.update(id, add)))
    })
    expect(u.get(id)?.age).toBe(10)
    expect([...u.range('age')]).toHaveLength(1)
  })

  test('S2: a ring of documents stays one ring, whoever swaps its links', async () => {
    const handles = [await open(), await store.another(accounts), await store.another(accounts)]
    const count = 8
    const ring = Array.from({ length: count }, (_, n) => ({
      id: n + 1,
      balance: ((n + 1) % count) + 1,
    }))
    await handles[0]!.collection(accounts).insertMany(ring)
    const swap = async (db: Database, first: number): Promise<void> => {
      await db.transaction(async (tx) => {
        const t = tx.collection(accounts)
        const next = async (id: number): Promise<number> => {
          await Promise.resolve()
          return t.get(id)!.balance
        }
        const second = await next(first)
        const third = await next(second)
        const fourth = await next(third)
        await t.upsert({ id: first, balance: third })
        await t.upsert({ id: third, balance: second })
        await t.upsert({ id: second, balance: fourth })
      })
    }
    await Promise.all(
      Array.from({ length: 60 }, (_, n) => swap(handles[n % 3]!, ((n * 5) % count) + 1)),
    )
    const seen = new Set<number>()
    for (let id = 1; !seen.has(id); id = handles[0]!.collection(accounts).get(id)!.balance)
      seen.add(id)
    expect(seen.size).toBe(count)
  })

  test('S2: a transaction that only reads commits nothing', async () => {
    const db = await open()
    const before = db.snapshot().sequence
    expect(await db.transaction((tx) => tx.collection(users).count())).toBe(0)
    await db.transaction(async (tx) => {
      const t = tx.collection(things)
      await t.insert({ id: 'x' })
      await t.delete('x')
    })
    expect(db.snapshot().sequence).toBe(before)
  })

  test('S2: a signal or a deadline ends it; nothing is committed', async () => {
    const db = await open()
    const forever = async (tx: Transaction): Promise<void> => {
      await tx.collection(things).insert({ id: 'x' })
      await new Promise(() => undefined)
    }
    const late = db.transaction(forever, { timeoutMs: 5 })
    await expect(late).rejects.toMatchObject({ code: 'RINGBOLT_TIMEOUT' })
    const controller = new AbortController()
    const aborted = db.transaction(forever, { signal: controller.signal })
    controller.abort(new RangeError('enough'))
    await expect(aborted).rejects.toThrow(new RangeError('enough'))
    await expect(db.transaction(() => 1, { signal: controller.signal })).rejects.toThrow('enough')
    expect(() => db.transactionSync(() => 1, { timeoutMs: 0 })).toThrow(/longer than 0 ms/)
    expect(db.collection(things).count()).toBe(0)
  })

  describe('bad input', () => {
    const ended = { code: 'RINGBOLT_TRANSACTION' }

    test('a transaction used after its end', async () => {
      const db = await open()
      const kept: { tx?: Transaction; walk?: Iterator<unknown> } = {}
      const t = await db.transaction(async (tx) => {
        kept.tx = tx
        await tx.collection(things).insert({ id: 'x' })
        await tx.collection(things).insert({ id: 'y' })
        kept.walk = tx.collection(things).all()
        kept.walk.next()
        return tx.collection(things)
      })
      expect(() => kept.tx?.collection(things)).toThrow(expect.objectContaining(ended))
      expect(() => t.get('x')).toThrow(expect.objectContaining(ended))
      expect(() => t.count()).toThrow(expect.objectContaining(ended))
      expect(() => kept.walk?.next()).toThrow(expect.objectContaining(ended))
      expect(() => t.sync.insert({ id: 'z' })).toThrow(expect.objectContaining(ended))
      await expect(t.insert({ id: 'z' })).rejects.toMatchObject(ended)
      await expect(t.insertMany([{ id: 'z' }])).rejects.toMatchObject(ended)
      expect(db.collection(things).count()).toBe(2)
    })

    test('a transaction used from two closures', async () => {
      const db = await open()
      await db.transaction(async (outer) => {
        await outer.collection(things).insert({ id: 'outer' })
        const inner = db.transaction((tx) => {
          tx.collection(things).sync.insert({ id: 'inner' })
          outer.collection(things)
        })
        await expect(inner).rejects.toMatchObject(ended)
        expect(() => db.transactionSync(() => outer.collection(things).count())).toThrow(
          expect.objectContaining(ended),
        )
      })
      expect([...db.collection(things).all()].map(({ id }) => id)).toEqual(['outer'])
    })

    test('a closure that is none, a promise in a blocking one, options that cannot be', async () => {
      const db = await open()
      // @ts-expect-error it takes a closure
      await expect(db.transaction(5)).rejects.toThrow(TypeError)
      const promised = db.transactionSync.bind(db, async (tx) => {
        await tx.collection(things).insert({ id: 'x' })
      })
      expect(promised).toThrow(expect.objectContaining({ code: 'RINGBOLT_ASYNC' }))
      // @ts-expect-error there is no such isolation
      await expect(db.transaction(() => 1, { isolation: 'dirty' })).rejects.toThrow(TypeError)
      await expect(db.transaction(() => 1, { retries: -1 })).rejects.toThrow(TypeError)
      expect(db.collection(things).count()).toBe(0)
    })

    test('S10: a transaction too large', async () => {
      const db = await open()
      const value = 'x'.repeat(50 * 1024 * 1024)
      const huge = db.transaction(async (tx) => {
        for (const id of ['a', 'b', 'c']) await tx.collection(things).insert({ id, value })
      })
      await expect(huge).rejects.toMatchObject({ code: 'RINGBOLT_TOO_LARGE' })
      expect(db.collection(things).count()).toBe(0)
    })
  })
}
