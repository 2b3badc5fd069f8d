/** A process that a test drives: it opens locks and presences and does as told, one line a message. */
import {
  appendFileSync,
  closeSync,
  openSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs'
import { threadId } from 'node:worker_threads'
import {
  BusyError,
  type Held,
  isLockError,
  type Lock,
  type MethodName,
  openLock,
  openPresence,
  type Presence,
} from '../index.ts'

export interface Order {
  readonly does:
    | 'open'
    | 'acquire'
    | 'try'
    | 'release'
    | 'holder'
    | 'verify'
    | 'lost'
    | 'close'
    | 'descriptors'
    | 'exhaust'
    | 'count'
    | 'turns'
    | 'visits'
    | 'present'
    | 'state'
    | 'end'
  readonly path?: string
  readonly method?: MethodName
  readonly timeoutMs?: number
  readonly times?: number
  readonly value?: number
  readonly name?: string
}

export interface Outcome {
  readonly value?: unknown
  readonly code?: string
  readonly message?: string
  readonly facts?: unknown
}

let lock: Lock | undefined
let held: Held | null = null
let presence: Presence | undefined
let taking = true

function theLock(): Lock {
  if (lock === undefined) throw new TypeError('no lock is open')
  return lock
}

function descriptors(): number {
  return readdirSync('/proc/self/fd').length
}

/** Uses up all descriptors, opens, and frees them again. */
async function exhaust(path: string, method: MethodName | undefined): Promise<unknown> {
  const taken: number[] = []
  try {
    for (;;) taken.push(openSync('/dev/null', 'r'))
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EMFILE')) throw error
  }
  try {
    await openLock(path, method === undefined ? {} : { method })
    return 'opened'
  } finally {
    for (const descriptor of taken) closeSync(descriptor)
  }
}

/** Adds to a counter in a file, reading and writing it in two steps, under the lock. */
async function count(path: string, times: number): Promise<void> {
  for (let index = 0; index < times; index++) {
    const turn = await theLock().acquire({ timeoutMs: 30_000 })
    const before = Number(readFileSync(path, 'utf8'))
    writeFileSync(path, String(before + 1))
    await turn.release()
  }
}

/** A busy holder: takes the lock again at once, and writes down how many waited at each turn's end. */
async function takeTurns(path: string): Promise<void> {
  for (let turns = 1; taking; turns++) {
    const turn = await theLock().acquire({ timeoutMs: 30_000 })
    // Work, so that others come while the lock is held: nearly always it is.
    const untilMs = performance.now() + 1
    while (performance.now() < untilMs);
    appendFileSync(path, `turn ${turn.waiters()}\n`)
    await turn.release()
    // Alone, `ofd` needs no event loop: without this the order to end would never be heard.
    if (turns % 64 === 0) await new Promise((tick) => setImmediate(tick))
  }
}

async function visit(path: string, name: string, times: number): Promise<void> {
  for (let index = 0; index < times; index++) {
    const visit = await theLock().acquire({ timeoutMs: 30_000 })
    appendFileSync(path, `visit ${name}\n`)
    await visit.release()
  }
}

let turns: Promise<void> = Promise.resolve()

async function carryOut(order: Order): Promise<unknown> {
  const { path = '', method, timeoutMs = 10_000, times = 1 } = order
  switch (order.does) {
    case 'open':
      lock = await openLock(path, { staleMs: 2_000, ...(method === undefined ? {} : { method }) })
      return { method: lock.method, id: lock.id }
    case 'acquire':
      held = await theLock().acquire({ timeoutMs })
      return held.sinceMs
    case 'try':
      held = await theLock().tryAcquire()
      return held !== null
    case 'release':
      await held?.release()
      return null
    case 'holder':
      return await theLock().holder()
    case 'verify':
      held?.verify()
      return null
    case 'lost':
      return held?.lost.aborted
    case 'close':
      await theLock().close()
      return null
    case 'descriptors':
      return descriptors()
    case 'exhaust':
      return await exhaust(path, method)
    case 'count':
      await count(path, times)
      return null
    case 'turns':
      turns = takeTurns(path)
      return null
    case 'visits':
      await visit(path, order.name ?? '', times)
      return null
    case 'present':
      presence = await openPresence(path, {
        oldestNeeded: BigInt(order.value ?? 0),
        staleMs: 2_000,
        ...(method === undefined ? {} : { method }),
      })
      return presence.id
    case 'state':
      presence?.update(BigInt(order.value ?? 0))
      return null
    case 'end':
      taking = false
      await turns
      await presence?.close()
      await lock?.close()
      process.disconnect()
      return null
  }
}

function isOrder(value: unknown): value is Order {
  return typeof value === 'object' && value !== null && 'does' in value
}

function outcomeOf(error: unknown): Outcome {
  const message = error instanceof Error ? error.message : String(error)
  if (!isLockError(error)) return { message }
  const facts = error instanceof BusyError ? { ...error.facts, threadId } : error.facts
  return { code: error.code, message, facts }
}

async function answer(order: Order): Promise<void> {
  let outcome: Outcome
  try {
    outcome = { value: await carryOut(order) }
  } catch (error) {
    outcome = outcomeOf(error)
  }
  if (process.connected) process.send?.(outcome)
}

process.on('message', (order: unknown) => {
  if (isOrder(order)) void answer(order)
})
