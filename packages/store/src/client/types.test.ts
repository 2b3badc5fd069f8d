import { describe, expectTypeOf, test } from 'vitest'
import { z } from 'zod'
import type { Collection } from './collection.ts'
import { defineCollection } from './define-collection.ts'
import type { DocOf, InsertTypeOf } from './definition-types.ts'
import { databaseOver } from './testing/make-store.ts'
import { ModelEngine } from './testing/model-engine.ts'

const users = defineCollection({
  name: 'users',
  version: 2,
  schema: z.object({
    email: z.string(),
    age: z.number(),
    tags: z.array(z.string()).default([]),
    address: z.object({ city: z.string(), zip: z.string() }).optional(),
    since: z.date(),
  }),
  indexes: {
    email: { on: 'email', unique: true },
    age: { on: 'age' },
    tags: { on: 'tags', each: true },
    city: { on: 'address.city' },
    cityAge: { on: ['address.city', 'age'], unique: true },
    since: { on: 'since' },
  },
  migrate: { 1: (old) => ({ ...old, tags: [] }) },
})

interface Note {
  title: string
  lines: { text: string; marks: number[] }[]
}

const notes = defineCollection<Note>()({
  name: 'notes',
  id: 'string',
  indexes: {
    title: { on: 'title', unique: true },
    lines: { on: 'lines.text', each: true },
    marks: { on: 'lines.marks', each: true },
  },
})

const free = defineCollection()({ name: 'free', indexes: { any: { on: 'a.b.c' } } })

test('documents follow from the schema’s output, inserts from its input', () => {
  expectTypeOf<DocOf<typeof users>>().toEqualTypeOf<{
    email: string
    age: number
    tags: string[]
    address?: { city: string; zip: string } | undefined
    since: Date
    readonly id: number
  }>()
  expectTypeOf<InsertTypeOf<typeof users>>().toEqualTypeOf<{
    email: string
    age: number
    tags?: string[] | undefined
    address?: { city: string; zip: string } | undefined
    since: Date
    readonly id?: number
  }>()
})

test('documents follow from a type parameter; ids from an option or the type', () => {
  expectTypeOf<DocOf<typeof notes>['id']>().toEqualTypeOf<string>()
  expectTypeOf<InsertTypeOf<typeof notes>['id']>().toEqualTypeOf<string>()
  expectTypeOf<DocOf<typeof free>['id']>().toEqualTypeOf<number>()
  const own = defineCollection<{ id: string; n: number }>()({ name: 'own' })
  expectTypeOf<DocOf<typeof own>>().toEqualTypeOf<{ id: string; n: number }>()
  const inSchema = defineCollection({
    name: 's',
    schema: z.object({ id: z.number(), n: z.number() }),
  })
  expectTypeOf<DocOf<typeof inSchema>['id']>().toEqualTypeOf<number>()
  expectTypeOf<InsertTypeOf<typeof inSchema>>().toEqualTypeOf<{ n: number; readonly id?: number }>()
})

test('a definition’s indexes are on fields that there are, which hold what can be indexed', () => {
  const define = defineCollection<Note & { nested: { map: Map<string, string>; when: Date } }>()
  define({ name: 'a', indexes: { when: { on: 'nested.when' } } })
  // @ts-expect-error there is no such field
  define({ name: 'a', indexes: { nix: { on: 'nix' } } })
  // @ts-expect-error nor such a path
  define({ name: 'a', indexes: { nix: { on: 'nested.nix' } } })
  // @ts-expect-error nor the second field
  define({ name: 'a', indexes: { nix: { on: ['title', 'nix'] } } })
  // @ts-expect-error a Map is no index value
  define({ name: 'a', indexes: { map: { on: 'nested.map' } } })
  // @ts-expect-error an array needs `each`
  define({ name: 'a', indexes: { lines: { on: 'lines' } } })
  // @ts-expect-error `each` needs an array
  define({ name: 'a', indexes: { title: { on: 'title', each: true } } })
  defineCollection({
    name: 'a',
    schema: z.object({ a: z.number() }),
    // @ts-expect-error with a schema too
    indexes: { b: { on: 'b' } },
  })
  defineCollection({
    name: 'a',
    schema: z.object({ id: z.string() }),
    // @ts-expect-error the schema has said what ids are
    id: 'number',
  })
})

describe('collections', () => {
  const check = async (
    use: (db: Awaited<ReturnType<typeof databaseOver>>) => unknown,
  ): Promise<void> => {
    await use(await databaseOver(new ModelEngine(), users, notes, free))
  }

  test('reads', () =>
    check((db) => {
      const u = db.collection(users)
      expectTypeOf(u).toEqualTypeOf<
        Collection<DocOf<typeof users>, InsertTypeOf<typeof users>, (typeof users)['indexes']>
      >()
      expectTypeOf(u.get(1)).toEqualTypeOf<DocOf<typeof users> | undefined>()
      expectTypeOf(u.findUnique('email', 'x')).toEqualTypeOf<DocOf<typeof users> | undefined>()
      u.findUnique('cityAge', ['Ulm', 1])
      u.range('age', { gte: 18, lt: 30, reverse: true })
      u.range('cityAge', { gte: ['Ulm'] })
      u.range('cityAge', { gte: ['Ulm', 18], lt: ['Ulm', 30] })
      u.range('since', { gt: new Date(0) })
      u.range('tags', { prefix: 'x' })
      u.find({ age: { $gte: 18 }, tags: 'x', 'address.city': 'Ulm' }, { sort: { age: -1 } })
      db.collection(notes).range('marks', { gte: 1 })
      db.collection(notes).range('lines', { prefix: 'x' })
      db.collection(free).range('any', { gte: 'what it may be' })
      const refused = (): void => {
        // @ts-expect-error ids are numbers here
        u.get('x')
        // @ts-expect-error and strings here
        db.collection(notes).get(1)
        // @ts-expect-error the index is not unique
        u.findUnique('age', 1)
        // @ts-expect-error an email is a string
        u.findUnique('email', 1)
        // @ts-expect-error a tuple is needed
        u.findUnique('cityAge', 'Ulm')
        // @ts-expect-error of the right types
        u.range('cityAge', { gte: [1, 'Ulm'] })
        // @ts-expect-error there is no such index
        u.range('nix')
        // @ts-expect-error an age is a number
        u.range('age', { gte: '18' })
        // @ts-expect-error an element of tags is a string
        u.range('tags', { gte: 1 })
        // @ts-expect-error there is no such field
        u.find({ nix: 1 })
        // @ts-expect-error a document has no such field
        void u.get(1)?.nix
      }
      void refused
    }))

  test('writes', () =>
    check((db) => {
      const u = db.collection(users)
      expectTypeOf<Awaited<ReturnType<typeof u.insert>>>().toEqualTypeOf<number>()
      const { sync } = db.collection(notes)
      expectTypeOf<ReturnType<typeof sync.insert>>().toEqualTypeOf<string>()
      expectTypeOf<Awaited<ReturnType<typeof u.update>>>().toEqualTypeOf<DocOf<typeof users>>()
      expectTypeOf<ReturnType<typeof sync.delete>>().toEqualTypeOf<boolean>()
      const refused = async (): Promise<void> => {
        // @ts-expect-error fields are missing
        await u.insert({ email: 'x' })
        // @ts-expect-error an id is needed where the caller chooses it
        await db.collection(notes).insert({ title: 'x', lines: [] })
        await u.update(1, (d) => {
          // @ts-expect-error the id stays
          d.id = 2
          // @ts-expect-error an age is a number
          d.age = 'x'
        })
        // @ts-expect-error a number is no document
        await u.update(1, (d) => d.age++)
        // @ts-expect-error snapshots are for reading
        void db.snapshot().collection(users).insert({})
      }
      void refused
    }))

  test('transactions return what their closures do', () =>
    check(async (db) => {
      expectTypeOf(await db.transaction(async (tx) => tx.collection(notes).count())).toBeNumber()
      expectTypeOf(db.transactionSync((tx) => tx.collection(notes).get('x')?.title)).toEqualTypeOf<
        string | undefined
      >()
    }))
})
