/** Task module of `store-pool.test.ts`. */
import { workerData } from 'node:worker_threads'
import { defineCollection } from 'ringbolt'
import { attached } from '../index.ts'

export interface Note {
  readonly text: string
  readonly ordinal: number
}

export const notes = defineCollection<Note>()({
  name: 'notes',
  version: 1,
  indexes: { text: { on: 'text' } },
})

export interface WriteTask {
  readonly text: string
  readonly count: number
  readonly blocking: boolean
}

/** Inserts so many notes; returns their ids. */
export default async function write({ text, count, blocking }: WriteTask): Promise<number[]> {
  const collection = attached().collection(notes)
  const ids: number[] = []
  for (let ordinal = 0; ordinal < count; ordinal++) {
    const note = { text, ordinal }
    ids.push(blocking ? collection.sync.insert(note) : await collection.insert(note))
  }
  return ids
}

/** What this worker finds of the text, through the index. */
export function read(text: string): number[] {
  return Array.from(
    attached().collection(notes).range('text', { gte: text, lte: text }),
    ({ ordinal }) => ordinal,
  )
}

/** Adds one to the note's ordinal, so many times, each in a transaction. */
export async function count({ id, times }: { id: number; times: number }): Promise<void> {
  const db = attached()
  for (let at = 0; at < times; at++) {
    await db.transaction(async (tx) => {
      const collection = tx.collection(notes)
      const note = collection.get(id)
      if (note === undefined) throw new Error(`note ${id} is gone`)
      await Promise.resolve()
      await collection.update(id, (found) => ({ ...found, ordinal: note.ordinal + 1 }))
    })
  }
}

/** Holds a snapshot and an iteration, writes without an end; tells by `running` when it has begun. */
export async function holdForever(running: Int32Array): Promise<never> {
  const db = attached()
  const snapshot = db.snapshot()
  const iteration = db.collection(notes).all()
  iteration.next()
  for (;;) {
    await db.collection(notes).insert({ text: 'held', ordinal: snapshot.collection(notes).count() })
    Atomics.store(running, 0, 1)
    Atomics.notify(running, 0)
  }
}

/** Uses up its memory, with a snapshot open. */
export function exhaust(): never {
  attached().snapshot()
  const hoard: object[] = []
  for (;;) hoard.push({ at: hoard.length })
}

export function isSameDatabase(): boolean {
  return attached() === attached()
}

export function ownData(): unknown {
  return workerData.own
}
