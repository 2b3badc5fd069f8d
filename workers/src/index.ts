/**
 * Piscina pools whose workers write and read one database, or append to one log.
 *
 *     // main thread                                    // task module
 *     const db = await open('app.db', …)                import { attached } from '@ringbolt/workers'
 *     const pool = createPool(db, { filename })         const u = attached().collection(users)
 *     await pool.run(job)                               export default (job) => u.insert(job)
 *
 * A worker that ends, is aborted or runs out of memory needs no clean-up: database and log, opened in the
 * thread that makes the pool, are told of each worker's end and close what it held.
 */
export { attachedLog } from './attached-log.ts'
export { attached } from './attached-store.ts'
export { createLogPool } from './log-pool.ts'
export type { PoolOptions } from './pool-options.ts'
export { createPool } from './store-pool.ts'
