/**
 * Advisory locks between processes, threads and handles, with a deadline and fair hand-over, and
 * presence. Import it in the main thread, too, where workers are to use `flock` or `lockfile`: only
 * the main thread can start the thread that hosts them (host-rendezvous.ts).
 */
import { isMainThread } from 'node:worker_threads'
import { offerHost } from './host-rendezvous.ts'
import { createLocks, type Locks } from './locks.ts'
import { nodePlatform } from './node-platform.ts'

if (isMainThread) offerHost()

const locks: Locks = createLocks(nodePlatform)

export const openLock: Locks['openLock'] = locks.openLock
export const openPresence: Locks['openPresence'] = locks.openPresence
export const listPresence: Locks['listPresence'] = locks.listPresence
export const cleanPresence: Locks['cleanPresence'] = locks.cleanPresence
export const openBoard: Locks['openBoard'] = locks.openBoard
export const watchPresence: Locks['watchPresence'] = locks.watchPresence

export type { Board } from './board.ts'
export { BusyError, type Holder, isLockError, LockError, type LockErrorFacts } from './errors.ts'
export { METHOD_NAMES, type MethodName } from './header.ts'
export type { Held } from './held.ts'
export type { AcquireOptions, Lock } from './lock.ts'
export type { LockOptions, Locks, PresenceOptions, StatementWatch } from './locks.ts'
export { createLocks } from './locks.ts'
export { nodePlatform } from './node-platform.ts'
export type { Clock, Files, OpenFile, Platform, Threads } from './platform.ts'
export type { Presence } from './presence.ts'
export type { PresenceEntry } from './presence-folder.ts'
export type { Statement } from './statement.ts'
