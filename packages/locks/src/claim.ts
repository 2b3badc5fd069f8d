/**
 * One interface for the three methods. A claim is one contender: two claims on one file exclude each
 * other, whether they belong to one handle, two threads or two processes (L1), since each has an open
 * file description of its own.
 *
 * A claim belongs to one thread, which makes one call at a time on it. `tryLock` writes the given
 * record in the same uninterrupted run as the lock is had, and `unlock` clears it before the lock is
 * given back, so that the record tells the holder whenever there is one. Closing frees the lock. A
 * dead process's lock is freed by the kernel; a dead thread's by the kernel too (`ofd`: its
 * descriptors are closed with it) or by the host thread (`flock`, `lockfile`).
 */
import { fromLockErrno, LockError } from './errors.ts'
import { HOLDER_BYTES, HOLDER_OFFSET } from './layout.ts'
import { type FileIdentity, type Files, type OpenFile, sameFile } from './platform.ts'

export interface ClaimTarget {
  /** Where the file is to be opened. */
  readonly path: string
  /** What must be found there. */
  readonly identity: FileIdentity
  /** What `lockfile` makes its folder's name from; elsewhere of no meaning. */
  readonly lockName: string
  /** `lockfile` only: after this long without a sign of life the lock may be taken away. */
  readonly staleMs: number
}

export interface Claim {
  tryLock(record: Uint8Array | null): Promise<boolean>
  unlock(): Promise<void>
  /** Whether anybody holds the lock now. Only while this claim does not. */
  probe(): Promise<boolean>
  close(): Promise<void>
}

/** `lost` is called at most once per lock that was had, with the reason, when it went missing. */
export type OpenClaim = (target: ClaimTarget, lost: (reason: string) => void) => Promise<Claim>

/** What the kernel's two kinds of lock have in common: they belong to a descriptor, and never wait. */
export interface DescriptorLocks {
  tryExclusive(descriptor: number): boolean
  tryShared(descriptor: number): boolean
  unlock(descriptor: number): void
}

export const NO_RECORD: Uint8Array = new Uint8Array(HOLDER_BYTES)

class DescriptorClaim implements Claim {
  readonly #file: OpenFile
  readonly #locks: DescriptorLocks
  #recorded = false

  constructor(file: OpenFile, locks: DescriptorLocks) {
    this.#file = file
    this.#locks = locks
  }

  async tryLock(record: Uint8Array | null): Promise<boolean> {
    if (!this.#ask((descriptor) => this.#locks.tryExclusive(descriptor))) return false
    if (record === null) return true
    try {
      this.#file.write(HOLDER_OFFSET, record)
    } catch (error) {
      this.#locks.unlock(this.#file.descriptor)
      throw error
    }
    this.#recorded = true
    return true
  }

  async unlock(): Promise<void> {
    this.#free()
  }

  /** A shared lock for a moment: two who probe at once do not disturb each other. */
  async probe(): Promise<boolean> {
    if (!this.#ask((descriptor) => this.#locks.tryShared(descriptor))) return true
    this.#locks.unlock(this.#file.descriptor)
    return false
  }

  async close(): Promise<void> {
    try {
      if (this.#recorded) this.#free()
    } finally {
      this.#file.close()
    }
  }

  #ask(attempt: (descriptor: number) => boolean): boolean {
    try {
      return attempt(this.#file.descriptor)
    } catch (error) {
      throw fromLockErrno(error, this.#file.path)
    }
  }

  #free(): void {
    try {
      if (this.#recorded) this.#file.write(HOLDER_OFFSET, NO_RECORD)
    } finally {
      this.#recorded = false
      this.#locks.unlock(this.#file.descriptor)
    }
  }
}

/** Opens a contender's own description of the file that the target means, and no other file. */
export function openTarget(files: Files, target: ClaimTarget): OpenFile {
  const file = files.open(target.path)
  if (file !== null && sameFile(file.identity, target.identity)) return file
  file?.close()
  const { path } = target
  const expected = `inode ${target.identity.inode}`
  const found = file === null ? null : `inode ${file.identity.inode}`
  throw new LockError(
    found === null ? 'RINGBOLT_LOCK_DELETED' : 'RINGBOLT_LOCK_REPLACED',
    `${path} was ${found === null ? 'deleted' : 'replaced'}: expected ${expected}, found ${found ?? 'nothing'}`,
    { path, expected, found },
  )
}

export function descriptorOpener(files: Files, locks: DescriptorLocks): OpenClaim {
  return async (target) => new DescriptorClaim(openTarget(files, target), locks)
}
