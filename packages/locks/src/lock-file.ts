/**
 * Making and opening the lock file (L4).
 *
 * 1. A lock file gets its name only when it is whole: it is written and synced under a temporary name
 *    (exclusive, 0600, no link followed) and then linked, which fails when the name exists. Of any
 *    number of makers at once exactly one names its file; the others open that one.
 * 2. Nothing here or elsewhere in the package truncates, renames or unlinks a lock file.
 * 3. An error leaves nothing: the temporary name is removed on every way out. A crash leaves at most
 *    one temporary file of a kilobyte under a random name, which nobody ever opens.
 */
import { LockError } from './errors.ts'
import { encodeHeader, type Header, type MethodName, readHeader } from './header.ts'
import { ID_BYTES, KIND_LOCK, LOCK_FILE_BYTES } from './layout.ts'
import { hexOf, type OpenFile, type Platform, sameFile } from './platform.ts'

export interface OpenedLockFile {
  readonly file: OpenFile
  readonly header: Header
}

/** Null when there is no such file. */
export function openLockFile(platform: Platform, path: string): OpenedLockFile | null {
  const file = platform.files.open(path)
  if (file === null) return null
  try {
    return { file, header: readHeader(file, KIND_LOCK, LOCK_FILE_BYTES) }
  } catch (error) {
    file.close()
    throw error
  }
}

/** Makes the file unless somebody else just did; either way, it is there afterwards. */
export function makeLockFile(platform: Platform, path: string, method: MethodName): void {
  const { files } = platform
  const image = new Uint8Array(LOCK_FILE_BYTES)
  encodeHeader(image, KIND_LOCK, method, platform.randomBytes(ID_BYTES))
  const temporary = `${path}.${hexOf(platform.randomBytes(8))}.tmp`
  const file = files.create(temporary)
  if (file === null) {
    const message = `creating ${temporary}: a file of that random name exists already`
    throw new LockError('RINGBOLT_LOCK_IO', message, { path: temporary })
  }
  try {
    try {
      file.write(0, image)
      file.sync()
    } finally {
      file.close()
    }
    files.link(temporary, path)
  } finally {
    files.remove(temporary)
  }
  files.syncFolderOf(path)
}

/** Throws unless the path still names the file that was opened (which, being open, keeps its inode). */
export function assertSameFile(platform: Platform, file: OpenFile): void {
  const { path } = file
  const now = platform.files.identity(path)
  if (sameFile(now, file.identity)) return
  const expected = `inode ${file.identity.inode}`
  if (now === null) {
    throw new LockError(
      'RINGBOLT_LOCK_DELETED',
      `${path} was deleted while it was open: expected ${expected}, found nothing`,
      { path, expected, found: null },
    )
  }
  const found = `inode ${now.inode}`
  throw new LockError(
    'RINGBOLT_LOCK_REPLACED',
    `${path} was replaced while it was open: expected ${expected}, found ${found}`,
    { path, expected, found },
  )
}
