import { threadId } from 'node:worker_threads'

/** What shared-memory code takes from its thread; handed in, so that a test can give its own. */
export interface RingEnvironment {
  nowMs(): number
  /**
   * Waits for a wake-up from shared memory while keeping the event loop alive: a pending
   * `Atomics.waitAsync` alone does not.
   */
  alive<T>(wakeUp: Promise<T>): Promise<T>
  /** Calls back after a time, once; returns what cancels it. */
  after(delayMs: number, callBack: () => void): () => void
}

const FOREVER_MS = 2 ** 31 - 1

let keepAlive: NodeJS.Timeout | undefined
let waiters = 0

/** Composition root: the thread's own clock and event loop. */
export const threadEnvironment: RingEnvironment = {
  nowMs: () => performance.now(),
  async alive(wakeUp) {
    keepAlive ??= setInterval(() => undefined, FOREVER_MS)
    if (++waiters === 1) keepAlive.ref()
    try {
      return await wakeUp
    } finally {
      if (--waiters === 0) keepAlive.unref()
    }
  },
  after(delayMs, callBack) {
    const timer = setTimeout(callBack, delayMs)
    return () => clearTimeout(timer)
  },
}

export const currentThreadId: number = threadId
