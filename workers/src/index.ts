/**
 * Piscina pools whose workers append to a shared log.
 *
 *     // main thread                                    // task module
 *     const log = await openLog('events')               import { attachedLog } from '@ringbolt/workers'
 *     const pool = createLogPool(log, { filename })     const log = attachedLog()
 *     await pool.run(job)                               export default (job) => log.append(encode(job))
 *
 * A worker that ends, is aborted or runs out of memory needs no clean-up: the log, opened in the
 * thread that makes the pool, is told of each worker's end and closes what it held in the ring.
 */
export { attachedLog } from './attached.ts'
export { createLogPool, type LogPoolOptions } from './pool.ts'
