/** What threads of tests do, by name. */
import { setImmediate } from 'node:timers/promises'
import type { Database } from '../open.ts'
import { blobs, cells, notes, textOf } from './collections.ts'

type Tell = (what: unknown) => void

async function insertNotes(
  db: Database,
  { writer, count, length = 100 }: { writer: number; count: number; length?: number },
): Promise<number[]> {
  const collection = db.collection(notes)
  const inserts = Array.from({ length: count }, (_, round) =>
    collection.insert({ writer, text: textOf(writer, round, length) }),
  )
  return await Promise.all(inserts)
}

/** One after the other, each blocking, without end. */
function insertForEver(
  db: Database,
  { writer, length }: { writer: number; length: number },
  tell: Tell,
): never {
  const collection = db.collection(notes)
  const text = 'x'.repeat(length)
  for (let round = 0; ; round++) {
    collection.sync.insert({ writer, text })
    if (round === 0) tell('writing')
  }
}

/** Reads by key, range and iteration; snapshots and iterations are left open now and then. */
async function readForEver(db: Database, _: undefined, tell: Tell): Promise<never> {
  const collection = db.collection(cells)
  const left: unknown[] = []
  for (let round = 0; ; round++) {
    for (let id = 1; id <= 50; id++) collection.get(id)
    for (const cell of collection.range('group', { gte: 1 })) if (cell.id > 3) break
    const iterator = collection.all()
    iterator.next()
    const snapshot = db.snapshot()
    snapshot.collection(cells).count()
    if (round < 3) left.push(iterator, snapshot)
    else {
      iterator.return(undefined)
      snapshot.close()
    }
    if (round === 3) tell('reading')
    if (round % 50 === 0) await setImmediate()
  }
}

/** Transactions that read and write, several at once. */
async function transactForEver(
  db: Database,
  { writer }: { writer: number },
  tell: Tell,
): Promise<never> {
  let commits = 0
  const lane = async (at: number): Promise<never> => {
    for (let round = 0; ; round++) {
      await db.transaction(async (tx) => {
        const collection = tx.collection(cells)
        const id = 1 + ((writer * 7 + at * 3 + round) % 50)
        const cell = collection.get(id)
        await setImmediate()
        await collection.upsert({ id, group: id % 5, value: (cell?.value ?? 0) + 1 })
      })
      if (++commits === 4) tell('committing')
    }
  }
  return await Promise.race([lane(0), lane(1), lane(2)])
}

/** Long commands, in parts. */
async function longForEver(db: Database, { id }: { id: string }, tell: Tell): Promise<never> {
  const bytes = new Uint8Array(3 * 1024 * 1024).fill(7)
  for (let round = 0; ; round++) {
    const written = db.collection(blobs).upsert({ id, bytes })
    if (round === 0) tell('sending')
    await written
  }
}

/** Ends with snapshots open, and without closing anything. */
async function leaveAttached(db: Database, _: undefined): Promise<never> {
  db.collection(cells).all().next()
  db.snapshot()
  await setImmediate()
  process.exit()
}

export const jobs = {
  insertNotes,
  insertForEver,
  readForEver,
  transactForEver,
  longForEver,
  leaveAttached,
}

export type JobName = keyof typeof jobs
export type JobInput<Name extends JobName> = Parameters<(typeof jobs)[Name]>[1]
export type JobResult<Name extends JobName> = Awaited<ReturnType<(typeof jobs)[Name]>>

export async function runJob(
  name: JobName,
  db: Database,
  input: unknown,
  tell: Tell,
): Promise<unknown> {
  // The one who starts a thread gives it the input of its job, by type.
  // oxlint-disable-next-line no-unsafe-type-assertion
  const job = jobs[name] as (db: Database, input: unknown, tell: Tell) => unknown
  return await job(db, input, tell)
}
