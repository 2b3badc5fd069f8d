/**
 * The `lockfile` method: a folder `<name>.lock`, kept fresh by a timer, where the file system knows no
 * locks. Only ever run in the host thread, whose event loop nobody blocks, so that a busy user does
 * not lose the lock; only a process stopped as a whole for longer than `staleMs` does.
 *
 * Limits, which are the library's: a holder's death (and an exit without release) frees the lock only
 * after `staleMs`; two that find it stale in the same instant may both take it, and the one that lost
 * learns of it at its next refresh, at most `staleMs / 2` later.
 */
import { check, lock } from 'proper-lockfile'
import { type Claim, type ClaimTarget, NO_RECORD, openTarget } from './claim.ts'
import { compromised, errnoOf, fromErrno } from './errors.ts'
import { HOLDER_OFFSET } from './layout.ts'
import { type FileIdentity, type Files, type OpenFile, sameFile } from './platform.ts'

/**
 * Which claim of this process has which name. The library goes by the folder's age alone: after the
 * whole process has stood still, one handle of it would take the lock from another that has it.
 */
const owners = new Map<string, LockfileClaim>()

interface Had {
  readonly release: () => Promise<void>
  readonly folder: FileIdentity | null
}

export class LockfileClaim implements Claim {
  readonly #files: Files
  readonly #file: OpenFile
  readonly #name: string
  readonly #staleMs: number
  readonly #lost: (reason: string) => void
  #had: Had | null = null
  #recorded = false

  constructor(files: Files, target: ClaimTarget, lost: (reason: string) => void) {
    this.#files = files
    this.#file = openTarget(files, target)
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
      had = { release, folder: this.#files.identity(`${this.#name}.lock`) }
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
    const ours = had.folder !== null && sameFile(this.#files.identity(path), had.folder)
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

  probe(): Promise<boolean> {
    return check(this.#name, { realpath: false, stale: this.#staleMs })
  }

  async close(): Promise<void> {
    try {
      await this.unlock()
    } finally {
      this.#file.close()
    }
  }
}
