/** The header that begins lock files and presence files: made once, read as hostile bytes. */
import { LockError } from './errors.ts'
import {
  checksumOf,
  FORMAT_VERSION,
  HEADER_BYTES,
  HEADER_CHECKSUM_OFFSET,
  HEADER_ID_OFFSET,
  HEADER_KIND_OFFSET,
  HEADER_METHOD_OFFSET,
  HEADER_VERSION_OFFSET,
  ID_BYTES,
  MAGIC,
  viewOf,
} from './layout.ts'
import { hexOf, type OpenFile } from './platform.ts'

/** In the order of preference for a new file. */
export const METHOD_NAMES = ['ofd', 'flock', 'lockfile'] as const
export type MethodName = (typeof METHOD_NAMES)[number]

// Numbers on disk: never to be given another meaning.
const methodNumbers: Readonly<Record<MethodName, number>> = { flock: 1, ofd: 2, lockfile: 3 }

export interface Header {
  readonly method: MethodName
  readonly id: string
}

export function encodeHeader(
  target: Uint8Array,
  kind: number,
  method: MethodName,
  id: Uint8Array,
): void {
  const view = viewOf(target)
  target.set(MAGIC, 0)
  view.setUint32(HEADER_VERSION_OFFSET, FORMAT_VERSION, true)
  view.setUint32(HEADER_KIND_OFFSET, kind, true)
  view.setUint32(HEADER_METHOD_OFFSET, methodNumbers[method], true)
  target.set(id.subarray(0, ID_BYTES), HEADER_ID_OFFSET)
  view.setUint32(HEADER_CHECKSUM_OFFSET, checksumOf(target, 0, HEADER_CHECKSUM_OFFSET), true)
}

/** Checks everything before believing anything; changes nothing. */
export function readHeader(file: OpenFile, kind: number, fileBytes: number): Header {
  const { path } = file
  const lengthBytes = file.length()
  const bytes = new Uint8Array(HEADER_BYTES)
  const readBytes = file.read(0, bytes)
  const refuse = (
    code: string,
    what: string,
    offset: number,
    expected: number | string,
    found: number | string,
  ): LockError =>
    new LockError(
      code,
      `${path}: ${what} at byte ${offset}: expected ${expected}, found ${found}`,
      { path, offset, expected, found },
    )

  const magic = bytes.subarray(0, Math.min(readBytes, MAGIC.length))
  if (magic.some((byte, index) => byte !== MAGIC[index])) {
    const code = 'RINGBOLT_LOCK_NOT_A_LOCK_FILE'
    throw refuse(code, 'not a lock file: magic', 0, hexOf(MAGIC), hexOf(magic))
  }
  if (lengthBytes < fileBytes) {
    const code = 'RINGBOLT_LOCK_TRUNCATED'
    throw refuse(code, 'truncated: length in bytes', lengthBytes, fileBytes, lengthBytes)
  }
  const view = viewOf(bytes)
  const version = view.getUint32(HEADER_VERSION_OFFSET, true)
  if (version > FORMAT_VERSION) {
    const code = 'RINGBOLT_LOCK_VERSION_NEWER'
    throw refuse(code, 'made by a newer version', HEADER_VERSION_OFFSET, FORMAT_VERSION, version)
  }
  const checksum = view.getUint32(HEADER_CHECKSUM_OFFSET, true)
  const computed = checksumOf(bytes, 0, HEADER_CHECKSUM_OFFSET)
  if (checksum !== computed) {
    const code = 'RINGBOLT_LOCK_CORRUPT'
    throw refuse(code, 'damaged header: checksum', HEADER_CHECKSUM_OFFSET, computed, checksum)
  }
  if (version !== FORMAT_VERSION) {
    const code = 'RINGBOLT_LOCK_CORRUPT'
    throw refuse(code, 'impossible version', HEADER_VERSION_OFFSET, FORMAT_VERSION, version)
  }
  const foundKind = view.getUint32(HEADER_KIND_OFFSET, true)
  if (foundKind !== kind) {
    const code = 'RINGBOLT_LOCK_NOT_A_LOCK_FILE'
    throw refuse(code, 'another kind of file', HEADER_KIND_OFFSET, kind, foundKind)
  }
  const number = view.getUint32(HEADER_METHOD_OFFSET, true)
  const method = METHOD_NAMES.find((name) => methodNumbers[name] === number)
  if (method === undefined) {
    const known = METHOD_NAMES.map((name) => `${methodNumbers[name]} (${name})`).join(', ')
    const code = 'RINGBOLT_LOCK_METHOD_UNKNOWN'
    throw refuse(code, 'unknown lock method', HEADER_METHOD_OFFSET, known, number)
  }
  return { method, id: hexOf(bytes.subarray(HEADER_ID_OFFSET, HEADER_ID_OFFSET + ID_BYTES)) }
}
