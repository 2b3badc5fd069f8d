/** The lock of a run's folder: whoever has it open keeps every other process out. */
import { openLock } from '@ringbolt/locks'
import type { LogLock } from '@ringbolt/wal'

/** What the kernel may take to let go of a killed process's lock, and a busy machine to notice. */
const LOCK_WAIT_MS = 2000

/** @param timeoutMs 0: one try */
export function runLock(path: string, timeoutMs: number = LOCK_WAIT_MS): LogLock {
  return {
    async acquire() {
      const lock = await openLock(path)
      try {
        await lock.acquire({ timeoutMs })
      } catch (error) {
        await lock.close()
        throw error
      }
      return { release: () => lock.close() }
    },
  }
}
