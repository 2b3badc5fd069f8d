import { LoadMeter, type LoadResult, type Phases } from '../phases.ts'
import { ageOf, type Fields, fieldsOf, type StoredDocument, storedDocument } from './document.ts'
import type { JobResult, LoadJob, WriteJob } from './job.ts'
import { Random } from './random.ts'
import type { AwaitedWrites, BlockingWrites, StoreClient } from './store.ts'

const SAMPLE = 250

/** Where transactions are awaited, so many are under way at once. */
const LOADS_AT_ONCE = 4

export async function load(client: StoreClient, job: LoadJob): Promise<JobResult> {
  const { documents, perTransaction, ids } = job
  let next = 0
  const lane = async (): Promise<void> => {
    while (next < documents) {
      const first = next
      const length = Math.min(perTransaction, documents - first)
      next += length
      const batch = Array.from({ length }, (_, index) => fieldsOf(first + index, documents))
      const inserted = client.insertAll(batch)
      ids.set(inserted instanceof Promise ? await inserted : inserted, first)
    }
  }
  await Promise.all(Array.from({ length: LOADS_AT_ONCE }, lane))
  const present = Array.from({ length: Math.min(SAMPLE, documents) }, (_, index) => {
    const ordinal = Math.floor((index * documents) / SAMPLE) % documents
    return storedDocument(ids[ordinal]!, fieldsOf(ordinal, documents))
  })
  const latenciesMs = new Float64Array()
  return { operations: documents, countChange: documents, present, absent: [], latenciesMs }
}

/** A document of this thread, as it was last acknowledged. */
interface Own {
  readonly id: number
  readonly fields: Fields
}

type Operation =
  | { readonly kind: 'insert'; readonly fields: Fields }
  | { readonly kind: 'update'; readonly own: Own; readonly age: number }
  | { readonly kind: 'delete'; readonly own: Own }

/**
 * Chooses operations, and remembers what was acknowledged of them. A document on which one is under way
 * is with nobody else: the load has no conflicts.
 */
class OwnDocuments {
  readonly #job: WriteJob
  readonly #random: Random
  readonly #live: Own[] = []
  readonly #deleted: number[] = []
  #ordinal: number
  #inserted = 0

  constructor(job: WriteJob) {
    this.#job = job
    this.#random = new Random(job.seed)
    this.#ordinal = job.seed
    const { own } = job
    if (own === undefined) return
    for (let ordinal = own.from; ordinal < own.to; ordinal++) {
      this.#live.push({ id: own.ids[ordinal]!, fields: fieldsOf(ordinal, own.documents) })
    }
  }

  next(): Operation {
    const { mix, documents } = this.#job
    const ordinal = this.#ordinal++
    if (mix.inserts < 100) {
      const draw = this.#random.below(100)
      const own = draw < mix.inserts ? undefined : this.#takeAny()
      if (own !== undefined) {
        return draw < mix.inserts + mix.updates
          ? { kind: 'update', own, age: ageOf(ordinal, documents) }
          : { kind: 'delete', own }
      }
    }
    return { kind: 'insert', fields: fieldsOf(ordinal, documents) }
  }

  #takeAny(): Own | undefined {
    const index = this.#random.below(this.#live.length)
    const own = this.#live[index]
    const last = this.#live.pop()
    if (own !== undefined && last !== undefined && own !== last) this.#live[index] = last
    return own
  }

  inserted(id: number, fields: Fields): void {
    this.#inserted++
    this.#live.push({ id, fields })
  }

  updated({ own, age }: Extract<Operation, { kind: 'update' }>): void {
    own.fields.age = age
    this.#live.push(own)
  }

  deleted({ own }: Extract<Operation, { kind: 'delete' }>): void {
    this.#deleted.push(own.id)
  }

  result({ operations, latenciesMs }: LoadResult): JobResult {
    const step = Math.max(1, Math.floor(this.#live.length / SAMPLE))
    const sample = this.#live.filter((_, index) => index % step === 0)
    const present: StoredDocument[] = sample.map(({ id, fields }) => storedDocument(id, fields))
    return {
      operations,
      countChange: this.#inserted - this.#deleted.length,
      present,
      absent: this.#deleted.slice(-SAMPLE),
      latenciesMs,
    }
  }
}

/** A store that has only the other form is loaded in that. */
export async function write(
  client: StoreClient,
  job: WriteJob,
  phases: Phases,
): Promise<JobResult> {
  const { shape, timed } = job
  const { awaited, blocking } = client
  const meter = new LoadMeter(phases)
  const own = new OwnDocuments(job)
  if (blocking !== undefined && (shape.blocking || awaited === undefined)) {
    while (meter.goesOn) {
      const begunMs = timed ? performance.now() : 0
      writeBlocking(blocking, own)
      meter.finished(1, timed ? performance.now() - begunMs : undefined)
    }
  } else if (awaited !== undefined) {
    const lanes = Array.from({ length: shape.inFlight }, async () => {
      while (meter.goesOn) {
        const begunMs = timed ? performance.now() : 0
        await writeAwaited(awaited, own)
        meter.finished(1, timed ? performance.now() - begunMs : undefined)
      }
    })
    await Promise.all(lanes)
  }
  return own.result(meter.result())
}

async function writeAwaited(writes: AwaitedWrites, own: OwnDocuments): Promise<void> {
  const operation = own.next()
  switch (operation.kind) {
    case 'insert':
      own.inserted(await writes.insert(operation.fields), operation.fields)
      break
    case 'update':
      expectFound(await writes.update(operation.own.id, operation.age), operation)
      own.updated(operation)
      break
    case 'delete':
      expectFound(await writes.delete(operation.own.id), operation)
      own.deleted(operation)
  }
}

function writeBlocking(writes: BlockingWrites, own: OwnDocuments): void {
  const operation = own.next()
  switch (operation.kind) {
    case 'insert':
      own.inserted(writes.insert(operation.fields), operation.fields)
      break
    case 'update':
      expectFound(writes.update(operation.own.id, operation.age), operation)
      own.updated(operation)
      break
    case 'delete':
      expectFound(writes.delete(operation.own.id), operation)
      own.deleted(operation)
  }
}

function expectFound(found: boolean, { kind, own }: { kind: string; own: Own }): void {
  if (!found) throw new Error(`document ${own.id} was not there to ${kind}`)
}
