/** What threads of tests do, by name. */
import { setImmediate } from 'node:timers/promises'
import { Random } from '@ringbolt/wal/simulation'
import { act, type Event, type Recorded } from '../../isolation/history.ts'
import type { Database } from '../open.ts'
import { blobs, cells, journal, notes, textOf } from './collections.ts'

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
async function readForEver(db: Database, _input: undefined, tell: Tell): Promise<never> {
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
async function leaveAttached(db: Database): Promise<never> {
  db.collection(cells).all().next()
  db.snapshot()
  await setImmediate()
  process.exit()
}

/** Transactions by chance, four at once, each with all that it saw. */
async function recordHistory(
  db: Database,
  { writer, seed, count }: { writer: number; seed: number; count: number },
): Promise<Recorded[]> {
  const random = new Random(seed)
  const recorded: Recorded[] = []
  let next = 0
  const one = async (at: number): Promise<Recorded> =>
    await db.transaction(
      async (tx) => {
        const events: Event[] = []
        for (let steps = random.between(1, 5); steps > 0; steps--) {
          events.push(await act(tx, random, at))
          if (random.chance(0.5)) await setImmediate()
        }
        const wrote = events.some(({ kind }) => ['insert', 'upsert', 'delete'].includes(kind))
        if (wrote || random.chance(0.5)) {
          const journalId = writer * 1_000_000 + at + 1
          await tx.collection(journal).insert({ id: journalId, value: at })
          return { journalId, sequence: tx.sequence, events }
        }
        return { journalId: 0, sequence: tx.sequence, events }
      },
      { retries: 10_000 },
    )
  const lane = async (): Promise<void> => {
    while (next < count) recorded.push(await one(next++))
  }
  await Promise.all([lane(), lane(), lane(), lane()])
  return recorded
}

/** Takes a link out of the cycle and puts it in elsewhere. */
async function moveLinks(
  db: Database,
  { seed, length, count }: { seed: number; length: number; count: number },
): Promise<{ moves: number; broken: number[] }> {
  const random = new Random(seed)
  const broken: number[] = []
  let moves = 0
  for (; moves < count; moves++) {
    const first = random.between(1, length)
    await db.transaction(
      async (tx) => {
        const collection = tx.collection(cells)
        const next = (id: number): number => collection.get(id)?.value ?? 0
        const [second] = [next(first)]
        if (random.chance(0.5)) await setImmediate()
        const third = next(second)
        const fourth = next(third)
        await collection.update(first, (cell) => void (cell.value = third))
        await collection.update(second, (cell) => void (cell.value = fourth))
        await collection.update(third, (cell) => void (cell.value = second))
      },
      { retries: 10_000 },
    )
    if (moves % 10 > 0) continue
    using snapshot = db.snapshot()
    const links = new Map([...snapshot.collection(cells).all()].map(({ id, value }) => [id, value]))
    let at = 1
    for (let step = 0; step < length; step++) at = links.get(at) ?? 0
    if (at !== 1 || new Set(links.values()).size !== length) broken.push(snapshot.sequence)
  }
  return { moves, broken }
}

/** Adds one, by reading and writing. */
async function addUp(
  db: Database,
  { isolation, count }: { isolation: 'serializable' | 'snapshot'; count: number },
): Promise<void> {
  for (let round = 0; round < count; round++) {
    const id = 1 + (round % 3)
    await db.transaction(
      async (tx) => {
        const cell = tx.collection(cells).get(id)
        if (cell === undefined) throw new Error(`no cell ${id}`)
        await setImmediate()
        await tx.collection(cells).upsert({ ...cell, value: cell.value + 1 })
      },
      { isolation, retries: 10_000 },
    )
  }
}

/** The same number into two collections by each transaction. */
async function keepInStep(
  db: Database,
  { writer }: { writer: number },
  tell: Tell,
): Promise<never> {
  for (let value = 1; ; value++) {
    await db.transaction(
      async (tx) => {
        const id = writer * 100 + (value % 40)
        await tx.collection(cells).upsert({ id, group: writer, value })
        await tx.collection(journal).upsert({ id, value })
      },
      { retries: 10_000 },
    )
    if (value === 10) tell('in step')
  }
}

/** Puts new documents in the place of old ones, each blocking. */
function updateForEver(db: Database, { writer }: { writer: number }, tell: Tell): never {
  const collection = db.collection(notes)
  for (let round = 0; ; round++) {
    const id = writer * 1000 + (round % 200)
    collection.sync.upsert({ id, writer, text: textOf(id, round, 150) })
    if (round === 200) tell('all there')
  }
}

/** @param stopAt after so many pieces it tells, and stays where it is */
async function backup(
  db: Database,
  { target, stopAt = Number.POSITIVE_INFINITY }: { target: string; stopAt?: number },
  tell: Tell,
): Promise<number> {
  let pieces = 0
  const onProgress = (): void => {
    if (++pieces < stopAt) return
    tell('in the middle')
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
  }
  return (await db.backup(target, { onProgress })).pages
}

/** Takes up changes where the caller says, and waits for more without end. */
async function followForEver(
  db: Database,
  { from, stopAfter }: { from: number; stopAfter: number },
  tell: Tell,
): Promise<number[]> {
  const sequences: number[] = []
  for await (const { sequence } of db.changes({ from })) {
    sequences.push(sequence)
    if (sequences.length === stopAfter) tell('following')
  }
  return sequences
}

/** Transactions over two collections: some documents come, some change, some go. */
async function writeBothWays(
  db: Database,
  { writer, count }: { writer: number; count: number },
): Promise<void> {
  for (let round = 0; round < count; round++) {
    const id = writer * 100 + (round % 17)
    await db.transaction(
      async (tx) => {
        const there = tx.collection(notes).get(id)
        if (there !== undefined && round % 5 === 0) await tx.collection(notes).delete(id)
        else await tx.collection(notes).upsert({ id, writer, text: textOf(id, round, 60) })
        await tx.collection(cells).upsert({ id: 1 + (round % 23), group: writer, value: round })
      },
      { retries: 10_000 },
    )
  }
}

const jobs = {
  backup,
  followForEver,
  writeBothWays,
  updateForEver,
  recordHistory,
  moveLinks,
  addUp,
  keepInStep,
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
