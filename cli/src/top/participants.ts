/**
 * Who has a database open, seen from outside: the writer lock, what is said on its board, and the presence of each
 * process. Nothing is made, and nobody waits for the one who looks, but for the moment in which it asks whether the lock is free.
 */
import { existsSync } from 'node:fs'
import {
  type Holder,
  isLockError,
  listPresence,
  openLock,
  type PresenceEntry,
} from '@ringbolt/locks'
import { decodeSharedHead, type SharedHead } from 'ringbolt'

/** What a presence states that needs nothing. */
const NOTHING = 2n ** 64n - 1n

interface WriterLock {
  /** Null: nobody holds it at this moment. */
  readonly holder: Holder | null
  readonly waiters: number
  /** What was said last, perhaps by one who is gone. */
  readonly head: SharedHead | undefined
}

export interface ProcessState {
  /** `dead`: it has not closed the database; the next to look will remove what is left of it. */
  readonly state: 'live' | 'dead' | 'unreadable'
  readonly pid: number | null
  /** Wall clock, ms. */
  readonly sinceMs: number | null
  /** Up to where it has read the log. Null: it has not said, as one that is alone need not. */
  readonly reachedLsn: number | null
  /** The oldest place in the log at whose state it may be reading. */
  readonly oldestLsn: number | null
}

export interface Participants {
  /** Undefined: the database has no lock file. */
  readonly lock: WriterLock | undefined
  readonly processes: readonly ProcessState[]
}

/** @param file as `describeFile` names it */
export async function participantsOf(file: string): Promise<Participants> {
  // What has been reached by then has been said by then.
  const lock = await lockOf(`${file}-lock`)
  const processes = (await presencesIn(`${file}-processes`)).map(stateOf)
  return { lock, processes }
}

async function lockOf(path: string): Promise<WriterLock | undefined> {
  // Opening a lock makes its file; they are never removed.
  if (!existsSync(path)) return undefined
  const lock = await openLock(path)
  try {
    const said = lock.board.read()
    const head = said && decodeSharedHead(said)
    return { head, holder: await lock.holder(), waiters: lock.waiters() }
  } finally {
    await lock.close()
  }
}

async function presencesIn(folder: string): Promise<PresenceEntry[]> {
  // Whoever is the last to close removes it.
  if (!existsSync(folder)) return []
  try {
    return await listPresence(folder)
  } catch (error) {
    if (isLockError(error) && !existsSync(folder)) return []
    throw error
  }
}

function stateOf(entry: PresenceEntry): ProcessState {
  const statement = entry.state === 'unreadable' ? null : entry.statement
  if (statement === null) {
    return { state: entry.state, pid: null, sinceMs: null, reachedLsn: null, oldestLsn: null }
  }
  const { pid, startedMs, updates, reached, oldestNeeded } = statement
  const hasSaid = updates > 0n
  return {
    state: entry.state,
    pid,
    sinceMs: startedMs,
    reachedLsn: hasSaid ? lsnOf(reached) : null,
    oldestLsn: hasSaid ? lsnOf(oldestNeeded) : null,
  }
}

function lsnOf(stated: bigint): number | null {
  return stated === NOTHING ? null : Number(stated)
}
