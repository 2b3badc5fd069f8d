/**
 * The one error base of Ringbolt's packages.
 *
 * `code` is the contract: it never changes between major versions, messages may. Facts stand in
 * fields, so that a program need not parse a message. The brand is a registered symbol, so that two
 * copies of a package recognise each other's errors. Structured clone drops both symbols and fields
 * from errors; `errorToPlain` and `errorFromPlain` carry them between threads.
 */
const brand: unique symbol = Symbol.for('ringbolt.error')

/** What an error says beyond its message: numbers, paths and names, by field. */
export type ErrorFacts = Readonly<Record<string, string | number | boolean | null>>

export class RingboltError extends Error {
  readonly code: string
  readonly facts: ErrorFacts
  readonly [brand] = true

  constructor(code: string, message: string, facts: ErrorFacts = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.code = code
    this.facts = facts
    this.name = new.target.name
  }
}

/** True for errors of any copy of any Ringbolt package. */
export function isRingboltError(value: unknown): value is RingboltError {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, brand)
}

/** An error as data: survives `postMessage` and JSON. */
export interface PlainError {
  readonly name: string
  readonly message: string
  readonly code: string | null
  readonly facts: ErrorFacts
  readonly cause: PlainError | null
}

const CAUSE_DEPTH_MAX = 8

export function errorToPlain(error: unknown, depth = 0): PlainError {
  if (!(error instanceof Error)) {
    return { name: 'Error', message: String(error), code: null, facts: {}, cause: null }
  }
  const code = 'code' in error && typeof error.code === 'string' ? error.code : null
  const cause =
    error.cause === undefined || depth >= CAUSE_DEPTH_MAX
      ? null
      : errorToPlain(error.cause, depth + 1)
  const facts = isRingboltError(error) ? error.facts : {}
  return { name: error.name, message: error.message, code, facts, cause }
}

const misuse = new Map<string, ErrorConstructor>([
  ['RangeError', RangeError],
  ['TypeError', TypeError],
])

/** A branded error again when it was one; otherwise an error that keeps its name and code. */
export function errorFromPlain(plain: PlainError): Error {
  const cause = plain.cause === null ? undefined : errorFromPlain(plain.cause)
  if (plain.code?.startsWith('RINGBOLT_')) {
    const error = new RingboltError(plain.code, plain.message, plain.facts, cause)
    error.name = plain.name
    return error
  }
  const Kind = misuse.get(plain.name) ?? Error
  const error = new Kind(plain.message, cause === undefined ? undefined : { cause })
  error.name = plain.name
  return plain.code === null ? error : Object.assign(error, { code: plain.code })
}
