/**
 * Files of backups, read and made without blocking the thread: composition root of that.
 *
 * A file that is made gets its name at the end and at once, whole and synced, and never in another's place: until then
 * it stands beside it as `.<name>.<random>.part`, made exclusively, for its owner only, and never through a symbolic
 * link. A crash leaves at most that.
 */
import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { type FileHandle, link, lstat, open, realpath, rename, unlink } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { LogIoError } from '@ringbolt/wal'
import { TargetExistsError, TargetFolderError } from '../backup/errors.ts'

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_RDONLY, O_RDWR } = constants
const FILE_MODE = 0o600
const RANDOM_BYTES = 6
/** What file systems without hard links say to `link`. */
const NO_LINKS: ReadonlySet<unknown> = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'])

export class NewFile {
  /** Its name at the end. */
  readonly path: string
  /** Its name until then. */
  readonly partPath: string
  readonly #handle: FileHandle
  #closing: Promise<void> | undefined
  #isOver = false

  private constructor(path: string, partPath: string, handle: FileHandle) {
    this.path = path
    this.partPath = partPath
    this.#handle = handle
  }

  /** @throws TargetExistsError, TargetFolderError, LogIoError; nothing is left then */
  static async make(target: string, source?: string): Promise<NewFile> {
    const path = await pathOf(target)
    await assertFree(path, source)
    const part = `.${basename(path)}.${randomBytes(RANDOM_BYTES).toString('hex')}.part`
    const partPath = join(dirname(path), part)
    const flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW
    const handle = await attempt('create', partPath, () => open(partPath, flags, FILE_MODE))
    return new NewFile(path, partPath, handle)
  }

  async write(bytes: Uint8Array, position: number): Promise<void> {
    await attempt('write', this.partPath, async () => {
      for (let at = 0; at < bytes.length; ) {
        const { bytesWritten } = await this.#handle.write(
          bytes,
          at,
          bytes.length - at,
          position + at,
        )
        if (bytesWritten === 0) throw new Error(`wrote 0 of ${bytes.length - at} bytes`)
        at += bytesWritten
      }
    })
  }

  async setLength(lengthBytes: number): Promise<void> {
    await attempt('ftruncate', this.partPath, () => this.#handle.truncate(lengthBytes))
  }

  async sync(): Promise<void> {
    await attempt('fsync', this.partPath, () => this.#handle.sync())
  }

  /** Synced, under its name, the folder synced. @throws TargetExistsError when somebody else took the name */
  async finish(): Promise<void> {
    await this.sync()
    await this.#close()
    await this.#takeName()
    try {
      await syncFolder(dirname(this.path))
    } catch (error) {
      // It may not survive: who is told so must not find it.
      await attempt('remove', this.path, () => unlink(this.path))
      throw error
    }
  }

  /** Nothing is left. Idempotent, and nothing once the file has its name. */
  async abandon(): Promise<void> {
    await this.#close()
    if (this.#isOver) return
    this.#isOver = true
    await attempt('remove', this.partPath, () => unlink(this.partPath))
  }

  async #takeName(): Promise<void> {
    try {
      await link(this.partPath, this.path)
    } catch (error) {
      const code = codeOf(error)
      if (code === 'EEXIST') throw await takenError(this.path)
      if (!NO_LINKS.has(code)) throw new LogIoError('link', this.path, error)
      await this.#takeNameByRename()
      return
    }
    this.#isOver = true
    await attempt('remove', this.partPath, () => unlink(this.partPath))
  }

  /** The name is taken by an empty file first, so that what the rename replaces is one's own. */
  async #takeNameByRename(): Promise<void> {
    const flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW
    try {
      const placeholder = await open(this.path, flags, FILE_MODE)
      await placeholder.close()
    } catch (error) {
      if (codeOf(error) === 'EEXIST') throw await takenError(this.path)
      throw new LogIoError('create', this.path, error)
    }
    await attempt('rename', this.path, () => rename(this.partPath, this.path))
    this.#isOver = true
  }

  #close(): Promise<void> {
    this.#closing ??= attempt('close', this.partPath, () => this.#handle.close())
    return this.#closing
  }
}

/** A file that is read in pieces. */
export class SourceFile {
  readonly path: string
  readonly #handle: FileHandle

  private constructor(path: string, handle: FileHandle) {
    this.path = path
    this.#handle = handle
  }

  static async open(path: string): Promise<SourceFile> {
    return new SourceFile(
      path,
      await attempt('open', path, () => open(path, O_RDONLY | O_NOFOLLOW)),
    )
  }

  /** Fewer bytes than asked for only at the end of the file. @returns how many */
  read(target: Uint8Array, position: number): Promise<number> {
    return attempt('read', this.path, async () => {
      let at = 0
      while (at < target.length) {
        const rest = target.length - at
        const { bytesRead } = await this.#handle.read(target, at, rest, position + at)
        if (bytesRead === 0) break
        at += bytesRead
      }
      return at
    })
  }

  close(): Promise<void> {
    return attempt('close', this.path, () => this.#handle.close())
  }
}

async function pathOf(target: string): Promise<string> {
  if (target === '') throw new TypeError('the target must be a path, not an empty text')
  const absolute = resolve(target)
  const folder = dirname(absolute)
  try {
    return join(await realpath(folder), basename(absolute))
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR')
      throw new TargetFolderError(folder)
    throw new LogIoError('open folder', folder, error)
  }
}

async function assertFree(path: string, source: string | undefined): Promise<void> {
  if (path === source) throw new TargetExistsError(path, 'the database itself')
  const error = await existsError(path)
  if (error !== undefined) throw error
}

/** Somebody has just made it. */
async function takenError(path: string): Promise<Error> {
  return (await existsError(path)) ?? new TargetExistsError(path, 'a file')
}

/** Undefined: there is nothing. */
async function existsError(path: string): Promise<TargetExistsError | undefined> {
  try {
    const found = await lstat(path)
    return new TargetExistsError(path, found.isDirectory() ? 'a folder' : 'a file')
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    if (codeOf(error) === 'ENOTDIR') throw new TargetFolderError(dirname(path))
    throw new LogIoError('lstat', path, error)
  }
}

async function syncFolder(folder: string): Promise<void> {
  await attempt('sync folder', folder, async () => {
    const handle = await open(folder, O_RDONLY | O_DIRECTORY)
    try {
      await handle.sync()
    } finally {
      await handle.close()
    }
  })
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}

async function attempt<T>(operation: string, path: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call()
  } catch (error) {
    throw new LogIoError(operation, path, error)
  }
}
