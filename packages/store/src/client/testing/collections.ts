/** Collections that the suites use. */
import { type CollectionDefinition, defineCollection } from '../define-collection.ts'
import type { IndexSpecs, StoredDocument } from '../definition-types.ts'

export interface User {
  email: string
  age: number
  tags: string[]
  address?: { city: string; zip: string }
}

export const users = defineCollection<User>()({
  name: 'users',
  indexes: {
    email: { on: 'email', unique: true },
    age: { on: 'age' },
    tags: { on: 'tags', each: true },
    cityAge: { on: ['address.city', 'age'] },
  },
})

export const things = defineCollection<{ id: string; value?: unknown }>()({ name: 'things' })
export const accounts = defineCollection<{ balance: number }>()({ name: 'accounts' })

export function user(email: string, fields: Partial<User> = {}): User {
  return { email, age: 30, tags: [], ...fields }
}

/** For documents of the wrong type: what a caller without types may pass. */
export function untyped<Doc extends StoredDocument, Indexes extends IndexSpecs>(
  definition: CollectionDefinition<Doc, unknown, Indexes>,
): CollectionDefinition<Doc, unknown, Indexes> {
  return definition
}

/** What the compiler would not let pass as an id. */
export function asId(value: unknown): string {
  // oxlint-disable-next-line no-unsafe-type-assertion
  return value as string
}

/** A closure that returns what it must not. */
export function asChange<Doc>(change: (document: Doc) => unknown): (document: Doc) => void {
  return change
}
