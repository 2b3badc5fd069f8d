/**
 * Reads a segment's bytes and groups from front to back through one window, so that many small
 * groups cost few reads. Never reads or allocates past the limit that the caller vouches for.
 *
 * Views that it hands out stay as they are when the window is not reused; otherwise they last until
 * the next call.
 */
import type { Mismatch } from './errors.ts'
import {
  certificateChecksum,
  checkCertificate,
  decodeGroupHeader,
  type GroupHeader,
} from './group.ts'
import { certificateBytes, GROUP_BYTES_MIN, GROUP_HEADER_BYTES, groupBytes } from './layout.ts'
import type { LogFile } from './log-store.ts'

const WINDOW_BYTES = 256 * 1024
const NOTHING = new Uint8Array(0)

export interface Group {
  readonly header: GroupHeader
  /** In the file. */
  readonly position: number
  /** Just past the certificate. */
  readonly endPosition: number
  readonly body: Uint8Array
  readonly certificate: Uint8Array
  /** What the next group's `previous` is. */
  readonly checksum: number
}

export type GroupRead =
  | { readonly ok: true; readonly group: Group }
  | {
      readonly ok: false
      readonly byteOffset: number
      readonly mismatch: Mismatch
      readonly newer: boolean
      /** The header when it is sound, though the rest is not. */
      readonly header: GroupHeader | undefined
    }

export class SegmentReader {
  readonly #file: LogFile
  readonly #logId: Uint8Array
  readonly #reuse: boolean
  readonly #windowBytes: number
  #window: Uint8Array = NOTHING
  #windowStart = 0

  /** @param windowBytes read at once; 0: no byte beyond what is asked for */
  constructor(file: LogFile, logId: Uint8Array, reuse: boolean, windowBytes = WINDOW_BYTES) {
    this.#file = file
    this.#logId = logId
    this.#reuse = reuse
    this.#windowBytes = windowBytes
  }

  /**
   * The bytes from `position`, as many as asked for, or fewer where the file ends before `limit`.
   * @param limit up to where the file's bytes are settled; the window never reaches past it
   */
  bytes(position: number, length: number, limit: number): Uint8Array {
    const from = position - this.#windowStart
    if (from >= 0 && from + length <= this.#window.length) {
      return this.#window.subarray(from, from + length)
    }
    this.#fill(position, length, limit)
    return this.#window.subarray(0, length)
  }

  /** What is read next is read from the file: somebody writes to it. */
  forget(): void {
    this.#window = this.#window.subarray(0, 0)
  }

  /** The group at `position`, checked in itself; not yet against the chain. */
  group(position: number, limit: number): GroupRead {
    const remainingBytes = limit - position
    if (remainingBytes < GROUP_BYTES_MIN) {
      const mismatch = lengthMismatch(GROUP_BYTES_MIN, remainingBytes)
      return { ok: false, byteOffset: position, mismatch, newer: false, header: undefined }
    }
    const head = this.bytes(position, GROUP_HEADER_BYTES, limit)
    if (head.length < GROUP_HEADER_BYTES) {
      const mismatch = lengthMismatch(GROUP_HEADER_BYTES, head.length)
      return { ok: false, byteOffset: position, mismatch, newer: false, header: undefined }
    }
    const read = decodeGroupHeader(head, remainingBytes, this.#logId)
    if (!read.ok) return { ...read, byteOffset: position, header: undefined }
    return this.#rest(position, limit, read.header, read.headerChecksum)
  }

  #rest(position: number, limit: number, header: GroupHeader, headerChecksum: number): GroupRead {
    const { bodyBytes, laneCount } = header
    const wholeBytes = groupBytes(bodyBytes, laneCount)
    const whole = this.bytes(position, wholeBytes, limit)
    if (whole.length < wholeBytes) {
      const mismatch = lengthMismatch(wholeBytes, whole.length)
      return { ok: false, byteOffset: position, mismatch, newer: false, header }
    }
    const body = whole.subarray(GROUP_HEADER_BYTES, GROUP_HEADER_BYTES + bodyBytes)
    const certificate = whole.subarray(wholeBytes - certificateBytes(laneCount))
    const mismatch = checkCertificate(certificate, header, headerChecksum, body)
    if (mismatch !== undefined) {
      const byteOffset = position + GROUP_HEADER_BYTES
      return { ok: false, byteOffset, mismatch, newer: false, header }
    }
    const checksum = certificateChecksum(certificate, laneCount)
    const endPosition = position + wholeBytes
    return { ok: true, group: { header, position, endPosition, body, certificate, checksum } }
  }

  #fill(position: number, length: number, limit: number): void {
    const wanted = Math.max(0, Math.min(Math.max(length, this.#windowBytes), limit - position))
    // A window that is not reused belongs to those who hold views of it.
    const buffer =
      this.#reuse && this.#window.buffer.byteLength >= wanted
        ? this.#window.buffer
        : Buffer.allocUnsafeSlow(wanted).buffer
    const target = new Uint8Array(buffer, 0, wanted)
    const filled = this.#file.readAt(position, target)
    this.#window = target.subarray(0, filled)
    this.#windowStart = position
  }
}

function lengthMismatch(expected: number, actual: number): Mismatch {
  return { what: 'group length', expected: `at least ${expected} bytes`, actual }
}
