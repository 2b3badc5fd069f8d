/**
 * This package's errors: the same shape and brand as every Ringbolt package's (a stable `code`, facts
 * as fields, a registered symbol), defined here because this package depends on no other.
 *
 * | code | when |
 * |---|---|
 * | RINGBOLT_BUSY | not had within the deadline |
 * | RINGBOLT_CLOSED | used after `close` or `release` |
 * | RINGBOLT_LOCK_METHOD_UNAVAILABLE | the method does not load, or no thread can host it |
 * | RINGBOLT_LOCK_METHOD_MISMATCH | the file records another method than the one asked for |
 * | RINGBOLT_LOCK_NOT_A_LOCK_FILE, _VERSION_NEWER, _METHOD_UNKNOWN, _TRUNCATED, _CORRUPT | the header |
 * | RINGBOLT_LOCK_NOT_A_FILE | a folder, FIFO, symbolic link or device stands at the path |
 * | RINGBOLT_LOCK_REPLACED, _DELETED | the path no longer names the file that was opened |
 * | RINGBOLT_LOCK_COMPROMISED | the lock was lost while held |
 * | RINGBOLT_LOCK_FOLDER_MISSING, _DENIED, _NO_SPACE, _TOO_MANY_FILES, _IO | the file system said no |
 */
const brand: unique symbol = Symbol.for('ringbolt.error')

export type LockErrorFacts = Readonly<Record<string, string | number | boolean | null>>

export class LockError extends Error {
  readonly code: string
  readonly facts: LockErrorFacts
  readonly [brand] = true

  constructor(code: string, message: string, facts: LockErrorFacts = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.code = code
    this.facts = facts
    this.name = new.target.name
  }
}

/** Who holds a lock. Null fields: held, but the holder has not said who it is (it just took it). */
export interface Holder {
  readonly pid: number | null
  readonly threadId: number | null
  /** Wall clock, milliseconds since 1970. */
  readonly sinceMs: number | null
}

export class BusyError extends LockError {
  readonly path: string
  readonly holder: Holder | null
  readonly waitedMs: number

  constructor(path: string, holder: Holder | null, waitedMs: number, timeoutMs: number) {
    super(
      'RINGBOLT_BUSY',
      `lock ${path} was not had in ${waitedMs.toFixed(0)} ms (allowed: ${timeoutMs}): ${describe(holder)}`,
      {
        path,
        holderPid: holder?.pid ?? null,
        holderThreadId: holder?.threadId ?? null,
        holderSinceMs: holder?.sinceMs ?? null,
        waitedMs,
        timeoutMs,
      },
    )
    this.path = path
    this.holder = holder
    this.waitedMs = waitedMs
  }

  /** Of another thread's, by its facts. */
  static fromFacts(facts: LockErrorFacts): BusyError {
    const number = (name: string): number | null => {
      const value = facts[name]
      return typeof value === 'number' ? value : null
    }
    const pid = number('holderPid')
    const holder =
      pid === null
        ? null
        : { pid, threadId: number('holderThreadId'), sinceMs: number('holderSinceMs') }
    const { path } = facts
    return new BusyError(
      typeof path === 'string' ? path : '',
      holder,
      number('waitedMs') ?? 0,
      number('timeoutMs') ?? 0,
    )
  }
}

function describe(holder: Holder | null): string {
  if (holder === null) return 'free at this moment, but others were before us'
  if (holder.pid === null || holder.sinceMs === null) return 'held by one that has not said who'
  return `held by process ${holder.pid} since ${new Date(holder.sinceMs).toISOString()}`
}

export function isLockError(value: unknown, code?: string): value is LockError {
  return (
    typeof value === 'object' &&
    value !== null &&
    Object.hasOwn(value, brand) &&
    'code' in value &&
    (code === undefined || value.code === code)
  )
}

/** An error as data, for the way between threads. */
export interface PlainLockError {
  readonly code: string
  readonly message: string
  readonly facts: LockErrorFacts
}

export function toPlain(error: unknown): PlainLockError {
  if (error instanceof LockError) {
    return { code: error.code, message: error.message, facts: error.facts }
  }
  const message = error instanceof Error ? error.message : String(error)
  return { code: 'RINGBOLT_LOCK_IO', message, facts: {} }
}

export function fromPlain(plain: PlainLockError): LockError {
  return new LockError(plain.code, plain.message, plain.facts)
}

interface Refusal {
  readonly code: string
  readonly expected: string
  readonly found: string
}

function refusal(code: string, expected: string, found: string): Refusal {
  return { code, expected, found }
}

const PLAIN_FILE = 'a plain file'
const USABLE = 'to be allowed'

const refusals: ReadonlyMap<string, Refusal> = new Map([
  ['ENOENT', refusal('RINGBOLT_LOCK_FOLDER_MISSING', 'a folder', 'nothing')],
  ['ENOTDIR', refusal('RINGBOLT_LOCK_FOLDER_MISSING', 'a folder', 'something else')],
  ['EACCES', refusal('RINGBOLT_LOCK_DENIED', USABLE, 'permission denied')],
  ['EPERM', refusal('RINGBOLT_LOCK_DENIED', USABLE, 'operation not permitted')],
  ['EROFS', refusal('RINGBOLT_LOCK_DENIED', USABLE, 'a read-only file system')],
  ['ENOSPC', refusal('RINGBOLT_LOCK_NO_SPACE', 'room for a lock file', 'a full file system')],
  ['EDQUOT', refusal('RINGBOLT_LOCK_NO_SPACE', 'room for a lock file', 'a used-up quota')],
  [
    'EMFILE',
    refusal('RINGBOLT_LOCK_TOO_MANY_FILES', 'a free descriptor', 'all of this process in use'),
  ],
  [
    'ENFILE',
    refusal('RINGBOLT_LOCK_TOO_MANY_FILES', 'a free descriptor', 'all of the system in use'),
  ],
  ['ELOOP', refusal('RINGBOLT_LOCK_NOT_A_FILE', PLAIN_FILE, 'a symbolic link')],
  ['EISDIR', refusal('RINGBOLT_LOCK_NOT_A_FILE', PLAIN_FILE, 'a folder')],
  ['ENXIO', refusal('RINGBOLT_LOCK_NOT_A_FILE', PLAIN_FILE, 'a socket or a device')],
])

export function errnoOf(error: unknown): string | null {
  return error instanceof Error && 'code' in error && typeof error.code === 'string'
    ? error.code
    : null
}

/** What the file system said, as one of ours: what was being done, where, and why it failed. */
export function fromErrno(error: unknown, doing: string, path: string): LockError {
  if (error instanceof LockError) return error
  const errno = errnoOf(error) ?? 'unknown'
  const { code, expected, found } =
    refusals.get(errno) ?? refusal('RINGBOLT_LOCK_IO', 'success', 'a failure')
  return new LockError(
    code,
    `${doing} ${path}: expected ${expected}, found ${found} (${errno})`,
    { path, doing, errno, expected, found },
    error,
  )
}

const NO_SUCH_LOCKS: ReadonlySet<string> = new Set(['ENOLCK', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP'])

/** What the system said instead of giving or refusing a lock. */
export function fromLockErrno(error: unknown, path: string): LockError {
  const errno = errnoOf(error) ?? 'unknown'
  if (!NO_SUCH_LOCKS.has(errno)) return fromErrno(error, 'locking', path)
  return new LockError(
    'RINGBOLT_LOCK_METHOD_UNAVAILABLE',
    `locking ${path}: expected a file system with locks of this kind, found one without (${errno}); ` +
      'method lockfile needs none',
    { path, errno },
    error,
  )
}

export function unavailable(method: string, reason: string, cause?: unknown): LockError {
  return new LockError(
    'RINGBOLT_LOCK_METHOD_UNAVAILABLE',
    `lock method ${method} cannot be used here: ${reason}`,
    { method, reason },
    cause,
  )
}

export function closed(what: string, path: string): LockError {
  return new LockError('RINGBOLT_CLOSED', `${what} of ${path} is closed`, { path })
}

export function compromised(path: string, reason: string): LockError {
  return new LockError(
    'RINGBOLT_LOCK_COMPROMISED',
    `lock ${path} was lost while held: ${reason}; what it guarded may have been changed by others`,
    { path, reason },
  )
}
