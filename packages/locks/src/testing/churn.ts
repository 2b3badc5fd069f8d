/** Starts workers by the hundred and terminates each at a random moment; then takes the lock itself. */
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { METHOD_NAMES, openLock } from '../index.ts'

const [folder = '', name = '', workerCount = '0', seed = '0'] = process.argv.slice(2)
const method = METHOD_NAMES.find((known) => known === name)
if (method === undefined) throw new TypeError(`no method ${name}`)
const path = `${folder}/lock`
const total = Number(workerCount)
const SIDE_BY_SIDE = 6
const LOADING_MAX_MS = 120
const TAKING_MAX_MS = 8

let state = Number(seed) >>> 0

/** Mulberry32. */
function random(): number {
  state = (state + 0x6d2b79f5) >>> 0
  let mixed = Math.imul(state ^ (state >>> 15), state | 1)
  mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
}

let started = 0
let acquisitions = 0
const strange: unknown[] = []

/** Each third dies while loading or opening; while waiting, taking or holding; having had the lock. */
async function lifeOfOne(): Promise<void> {
  const worker = new Worker(new URL('./peer-thread.js', import.meta.url), {
    workerData: { path, method, does: 'loop' },
  })
  const kind = started++ % 3
  let reached = (): void => undefined
  const moment = new Promise<void>((resolve) => {
    reached = resolve
  })
  worker.on('message', (message: unknown) => {
    if (message === 'held') acquisitions++
    else if (message !== 'opened') strange.push(message)
    if (kind === 1 || message !== 'opened') reached()
  })
  worker.on('error', (error: unknown) => {
    strange.push(error instanceof Error ? error.stack : String(error))
    reached()
  })
  if (kind > 0) await moment
  await sleep(random() * (kind === 0 ? LOADING_MAX_MS : TAKING_MAX_MS))
  await worker.terminate()
}

async function runOneAfterAnother(): Promise<void> {
  while (started < total) await lifeOfOne()
}

await Promise.all(Array.from({ length: SIDE_BY_SIDE }, runOneAfterAnother))
const lock = await openLock(path, { method, staleMs: 60_000 })
const held = await lock.acquire({ timeoutMs: 20_000 })
await held.release()
await lock.close()
process.send?.({ started, acquisitions, strange })
process.disconnect()
