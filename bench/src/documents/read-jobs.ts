import { LoadMeter, type Phases } from '../phases.ts'
import {
  DOCUMENTS_PER_AGE,
  fieldsOf,
  isSame,
  type StoredDocument,
  storedDocument,
} from './document.ts'
import type { GetJob, JobResult, RangeJob, VerifyJob } from './job.ts'
import { Random } from './random.ts'
import type { StoreClient } from './store.ts'

const SAMPLE = 500
/** So many between two looks at the clock. */
const GETS_PER_STEP = 100
/** So many are drawn beforehand and gone through again and again. */
const DRAWS_MAX = 2 ** 20

function reading(operations: number): JobResult {
  return { operations, countChange: 0, present: [], absent: [], latenciesMs: new Float64Array() }
}

/** Every document is looked at: it is there, and it is the one that was asked for. */
export function prepareGets(client: StoreClient, job: GetJob): (phases: Phases) => JobResult {
  const { documents, ids } = job
  const random = new Random(job.seed)
  const draws = Math.min(DRAWS_MAX, Math.ceil((2 * documents) / GETS_PER_STEP) * GETS_PER_STEP)
  const drawn = Float64Array.from({ length: draws }, () => ids[random.below(documents)]!)
  return (phases) => {
    const meter = new LoadMeter(phases)
    let next = 0
    while (meter.goesOn) {
      for (let end = next + GETS_PER_STEP; next < end; next++) {
        const id = drawn[next]!
        if (client.get(id)?.id !== id) throw new Error(`document ${id} is missing`)
      }
      if (next + GETS_PER_STEP > draws) next = 0
      meter.finished(GETS_PER_STEP)
    }
    for (let look = 0; look < SAMPLE; look++) {
      const ordinal = random.below(documents)
      expectSame(client, storedDocument(ids[ordinal]!, fieldsOf(ordinal, documents)))
    }
    return reading(meter.result().operations)
  }
}

/** Each range is looked at: as many as there are, from the first age to the last, in order. */
export async function readRanges(
  client: StoreClient,
  job: RangeJob,
  phases: Phases,
): Promise<JobResult> {
  const { documents, documentsPerRange } = job
  const random = new Random(job.seed)
  const meter = new LoadMeter(phases)
  const agesPerRange = documentsPerRange / DOCUMENTS_PER_AGE
  const ages = documents / DOCUMENTS_PER_AGE - agesPerRange
  while (meter.goesOn) {
    const from = random.below(ages)
    const range = client.range(from, from + agesPerRange)
    const found = range instanceof Promise ? await range : range
    const first = found[0]?.age
    const last = found.at(-1)?.age
    if (found.length !== documentsPerRange || first !== from || last !== from + agesPerRange - 1) {
      throw new Error(`${found.length} documents of ages ${first} to ${last} from ${from} on`)
    }
    meter.finished(1)
  }
  return reading(meter.result().operations)
}

function expectSame(client: StoreClient, expected: StoredDocument): void {
  const found = client.get(expected.id)
  if (found === undefined || !isSame(found, expected)) {
    throw new Error(`found ${JSON.stringify(found)} where ${JSON.stringify(expected)} was written`)
  }
}

export async function verify(client: StoreClient, job: VerifyJob): Promise<JobResult> {
  const count = await client.count()
  if (count !== job.count)
    throw new Error(`${count} documents where ${job.count} were acknowledged`)
  for (const document of job.present) {
    expectSame(client, document)
    if (job.indexed) await expectIndexed(client, document)
  }
  for (const id of job.absent) {
    if (client.get(id) !== undefined) throw new Error(`document ${id} was deleted, and is there`)
  }
  return reading(job.present.length + job.absent.length)
}

async function expectIndexed(client: StoreClient, document: StoredDocument): Promise<void> {
  const sameAge = await client.range(document.age, document.age + 1)
  const found = sameAge.filter(({ id }) => id === document.id)
  if (found.length !== 1 || !isSame(found[0]!, document)) {
    throw new Error(`document ${document.id} is ${found.length} times at age ${document.age}`)
  }
}
