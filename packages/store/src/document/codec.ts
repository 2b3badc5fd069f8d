/**
 * Documents to bytes and back, for one collection. One codec belongs to one thread; what it writes, any thread
 * can read whose `ShapeStore` knows the collection's shapes.
 *
 * An own codec, since decoding decides how quick a random `get` is. A document of 160 B out of shared memory, in
 * microseconds, decode / encode: JSON 0.75 / 0.9; msgpackr 0.80 / 0.58; msgpackr with shared
 * structures 0.52 / 0.51 (both must copy to the heap first); this 0.20 / 0.51, without code
 * generation 0.30 / 0.51. And none of the others refuses what it cannot bring back, or is made
 * for bytes that mean harm.
 */
import { ValidationError } from './errors.ts'
import type { Fields } from './format.ts'
import { DocumentReader } from './reader.ts'
import { ShapeFinder, type ShapeStore } from './shapes.ts'
import { DocumentWriter } from './writer.ts'

const SCHEMA_VERSION_MAX = 0xffff_ffff

export class DocumentCodec {
  readonly #reader: DocumentReader
  readonly #shapes: ShapeFinder
  /** Undefined while it is at work. */
  #writer: DocumentWriter | undefined

  constructor(shapes: ShapeStore) {
    this.#reader = new DocumentReader(shapes)
    this.#shapes = new ShapeFinder(shapes)
  }

  /**
   * @param document a plain object; see `writer.ts` for what may stand in it
   * @throws ValidationError with the path of what cannot be stored; StoreTooLargeError beyond VALUE_BYTES_MAX
   */
  encode(document: object, schemaVersion: number): Buffer {
    if (schemaVersion >>> 0 !== schemaVersion) {
      throw new ValidationError(`a schema version is from 0 to ${SCHEMA_VERSION_MAX}`, {
        schemaVersion,
      })
    }
    // A getter of the document may come here again while this writer is at work; it then finds none and
    // makes its own. After an error the writer is dropped with whatever it held.
    const writer = this.#writer ?? new DocumentWriter(this.#shapes)
    this.#writer = undefined
    const bytes = writer.document(document, schemaVersion)
    this.#writer = writer
    return bytes
  }

  /**
   * The document of [start, end), which may be shared memory: the result does not alias it.
   * @throws EncodingCorruptError; UnknownShapeError when the shape store does not know (yet) a shape of it
   */
  decode(bytes: Buffer, start: number, end: number): Fields {
    return this.#reader.document(bytes, start, end)
  }

  /** Of the document decoded last. */
  get schemaVersion(): number {
    return this.#reader.schemaVersion
  }
}
