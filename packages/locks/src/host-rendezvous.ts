/**
 * How the threads of a process find their one host thread.
 *
 * A worker's workers end with it, so the host must be a child of the main thread, and only the main
 * thread can start it: importing this package there is what makes the host reachable. It starts with
 * the first thread that asks, once in the life of the process. After that the host answers by itself,
 * so that a busy main thread delays nobody; only the very first question needs the main thread's
 * event loop. The host is unreferenced: it keeps no idle process alive.
 *
 * A main thread that does not have this package leaves its workers without `flock` and `lockfile`
 * (RINGBOLT_LOCK_METHOD_UNAVAILABLE says so); `ofd` needs no host.
 */
import { getEnvironmentData, setEnvironmentData, Worker } from 'node:worker_threads'
import { COMMON_CHANNEL, type CommonMessage, isCommonMessage, listen } from './host-protocol.ts'

const MARK = 'ringbolt.locks.host'
const registration = Symbol.for(MARK)

/** Whether this thread was started after the main thread had imported the package. */
export function isHostPromised(): boolean {
  return getEnvironmentData(MARK) === true
}

/** In the main thread, on import. A second copy of the package leaves it to the first. */
export function offerHost(): void {
  if (Object.hasOwn(globalThis, registration)) return
  Object.defineProperty(globalThis, registration, { value: true })
  setEnvironmentData(MARK, true)

  let host: Worker | undefined
  let ended: string | undefined
  const say = (message: CommonMessage): void => common.postMessage(message)
  const common = listen(COMMON_CHANNEL, isCommonMessage, (message) => {
    if (message.kind !== 'hello') return
    if (ended !== undefined) say({ kind: 'gone', forGood: true, reason: ended })
    else host ??= start()
  })
  const start = (): Worker | undefined =>
    startHost((ran, reason) => {
      host = undefined
      // Never a second one: fs-ext aborts the process when it is loaded again after its thread ended.
      if (ran) ended ??= reason
      say({ kind: 'gone', forGood: ran, reason })
    })
  common.unref()
}

/** `onEnd` is called with whether the host ever ran, and why it does not any more. */
function startHost(onEnd: (ran: boolean, reason: string) => void): Worker | undefined {
  let ran = false
  const url = new URL('./host-thread.js', import.meta.url)
  const fail = (error: unknown): void => {
    onEnd(ran, `the host thread failed: ${error instanceof Error ? error.message : String(error)}`)
  }
  try {
    // Not the main thread's own options: some, such as --input-type, forbid a worker from a file.
    const host = new Worker(url, { name: 'ringbolt-locks', execArgv: [] })
    host.on('online', () => {
      ran = true
    })
    host.on('error', fail)
    host.on('exit', (code) => onEnd(ran, `the host thread ended with code ${code}`))
    host.unref()
    return host
  } catch (error) {
    fail(error)
    return undefined
  }
}
