/**
 * Keys of indexes: values, one after another, so that the order of the bytes is the order of the values, field by
 * field; in indexes that are not unique, the document's id behind them.
 *
 * The order: null < false < true < numbers < bigints < dates < strings < bytes. It is a total order over values
 * of different types, and a type's values lie together behind its one tag byte: the range of all numbers
 * is [tag], `prefixEnd([tag])`.
 *
 *   02  null
 *   04  boolean: 0 or 1
 *   06  number: the double's 8 bytes, big-endian; of negatives all bits turned, of others the first. -0 is 0,
 *       NaN is no value, the infinities stand at the ends
 *   08  bigint: u16, 8000 hex + n for the n bytes of the magnitude; of negatives all bits of both turned.
 *       A bigint is no number: 1n and 1 are different values
 *   0a  date: milliseconds since 1970 plus 2⁵³, 7 bytes
 *   0c  string: UTF-8, a zero byte as 00 ff, ended by 00. So strings are ordered by code points, and
 *       one that begins another comes first
 *   0e  bytes: likewise
 *
 * `ordered-binary` was not taken: its number keys do not differ in their first bytes, its lone surrogates do not
 * come back, it knows no dates and no bytes beside other fields, and it reads hostile bytes without a check.
 */
import { StoreTooLargeError } from '../errors.ts'
import { KEY_BYTES_MAX } from '../sequencer/command.ts'
import {
  asTextBuffer,
  heapCopy,
  magnitudeDigits,
  readMagnitude,
  readText,
  type TextBuffer,
  textBuffer,
  writeText,
} from './bytes.ts'
import { EncodingCorruptError, ValidationError } from './errors.ts'
import { decodeId, ID_TAG_FIRST, type Id, writeId } from './ids.ts'

export { decodeId, encodeId, encodeIdInto, ID_BYTES_MAX, type Id } from './ids.ts'

export type IndexValue = null | boolean | number | bigint | string | Date | Uint8Array

const Tag = { null: 2, boolean: 4, number: 6, bigint: 8, date: 10, text: 12, bytes: 14 } as const

const BIGINT_LENGTH_BIAS = 0x8000
const DATE_BIAS_HIGH = 2 ** 21
const DATE_MILLISECONDS_MAX = 8.64e15
const ESCAPE = 0xff

/** A key up to the limit, and behind it the longest value or id that is tried before it is refused. */
const scratch: TextBuffer = textBuffer(KEY_BYTES_MAX + 3 * KEY_BYTES_MAX + 16)
const doubles = new DataView(scratch.buffer, scratch.byteOffset, scratch.byteLength)
/** For text with zero bytes, before they are escaped and after. */
const unescaped: TextBuffer = textBuffer(3 * KEY_BYTES_MAX)

/** True for what an index can hold. Others (undefined, NaN, objects, lone surrogates) have no entry. */
export function isIndexValue(value: unknown): value is IndexValue {
  if (typeof value === 'string') return value.isWellFormed()
  if (typeof value === 'number') return !Number.isNaN(value)
  if (typeof value === 'boolean' || typeof value === 'bigint' || value === null) return true
  if (value instanceof Date) return !Number.isNaN(value.getTime())
  return value instanceof Uint8Array
}

/**
 * @param id appended for indexes that are not unique
 * @throws ValidationError for what is no index value; StoreTooLargeError beyond KEY_BYTES_MAX
 */
export function encodeIndexKey(values: readonly IndexValue[], id?: Id): Uint8Array {
  return heapCopy(scratch, 0, writeKey(values, id))
}

/** The same key where it was written, for as long as `read` runs: for those who look at each and keep none. */
export function readIndexKey(
  values: readonly IndexValue[],
  id: Id | undefined,
  read: (bytes: Uint8Array, length: number) => void,
): void {
  read(scratch, writeKey(values, id))
}

function writeKey(values: readonly IndexValue[], id: Id | undefined): number {
  let end = 0
  for (let index = 0; index < values.length; index++) {
    end = writeValue(end, values[index]!)
    if (end > KEY_BYTES_MAX) throw tooLarge(end)
  }
  if (id !== undefined) {
    end = writeId(scratch, end, id)
    if (end > KEY_BYTES_MAX) throw tooLarge(end)
  }
  return end
}

/** The smallest key above all keys that begin with the prefix; undefined when there is none. */
export function prefixEnd(prefix: Uint8Array): Uint8Array | undefined {
  let length = prefix.length
  while (length > 0 && prefix[length - 1] === 0xff) length--
  if (length === 0) return undefined
  const end = heapCopy(prefix, 0, length)
  end[length - 1]!++
  return end
}

function tooLarge(byteLength: number): StoreTooLargeError {
  return new StoreTooLargeError('index key', byteLength, KEY_BYTES_MAX)
}

/** Writes it into the scratch bytes; returns where it ends, perhaps beyond the limit of a key. */
function writeValue(position: number, value: IndexValue): number {
  if (typeof value === 'string') return writeString(position, value)
  if (typeof value === 'number') return writeNumber(position, value)
  if (typeof value === 'bigint') return writeBigint(position, value)
  if (typeof value === 'boolean') {
    scratch[position] = Tag.boolean
    scratch[position + 1] = value ? 1 : 0
    return position + 2
  }
  if (value === null) {
    scratch[position] = Tag.null
    return position + 1
  }
  if (value instanceof Date) return writeDate(position, value)
  if (value instanceof Uint8Array) return writeBytes(position, value)
  throw new ValidationError(`a value of type ${typeof value} cannot be indexed`)
}

function writeBytes(position: number, value: Uint8Array): number {
  if (value.length > KEY_BYTES_MAX) throw tooLarge(position + value.length)
  scratch[position] = Tag.bytes
  return writeEscaped(position + 1, value, 0, value.length)
}

function writeNumber(position: number, value: number): number {
  if (Number.isNaN(value)) throw new ValidationError('NaN cannot be indexed')
  scratch[position] = Tag.number
  // Adding 0 turns -0 into 0.
  doubles.setFloat64(position + 1, value + 0)
  if (value < 0) {
    for (let index = position + 1; index < position + 9; index++) scratch[index] = ~scratch[index]!
  } else {
    scratch[position + 1]! |= 0x80
  }
  return position + 9
}

function writeBigint(position: number, value: bigint): number {
  const digits = magnitudeDigits(value < 0n ? -value : value)
  const length = digits.length / 2
  if (length > KEY_BYTES_MAX) throw tooLarge(position + length)
  scratch[position] = Tag.bigint
  scratch.writeUInt16BE(BIGINT_LENGTH_BIAS + length, position + 1)
  scratch.hexWrite(digits, position + 3, length)
  const end = position + 3 + length
  if (value < 0n) {
    for (let index = position + 1; index < end; index++) scratch[index] = ~scratch[index]!
  }
  return end
}

function writeDate(position: number, date: Date): number {
  const milliseconds = date.getTime()
  if (Number.isNaN(milliseconds)) throw new ValidationError('an invalid date cannot be indexed')
  const high = Math.floor(milliseconds / 2 ** 32)
  scratch[position] = Tag.date
  scratch.writeUIntBE(high + DATE_BIAS_HIGH, position + 1, 3)
  scratch.writeUInt32BE(milliseconds - high * 2 ** 32, position + 4)
  return position + 8
}

function writeString(position: number, value: string): number {
  if (value.length > KEY_BYTES_MAX) throw tooLarge(position + Buffer.byteLength(value))
  scratch[position] = Tag.text
  const end = writeText(scratch, position + 1, value)
  if (end < 0) throw new ValidationError('text with a lone surrogate cannot be indexed')
  if (!value.includes('\0')) {
    scratch[end] = 0
    return end + 1
  }
  const length = end - position - 1
  scratch.copy(unescaped, 0, position + 1, end)
  return writeEscaped(position + 1, unescaped, 0, length)
}

function writeEscaped(position: number, bytes: Uint8Array, start: number, end: number): number {
  let at = position
  for (let index = start; index < end; index++) {
    const byte = bytes[index]!
    scratch[at++] = byte
    if (byte === 0) scratch[at++] = ESCAPE
  }
  scratch[at++] = 0
  return at
}

export interface IndexKey {
  readonly values: IndexValue[]
  /** Undefined in a unique index. */
  readonly id: Id | undefined
}

/** @throws EncodingCorruptError unless [start, end) is a key as `encodeIndexKey` makes it */
export function decodeIndexKey(bytes: Uint8Array, start: number, end: number): IndexKey {
  const buffer = asTextBuffer(bytes)
  const values: IndexValue[] = []
  let position = start
  while (position < end && bytes[position]! < ID_TAG_FIRST) {
    const next = skipValue(bytes, start, position, end)
    values.push(readValue(buffer, start, position, next))
    position = next
  }
  return { values, id: position < end ? decodeId(bytes, position, end) : undefined }
}

/** Only the id of an index key that has one; the values are passed over unread. */
export function idOf(bytes: Uint8Array, start: number, end: number): Id {
  let position = start
  while (position < end && bytes[position]! < ID_TAG_FIRST) {
    position = skipValue(bytes, start, position, end)
  }
  return decodeId(bytes, position, end)
}

/** Where the value ends, by its tag and length alone; never beyond `end`. */
function skipValue(bytes: Uint8Array, start: number, position: number, end: number): number {
  const next = position + valueLength(bytes, start, position, end)
  if (next > end) throw corrupt(position - start, `${next - position} bytes`, end - position)
  return next
}

function valueLength(bytes: Uint8Array, start: number, position: number, end: number): number {
  switch (bytes[position]!) {
    case Tag.null:
      return 1
    case Tag.boolean:
      return 2
    case Tag.number:
      return 9
    case Tag.bigint:
      return 3 + bigintLength(bytes, start, position, end)
    case Tag.date:
      return 8
    case Tag.text:
    case Tag.bytes:
      return escapedLength(bytes, start, position, end)
    default:
      throw corrupt(position - start, 'the tag of a value', bytes[position]!)
  }
}

function bigintLength(bytes: Uint8Array, start: number, position: number, end: number): number {
  if (position + 3 > end) throw corrupt(position - start, '3 bytes', end - position)
  const biased = (bytes[position + 1]! << 8) | bytes[position + 2]!
  return biased >= BIGINT_LENGTH_BIAS
    ? biased - BIGINT_LENGTH_BIAS
    : 0xffff - biased - BIGINT_LENGTH_BIAS
}

/** With the tag and the terminator. */
function escapedLength(bytes: Uint8Array, start: number, position: number, end: number): number {
  for (let index = position + 1; index < end; index++) {
    if (bytes[index] !== 0) continue
    if (index + 1 >= end || bytes[index + 1] !== ESCAPE) return index + 1 - position
    index++
  }
  throw corrupt(position - start, 'a terminator', 'none')
}

/** The value of [position, next), which `skipValue` has measured. */
function readValue(buffer: TextBuffer, start: number, position: number, next: number): IndexValue {
  switch (buffer[position]!) {
    case Tag.null:
      return null
    case Tag.boolean: {
      const byte = buffer[position + 1]!
      if (byte > 1) throw corrupt(position + 1 - start, '0 or 1', byte)
      return byte === 1
    }
    case Tag.number:
      return readNumber(buffer, start, position)
    case Tag.bigint:
      return readBigint(buffer, start, position, next)
    case Tag.date:
      return readDate(buffer, start, position)
    case Tag.text: {
      const length = readEscaped(buffer, start, position, next)
      const text = readText(unescaped, 0, length)
      if (text === undefined) throw corrupt(position + 1 - start, 'UTF-8', 'something else')
      return text
    }
    default: {
      const length = readEscaped(buffer, start, position, next)
      return heapCopy(unescaped, 0, length)
    }
  }
}

function readNumber(buffer: TextBuffer, start: number, position: number): number {
  const negative = buffer[position + 1]! < 0x80
  for (let index = 1; index <= 8; index++) {
    const byte = buffer[position + index]!
    scratch[index] = negative ? ~byte : byte
  }
  if (!negative) scratch[1]! &= 0x7f
  const value = doubles.getFloat64(1)
  if (Number.isNaN(value) || Object.is(value, -0)) {
    throw corrupt(position + 1 - start, 'a number that can be indexed', String(value))
  }
  return value
}

function readBigint(buffer: TextBuffer, start: number, position: number, next: number): bigint {
  const negative = buffer[position + 1]! < 0x80
  const length = next - position - 3
  if (length > KEY_BYTES_MAX)
    throw corrupt(position + 1 - start, `at most ${KEY_BYTES_MAX} bytes`, length)
  for (let index = 0; index < length; index++) {
    const byte = buffer[position + 3 + index]!
    scratch[index] = negative ? ~byte : byte
  }
  const minimal = length === 0 ? !negative : scratch[0] !== 0
  if (!minimal) throw corrupt(position + 1 - start, 'a bigint in as few bytes as do', length)
  const magnitude = readMagnitude(scratch, 0, length)
  return negative ? -magnitude : magnitude
}

function readDate(buffer: TextBuffer, start: number, position: number): Date {
  const high = buffer.readUIntBE(position + 1, 3) - DATE_BIAS_HIGH
  const milliseconds = high * 2 ** 32 + buffer.readUInt32BE(position + 4)
  if (Math.abs(milliseconds) > DATE_MILLISECONDS_MAX) {
    throw corrupt(position + 1 - start, 'a date', milliseconds)
  }
  return new Date(milliseconds)
}

/** Unescapes the text or bytes of [position, next) and returns how many there are. */
function readEscaped(buffer: TextBuffer, start: number, position: number, next: number): number {
  if (next - position > KEY_BYTES_MAX) {
    throw corrupt(position - start, `at most ${KEY_BYTES_MAX} bytes`, next - position)
  }
  let length = 0
  for (let index = position + 1; index < next - 1; index++) {
    const byte = buffer[index]!
    unescaped[length++] = byte
    if (byte === 0) index++
  }
  return length
}

function corrupt(offset: number, expected: string, actual: string | number): EncodingCorruptError {
  return new EncodingCorruptError('an index key', offset, expected, actual)
}
