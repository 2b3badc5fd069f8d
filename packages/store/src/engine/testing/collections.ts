/** Collections for the tests of whole databases. */
import { defineCollection } from '../../client/define-collection.ts'

/** Few documents over which many threads quarrel. */
export const cells = defineCollection<{ id: number; group: number; value: number }>()({
  name: 'cells',
  indexes: { group: { on: 'group' } },
})

/** One document for each transaction that wrote: its commit sequence is the transaction's. */
export const journal = defineCollection<{ id: number; value: number }>()({ name: 'journal' })

/** Documents that say who wrote them, and carry what proves that they are whole. */
export const notes = defineCollection<{ id: number; writer: number; text: string }>()({
  name: 'notes',
  indexes: { writer: { on: 'writer' } },
})

/** Anything, under a text of one's own. */
export const blobs = defineCollection<{ id: string; bytes: Uint8Array }>()({ name: 'blobs' })

/** A text that follows from the document's number and round: a reader can tell it from any other. */
export function textOf(id: number, round: number, length: number): string {
  const unit = `${id}/${round};`
  return unit.repeat(Math.ceil(length / unit.length)).slice(0, length)
}
