/**
 * Text and big integers as bytes, for keys and documents alike. Reading takes bytes as hostile: what is not
 * exactly what writing makes is refused.
 */
import { isUtf8 } from 'node:buffer'

/** Up to it, a loop over characters or bytes beats the call into the runtime. */
const LOOP_LENGTH_MAX = 24

/** Node's own methods of Buffer, quicker than `write` and `toString`; they stand in no type declaration. */
interface RawText {
  utf8Write(text: string, offset: number, lengthMax: number): number
  utf8Slice(start: number, end: number): string
  latin1Write(text: string, offset: number, lengthMax: number): number
  latin1Slice(start: number, end: number): string
  hexSlice(start: number, end: number): string
  hexWrite(text: string, offset: number, lengthMax: number): number
}

/** A Buffer, its raw text methods visible. */
export type TextBuffer = Buffer & RawText

export function textBuffer(length: number): TextBuffer {
  return asTextBuffer(new Uint8Array(length))
}

/** The same bytes as a Buffer; no copy. */
export function asTextBuffer(bytes: Uint8Array): TextBuffer {
  const buffer = Buffer.isBuffer(bytes)
    ? bytes
    : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  // The methods are there in every Buffer.
  // oxlint-disable-next-line no-unsafe-type-assertion
  return buffer as TextBuffer
}

/** A copy on the heap, a plain Uint8Array whatever kind of view the bytes are. */
export function heapCopy(bytes: Uint8Array, start: number, end: number): Uint8Array {
  const copy = new Uint8Array(end - start)
  // A subarray costs more than a short loop.
  if (end - start > LOOP_LENGTH_MAX) copy.set(bytes.subarray(start, end))
  else for (let index = start; index < end; index++) copy[index - start] = bytes[index]!
  return copy
}

/**
 * Writes well-formed text as UTF-8; the target has room for 3 bytes for each of its units.
 * @returns where it ends, or -1 when a surrogate stands alone
 */
export function writeText(target: TextBuffer, position: number, text: string): number {
  const length = text.length
  if (length <= LOOP_LENGTH_MAX) {
    let index = 0
    for (; index < length; index++) {
      const unit = text.charCodeAt(index)
      if (unit >= 0x80) break
      target[position + index] = unit
    }
    if (index === length) return position + length
  }
  if (!text.isWellFormed()) return -1
  return position + target.utf8Write(text, position, target.length - position)
}

/** @returns undefined when the bytes are not UTF-8 */
export function readText(bytes: TextBuffer, start: number, end: number): string | undefined {
  for (let index = start; index < end; index++) {
    if (bytes[index]! < 0x80) continue
    // A copy, since the bytes may be shared memory, which the check does not take.
    const copy = heapCopy(bytes, start, end)
    return isUtf8(copy) ? asTextBuffer(copy).utf8Slice(0, copy.length) : undefined
  }
  return bytes.latin1Slice(start, end)
}

/** Hexadecimal digits of a magnitude, an even number of them; none for 0. */
export function magnitudeDigits(magnitude: bigint): string {
  if (magnitude === 0n) return ''
  const digits = magnitude.toString(16)
  return digits.length % 2 === 0 ? digits : `0${digits}`
}

/** The magnitude in big-endian bytes; the first must not be 0. */
export function readMagnitude(bytes: TextBuffer, start: number, end: number): bigint {
  return start === end ? 0n : BigInt(`0x${bytes.hexSlice(start, end)}`)
}
