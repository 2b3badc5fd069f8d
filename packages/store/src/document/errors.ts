/**
 * What can be wrong with a document, an id or a key, and with the bytes of one.
 */
import { type ErrorFacts, RingboltError } from '@ringbolt/ring'

/** A document, id or value that the store does not take; nothing was changed. `RINGBOLT_VALIDATION` */
export class ValidationError extends RingboltError {
  /**
   * @param problem in plain words, with the place in front where there is one: "user.tags[3]: …"
   * @param facts `collection`, `path`, `field`, `id`, as far as they are known
   */
  constructor(problem: string, facts: ErrorFacts = {}, cause?: unknown) {
    super('RINGBOLT_VALIDATION', problem, facts, cause)
  }
}

/**
 * Bytes of a key or a document that no encoder of this version makes. They come out of pages whose checksums
 * were right, so this is a bug or an attack; who knows the page adds it as he passes the error on.
 * `RINGBOLT_CORRUPT`
 */
export class EncodingCorruptError extends RingboltError {
  /** @param offset of the byte, from the start of the key or document */
  constructor(what: string, offset: number, expected: string | number, actual: string | number) {
    super('RINGBOLT_CORRUPT', `${what} at byte ${offset}: ${actual}, expected ${expected}`, {
      what,
      offset,
      expected,
      actual,
    })
  }
}

/**
 * A document of a shape that this thread does not know yet. Not an error of the user's: the caller refreshes
 * his `ShapeStore` and decodes again; a shape that is unknown then too is corruption.
 */
export class UnknownShapeError extends Error {
  readonly shapeId: number

  constructor(shapeId: number) {
    super(`shape ${shapeId} is not known here`)
    this.name = 'UnknownShapeError'
    this.shapeId = shapeId
  }
}
