/**
 * Ids of documents as keys, in order: all numbers by value, then all strings by code points.
 *
 *   40…bf       number below 2³¹: 4 bytes, big-endian, 40 hex added to the first
 *   c4…c7       number from 2³¹ on: the count of bytes in the tag (4…7), then these, big-endian, as few as do
 *   e0          string: UTF-8 to the end; an id is always the last of a key, so it needs no terminator
 *
 * So keys of nearly all number ids are 4 bytes long and differ in these: a search over key heads ends there.
 * `ordered-binary` would write doubles, whose first 4 bytes are the same for neighbouring ids above 2¹⁷.
 *
 * Tags of ids are above those of index values (`keys.ts`): an index key tells by itself where its id begins.
 */
import { StoreTooLargeError } from '../errors.ts'
import {
  asTextBuffer,
  heapCopy,
  readText,
  type TextBuffer,
  textBuffer,
  writeText,
} from './bytes.ts'
import { EncodingCorruptError, ValidationError } from './errors.ts'

export type Id = number | string

/** The lowest byte that an id begins with. */
export const ID_TAG_FIRST = 0x40

/** The longest string id, in bytes of UTF-8. */
export const ID_TEXT_BYTES_MAX = 512
/** The longest encoded id. */
export const ID_BYTES_MAX: number = ID_TEXT_BYTES_MAX + 1

const SHORT_NUMBER_END = 0x8000_0000
const SHORT_TAG_LAST = 0xbf
const LONG_TAG_BASE = 0xc0
const LONG_BYTES_FIRST = 4
const LONG_BYTES_LAST = 7
const TEXT_TAG = 0xe0

/** Where text ids are encoded before their length is known: 3 bytes a unit at most. */
const scratch: TextBuffer = textBuffer(1 + 3 * ID_TEXT_BYTES_MAX)

/** @throws ValidationError when it is no id; StoreTooLargeError when it is too long a string */
export function encodeId(id: Id): Uint8Array {
  if (typeof id === 'number' && id > 0 && id < SHORT_NUMBER_END && (id | 0) === id) {
    const bytes = new Uint8Array(4)
    writeShort(bytes, 0, id)
    return bytes
  }
  const end = writeId(scratch, 0, id)
  return heapCopy(scratch, 0, end)
}

/**
 * The same into the caller's own bytes, `ID_BYTES_MAX` of them: nothing is allocated.
 * @returns the length
 */
export function encodeIdInto(target: Uint8Array, id: Id): number {
  if (typeof id === 'number' && id > 0 && id < SHORT_NUMBER_END && (id | 0) === id) {
    writeShort(target, 0, id)
    return 4
  }
  const end = writeId(scratch, 0, id)
  for (let index = 0; index < end; index++) target[index] = scratch[index]!
  return end
}

/** Writes the id at `position`, with room for `1 + 3 * ID_TEXT_BYTES_MAX` there; returns where it ends. */
export function writeId(target: TextBuffer, position: number, id: Id): number {
  if (typeof id === 'string') return writeTextId(target, position, id)
  checkNumberId(id)
  if (id < SHORT_NUMBER_END) {
    writeShort(target, position, id)
    return position + 4
  }
  let length = LONG_BYTES_FIRST
  while (id >= 2 ** (8 * length)) length++
  target[position] = LONG_TAG_BASE + length
  let rest = id
  for (let index = length; index > 0; index--) {
    target[position + index] = rest % 256
    rest = Math.floor(rest / 256)
  }
  return position + 1 + length
}

function writeShort(target: Uint8Array, position: number, id: number): void {
  target[position] = ID_TAG_FIRST + (id >>> 24)
  target[position + 1] = id >>> 16
  target[position + 2] = id >>> 8
  target[position + 3] = id
}

function writeTextId(target: TextBuffer, position: number, id: string): number {
  if (id.length === 0) {
    throw new ValidationError('an id must not be the empty string', { field: 'id' })
  }
  if (id.length > ID_TEXT_BYTES_MAX) throw tooLong(Buffer.byteLength(id))
  target[position] = TEXT_TAG
  const end = writeText(target, position + 1, id)
  if (end < 0) {
    throw new ValidationError('an id must be well-formed text: a surrogate stands alone in it', {
      field: 'id',
    })
  }
  if (end - position > ID_BYTES_MAX) throw tooLong(end - position - 1)
  return end
}

function tooLong(byteLength: number): StoreTooLargeError {
  return new StoreTooLargeError('id', byteLength, ID_TEXT_BYTES_MAX)
}

/** @throws ValidationError which says what is wrong with it */
function checkNumberId(id: unknown): asserts id is number {
  if (typeof id !== 'number') {
    const kind = id === null ? 'null' : Array.isArray(id) ? 'an array' : `of type ${typeof id}`
    throw new ValidationError(`an id must be a number or a string; this one is ${kind}`, {
      field: 'id',
    })
  }
  if (Number.isSafeInteger(id) && id > 0) return
  throw new ValidationError(
    `an id that is a number must be an integer from 1 to ${Number.MAX_SAFE_INTEGER}; this one is ${id}`,
    { field: 'id', id: String(id) },
  )
}

/** @throws EncodingCorruptError when [start, end) is not exactly one id */
export function decodeId(bytes: Uint8Array, start: number, end: number): Id {
  const length = end - start
  const tag = length > 0 ? bytes[start]! : 0
  if (tag < ID_TAG_FIRST) throw corrupt(0, 'the tag of an id', tag)
  if (tag <= SHORT_TAG_LAST) {
    if (length !== 4) throw corrupt(0, '4 bytes', length)
    const id =
      ((tag - ID_TAG_FIRST) << 24) |
      (bytes[start + 1]! << 16) |
      (bytes[start + 2]! << 8) |
      bytes[start + 3]!
    if (id === 0) throw corrupt(1, 'an id above 0', 0)
    return id
  }
  if (tag === TEXT_TAG) return decodeText(bytes, start + 1, end)
  return decodeLong(bytes, start, end)
}

function decodeLong(bytes: Uint8Array, start: number, end: number): number {
  const length = bytes[start]! - LONG_TAG_BASE
  if (length < LONG_BYTES_FIRST || length > LONG_BYTES_LAST) {
    throw corrupt(0, 'the tag of an id', bytes[start]!)
  }
  if (end - start !== length + 1) throw corrupt(0, `${length + 1} bytes`, end - start)
  let id = 0
  for (let index = start + 1; index < end; index++) id = id * 256 + bytes[index]!
  const least = length === LONG_BYTES_FIRST ? SHORT_NUMBER_END : 2 ** (8 * (length - 1))
  if (id < least || id > Number.MAX_SAFE_INTEGER) {
    throw corrupt(1, `a number from ${least} to ${Number.MAX_SAFE_INTEGER}`, id)
  }
  return id
}

function decodeText(bytes: Uint8Array, start: number, end: number): string {
  const length = end - start
  if (length === 0 || length > ID_TEXT_BYTES_MAX) {
    throw corrupt(1, `1 to ${ID_TEXT_BYTES_MAX} bytes of text`, length)
  }
  const text = readText(asTextBuffer(bytes), start, end)
  if (text === undefined) throw corrupt(1, 'UTF-8', 'something else')
  return text
}

function corrupt(offset: number, expected: string, actual: string | number): EncodingCorruptError {
  return new EncodingCorruptError('an id', offset, expected, actual)
}
