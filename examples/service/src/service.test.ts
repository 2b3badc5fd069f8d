import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createService } from './service.ts'

let folder: string
let service: FastifyInstance

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'ringbolt-service-'))
  service = await createService({ path: join(folder, 'accounts.db') })
})

afterAll(async () => {
  await service.close()
  rmSync(folder, { recursive: true })
})

async function create(email: string, balanceCents: number): Promise<number> {
  const body = { email, city: 'Cork', balanceCents }
  const response = await service.inject({ method: 'POST', url: '/accounts', body })
  expect(response.statusCode).toBe(201)
  const created: { id: number } = response.json()
  return created.id
}

test('S2, S11: handlers hand transactions to the pool, and money is neither made nor lost', async () => {
  const ids = await Promise.all([create('a@example.org', 500), create('b@example.org', 500)])
  const [from, to] = ids
  const transfers = Array.from({ length: 40 }, (_, at) =>
    service.inject({
      method: 'POST',
      url: '/transfers',
      body: at % 2 === 0 ? { from, to, cents: 7 } : { from: to, to: from, cents: 5 },
    }),
  )
  const statuses = (await Promise.all(transfers)).map(({ statusCode }) => statusCode)
  expect(statuses.filter((status) => status === 200 || status === 409)).toHaveLength(40)
  const accounts = await Promise.all(ids.map((id) => service.inject(`/accounts/${id}`)))
  const cents = accounts.map((response) => response.json<{ balanceCents: number }>().balanceCents)
  expect(cents[0]! + cents[1]!).toBe(1000)
  const richest = (await service.inject('/cities/Cork/richest')).json<{ balanceCents: number }[]>()
  expect(richest.map(({ balanceCents }) => balanceCents)).toEqual(cents.toSorted((x, y) => y - x))
})

test('S1: errors of the store become answers', async () => {
  await create('c@example.org', 1)
  const again = { email: 'c@example.org', city: 'Cork', balanceCents: 1 }
  const response = await service.inject({ method: 'POST', url: '/accounts', body: again })
  expect(response.statusCode).toBe(409)
  expect(response.json()).toMatchObject({ code: 'RINGBOLT_UNIQUE' })
  const odd = await service.inject({ method: 'POST', url: '/accounts', body: { email: 'no' } })
  expect(odd.json()).toMatchObject({ code: 'RINGBOLT_VALIDATION' })
  expect((await service.inject('/accounts/999999')).statusCode).toBe(404)
})
