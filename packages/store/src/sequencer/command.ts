/**
 * Commands: what a client appends to the ring, and what stands in the log. Conditions and mutations on keys
 * and bytes; see `CommandBuilder` for making one and `CommandReader` for walking one.
 *
 * Layout (little-endian), every length checked against what remains before it is used:
 *
 *   byte 0  u8   format, 1
 *   byte 1  u8   0
 *   byte 2  u16  slot of the client: where a refusal goes
 *   byte 4  u32  number of operations
 *   byte 8  u32  snapshot sequence, low 32 bits (0 without one)
 *   byte 12 u32  the same, above
 *   byte 16      operations, one after another
 *
 * An operation:
 *
 *   u8   code: 1 put, 2 delete, 3 check, 4 checkRange, 5 checkDefinition, 6 createTree, 7 dropTree, 8 setDefinition,
 *        9 checkMissing
 *   u8   expectation: 0 any, 1 absent, 2 the sequence that follows
 *   u16  tree
 *   u32  key length       (checkRange: of `from`, 0xffffffff when open; checkMissing: the other tree)
 *   u32  value length     (checkRange: of `to`, 0xffffffff when open; definitions, checkMissing: the number itself)
 *   u32 × 2  sequence, where the expectation is 2
 *   key, value
 */

import { StoreTooLargeError } from '../errors.ts'
import { readU16, readU32, writeU16, writeU32 } from './little-endian.ts'

/** What an entry must be for the command to hold: absent, or last changed at this commit sequence. */
export type Expectation = 'absent' | number

/** As many as directory pages have entries: 8 × 255. */
export const TREES_MAX = 2040
export const KEY_BYTES_MAX = 1024
export const VALUE_BYTES_MAX: number = 64 * 1024 * 1024
/** The largest command: a transaction beyond it is refused before anything is appended. */
export const COMMAND_BYTES_MAX: number = 128 * 1024 * 1024

export const Code = {
  put: 1,
  delete: 2,
  check: 3,
  checkRange: 4,
  checkDefinition: 5,
  createTree: 6,
  dropTree: 7,
  setDefinition: 8,
  checkMissing: 9,
} as const
export type Code = (typeof Code)[keyof typeof Code]

export const Expect = { any: 0, absent: 1, sequence: 2 } as const
export type Expect = (typeof Expect)[keyof typeof Expect]

/** Of a command too short or too strange to say whose it is. */
export const NO_SLOT = 0xffff

const FORMAT = 1
const SLOT_OFFSET = 2
const COUNT_OFFSET: number = SLOT_OFFSET + 2
const SEQUENCE_LOW_OFFSET: number = COUNT_OFFSET + 4
const SEQUENCE_HIGH_OFFSET: number = SEQUENCE_LOW_OFFSET + 4
export const COMMAND_HEADER_BYTES: number = SEQUENCE_HIGH_OFFSET + 4
const OPERATION_HEADER_BYTES = 12
const SEQUENCE_BYTES = 8
const OPEN_BOUND = 0xffff_ffff
const U32_RANGE = 2 ** 32
const EMPTY = new Uint8Array(0)
const FIRST_BYTES = 512
/** Up to it a loop beats the call into the runtime. */
const SHORT_KEY_BYTES = 24

/** Builds one command. Keys and values are copied. */
export class CommandBuilder {
  /** The state that ranges are validated against. */
  snapshotSequence = 0
  #bytes: Buffer = Buffer.allocUnsafe(FIRST_BYTES)
  #end = COMMAND_HEADER_BYTES
  #count = 0

  get operationCount(): number {
    return this.#count
  }

  get byteLength(): number {
    return this.#end
  }

  /** All return the operation's ordinal, by which a refusal names it. */
  put(tree: number, key: Uint8Array, value: Uint8Array, expect?: Expectation): number {
    if (value.length > VALUE_BYTES_MAX) {
      throw new StoreTooLargeError('a value', value.length, VALUE_BYTES_MAX)
    }
    return this.#add(Code.put, tree, key, value, expect)
  }

  delete(tree: number, key: Uint8Array, expect?: Expectation): number {
    return this.#add(Code.delete, tree, key, EMPTY, expect)
  }

  check(tree: number, key: Uint8Array, expect: Expectation): number {
    return this.#add(Code.check, tree, key, EMPTY, expect)
  }

  /** No entry of [from, to) has changed after `snapshotSequence`. */
  checkRange(tree: number, from: Uint8Array | undefined, to: Uint8Array | undefined): number {
    const at = this.#end
    const ordinal = this.#add(Code.checkRange, tree, from ?? EMPTY, to ?? EMPTY, undefined)
    if (from === undefined) writeU32(this.#bytes, at + 4, OPEN_BOUND)
    if (to === undefined) writeU32(this.#bytes, at + 8, OPEN_BOUND)
    return ordinal
  }

  /** The tree exists and has this definition number. */
  checkDefinition(tree: number, definition: number): number {
    return this.#addNumber(Code.checkDefinition, tree, definition)
  }

  /** The tree has so many entries less than the other: documents without an entry in an index. */
  checkMissing(tree: number, other: number, missing: number): number {
    const at = this.#end
    const ordinal = this.#addNumber(Code.checkMissing, tree, missing)
    writeU32(this.#bytes, at + 4, other)
    return ordinal
  }

  createTree(tree: number, definition: number): number {
    return this.#addNumber(Code.createTree, tree, definition)
  }

  dropTree(tree: number): number {
    return this.#addNumber(Code.dropTree, tree, 0)
  }

  setDefinition(tree: number, definition: number): number {
    return this.#addNumber(Code.setDefinition, tree, definition)
  }

  /**
   * The command as it goes into the ring: a view, valid until the next change.
   * @param slot the client's, where a refusal goes
   */
  finish(slot: number): Buffer {
    const bytes = this.#bytes
    bytes[0] = FORMAT
    bytes[1] = 0
    writeU16(bytes, SLOT_OFFSET, slot)
    writeU32(bytes, COUNT_OFFSET, this.#count)
    writeU32(bytes, SEQUENCE_LOW_OFFSET, this.snapshotSequence % U32_RANGE)
    writeU32(bytes, SEQUENCE_HIGH_OFFSET, Math.floor(this.snapshotSequence / U32_RANGE))
    return bytes.subarray(0, this.#end)
  }

  #addNumber(code: Code, tree: number, value: number): number {
    const at = this.#end
    const ordinal = this.#add(code, tree, EMPTY, EMPTY, undefined)
    writeU32(this.#bytes, at + 8, value)
    return ordinal
  }

  #add(
    code: Code,
    tree: number,
    key: Uint8Array,
    value: Uint8Array,
    expect: Expectation | undefined,
  ): number {
    if (key.length > KEY_BYTES_MAX) throw new StoreTooLargeError('a key', key.length, KEY_BYTES_MAX)
    const withSequence = typeof expect === 'number'
    const start = this.#end + OPERATION_HEADER_BYTES + (withSequence ? SEQUENCE_BYTES : 0)
    const end = start + key.length + value.length
    if (end > COMMAND_BYTES_MAX) {
      throw new StoreTooLargeError('a transaction', end, COMMAND_BYTES_MAX)
    }
    if (end > this.#bytes.length) this.#grow(end)
    const bytes = this.#bytes
    const at = this.#end
    bytes[at] = code
    bytes[at + 1] =
      expect === undefined ? Expect.any : withSequence ? Expect.sequence : Expect.absent
    writeU16(bytes, at + 2, tree)
    writeU32(bytes, at + 4, key.length)
    writeU32(bytes, at + 8, value.length)
    if (withSequence) {
      writeU32(bytes, at + OPERATION_HEADER_BYTES, expect % U32_RANGE)
      writeU32(bytes, at + OPERATION_HEADER_BYTES + 4, Math.floor(expect / U32_RANGE))
    }
    if (key.length > SHORT_KEY_BYTES) bytes.set(key, start)
    else for (let index = 0; index < key.length; index++) bytes[start + index] = key[index]!
    bytes.set(value, start + key.length)
    this.#end = end
    return this.#count++
  }

  #grow(needed: number): void {
    const grown = Buffer.allocUnsafe(
      Math.min(COMMAND_BYTES_MAX, Math.max(needed, 2 * this.#bytes.length)),
    )
    grown.set(this.#bytes.subarray(0, this.#end))
    this.#bytes = grown
  }
}

/**
 * Walks a command that anybody may have written. `open`, then `next` until it says false; then `fault` says
 * whether all of it was sound. No object per operation: fields show the operation that `next` came to.
 */
export class CommandReader {
  slot = 0
  operationCount = 0
  snapshotSequence = 0
  /** What is wrong with the command, in words; undefined as long as nothing is. */
  fault: string | undefined
  /** Ordinal of the current operation; -1 before the first. */
  ordinal = -1
  /** Whether any operation so far is a put. */
  hasPut = false
  code: number = Code.check
  expect: number = Expect.any
  tree = 0
  expectedSequence = 0
  /** With `checkMissing`: the tree that has more entries. */
  otherTree = 0
  /** The number of a definition, or of missing entries; otherwise the length of the value. */
  number = 0
  #bytes: Buffer = Buffer.alloc(0)
  #end = 0
  #at = 0
  #keyStart = 0
  #keyBytes = 0
  #valueStart = 0
  #valueBytes = 0
  #fromOpen = false
  #toOpen = false

  /** @param bytes the command from `start` to `end`; may be shared memory that nobody changes any more */
  open(bytes: Buffer, start: number, end: number): boolean {
    this.#bytes = bytes
    this.#end = end
    this.#at = start + COMMAND_HEADER_BYTES
    this.ordinal = -1
    this.hasPut = false
    this.fault = undefined
    // What an earlier command said must not be taken for this one's.
    this.slot = NO_SLOT
    this.operationCount = 0
    this.snapshotSequence = 0
    if (end - start < COMMAND_HEADER_BYTES) return this.#refuse(`a command of ${end - start} bytes`)
    if (bytes[start] !== FORMAT || bytes[start + 1] !== 0) {
      return this.#refuse(
        `command format ${bytes[start]}.${bytes[start + 1]}, expected ${FORMAT}.0`,
      )
    }
    this.slot = readU16(bytes, start + SLOT_OFFSET)
    this.operationCount = readU32(bytes, start + COUNT_OFFSET)
    this.snapshotSequence =
      readU32(bytes, start + SEQUENCE_HIGH_OFFSET) * U32_RANGE +
      readU32(bytes, start + SEQUENCE_LOW_OFFSET)
    if (this.operationCount === 0) return this.#refuse('a command without operations')
    return true
  }

  /** False at the end, and at the first fault. */
  next(): boolean {
    if (this.fault !== undefined) return false
    if (this.ordinal + 1 === this.operationCount) {
      return this.#at === this.#end ? false : this.#refuse(`${this.#end - this.#at} bytes too many`)
    }
    const bytes = this.#bytes
    const at = this.#at
    if (this.#end - at < OPERATION_HEADER_BYTES) return this.#refuse('an operation cut short')
    this.ordinal++
    this.code = bytes[at]!
    this.expect = bytes[at + 1]!
    this.tree = readU16(bytes, at + 2)
    const first = readU32(bytes, at + 4)
    const second = readU32(bytes, at + 8)
    if (this.code < Code.put || this.code > Code.checkMissing) {
      return this.#refuse(`operation code ${this.code}`)
    }
    if (this.expect > Expect.sequence) return this.#refuse(`expectation ${this.expect}`)
    if (this.tree >= TREES_MAX) return this.#refuse(`tree ${this.tree} of ${TREES_MAX}`)
    if (this.code === Code.put) this.hasPut = true
    const isRange = this.code === Code.checkRange
    const isNumber = this.code >= Code.checkDefinition
    if (this.expect !== Expect.any && (isRange || isNumber)) {
      return this.#refuse(`an expectation with operation code ${this.code}`)
    }
    this.#fromOpen = isRange && first === OPEN_BOUND
    this.#toOpen = isRange && second === OPEN_BOUND
    this.#keyBytes = this.#fromOpen || isNumber ? 0 : first
    this.#valueBytes = this.#toOpen || isNumber ? 0 : second
    this.number = second
    if (this.code === Code.checkMissing) {
      if (first >= TREES_MAX) return this.#refuse(`tree ${first} of ${TREES_MAX}`)
      this.otherTree = first
    } else if (isNumber && first !== 0) return this.#refuse('a key with a definition')
    if (this.#keyBytes > KEY_BYTES_MAX) return this.#refuse(`a key of ${this.#keyBytes} bytes`)
    const valueMax = isRange ? KEY_BYTES_MAX : this.code === Code.put ? VALUE_BYTES_MAX : 0
    if (this.#valueBytes > valueMax) return this.#refuse(`a value of ${this.#valueBytes} bytes`)
    let start = at + OPERATION_HEADER_BYTES
    if (this.expect === Expect.sequence) {
      if (this.#end - start < SEQUENCE_BYTES) return this.#refuse('an operation cut short')
      this.expectedSequence = readU32(bytes, start + 4) * U32_RANGE + readU32(bytes, start)
      start += SEQUENCE_BYTES
    }
    if (this.#end - start < this.#keyBytes + this.#valueBytes) {
      return this.#refuse('an operation cut short')
    }
    this.#keyStart = start
    this.#valueStart = start + this.#keyBytes
    this.#at = this.#valueStart + this.#valueBytes
    return true
  }

  /** A view; of a range the lower bound. */
  get key(): Buffer {
    return this.#bytes.subarray(this.#keyStart, this.#valueStart)
  }

  get value(): Buffer {
    return this.#bytes.subarray(this.#valueStart, this.#at)
  }

  get valueBytes(): number {
    return this.#valueBytes
  }

  get from(): Buffer | undefined {
    return this.#fromOpen ? undefined : this.key
  }

  get to(): Buffer | undefined {
    return this.#toOpen ? undefined : this.value
  }

  #refuse(fault: string): false {
    this.fault = fault
    return false
  }
}
