import type { WaitResult } from '../shared-memory.ts'

/** One access as a thread asks for it: known before it is performed. */
export interface Operation {
  readonly kind:
    | 'load'
    | 'store'
    | 'add'
    | 'exchange'
    | 'compareExchange'
    | 'wait'
    | 'notify'
    | 'bytesIn'
    | 'bytesOut'
    | 'zero'
    | 'awaitDeath'
  readonly byteOffset: number
  /** 4 for a word, 0 for `awaitDeath`. */
  readonly byteLength: number
  /** Of compareExchange and wait. */
  readonly expected: number
  /** What is stored, added or exchanged in; the count of a notify; the thread of an awaitDeath. */
  readonly value: number
  readonly timeoutMs: number
  /** A copy of what bytesIn writes. */
  readonly bytes: Uint8Array | null
}

/** Results are numbers throughout; those of `wait` are positions in this list. */
const WAIT_RESULTS: readonly WaitResult[] = ['ok', 'not-equal', 'timed-out']
export const WAIT_OK = 0
export const WAIT_NOT_EQUAL = 1
export const WAIT_TIMED_OUT = 2

export function waitResultOf(result: number): WaitResult {
  const name = WAIT_RESULTS[result]
  if (name === undefined) throw new RangeError(`${result} is no result of a wait`)
  return name
}

function sameBytes(a: Uint8Array | null, b: Uint8Array | null): boolean {
  if (a === null || b === null) return a === b
  if (a.length !== b.length) return false
  for (let index = 0; index < a.length; index++) if (a[index] !== b[index]) return false
  return true
}

/** `asked.bytes` may still belong to the thread: compared, not kept. */
export function sameOperation(logged: Operation, asked: Operation): boolean {
  return (
    logged.kind === asked.kind &&
    logged.byteOffset === asked.byteOffset &&
    logged.byteLength === asked.byteLength &&
    logged.expected === asked.expected &&
    logged.value === asked.value &&
    Object.is(logged.timeoutMs, asked.timeoutMs) &&
    sameBytes(logged.bytes, asked.bytes)
  )
}

export function hex(bytes: Uint8Array): string {
  const shown = Array.from(bytes.subarray(0, 32), (byte) => byte.toString(16).padStart(2, '0'))
  return bytes.length > 32 ? `${shown.join(' ')} …` : shown.join(' ')
}

export function describeOperation(operation: Operation, threadNames: readonly string[]): string {
  const { kind, byteOffset, byteLength, expected, value, timeoutMs, bytes } = operation
  const word = `word ${byteOffset / 4}`
  const range = `bytes ${byteOffset}..${byteOffset + byteLength}`
  const limit = timeoutMs === Infinity ? '' : `, ${timeoutMs} ms`
  const inside: Record<Operation['kind'], string> = {
    load: word,
    store: `${word}, ${value}`,
    add: `${word}, ${value}`,
    exchange: `${word}, ${value}`,
    compareExchange: `${word}, ${expected} → ${value}`,
    wait: `${word}, while ${expected}${limit}`,
    notify: `${word}, ${value}`,
    bytesIn: `${range}: ${hex(bytes ?? new Uint8Array(0))}`,
    bytesOut: range,
    zero: range,
    awaitDeath: threadNames[value] ?? String(value),
  }
  return `${kind}(${inside[kind]})`
}
