/**
 * The `lockfile` method: a folder `<name>.lock`, kept fresh by a timer, where the file system knows no
 * locks. Only ever run in the host thread, whose event loop nobody blocks, so that a busy user does
 * not lose the lock; only a process stopped as a whole for longer than `staleMs` does.
 *
 * Whose folder is stale is decided here. The library goes by the folder's age on the wall clock, and whoever sets that clock
 * would end every lock: so age counts only when the process on record is dead, and otherwise a folder must have
 * been seen unchanged for `staleMs` of the monotonic clock. Processes of another machine are not on record here:
 * of them the age decides.
 *
 * Limits: a holder's death (and an exit without release) frees the lock only after `staleMs`, and only after as long a watch
 * when another process has got its number; two that find it stale in the same instant may both take it, and the one
 * that lost learns of it at its next refresh, at most `staleMs / 2` later.
 */
import { lock } from 'proper-lockfile'
import { type Claim, type ClaimTarget, NO_RECORD, openTarget } from './claim.ts'
import { compromised, errnoOf, fromErrno } from './errors.ts'
import { readHolder } from './holder-record.ts'
import { HOLDER_OFFSET } from './layout.ts'
import { type FileIdentity, type OpenFile, type Platform, sameFile } from './platform.ts'
import { readStatement } from './statement.ts'

/**
 * Which claim of this process has which name. The library goes by the folder's age alone: after the
 * whole process has stood still, one handle of it would take the lock from another that has it.
 */
const owners = new Map<string, LockfileClaim>()

interface Sighting {
  readonly folder: FileIdentity
  readonly modifiedMs: number
  /** Since when, by the monotonic clock. */
  readonly sinceMs: number
}

/** By name: a folder of another process, as it was seen last. */
const sightings = new Map<string, Sighting>()

interface Had {
  readonly release: () => Promise<void>
  readonly folder: FileIdentity | null
}

export class LockfileClaim implements Claim {
  readonly #platform: Platform
  readonly #file: OpenFile
  readonly #name: string
  readonly #staleMs: number
  readonly #lost: (reason: string) => void
  #had: Had | null = null
  #recorded = false

  constructor(platform: Platform, target: ClaimTarget, lost: (reason: string) => void) {
    this.#platform = platform
    this.#file = openTarget(platform.files, target)
    this.#name = target.lockName
    this.#staleMs = target.staleMs
    this.#lost = lost
  }

  async tryLock(record: Uint8Array | null): Promise<boolean> {
    if (owners.has(this.#name)) return false
    owners.set(this.#name, this)
    try {
      const isHad = await this.#tryLock(record)
      if (!isHad) this.#disown()
      return isHad
    } catch (error) {
      this.#disown()
      throw error
    }
  }

  #disown(): void {
    if (owners.get(this.#name) === this) owners.delete(this.#name)
  }

  async #tryLock(record: Uint8Array | null): Promise<boolean> {
    if (!this.#clear()) return false
    let had: Had | null = null
    const onCompromised = (error: Error): void => {
      if (this.#had !== had || had === null) return
      this.#had = null
      this.#recorded = false
      this.#disown()
      this.#lost(error.message)
    }
    try {
      const release = await lock(this.#name, {
        realpath: false,
        retries: 0,
        stale: this.#staleMs,
        onCompromised,
      })
      had = { release, folder: this.#platform.files.identity(`${this.#name}.lock`) }
    } catch (error) {
      if (errnoOf(error) === 'ELOCKED') return false
      throw fromErrno(error, 'making the folder', `${this.#name}.lock`)
    }
    this.#had = had
    if (record === null) return true
    try {
      this.#file.write(HOLDER_OFFSET, record)
    } catch (error) {
      await this.unlock()
      throw error
    }
    this.#recorded = true
    return true
  }

  async unlock(): Promise<void> {
    const had = this.#had
    if (had === null) return
    // Looking first: the library would remove the folder even when it is another's by now. Its timer
    // finds out by itself and stops.
    const path = `${this.#name}.lock`
    const ours = had.folder !== null && sameFile(this.#platform.files.identity(path), had.folder)
    this.#had = null
    try {
      if (!ours) throw compromised(path, 'its folder was replaced')
      if (this.#recorded) this.#file.write(HOLDER_OFFSET, NO_RECORD)
      await had.release()
    } finally {
      this.#recorded = false
      this.#disown()
    }
  }

  async probe(): Promise<boolean> {
    return owners.has(this.#name) || this.#look() === 'held'
  }

  /** Takes a stale folder away. @returns false: it is somebody's */
  #clear(): boolean {
    const state = this.#look()
    if (state !== 'stale') return state === 'free'
    const { files } = this.#platform
    const path = `${this.#name}.lock`
    const seen = sightings.get(this.#name)
    if (seen !== undefined && sameFile(files.identity(path), seen.folder)) files.removeFolder(path)
    return true
  }

  /** Of another process's folder. */
  #look(): 'free' | 'held' | 'stale' {
    const { files, clock } = this.#platform
    const path = `${this.#name}.lock`
    const folder = files.identity(path)
    const modifiedMs = files.modifiedMs(path)
    if (folder === null || modifiedMs === null) {
      sightings.delete(this.#name)
      return 'free'
    }
    const nowMs = clock.monotonicMs()
    const last = sightings.get(this.#name)
    const isSame =
      last !== undefined && last.modifiedMs === modifiedMs && sameFile(folder, last.folder)
    const sinceMs = isSame ? last.sinceMs : nowMs
    if (!isSame) sightings.set(this.#name, { folder, modifiedMs, sinceMs })
    if (nowMs - sinceMs > this.#staleMs) return 'stale'
    const isOld = clock.wallMs() - modifiedMs > this.#staleMs
    return isOld && !this.#mayOwnerLive() ? 'stale' : 'held'
  }

  /**
   * Or has not said who it is yet: the folder comes first. A number of this process's own is of one that had it before:
   * `owners` has those of this one.
   */
  #mayOwnerLive(): boolean {
    const { threads } = this.#platform
    const pid = readHolder(this.#file)?.pid ?? readStatement(this.#file)?.pid ?? null
    return pid === null || (pid !== threads.pid && threads.isProcessAlive(pid))
  }

  async close(): Promise<void> {
    try {
      await this.unlock()
    } finally {
      this.#file.close()
    }
  }
}
