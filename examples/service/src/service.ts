/** The service: routes that check their input and hand the work to the pool. */
import { createPool } from '@ringbolt/workers'
import fastify, { type FastifyInstance } from 'fastify'
import { errorFromPlain, isRingboltError, open } from 'ringbolt'
import { accounts } from './accounts.ts'
import type { Account, NewAccount, Outcome, Richest, Transfer } from './task.ts'

// The rule thinks of Express; Fastify awaits its handlers.
/* oxlint-disable no-async-endpoint-handlers */

export interface ServiceOptions {
  readonly path: string
  /** Workers of the pool. Default 2. */
  readonly workers?: number
}

const STATUS_BY_CODE: Readonly<Record<string, number>> = {
  RINGBOLT_UNIQUE: 409,
  RINGBOLT_CONFLICT: 409,
  RINGBOLT_VALIDATION: 400,
  RINGBOLT_NOT_FOUND: 404,
  RINGBOLT_BUSY: 503,
}

const accountId = { type: 'object', properties: { id: { type: 'integer', minimum: 1 } } }
const transferBody = {
  type: 'object',
  required: ['from', 'to', 'cents'],
  properties: {
    from: { type: 'integer', minimum: 1 },
    to: { type: 'integer', minimum: 1 },
    cents: { type: 'integer', minimum: 1 },
  },
}

/** Opens the database; closing the service closes pool and database. */
export async function createService({
  path,
  workers = 2,
}: ServiceOptions): Promise<FastifyInstance> {
  const db = await open(path, { collections: [accounts] })
  const pool = createPool(db, {
    filename: new URL('./task.js', import.meta.url).href,
    minThreads: workers,
    maxThreads: workers,
  })
  const create = async (account: NewAccount): Promise<number> =>
    valueOf<number>(await pool.run(account, { name: 'create' }))
  const read = async (id: number): Promise<Account | undefined> =>
    valueOf<Account | undefined>(await pool.run(id, { name: 'read' }))
  const richest = async (job: Richest): Promise<Account[]> =>
    valueOf<Account[]>(await pool.run(job, { name: 'richest' }))
  const transfer = async (job: Transfer): Promise<boolean> =>
    valueOf<boolean>(await pool.run(job, { name: 'transfer' }))

  const service = fastify()
  service.addHook('onClose', async () => {
    await pool.close()
    await db.close()
  })
  service.setErrorHandler(async (error, _request, reply) => {
    const status = isRingboltError(error) ? STATUS_BY_CODE[error.code] : undefined
    if (!isRingboltError(error) || status === undefined) throw error
    return await reply.status(status).send({ code: error.code, message: error.message })
  })
  service.post<{ Body: NewAccount }>('/accounts', async ({ body }, reply) => {
    return await reply.status(201).send({ id: await create(body) })
  })
  service.get<{ Params: { id: number } }>(
    '/accounts/:id',
    { schema: { params: accountId } },
    async ({ params }, reply) => {
      const account = await read(params.id)
      return await (account === undefined ? reply.status(404).send() : reply.send(account))
    },
  )
  service.get<{ Params: { city: string } }>('/cities/:city/richest', async ({ params }) => {
    return await richest({ city: params.city, limit: 10 })
  })
  service.post<{ Body: Transfer }>(
    '/transfers',
    { schema: { body: transferBody } },
    async ({ body }, reply) => {
      const done = await transfer(body)
      return await reply.status(done ? 200 : 422).send({ done })
    },
  )
  return service
}

/** @throws what the task threw */
function valueOf<T>(outcome: Outcome<T>): T {
  if ('error' in outcome) throw errorFromPlain(outcome.error)
  return outcome.value
}
