/**
 * Documents to bytes; the layout stands in `format.ts`. What cannot come back as it is, is refused with its path:
 * functions, symbols, text with lone surrogates, invalid dates, and objects of classes other than Date, Map,
 * Set and Uint8Array. Of an object its own enumerable properties count, undefined ones included; of an array its
 * elements, holes being undefined. A Buffer comes back as a Uint8Array, a subclass as its base.
 *
 * A getter or proxy of the document may call the store, and so the encoder, again: see `DocumentCodec`.
 */
import { types } from 'node:util'
import { StoreTooLargeError } from '../errors.ts'
import { VALUE_BYTES_MAX } from '../sequencer/command.ts'
import { magnitudeDigits, type TextBuffer, textBuffer } from './bytes.ts'
import type { ValidationError } from './errors.ts'
import {
  BLOCK_TEXT_LENGTH_MAX,
  DOCUMENT_FORMAT,
  type Fields,
  NESTING_MAX,
  SHORT_ARRAY_LENGTH_MAX,
  SHORT_TEXT_LENGTH_MAX,
  TAG_SHORT_ARRAY,
  TAG_SHORT_TEXT,
  Tag,
  TEXT_BLOCK_BYTES_MAX,
} from './format.ts'
import { kindOf, nestingRefusal, pathText, refusal } from './refusals.ts'
import type { ShapeFinder } from './shapes.ts'

/**
 * Documents are written into a slab, one behind another, and given out as views of it, so that a small one costs
 * no allocation of bytes. A view that is kept keeps the slab.
 */
const SLAB_BYTES = 32 * 1024
/** The longest fixed part of a value: tag and double, or tag and varint. */
const FIXED_BYTES_MAX = 9
/** Format, schema version and length of the text block. */
const HEADER_BYTES_MAX = 8

/** The largest document, and room for the longest header and for estimates of what is still to come. */
const CAPACITY_MAX: number = VALUE_BYTES_MAX + HEADER_BYTES_MAX + 2 * FIXED_BYTES_MAX

const double = new Float64Array(1)
const doubleBytes = new Uint8Array(double.buffer)

/** Up to it, a loop over the characters beats the call into the runtime. */
const LOOP_LENGTH_MAX = 40

/** Up to it, a loop over words beats it. */
const WORDS_LENGTH_MAX = 256

const nothing: object = Object.freeze({})

export class DocumentWriter {
  readonly #shapes: ShapeFinder
  #bytes: TextBuffer = textBuffer(SLAB_BYTES)
  #view = viewOf(this.#bytes)
  #start = 0
  #position = 0
  /** The text block; behind it, room to try a text that may turn out not to be ASCII. */
  readonly #text: TextBuffer = textBuffer(TEXT_BLOCK_BYTES_MAX + 2 * BLOCK_TEXT_LENGTH_MAX)
  readonly #textView = viewOf(this.#text)
  #textPosition = 0
  #depth = 0
  /** The document, for the explanation of a refusal. */
  #root: object = nothing
  /** The key at each level on the way to the value that is being written. */
  readonly #path: (string | number)[] = []

  constructor(shapes: ShapeFinder) {
    this.#shapes = shapes
  }

  document(document: object, schemaVersion: number): Buffer {
    this.#textPosition = 0
    this.#depth = 0
    this.#root = document
    if (this.#position + HEADER_BYTES_MAX > this.#bytes.length) this.#grow(HEADER_BYTES_MAX)
    if (!isFields(document)) {
      throw this.#refusal(`a document must be an object, not ${kindOf(document)}`)
    }
    this.#tag(DOCUMENT_FORMAT)
    this.#varint(schemaVersion)
    const textLengthOffset = this.#position - this.#start
    this.#position += 2
    this.#object(document)
    this.#root = nothing
    // The slab may be another one now.
    this.#bytes[this.#start + textLengthOffset] = this.#textPosition
    this.#bytes[this.#start + textLengthOffset + 1] = this.#textPosition >>> 8
    return this.#finish()
  }

  /** Puts the text block behind the values and gives the document out of the slab. */
  #finish(): Buffer {
    const textLength = this.#textPosition
    if (this.#position + textLength + 3 > this.#bytes.length) this.#grow(textLength + 3)
    this.#copyText(textLength)
    const end = this.#position + textLength
    const length = end - this.#start
    if (length > VALUE_BYTES_MAX) throw new StoreTooLargeError('document', length, VALUE_BYTES_MAX)
    const document = this.#bytes.subarray(this.#start, end)
    this.#start = end
    this.#position = end
    if (this.#bytes.length > SLAB_BYTES) this.#take(textBuffer(SLAB_BYTES), 0)
    return document
  }

  #copyText(length: number): void {
    if (length > WORDS_LENGTH_MAX) {
      this.#text.copy(this.#bytes, this.#position, 0, length)
      return
    }
    // Up to 3 bytes too many, which the next document overwrites.
    const position = this.#position
    for (let at = 0; at < length; at += 4) {
      this.#view.setUint32(position + at, this.#textView.getUint32(at))
    }
  }

  #value(value: unknown): void {
    if (this.#position + FIXED_BYTES_MAX > this.#bytes.length) this.#grow(FIXED_BYTES_MAX)
    // Not a switch: that asks the runtime for the type's name.
    if (typeof value === 'string') this.#string(value)
    else if (typeof value === 'number') this.#number(value)
    else if (typeof value === 'boolean') this.#tag(value ? Tag.true : Tag.false)
    else if (value === null) this.#tag(Tag.null)
    else if (value === undefined) this.#tag(Tag.undefined)
    else if (typeof value === 'object') this.#composite(value)
    else if (typeof value === 'bigint') this.#bigint(value)
    else throw this.#refusal(`a ${typeof value} cannot be stored`)
  }

  #tag(tag: number): void {
    this.#bytes[this.#position++] = tag
  }

  #number(value: number): void {
    const bytes = this.#bytes
    // -0 is the one integer that needs a double.
    if ((value | 0) === value && (value !== 0 || 1 / value > 0)) {
      if (value >= 0 && value < TAG_SHORT_TEXT) bytes[this.#position++] = value
      else if (value >= 0 && value < 0x1_0000) {
        bytes[this.#position++] = Tag.u16
        bytes[this.#position++] = value
        bytes[this.#position++] = value >>> 8
      } else this.#u32(value < 0 ? Tag.negative : Tag.u32, Math.abs(value))
    } else if (value > 0 && value <= 0xffff_ffff && value >>> 0 === value) {
      this.#u32(Tag.u32, value)
    } else {
      this.#double(Tag.double, value)
    }
  }

  #u32(tag: number, value: number): void {
    const bytes = this.#bytes
    bytes[this.#position++] = tag
    bytes[this.#position++] = value
    bytes[this.#position++] = value >>> 8
    bytes[this.#position++] = value >>> 16
    bytes[this.#position++] = value >>> 24
  }

  #double(tag: number, value: number): void {
    this.#bytes[this.#position++] = tag
    double[0] = value
    for (let index = 0; index < 8; index++) this.#bytes[this.#position++] = doubleBytes[index]!
  }

  #varint(value: number): void {
    let rest = value
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) {
      this.#bytes[this.#position++] = (rest % 0x80) + 0x80
    }
    this.#bytes[this.#position++] = rest
  }

  #string(text: string): void {
    const length = text.length
    if (length > BLOCK_TEXT_LENGTH_MAX || this.#textPosition + length > TEXT_BLOCK_BYTES_MAX) {
      return this.#inlineText(text)
    }
    const from = this.#textPosition
    const block = this.#text
    if (length > LOOP_LENGTH_MAX && block.utf8Write(text, from, 3 * length) === length) {
      // As many bytes as units: ASCII.
      this.#textPosition = from + length
      return this.#blockTag(length)
    }
    for (let index = 0; index < length; index++) {
      const unit = text.charCodeAt(index)
      if (unit > 0xff) return this.#inlineText(text)
      block[from + index] = unit
    }
    this.#textPosition = from + length
    this.#blockTag(length)
  }

  #blockTag(length: number): void {
    if (length <= SHORT_TEXT_LENGTH_MAX) return this.#tag(TAG_SHORT_TEXT + length)
    this.#tag(Tag.blockText)
    this.#varint(length)
  }

  #inlineText(text: string): void {
    if (!text.isWellFormed()) throw this.#refusal('text with a lone surrogate cannot be stored')
    // Exact lengths only when it matters: counting is a walk over the text.
    const byteLength = Buffer.byteLength(text)
    this.#grow(FIXED_BYTES_MAX + byteLength)
    const isAscii = byteLength === text.length
    this.#tag(isAscii ? Tag.latin1 : Tag.utf8)
    this.#varint(byteLength)
    if (isAscii) this.#bytes.latin1Write(text, this.#position, byteLength)
    else this.#bytes.utf8Write(text, this.#position, byteLength)
    this.#position += byteLength
  }

  #bigint(value: bigint): void {
    const digits = magnitudeDigits(value < 0n ? -value : value)
    const length = digits.length / 2
    this.#grow(FIXED_BYTES_MAX + length)
    this.#tag(value < 0n ? Tag.negativeBigint : Tag.bigint)
    this.#varint(length)
    this.#bytes.hexWrite(digits, this.#position, length)
    this.#position += length
  }

  #composite(value: object): void {
    if (Array.isArray(value)) this.#array(value)
    else if (isPlain(value)) this.#object(value)
    else if (types.isDate(value)) this.#date(value)
    else if (types.isUint8Array(value)) this.#rawBytes(value)
    else if (types.isMap(value)) this.#map(value)
    else if (types.isSet(value)) this.#set(value)
    else throw this.#refusal(`${kindOf(value)} cannot be stored`)
  }

  #object(object: Fields): void {
    this.#descend()
    const keys = Object.keys(object)
    const shape = this.#shapes.find(keys)
    if (shape === 0) this.#unshaped(object, keys)
    else this.#shaped(object, keys, shape)
    this.#depth--
  }

  #shaped(object: Fields, keys: readonly string[], shape: number): void {
    const step = this.#depth - 1
    this.#tag(Tag.shaped)
    this.#tag(shape)
    for (let index = 0; index < keys.length; index++) {
      const key = keys[index]!
      this.#path[step] = key
      this.#value(object[key])
    }
  }

  #unshaped(object: Fields, keys: readonly string[]): void {
    const step = this.#depth - 1
    this.#tag(Tag.object)
    this.#varint(keys.length)
    for (let index = 0; index < keys.length; index++) {
      const key = keys[index]!
      this.#path[step] = key
      this.#value(key)
      this.#value(object[key])
    }
  }

  #array(values: readonly unknown[]): void {
    this.#descend()
    const step = this.#depth - 1
    const length = values.length
    if (length <= SHORT_ARRAY_LENGTH_MAX) this.#tag(TAG_SHORT_ARRAY + length)
    else {
      this.#tag(Tag.array)
      this.#varint(length)
    }
    for (let index = 0; index < length; index++) {
      this.#path[step] = index
      this.#value(values[index])
    }
    this.#depth--
  }

  #map(map: ReadonlyMap<unknown, unknown>): void {
    this.#descend()
    const step = this.#depth - 1
    const size = map.size
    this.#tag(Tag.map)
    this.#varint(size)
    let index = 0
    for (const [key, value] of map) {
      this.#path[step] = index++
      this.#value(key)
      this.#value(value)
    }
    this.#checkCount(index, size)
    this.#depth--
  }

  #set(set: ReadonlySet<unknown>): void {
    this.#descend()
    const step = this.#depth - 1
    const size = set.size
    this.#tag(Tag.set)
    this.#varint(size)
    let index = 0
    for (const value of set) {
      this.#path[step] = index++
      this.#value(value)
    }
    this.#checkCount(index, size)
    this.#depth--
  }

  /** A getter further down may have changed the collection that is being walked. */
  #checkCount(written: number, announced: number): void {
    if (written !== announced) throw this.#refusal('changed while it was being stored')
  }

  #date(date: Date): void {
    const milliseconds = date.getTime()
    if (Number.isNaN(milliseconds)) throw this.#refusal('an invalid date cannot be stored')
    this.#double(Tag.date, milliseconds)
  }

  #rawBytes(bytes: Uint8Array): void {
    this.#grow(FIXED_BYTES_MAX + bytes.length)
    this.#tag(Tag.bytes)
    this.#varint(bytes.length)
    this.#bytes.set(bytes, this.#position)
    this.#position += bytes.length
  }

  #descend(): void {
    if (this.#depth === NESTING_MAX) throw nestingRefusal(this.#root)
    this.#depth++
    this.#path[this.#depth - 1] = ''
    // Each container begins with a tag and a varint at most.
    if (this.#position + FIXED_BYTES_MAX > this.#bytes.length) this.#grow(FIXED_BYTES_MAX)
  }

  /** Makes room for so many bytes, within what a document may have. */
  #grow(byteLength: number): void {
    if (this.#position + byteLength <= this.#bytes.length) return
    const written = this.#position - this.#start
    const needed = written + byteLength
    if (needed > CAPACITY_MAX) {
      const what = `document, counted up to ${pathText(this.#path, this.#depth)},`
      throw new StoreTooLargeError(what, needed, VALUE_BYTES_MAX)
    }
    const capacity = Math.max(SLAB_BYTES, needed, Math.min(2 * written, CAPACITY_MAX))
    const slab = textBuffer(capacity)
    this.#bytes.copy(slab, 0, this.#start, this.#position)
    this.#take(slab, written)
  }

  #take(slab: TextBuffer, position: number): void {
    this.#bytes = slab
    this.#view = viewOf(slab)
    this.#start = 0
    this.#position = position
  }

  #refusal(problem: string): ValidationError {
    return refusal(problem, pathText(this.#path, this.#depth))
  }
}

/** What the types say of a document, but callers without types need not heed. */
function isFields(document: unknown): document is Fields {
  return (
    typeof document === 'object' &&
    document !== null &&
    !Array.isArray(document) &&
    isPlain(document)
  )
}

function isPlain(value: object): value is Fields {
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype === Object.prototype || prototype === null) return true
  // Another realm's (`node:vm`, test runners) Object.prototype.
  return (
    typeof prototype === 'object' &&
    Object.getPrototypeOf(prototype) === null &&
    Object.hasOwn(prototype, 'isPrototypeOf')
  )
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
