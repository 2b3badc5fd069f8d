/**
 * A folder of presence files seen from outside: who is there, and sweeping up after the dead. The
 * argument why no living one's file is ever removed stands in presence.ts.
 */
import type { Claim } from './claim.ts'
import { isLockError, LockError } from './errors.ts'
import { type MethodName, readHeader } from './header.ts'
import { KIND_PRESENCE, PRESENCE_FILE_BYTES } from './layout.ts'
import type { Methods } from './methods.ts'
import { type OpenFile, type Platform, sameFile } from './platform.ts'
import { SUFFIX, TEMPORARY_SUFFIX } from './presence.ts'
import { readStatement, type Statement } from './statement.ts'

const ABANDONED_MS = 60_000
const ID = '^[0-9a-f]{32}'
const NAME = new RegExp(`${ID}\\${SUFFIX}$`)
/** What proper-lockfile locks a presence by. */
const LOCK_FOLDER_SUFFIX = '.lock'
const LOCK_FOLDER_NAME = new RegExp(`${ID}\\${SUFFIX}\\${LOCK_FOLDER_SUFFIX}$`)
const TEMPORARY_NAME = new RegExp(`${ID}\\${TEMPORARY_SUFFIX}$`)

export type PresenceEntry =
  | {
      readonly state: 'live' | 'dead'
      readonly id: string
      readonly path: string
      readonly method: MethodName
      /** Null when it cannot be read: a live owner must then be taken to need everything. */
      readonly statement: Statement | null
    }
  | { readonly state: 'unreadable'; readonly path: string; readonly error: LockError }

/** Everybody's statements, the caller's included. Changes nothing. */
export async function listPresence(
  platform: Platform,
  methods: Methods,
  folder: string,
  staleMs: number,
): Promise<PresenceEntry[]> {
  const located = platform.files.locateFolder(folder)
  const entries: PresenceEntry[] = []
  for (const name of platform.files
    .list(located)
    .filter((name) => NAME.test(name))
    .toSorted()) {
    const path = `${located}/${name}`
    const entry = await inspect(platform, methods, path, staleMs, async (file, claim, seen) => {
      const state = (await claim.probe()) ? 'live' : 'dead'
      return { state, path, ...seen, statement: readStatement(file) }
    })
    if (entry !== null) entries.push(entry)
  }
  return entries
}

/** Removes what the dead left; returns how many files. What it cannot read it leaves alone. */
export async function cleanPresence(
  platform: Platform,
  methods: Methods,
  folder: string,
  staleMs: number,
): Promise<number> {
  const { files } = platform
  const located = files.locateFolder(folder)
  let removed = 0
  for (const name of files.list(located)) {
    const path = `${located}/${name}`
    if (TEMPORARY_NAME.test(name) && isAbandoned(platform, path, ABANDONED_MS)) {
      if (files.remove(path)) removed++
    }
    if (LOCK_FOLDER_NAME.test(name)) removeLockFolder(platform, path, staleMs)
    if (!NAME.test(name)) continue
    await inspect(platform, methods, path, staleMs, async (file, claim) => {
      if (!(await claim.tryLock(null))) return null
      if (sameFile(files.identity(path), file.identity) && files.remove(path)) removed++
      return null
    })
  }
  return removed
}

/**
 * One whose presence never got its name, or lost it to a cleaner that died next. Its owner, if it
 * lives, keeps it fresher than `staleMs`.
 */
function removeLockFolder(platform: Platform, path: string, staleMs: number): void {
  const { files } = platform
  if (files.identity(path.slice(0, -LOCK_FOLDER_SUFFIX.length)) !== null) return
  if (isAbandoned(platform, path, Math.max(ABANDONED_MS, staleMs))) files.removeFolder(path)
}

function isAbandoned({ files, clock }: Platform, path: string, afterMs: number): boolean {
  const modifiedMs = files.modifiedMs(path)
  return modifiedMs !== null && clock.wallMs() - modifiedMs > afterMs
}

/** Opens one presence file with a claim on it. Null when it is gone. */
async function inspect(
  platform: Platform,
  methods: Methods,
  path: string,
  staleMs: number,
  action: (
    file: OpenFile,
    claim: Claim,
    seen: { id: string; method: MethodName },
  ) => Promise<PresenceEntry | null>,
): Promise<PresenceEntry | null> {
  let file: OpenFile | null = null
  let claim: Claim | undefined
  try {
    file = platform.files.open(path)
    if (file === null) return null
    const { id, method } = readHeader(file, KIND_PRESENCE, PRESENCE_FILE_BYTES)
    const openClaim = await methods.load(method)
    const target = { path, identity: file.identity, lockName: path, staleMs }
    // A lock lost while looking: the look was too slow, and the cleaner removes by name and identity.
    claim = await openClaim(target, () => undefined)
    return await action(file, claim, { id, method })
  } catch (error) {
    if (isLockError(error, 'RINGBOLT_LOCK_DELETED')) return null
    if (error instanceof LockError) return { state: 'unreadable', path, error }
    throw error
  } finally {
    await claim?.close()
    file?.close()
  }
}
