/**
 * What ties a process to the others that share its database, on a real machine: the writer lock, its board, and a
 * presence file for each process. Composition root; the sequencer's thread has it.
 */
import { existsSync, mkdirSync, rmdirSync, statSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import {
  BusyError,
  cleanPresence,
  type Held,
  type Holder,
  type Lock,
  LockError,
  listPresence,
  openLock,
  openPresence,
  type Presence,
  type StatementWatch,
  watchPresence,
} from '@ringbolt/locks'
import { lockPathOf, presencePathOf } from './file-folders.ts'
import { type Neighbours, type NeighboursNeeds, NO_NEEDS } from './neighbours.ts'
import type { LinkOptions } from './options.ts'
import { decodeSharedHead, encodeSharedHead, type SharedHead } from './shared-head.ts'

/** What others state is looked at again after this long. */
const NEEDS_AGE_MS = 1
/** Who is dead is looked for again after this long. */
const DEATHS_AGE_MS = 1000
const ALONE_LOOK_MS = 50
const EVERYTHING: NeighboursNeeds = { oldestLsn: 0, reachedLsn: 0 }
const NOTHING = 2n ** 64n - 1n

export class ProcessLink implements Neighbours {
  readonly #lock: Lock
  readonly #folder: string
  readonly #busyTimeoutMs: number
  readonly #others = new Map<string, StatementWatch>()
  #presence: Presence | undefined
  #held: Held | undefined
  #needs: NeighboursNeeds = NO_NEEDS
  #needsAtMs = 0
  #folderChangedMs = -1
  #lookedAtMs = 0

  private constructor(lock: Lock, folder: string, busyTimeoutMs: number) {
    this.#lock = lock
    this.#folder = folder
    this.#busyTimeoutMs = busyTimeoutMs
  }

  /** Takes the lock, and is present. @throws BusyError, and what locks throw */
  static async open(mainPath: string, options: LinkOptions): Promise<ProcessLink> {
    const { method, busyTimeoutMs } = options
    const lock = await openLock(lockPathOf(mainPath), method === undefined ? {} : { method })
    const link = new ProcessLink(lock, presencePathOf(mainPath), busyTimeoutMs)
    try {
      await link.acquire()
      await link.#appear()
      return link
    } catch (error) {
      await link.close()
      throw error
    }
  }

  get isHeld(): boolean {
    return this.#held !== undefined
  }

  /** Whether others wait for the lock that is held. */
  get isContended(): boolean {
    return this.#held?.contended() === true
  }

  /**
   * @param pause between two tries; default: a timer
   * @throws BusyError when it could not be had within `busyTimeout`
   */
  async acquire(pause?: (durationMs: number) => Promise<void>): Promise<void> {
    const timeoutMs = this.#busyTimeoutMs
    this.#held = await this.#lock.acquire({ timeoutMs, ...(pause && { pause }) })
    if (this.#presence !== undefined) await this.look()
  }

  /** @returns false when others hold the lock, or wait for it */
  async tryAcquire(): Promise<boolean> {
    const held = await this.#lock.tryAcquire()
    if (held === null) return false
    this.#held = held
    await this.look()
    return true
  }

  async release(): Promise<void> {
    const held = this.#held
    this.#held = undefined
    await held?.release()
  }

  /**
   * Who is there, if that may have changed. The lock is held.
   * @throws LockError when the folder of the processes is gone
   */
  async look(): Promise<void> {
    const nowMs = performance.now()
    const changedMs = statSync(this.#folder, { throwIfNoEntry: false })?.mtimeMs
    if (changedMs === undefined) throw this.#noFolder()
    if (changedMs === this.#folderChangedMs && nowMs - this.#lookedAtMs < DEATHS_AGE_MS) return
    this.#lookedAtMs = nowMs
    this.#folderChangedMs = changedMs
    await cleanPresence(this.#folder)
    const there = new Set<string>()
    for (const entry of await listPresence(this.#folder)) {
      if (entry.state === 'dead' || entry.path === this.#presence?.path) continue
      there.add(entry.path)
      if (!this.#others.has(entry.path)) this.#watch(entry.path)
    }
    for (const [path, watch] of this.#others) {
      if (there.has(path)) continue
      watch.close()
      this.#others.delete(path)
    }
    this.#needsAtMs = 0
  }

  #noFolder(): LockError {
    return new LockError(
      'RINGBOLT_LOCK_FOLDER_MISSING',
      `${this.#folder} was deleted while this process had the database open: nobody can tell any more who has`,
      { path: this.#folder },
    )
  }

  /** One of those who have the database open, too. */
  get anyOther(): Holder | undefined {
    for (const watch of this.#others.values()) {
      const statement = watch.read()
      if (statement === null) return { pid: null, threadId: null, sinceMs: null }
      return { pid: statement.pid, threadId: null, sinceMs: statement.startedMs }
    }
    return undefined
  }

  get othersCount(): number {
    return this.#others.size
  }

  needs(): NeighboursNeeds {
    if (this.#others.size === 0) return NO_NEEDS
    const nowMs = performance.now()
    if (nowMs - this.#needsAtMs < NEEDS_AGE_MS) return this.#needs
    this.#needsAtMs = nowMs
    let { oldestLsn, reachedLsn } = NO_NEEDS
    for (const watch of this.#others.values()) {
      const { oldestLsn: oldest, reachedLsn: reached } = statedBy(watch)
      oldestLsn = Math.min(oldestLsn, oldest)
      reachedLsn = Math.min(reachedLsn, reached)
    }
    this.#needs = { oldestLsn, reachedLsn }
    return this.#needs
  }

  state({ oldestLsn, reachedLsn }: NeighboursNeeds): void {
    this.#presence?.update(stated(oldestLsn), stated(reachedLsn))
  }

  readHead(): SharedHead | undefined {
    const said = this.#lock.board.read()
    return said === undefined ? undefined : decodeSharedHead(said)
  }

  writeHead(head: SharedHead): void {
    this.#lock.board.write((said) => encodeSharedHead(said, head))
  }

  /** Is gone for the others, and gives the lock back. */
  async close(): Promise<void> {
    for (const watch of this.#others.values()) watch.close()
    this.#others.clear()
    try {
      await this.#presence?.close()
      // Others may be there.
      if (this.#presence !== undefined) removeIfEmpty(this.#folder)
    } finally {
      await this.#lock.close()
    }
  }

  async #appear(): Promise<void> {
    if (!existsSync(this.#folder)) mkdirSync(this.#folder, { mode: 0o700 })
    this.#presence = await openPresence(this.#folder, { method: this.#lock.method })
    await this.look()
  }

  #watch(path: string): void {
    const watch = watchPresence(path)
    if (watch !== null) this.#others.set(path, watch)
  }
}

/**
 * Waits for the database to be nobody else's, and keeps it so.
 * @returns what lets go; undefined options: nobody else can have it
 * @throws BusyError
 */
export async function openAlone(
  mainPath: string,
  options: LinkOptions | undefined,
): Promise<() => Promise<void>> {
  if (options === undefined) return async () => undefined
  const begunMs = performance.now()
  const link = await ProcessLink.open(mainPath, options)
  try {
    for (;;) {
      await link.look()
      const other = link.anyOther
      if (other === undefined) return () => link.close()
      const waitedMs = performance.now() - begunMs
      if (waitedMs >= options.busyTimeoutMs) {
        throw new BusyError(lockPathOf(mainPath), other, waitedMs, options.busyTimeoutMs)
      }
      // Who is there may need the lock to write, and to close.
      await link.release()
      await delay(ALONE_LOOK_MS)
      await link.acquire()
    }
  } catch (error) {
    await link.close()
    throw error
  }
}

function statedBy(watch: StatementWatch): NeighboursNeeds {
  const statement = watch.read()
  if (statement === null) return EVERYTHING
  return { oldestLsn: lsnOf(statement.oldestNeeded), reachedLsn: lsnOf(statement.reached) }
}

function stated(lsn: number): bigint {
  return lsn === Number.POSITIVE_INFINITY ? NOTHING : BigInt(lsn)
}

function lsnOf(value: bigint): number {
  return value === NOTHING ? Number.POSITIVE_INFINITY : Number(value)
}

function removeIfEmpty(folder: string): void {
  try {
    rmdirSync(folder)
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code !== 'ENOTEMPTY' && code !== 'ENOENT' && code !== 'EEXIST') throw error
  }
}
