import { type Database, defineCollection } from 'ringbolt'
import type { Content } from './lane.ts'

/** What the runs on documents write: every kind of index is in step with the documents, or the run fails. */
export const items = defineCollection<Content>()({
  name: 'items',
  version: 1,
  indexes: {
    serial: { on: 'serial', unique: true },
    group: { on: 'group' },
    tags: { on: 'tags', each: true },
    cityGroup: { on: ['city', 'group'] },
  },
})

export type Items = ReturnType<typeof itemsOf>

// The type of what `collection` returns follows from the definition.
// oxlint-disable-next-line explicit-function-return-type
export function itemsOf(db: Database) {
  return db.collection(items)
}
