/** Holds a lock, waits for it in vain with a second handle, and then has nothing left to do. */
import { isLockError, METHOD_NAMES, openLock } from '../index.ts'

const method = METHOD_NAMES.find((name) => name === process.env['METHOD'])
const options = method === undefined ? {} : { method }
const path = process.env['LOCK'] ?? ''
process.channel?.unref()
const holding = await openLock(path, { ...options, staleMs: 2_000 })
await holding.acquire()
const waiting = await openLock(path, { ...options, staleMs: 2_000 })
const outcome: unknown = await waiting.acquire({ timeoutMs: 300 }).catch((error: unknown) => error)
process.send?.(isLockError(outcome) ? outcome.code : String(outcome))
