/**
 * A load on the service, from another process: first accounts, then reads and transfers at once.
 *
 *   node dist/load.js [seconds] [connections]
 *
 * Ends with what matters: no cent was made or lost, though everything ran at once.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import autocannon from 'autocannon'
import { z } from 'zod'

const ACCOUNTS = 1000
const START_CENTS = 10_000
const CITIES = ['Aarhus', 'Bilbao', 'Cork', 'Delft']

interface Line {
  readonly what: string
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly others: number
}

async function measure(what: string, options: autocannon.Options): Promise<Line> {
  const result = await autocannon(options)
  return {
    what,
    perSecond: Math.round(result.requests.average),
    p50Ms: result.latency.p50,
    p99Ms: result.latency.p99,
    others: result.non2xx + result.errors,
  }
}

async function balanceOf(url: string, id: number): Promise<number> {
  const response = await fetch(`${url}/accounts/${id}`)
  const { balanceCents } = z.object({ balanceCents: z.number() }).parse(await response.json())
  return balanceCents
}

async function total(url: string): Promise<number> {
  const ids = Array.from({ length: ACCOUNTS }, (_, at) => at + 1)
  const balances = ids.map(async (id) => await balanceOf(url, id))
  return (await Promise.all(balances)).reduce((sum, cents) => sum + cents, 0)
}

async function run(url: string, duration: number, connections: number): Promise<void> {
  for (let at = 0; at < ACCOUNTS; at++) {
    const account = {
      email: `user${at}@example.org`,
      city: CITIES[at % CITIES.length],
      balanceCents: START_CENTS,
    }
    await fetch(`${url}/accounts`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(account),
    })
  }
  const anyId = (): number => 1 + Math.floor(Math.random() * ACCOUNTS)
  const reads: autocannon.Options = {
    url,
    duration,
    connections,
    requests: [{ setupRequest: (request) => ({ ...request, path: `/accounts/${anyId()}` }) }],
  }
  const transfers: autocannon.Options = {
    url,
    duration,
    connections,
    requests: [
      {
        method: 'POST',
        path: '/transfers',
        headers: { 'content-type': 'application/json' },
        setupRequest: (request) => ({
          ...request,
          body: JSON.stringify({ from: anyId(), to: anyId(), cents: 1 }),
        }),
      },
    ],
  }
  const richest: autocannon.Options = { url: `${url}/cities/Cork/richest`, duration, connections }
  const lines = [
    await measure('get by id', reads),
    await measure('ten richest of a city', richest),
    await measure('transfer between two accounts', transfers),
  ]
  console.table(lines)
  const cents = await total(url)
  const due = ACCOUNTS * START_CENTS
  process.stdout.write(`${cents} cents in all accounts, ${due} are due\n`)
  if (cents !== due) process.exitCode = 1
}

const [seconds = '5', connections = '64'] = process.argv.slice(2)
const folder = mkdtempSync(join(tmpdir(), 'ringbolt-service-'))
const main = fileURLToPath(new URL('./main.js', import.meta.url))
const port = 3987
const server = fork(main, [join(folder, 'accounts.db'), String(port)], {
  stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
})
try {
  if (server.stdout === null) throw new Error('the service has no output')
  await once(server.stdout, 'data')
  await run(`http://localhost:${port}`, Number(seconds), Number(connections))
} finally {
  server.kill('SIGTERM')
  await once(server, 'exit')
  rmSync(folder, { recursive: true })
}
