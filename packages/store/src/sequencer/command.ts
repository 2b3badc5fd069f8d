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
 *   u8   code: 1 put, 2 delete, 3 check, 4 checkRange, 5 checkDefinition, 6 createTree, 7 dropTree, 8 setDefinition
 *   u8   expectation: 0 any, 1 absent, 2 the sequence that follows
 *   u16  tree
 *   u32  key length       (checkRange: of `from`, 0xffffffff when open)
 *   u32  value length     (checkRange: of `to`, 0xffffffff when open; definitions: the number itself)
 *   u32 × 2  sequence, where the expectation is 2
 *   key, value
 */

/** What an entry must be for the command to hold: absent, or last changed at this commit sequence. */
export type Expectation = 'absent' | number

export const KEY_BYTES_MAX = 1024
export const VALUE_BYTES_MAX: number = 64 * 1024 * 1024
/** The largest command: a transaction beyond it is refused before anything is appended. */
export const COMMAND_BYTES_MAX: number = 128 * 1024 * 1024

/** To be built by the sequencer's owner; this is the shape that collections and transactions use. */
export interface CommandBuilder {
  /** The state that ranges are validated against. */
  snapshotSequence: number
  readonly operationCount: number
  readonly byteLength: number
  /** All return the operation's ordinal, by which a refusal names it. */
  put(tree: number, key: Uint8Array, value: Uint8Array, expect?: Expectation): number
  delete(tree: number, key: Uint8Array, expect?: Expectation): number
  check(tree: number, key: Uint8Array, expect: Expectation): number
  /** No entry of [from, to) has changed after `snapshotSequence`. */
  checkRange(tree: number, from: Uint8Array | undefined, to: Uint8Array | undefined): number
  /** The tree exists and has this definition number. */
  checkDefinition(tree: number, definition: number): number
  createTree(tree: number, definition: number): number
  dropTree(tree: number): number
  setDefinition(tree: number, definition: number): number
}
