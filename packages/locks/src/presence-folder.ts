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
    if (TEMPORARY_NAME.test(name) && isAbandoned(platform, path) && files.remove(path)) removed++
    if (!NAME.test(name)) continue
    await inspect(platform, methods, path, staleMs, async (file, claim) => {
      if (!(await claim.tryLock(null))) return null
      if (sameFile(files.identity(path), file.identity) && files.remove(path)) removed++
      return null
    })
  }
  return removed
}

function isAbandoned({ files, clock }: Platform, temporary: string): boolean {
  const modifiedMs = files.modifiedMs(temporary)
  return modifiedMs !== null && clock.wallMs() - modifiedMs > ABANDONED_MS
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
