/** The package's face over a platform: opening locks and presences. */
import { Board } from './board.ts'
import { LockError, unavailable } from './errors.ts'
import { METHOD_NAMES, type MethodName } from './header.ts'
import { Lock } from './lock.ts'
import { makeLockFile, type OpenedLockFile, openLockFile } from './lock-file.ts'
import { Methods } from './methods.ts'
import type { Platform } from './platform.ts'
import { type Presence, startPresence } from './presence.ts'
import { cleanPresence, listPresence, type PresenceEntry } from './presence-folder.ts'
import { readStatement, type Statement } from './statement.ts'

export interface LockOptions {
  /** A new file takes this one; an existing one must record it. Else: the first that loads. */
  readonly method?: MethodName
  /**
   * `lockfile` only, at least 2,000, by default 10,000: after standing still for this long a process's
   * lock may be taken by others. All users of a lock must give the same.
   */
  readonly staleMs?: number
}

export interface PresenceOptions extends LockOptions {
  /** The first statement; 0 (everything is needed) by default. */
  readonly oldestNeeded?: bigint
}

export interface Locks {
  readonly openLock: (path: string, options?: LockOptions) => Promise<Lock>
  readonly openPresence: (folder: string, options?: PresenceOptions) => Promise<Presence>
  readonly listPresence: (
    folder: string,
    options?: Pick<LockOptions, 'staleMs'>,
  ) => Promise<PresenceEntry[]>
  readonly cleanPresence: (
    folder: string,
    options?: Pick<LockOptions, 'staleMs'>,
  ) => Promise<number>
  /** A lock's board, for one who only reads it. Null when there is no such lock. */
  readonly openBoard: (path: string) => Board | null
  /** One presence's statement, for one who looks often. Null when it is gone. */
  readonly watchPresence: (path: string) => StatementWatch | null
}

/** What somebody states, time and again. */
export interface StatementWatch {
  readonly path: string
  /** One small read. Null when it cannot be read: its owner must then be taken to need everything. */
  read(): Statement | null
  close(): void
}

const STALE_DEFAULT_MS = 10_000
const STALE_MIN_MS = 2_000
const OPENINGS_MAX = 10

export function createLocks(platform: Platform): Locks {
  const methods = new Methods(platform)
  return {
    openLock: (path, options = {}) => openLock(platform, methods, path, options),

    openPresence: async (folder, options = {}) =>
      startPresence(platform, methods, folder, {
        method: checkedMethod(options.method) ?? (await methods.choose()),
        oldestNeeded: options.oldestNeeded ?? 0n,
        staleMs: checkedStaleMs(options.staleMs),
      }),

    listPresence: async (folder, { staleMs } = {}) =>
      listPresence(platform, methods, folder, checkedStaleMs(staleMs)),

    cleanPresence: async (folder, { staleMs } = {}) =>
      cleanPresence(platform, methods, folder, checkedStaleMs(staleMs)),

    openBoard: (path) => {
      const opened = openLockFile(platform, platform.files.locate(path))
      return opened === null ? null : new Board(platform, opened.file)
    },

    watchPresence: (path) => {
      const file = platform.files.open(path)
      if (file === null) return null
      return { path, read: () => readStatement(file), close: () => file.close() }
    },
  }
}

async function openLock(
  platform: Platform,
  methods: Methods,
  path: string,
  options: LockOptions,
): Promise<Lock> {
  const staleMs = checkedStaleMs(options.staleMs)
  const asked = checkedMethod(options.method)
  const opened = await openOrMake(platform, methods, platform.files.locate(path), asked)
  const { file, header } = opened
  try {
    assertMethod(file.path, header.method, asked)
    const openClaim = await methods.load(header.method).catch((error: unknown) => {
      const reason = error instanceof Error ? error.message : String(error)
      throw unavailable(header.method, `${file.path} records it; ${reason}`, error)
    })
    return new Lock(platform, file, header, openClaim, staleMs)
  } catch (error) {
    file.close()
    throw error
  }
}

async function openOrMake(
  platform: Platform,
  methods: Methods,
  path: string,
  asked: MethodName | undefined,
): Promise<OpenedLockFile> {
  for (let openings = 0; openings < OPENINGS_MAX; openings++) {
    const opened = openLockFile(platform, path)
    if (opened !== null) return opened
    // Loaded before the file is made: no file records a method that its maker could not use.
    if (asked !== undefined) await methods.load(asked)
    makeLockFile(platform, path, asked ?? (await methods.choose()))
  }
  throw new LockError(
    'RINGBOLT_LOCK_DELETED',
    `${path} was deleted by somebody each of the ${OPENINGS_MAX} times it was made`,
    { path, openings: OPENINGS_MAX },
  )
}

/** Two protocols on one file would exclude nobody. */
function assertMethod(path: string, recorded: MethodName, asked: MethodName | undefined): void {
  if (asked === undefined || asked === recorded) return
  throw new LockError(
    'RINGBOLT_LOCK_METHOD_MISMATCH',
    `${path} is locked by method ${recorded}, recorded when it was made; asked for ${asked}`,
    { path, expected: recorded, found: asked },
  )
}

function checkedMethod(method: string | undefined): MethodName | undefined {
  if (method === undefined) return undefined
  const known = METHOD_NAMES.find((name) => name === method)
  if (known !== undefined) return known
  throw new TypeError(`method must be one of ${METHOD_NAMES.join(', ')}, not ${method}`)
}

function checkedStaleMs(staleMs: number = STALE_DEFAULT_MS): number {
  if (staleMs >= STALE_MIN_MS && staleMs < Number.POSITIVE_INFINITY) return staleMs
  throw new TypeError(`staleMs must be ${STALE_MIN_MS} or more, not ${staleMs}`)
}
