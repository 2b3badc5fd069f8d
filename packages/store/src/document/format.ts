/**
 * Documents as bytes.
 *
 *   u8      format, 1
 *   varint  schema version
 *   u16     length of the text block
 *   value   the document, an object
 *   text    the text block, to the end: the short texts of the document, one after another, latin1
 *
 * The text block is why decoding is quick: one call into the runtime makes one string of it, and the document's
 * texts are cut out of that. Texts that do not fit stand in their places; it is bounded so that a text
 * that someone keeps holds no more than that alive.
 *
 * A value begins with a tag:
 *
 *   00…7f  the integers 0 to 127
 *   80…bf  text of 0 to 63 characters, the next in the text block
 *   c0     text of the text block: varint length
 *   c1     text in latin1: varint length, bytes
 *   c2     text in UTF-8: varint length in bytes, bytes
 *   c3     null         c4  undefined      c5  false      c6  true
 *   c7     u16          c8  u32            c9  u32, to be negated        ca  double, 8 bytes
 *   cb     bigint: varint length, magnitude, big-endian without leading zeros      cc  the same, negative
 *   cd     date: double, milliseconds since 1970
 *   ce     bytes: varint length, bytes
 *   cf     map: varint count, keys and values in turn        d0  set: varint count, values
 *   d1     object: varint count, keys (as text values) and values in turn
 *   d2     object of a shape: u8 shape id, the values
 *   d3     array: varint count, values
 *   e0…ff  array of 0 to 31 values
 *
 * Numbers are little-endian; varints have 7 bits a byte, the lowest first, at most 5 bytes.
 *
 * A shape is a list of keys that many objects of a collection have; it has an id of its own in the catalog.
 */
export const DOCUMENT_FORMAT = 1

/** Of objects, arrays, maps and sets in one another; the document itself is the first level. */
export const NESTING_MAX = 512

export const TEXT_BLOCK_BYTES_MAX = 4096
/** Longer texts stand in their places. */
export const BLOCK_TEXT_LENGTH_MAX = 255

export const TAG_SHORT_TEXT = 0x80
export const SHORT_TEXT_LENGTH_MAX = 63
export const TAG_SHORT_ARRAY = 0xe0
export const SHORT_ARRAY_LENGTH_MAX = 31

export const Tag = {
  blockText: 0xc0,
  latin1: 0xc1,
  utf8: 0xc2,
  null: 0xc3,
  undefined: 0xc4,
  false: 0xc5,
  true: 0xc6,
  u16: 0xc7,
  u32: 0xc8,
  negative: 0xc9,
  double: 0xca,
  bigint: 0xcb,
  negativeBigint: 0xcc,
  date: 0xcd,
  bytes: 0xce,
  map: 0xcf,
  set: 0xd0,
  object: 0xd1,
  shaped: 0xd2,
  array: 0xd3,
} as const

/** A document as it is decoded: an object of its own, whose prototype is Object's. */
export type Fields = Record<string, unknown>
