/**
 * Presence: a file per process (or per whatever opens one) whose lock its owner holds for as long as
 * it lives, and in which it states the oldest state it still needs.
 *
 * 1. The name appears only after the lock is held: the file is made and locked under a temporary name
 *    and then linked. A presence file that can be seen and whose lock is free has therefore a dead
 *    owner; no owner ever takes the lock of an existing file, and names (128 random bits) do not recur.
 * 2. A dead one's file is removed only by a cleaner that holds its lock, and only while the name still
 *    stands for the file it locked. By 1 it then has no living owner, and can get none: a living
 *    one's file is never unlinked. Of two cleaners the second does not get the lock, or finds the
 *    name gone.
 * 3. A temporary name is removed when its file has not changed for a minute. That is a guess and may
 *    be one: an owner that loses its own that way (it has not linked yet) starts over under a new
 *    name; one that has linked does not need it any more.
 *    What a file says of its lock is durable before it has its name.
 * 4. The statement changes by one plain write of 48 bytes with a checksum; a reader that meets the
 *    write reads again. One that stays unreadable is reported as such, never guessed.
 *
 * A crash leaves the file, free of its lock (with `lockfile`: after `staleMs`), and at most one
 * temporary one and one lock folder; `cleanPresence` removes all three. With `lockfile` an owner that stood still for longer
 * than `staleMs` counts as dead and may be removed; `lost` tells it when it runs on.
 */
import type { Claim, OpenClaim } from './claim.ts'
import { closed, compromised, LockError } from './errors.ts'
import { encodeHeader, type MethodName } from './header.ts'
import { ID_BYTES, KIND_PRESENCE, PRESENCE_FILE_BYTES } from './layout.ts'
import type { Methods } from './methods.ts'
import { hexOf, type OpenFile, type Platform, sameFile } from './platform.ts'
import { type Statement, writeStatement } from './statement.ts'

export class Presence {
  readonly id: string
  readonly path: string
  readonly #platform: Platform
  readonly #file: OpenFile
  readonly #claim: Claim
  readonly #lost: AbortSignal
  #statement: Statement
  #closing: Promise<void> | undefined

  /** Takes over the open file and the held claim. */
  constructor(platform: Platform, parts: PresenceParts) {
    this.id = parts.id
    this.path = parts.path
    this.#platform = platform
    this.#file = parts.file
    this.#claim = parts.claim
    this.#lost = parts.lost
    this.#statement = parts.statement
  }

  get statement(): Statement {
    return this.#statement
  }

  /** Fires when others may take this process for dead though it is not: see `Held.lost`. */
  get lost(): AbortSignal {
    return this.#lost
  }

  /**
   * States anew what is still needed, and how far the owner has come: one small write, seen by every later
   * `listPresence` and by watchers.
   */
  update(oldestNeeded: bigint, reached: bigint = oldestNeeded): void {
    if (this.#closing !== undefined) throw closed('presence', this.path)
    this.#lost.throwIfAborted()
    assertUnsigned64('oldestNeeded', oldestNeeded)
    assertUnsigned64('reached', reached)
    this.#statement = {
      ...this.#statement,
      oldestNeeded,
      reached,
      updates: this.#statement.updates + 1n,
    }
    writeStatement(this.#file, this.#statement)
  }

  /** Removes the file, then frees its lock. Again is no error. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(): Promise<void> {
    const { files } = this.#platform
    try {
      if (sameFile(files.identity(this.path), this.#file.identity)) files.remove(this.path)
    } finally {
      await closeBoth(this.#claim, this.#file)
    }
  }
}

interface PresenceParts {
  readonly id: string
  readonly path: string
  readonly file: OpenFile
  readonly claim: Claim
  readonly lost: AbortSignal
  readonly statement: Statement
}

async function closeBoth(claim: Claim, file: OpenFile): Promise<void> {
  try {
    await claim.close()
  } finally {
    file.close()
  }
}

function assertUnsigned64(name: string, value: bigint): void {
  if (BigInt.asUintN(64, value) !== value) {
    throw new TypeError(`${name} must be an unsigned 64-bit number, not ${value}`)
  }
}

const STARTS_MAX = 20
export const SUFFIX = '.presence'
export const TEMPORARY_SUFFIX = '.presence.tmp'

export interface StartOptions {
  readonly method: MethodName
  readonly oldestNeeded: bigint
  readonly staleMs: number
}

export async function startPresence(
  platform: Platform,
  methods: Methods,
  folder: string,
  options: StartOptions,
): Promise<Presence> {
  assertUnsigned64('oldestNeeded', options.oldestNeeded)
  const openClaim = await methods.load(options.method)
  const located = platform.files.locateFolder(folder)
  for (let starts = 0; starts < STARTS_MAX; starts++) {
    const presence = await startOnce(platform, openClaim, located, options)
    if (presence !== null) return presence
  }
  throw new LockError(
    'RINGBOLT_LOCK_IO',
    `${located}: ${STARTS_MAX} presence files were removed by others before they had their name`,
    { path: located, starts: STARTS_MAX },
  )
}

/** Null when somebody took the temporary file away or looked at its lock: then another name. */
async function startOnce(
  platform: Platform,
  openClaim: OpenClaim,
  folder: string,
  { method, oldestNeeded, staleMs }: StartOptions,
): Promise<Presence | null> {
  const { files, threads, clock } = platform
  const idBytes = platform.randomBytes(ID_BYTES)
  const id = hexOf(idBytes)
  const path = `${folder}/${id}${SUFFIX}`
  const temporary = `${folder}/${id}${TEMPORARY_SUFFIX}`
  const file = files.create(temporary)
  if (file === null) return null

  const statement: Statement = {
    oldestNeeded,
    reached: oldestNeeded,
    pid: threads.pid,
    startedMs: clock.wallMs(),
    updates: 0n,
  }
  const loss = new AbortController()
  let claim: Claim | undefined
  let named = false
  try {
    const image = new Uint8Array(PRESENCE_FILE_BYTES)
    encodeHeader(image, KIND_PRESENCE, method, idBytes)
    file.write(0, image)
    writeStatement(file, statement)
    // After a power failure a name may stand for what was written before; without it nobody could tell that its owner is dead.
    file.sync()
    const target = { path: temporary, identity: file.identity, lockName: path, staleMs }
    claim = await openClaim(target, (reason) => loss.abort(compromised(path, reason)))
    named = (await claim.tryLock(null)) && files.link(temporary, path)
    if (!named) return null
    return new Presence(platform, { id, path, file, claim, lost: loss.signal, statement })
  } catch (error) {
    if (isGone(platform, folder, temporary)) return null
    throw error
  } finally {
    files.remove(temporary)
    if (!named) {
      if (claim === undefined) file.close()
      else await closeBoth(claim, file)
    }
  }
}

/** The file was taken away, its folder is there. */
function isGone({ files }: Platform, folder: string, temporary: string): boolean {
  return files.identity(folder) !== null && files.identity(temporary) === null
}
