/** Ends the host thread under a held lock, which nobody should be able to do but by force. */
import { once } from 'node:events'
import type { Worker } from 'node:worker_threads'
import { isLockError, openLock } from '../index.ts'

const path = process.env['LOCK'] ?? ''
const workers: Worker[] = []
process.on('worker', (worker: Worker) => workers.push(worker))

async function codeOf(work: Promise<unknown>): Promise<string> {
  const error: unknown = await work.then(
    () => null,
    (reason: unknown) => reason,
  )
  return isLockError(error) ? error.code : String(error)
}

// Holding a lock keeps no process alive, and losing it neither.
const awake = setInterval(() => undefined, 1_000)
const lock = await openLock(path, { method: 'flock' })
const held = await lock.acquire()
const lost = once(held.lost, 'abort')
await Promise.all(workers.map((worker) => worker.terminate()))
await lost
const reason: unknown = held.lost.reason
process.send?.(isLockError(reason) ? reason.code : String(reason))
process.send?.(await codeOf(held.release()))
process.send?.(await codeOf(lock.acquire()))
process.send?.(await codeOf(openLock(path)))
await lock.close()
process.send?.('closed')
clearInterval(awake)
process.disconnect()
