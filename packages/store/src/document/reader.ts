/**
 * Bytes to documents; the layout stands in `format.ts`. Bytes are hostile: each length is checked against what
 * remains before it is used, nothing is allocated that its bytes do not pay for, nesting is bounded, and
 * what is left over at the end is an error. Nothing that is returned aliases the bytes.
 */
import { asTextBuffer, heapCopy, readMagnitude, readText, type TextBuffer } from './bytes.ts'
import { EncodingCorruptError, UnknownShapeError } from './errors.ts'
import {
  DOCUMENT_FORMAT,
  type Fields,
  NESTING_MAX,
  SHORT_TEXT_LENGTH_MAX,
  TAG_SHORT_ARRAY,
  TAG_SHORT_TEXT,
  Tag,
  TEXT_BLOCK_BYTES_MAX,
} from './format.ts'
import {
  SHAPE_KEYS_MAX,
  SHAPES_MAX,
  type ShapeReader,
  type ShapeStore,
  setField,
  shapeReader,
} from './shapes.ts'

const TAG_SHORT_TEXT_LAST: number = TAG_SHORT_TEXT + SHORT_TEXT_LENGTH_MAX
const DATE_MILLISECONDS_MAX = 8.64e15
const VARINT_SHIFT_MAX = 28

const noBytes: TextBuffer = asTextBuffer(new Uint8Array(0))
const double = new Float64Array(1)
const doubleBytes = new Uint8Array(double.buffer)

export class DocumentReader {
  /** Of the document read last. */
  schemaVersion = 0
  readonly #shapes: ShapeStore
  /** By shape id. */
  readonly #shapeReaders: (ShapeReader | undefined)[] = new Array(SHAPES_MAX + 1).fill(undefined)
  #bytes: TextBuffer = noBytes
  #start = 0
  #position = 0
  /** Of the values: where the text block begins. */
  #end = 0
  #text = ''
  #textPosition = 0
  #depth = 0

  constructor(shapes: ShapeStore) {
    this.#shapes = shapes
  }

  document(bytes: Buffer, start: number, end: number): Fields {
    this.#open(bytes, start, end)
    this.schemaVersion = this.#varint()
    const textLength = this.#u16()
    if (textLength > end - this.#position || textLength > TEXT_BLOCK_BYTES_MAX) {
      throw this.#corrupt('a text block that fits', textLength)
    }
    this.#end = end - textLength
    this.#text = textLength === 0 ? '' : this.#bytes.latin1Slice(this.#end, end)
    this.#textPosition = 0
    this.#depth = 0
    const document = this.#root()
    if (this.#position !== this.#end || this.#textPosition !== textLength) {
      throw this.#corrupt('the end of the document', 'more bytes')
    }
    // They may be a large value's copy, which nobody else holds any more.
    this.#bytes = noBytes
    return document
  }

  #open(bytes: Buffer, start: number, end: number): void {
    // The raw methods are there in every Buffer.
    // oxlint-disable-next-line no-unsafe-type-assertion
    this.#bytes = bytes as TextBuffer
    this.#start = start
    this.#position = start
    this.#end = end
    const format = this.#byte()
    if (format !== DOCUMENT_FORMAT) throw this.#corrupt(`format ${DOCUMENT_FORMAT}`, format)
  }

  #root(): Fields {
    const tag = this.#byte()
    if (tag === Tag.shaped) return this.#shaped()
    if (tag === Tag.object) return this.#object()
    throw this.#corrupt('an object', tag)
  }

  /** The next value. For shape readers; they are called by this reader only. */
  value(): unknown {
    const tag = this.#byte()
    if (tag < TAG_SHORT_TEXT) return tag
    if (tag <= TAG_SHORT_TEXT_LAST) return this.#blockText(tag - TAG_SHORT_TEXT)
    if (tag >= TAG_SHORT_ARRAY) return this.#array(tag - TAG_SHORT_ARRAY)
    return this.#tagged(tag)
  }

  #tagged(tag: number): unknown {
    switch (tag) {
      case Tag.blockText:
        return this.#blockText(this.#varint())
      case Tag.latin1:
        return this.#latin1()
      case Tag.utf8:
        return this.#utf8()
      case Tag.null:
        return null
      case Tag.undefined:
        return undefined
      case Tag.false:
        return false
      case Tag.true:
        return true
      case Tag.u16:
        return this.#u16()
      case Tag.u32:
        return this.#u32()
      case Tag.negative:
        return -this.#u32()
      case Tag.double:
        return this.#double()
      default:
        return this.#composite(tag)
    }
  }

  #composite(tag: number): unknown {
    switch (tag) {
      case Tag.bigint:
        return this.#bigint()
      case Tag.negativeBigint:
        return -this.#bigint()
      case Tag.date:
        return this.#date()
      case Tag.bytes: {
        const from = this.#take(this.#varint())
        return heapCopy(this.#bytes, from, this.#position)
      }
      case Tag.map:
        return this.#map()
      case Tag.set:
        return this.#set()
      case Tag.object:
        return this.#object()
      case Tag.shaped:
        return this.#shaped()
      case Tag.array:
        return this.#array(this.#count(1))
      default:
        throw this.#corrupt('a tag', tag)
    }
  }

  #byte(): number {
    if (this.#position >= this.#end) throw this.#corrupt('more bytes', 'the end')
    return this.#bytes[this.#position++]!
  }

  /** Passes over so many bytes; returns where they begin. */
  #take(length: number): number {
    const from = this.#position
    if (length > this.#end - from) throw this.#corrupt(`${length} bytes`, this.#end - from)
    this.#position = from + length
    return from
  }

  #varint(): number {
    let value = 0
    for (let shift = 0; shift <= VARINT_SHIFT_MAX; shift += 7) {
      const byte = this.#byte()
      value += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) return value
    }
    throw this.#corrupt('a number of at most 5 bytes', 'a longer one')
  }

  /** A count of elements that take so many bytes each at least. */
  #count(bytesEach: number): number {
    const count = this.#varint()
    if (count * bytesEach > this.#end - this.#position) {
      throw this.#corrupt(`room for ${count} elements`, this.#end - this.#position)
    }
    return count
  }

  #u16(): number {
    const from = this.#take(2)
    return this.#bytes[from]! | (this.#bytes[from + 1]! << 8)
  }

  #u32(): number {
    const from = this.#take(4)
    const bytes = this.#bytes
    const low = bytes[from]! | (bytes[from + 1]! << 8) | (bytes[from + 2]! << 16)
    return low + bytes[from + 3]! * 0x100_0000
  }

  #double(): number {
    const from = this.#take(8)
    for (let index = 0; index < 8; index++) doubleBytes[index] = this.#bytes[from + index]!
    return double[0]!
  }

  #date(): Date {
    const milliseconds = this.#double()
    if (!Number.isInteger(milliseconds) || Math.abs(milliseconds) > DATE_MILLISECONDS_MAX) {
      throw this.#corrupt('a date', milliseconds)
    }
    return new Date(milliseconds)
  }

  #bigint(): bigint {
    const from = this.#take(this.#varint())
    if (from < this.#position && this.#bytes[from] === 0) {
      throw this.#corrupt('a bigint without leading zeros', 0)
    }
    return readMagnitude(this.#bytes, from, this.#position)
  }

  #blockText(length: number): string {
    const from = this.#textPosition
    const to = from + length
    if (to > this.#text.length)
      throw this.#corrupt(`${length} characters of the text block`, 'less')
    this.#textPosition = to
    return this.#text.substring(from, to)
  }

  #latin1(): string {
    const from = this.#take(this.#varint())
    return this.#bytes.latin1Slice(from, this.#position)
  }

  #utf8(): string {
    const from = this.#take(this.#varint())
    const text = readText(this.#bytes, from, this.#position)
    if (text === undefined) throw this.#corrupt('UTF-8', 'something else')
    return text
  }

  #array(length: number): unknown[] {
    this.#descend()
    const values = length === 2 ? [this.value(), this.value()] : this.#values(length)
    this.#depth--
    return values
  }

  /** Grown as its bytes are read: a length is not to be trusted with an allocation. */
  #values(length: number): unknown[] {
    const values: unknown[] = []
    for (let index = 0; index < length; index++) values.push(this.value())
    return values
  }

  #object(): Fields {
    this.#descend()
    const count = this.#count(2)
    const fields: Fields = {}
    for (let index = 0; index < count; index++) {
      const key = this.value()
      if (typeof key !== 'string') throw this.#corrupt('a key', typeof key)
      setField(fields, key, this.value())
    }
    this.#depth--
    return fields
  }

  #shaped(): Fields {
    this.#descend()
    const id = this.#byte()
    const read = this.#shapeReaders[id] ?? this.#learn(id)
    const fields = read(this)
    this.#depth--
    return fields
  }

  #learn(id: number): ShapeReader {
    const keys = this.#shapes.shape(id)
    if (keys === undefined) throw new UnknownShapeError(id)
    if (keys.length > SHAPE_KEYS_MAX) {
      throw this.#corrupt(`a shape of at most ${SHAPE_KEYS_MAX} keys`, keys.length)
    }
    const read = shapeReader(keys)
    this.#shapeReaders[id] = read
    return read
  }

  #map(): Map<unknown, unknown> {
    this.#descend()
    const count = this.#count(2)
    const map = new Map<unknown, unknown>()
    for (let index = 0; index < count; index++) map.set(this.value(), this.value())
    this.#depth--
    return map
  }

  #set(): Set<unknown> {
    this.#descend()
    const count = this.#count(1)
    const set = new Set<unknown>()
    for (let index = 0; index < count; index++) set.add(this.value())
    this.#depth--
    return set
  }

  #descend(): void {
    if (++this.#depth > NESTING_MAX) throw this.#corrupt(`at most ${NESTING_MAX} levels`, 'more')
  }

  #corrupt(expected: string, actual: string | number): EncodingCorruptError {
    return new EncodingCorruptError('a document', this.#position - this.#start, expected, actual)
  }
}
