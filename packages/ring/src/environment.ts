/**
 * Composition root of the ring: the clock and the event loop of the thread, handed in everywhere
 * else, so that a test or a simulation can give its own.
 */
import { threadId } from 'node:worker_threads'

export interface RingEnvironment {
  nowMs(): number
  /**
   * Waits for a wake-up from shared memory while keeping the event loop alive: a pending
   * `Atomics.waitAsync` alone does not.
   */
  alive<T>(wakeUp: Promise<T>): Promise<T>
}

const FOREVER_MS = 2 ** 31 - 1

export const threadEnvironment: RingEnvironment = {
  nowMs: () => performance.now(),
  async alive(wakeUp) {
    const handle = setInterval(() => undefined, FOREVER_MS)
    try {
      return await wakeUp
    } finally {
      clearInterval(handle)
    }
  },
}

export const currentThreadId: number = threadId
