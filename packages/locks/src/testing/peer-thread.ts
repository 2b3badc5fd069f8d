/** A worker thread that holds a lock, or takes and gives it back until it is terminated. */
import { once } from 'node:events'
import { parentPort, workerData } from 'node:worker_threads'
import { isLockError, type MethodName, openLock } from '../index.ts'

interface Task {
  readonly path: string
  readonly method?: MethodName
  readonly does: 'hold' | 'loop' | 'open'
}

function isTask(value: unknown): value is Task {
  return typeof value === 'object' && value !== null && 'path' in value && 'does' in value
}

const task: unknown = workerData
if (!isTask(task) || parentPort === null) throw new TypeError('a peer thread needs a task')
const { path, method, does } = task

try {
  const lock = await openLock(path, { staleMs: 2_000, ...(method === undefined ? {} : { method }) })
  if (does === 'loop') parentPort.postMessage('opened')
  if (does === 'hold') {
    const held = await lock.acquire()
    parentPort.postMessage('held')
    await once(parentPort, 'message')
    await held.release()
  }
  while (does === 'loop') {
    const held = await lock.acquire({ timeoutMs: 60_000 })
    parentPort.postMessage('held')
    await new Promise((tick) => setTimeout(tick, 1))
    await held.release()
  }
  parentPort.postMessage(lock.method)
  await lock.close()
} catch (error) {
  parentPort.postMessage(isLockError(error) ? { code: error.code, message: error.message } : error)
}
parentPort.close()
