/**
 * A folder as a log store. The only user of `node:fs` in this package.
 *
 * Files are made exclusively, for their owner only, and symbolic links are never followed: neither a
 * segment's name nor the folder's own may be one. Short reads and writes are carried on. Every
 * failure names the operation, the path, the position and the system's reason.
 *
 * A store is of the folder that it was opened on. Before each use of a name its path is looked at: when another folder
 * stands there by now, with none of the files that are open here, nothing is done. Open files stay what they are, wherever
 * they were moved. The folder's inode alone would not do: some file systems give it another number after a while.
 */
import * as fs from 'node:fs'
import { join } from 'node:path'
import { LogFolderReplacedError, LogIoError } from './errors.ts'
import type { LogFile, LogStore } from './log-store.ts'

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_RDONLY, O_RDWR } = fs.constants
const FILE_MODE = 0o600
const FOLDER_MODE = 0o700
/** What `writev` takes at once on Linux and macOS. */
const IOV_MAX = 1024
/** Linux writes at most 2^31-4096 bytes a call; a round figure below it keeps positions aligned. */
const WRITE_BYTES_MAX = 2 ** 30

export interface FileStoreOptions {
  /** Make the folder when it is missing. Its parent must exist. Default false. */
  readonly createFolder?: boolean
  /** Files are opened for reading only. Default false. */
  readonly readOnly?: boolean
}

class DiskFile implements LogFile {
  readonly name: string
  readonly #path: string
  readonly #descriptor: number
  readonly #onClose: (file: DiskFile) => void
  #closed = false

  constructor(name: string, path: string, descriptor: number, onClose: (file: DiskFile) => void) {
    this.name = name
    this.#path = path
    this.#descriptor = descriptor
    this.#onClose = onClose
  }

  /** Whether it still stands where it was opened. */
  get hasItsName(): boolean {
    const named = fs.lstatSync(this.#path, { bigint: true, throwIfNoEntry: false })
    if (named === undefined) return false
    return identityOf(named) === identityOf(fs.fstatSync(this.#descriptor, { bigint: true }))
  }

  readAt(position: number, target: Uint8Array): number {
    return this.#call('read', { position }, () => {
      let filled = 0
      while (filled < target.length) {
        const length = Math.min(target.length - filled, WRITE_BYTES_MAX)
        const count = fs.readSync(this.#descriptor, target, filled, length, position + filled)
        if (count === 0) break
        filled += count
      }
      return filled
    })
  }

  writeAt(position: number, parts: readonly Uint8Array[]): void {
    this.#call('write', { position }, () => {
      let at = position
      for (let from = 0; from < parts.length; from += IOV_MAX) {
        const batch = parts.length <= IOV_MAX ? parts : parts.slice(from, from + IOV_MAX)
        at += this.#writeBatch(at, batch)
      }
    })
  }

  #writeBatch(position: number, parts: readonly Uint8Array[]): number {
    let length = 0
    for (const part of parts) length += part.length
    let written = 0
    if (length <= WRITE_BYTES_MAX) {
      written = fs.writevSync(this.#descriptor, parts, position)
    }
    // The rest of a short write, part by part.
    let partStart = 0
    for (const part of parts) {
      const partEnd = partStart + part.length
      while (written < partEnd) {
        const offset = written - partStart
        const count = Math.min(part.length - offset, WRITE_BYTES_MAX)
        const done = fs.writeSync(this.#descriptor, part, offset, count, position + written)
        if (done === 0) throw new Error(`wrote 0 of ${count} bytes`)
        written += done
      }
      partStart = partEnd
    }
    return length
  }

  sync(): void {
    this.#call('fdatasync', {}, () => fs.fdatasyncSync(this.#descriptor))
  }

  length(): number {
    return this.#call('fstat', {}, () => fs.fstatSync(this.#descriptor).size)
  }

  truncate(lengthBytes: number): void {
    this.#call('ftruncate', { lengthBytes }, () => fs.ftruncateSync(this.#descriptor, lengthBytes))
  }

  /** Idempotent. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#onClose(this)
    attempt('close', this.#path, {}, () => fs.closeSync(this.#descriptor))
  }

  // A closed descriptor's number may already be another file's.
  #call<T>(operation: string, facts: Record<string, number>, call: () => T): T {
    return attempt(operation, this.#path, facts, () => {
      if (this.#closed) throw Object.assign(new Error('the file is closed'), { code: 'EBADF' })
      return call()
    })
  }
}

export class FileStore implements LogStore {
  readonly location: string
  readonly #readOnly: boolean
  readonly #openFiles = new Set<DiskFile>()
  #identity: string

  /**
   * @param folder the log's own folder
   * @throws LogIoError when it is missing (ENOENT), a file (ENOTDIR) or a symbolic link (ELOOP, ENOTDIR)
   */
  constructor(folder: string, options: FileStoreOptions = {}) {
    this.location = folder
    this.#readOnly = options.readOnly ?? false
    if (options.createFolder === true && !this.#readOnly) makeFolder(folder)
    this.#identity = this.#withFolder('open folder', (descriptor) =>
      identityOf(fs.fstatSync(descriptor, { bigint: true })),
    )
  }

  list(): string[] {
    this.#assertSame()
    return attempt('list', this.location, {}, () => fs.readdirSync(this.location))
  }

  open(name: string): LogFile {
    this.#assertSame()
    const access = this.#readOnly ? O_RDONLY : O_RDWR
    const path = join(this.location, name)
    const open = (): number => fs.openSync(path, access | O_NOFOLLOW)
    return this.#regular(name, path, attempt('open', path, {}, open))
  }

  create(name: string): LogFile {
    this.#assertSame()
    const path = join(this.location, name)
    const flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW
    const descriptor = attempt('create', path, {}, () => fs.openSync(path, flags, FILE_MODE))
    return this.#opened(name, path, descriptor)
  }

  rename(from: string, to: string): void {
    this.#assertSame()
    const path = join(this.location, from)
    attempt(`rename to ${to}`, path, {}, () => fs.renameSync(path, join(this.location, to)))
  }

  remove(name: string): void {
    this.#assertSame()
    const path = join(this.location, name)
    attempt('remove', path, {}, () => fs.unlinkSync(path))
  }

  syncFolder(): void {
    this.#assertSame()
    this.#withFolder('sync folder', (descriptor) => fs.fsyncSync(descriptor))
  }

  #assertSame(): void {
    const now = attempt('look at folder', this.location, {}, () =>
      identityOf(fs.lstatSync(this.location, { bigint: true })),
    )
    if (now === this.#identity) return
    if (![...this.#openFiles].some((file) => file.hasItsName)) {
      throw new LogFolderReplacedError(this.location, this.#identity, now)
    }
    this.#identity = now
  }

  #opened(name: string, path: string, descriptor: number): DiskFile {
    const file = new DiskFile(name, path, descriptor, (closed) => this.#openFiles.delete(closed))
    this.#openFiles.add(file)
    return file
  }

  #regular(name: string, path: string, descriptor: number): LogFile {
    const stat = attempt('fstat', path, {}, () => fs.fstatSync(descriptor))
    if (stat.isFile()) return this.#opened(name, path, descriptor)
    fs.closeSync(descriptor)
    throw new LogIoError('open', path, new Error('EINVAL: not a regular file'), { errno: 'EINVAL' })
  }

  #withFolder<T>(operation: string, use: (descriptor: number) => T): T {
    return attempt(operation, this.location, {}, () => {
      const descriptor = fs.openSync(this.location, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
      try {
        return use(descriptor)
      } finally {
        fs.closeSync(descriptor)
      }
    })
  }
}

function identityOf({ dev, ino }: fs.BigIntStats): string {
  return `inode ${ino} of device ${dev}`
}

/**
 * Makes the folder if it is missing, and its entry in the parent certain. That of one which is there too:
 * whoever made it may have been killed before he got so far.
 */
function makeFolder(folder: string): void {
  attempt('make folder', folder, {}, () => {
    try {
      fs.mkdirSync(folder, { mode: FOLDER_MODE })
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
    }
    const parent = fs.openSync(join(folder, '..'), O_RDONLY | O_DIRECTORY)
    try {
      fs.fsyncSync(parent)
    } finally {
      fs.closeSync(parent)
    }
  })
}

function attempt<T>(
  operation: string,
  path: string,
  facts: Record<string, number>,
  call: () => T,
): T {
  try {
    return call()
  } catch (error) {
    throw new LogIoError(operation, path, error, facts)
  }
}
