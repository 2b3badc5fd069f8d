/** A command as an array of operations, for tests. */
import { Code, CommandReader, Expect } from '../command.ts'

export interface DecodedOperation {
  /** A name of `Code`. */
  readonly code: string
  readonly expect: 'absent' | number | undefined
  readonly tree: number
  readonly key: Buffer
  readonly value: Buffer
  readonly number: number
}

const NAMES = new Map<number, string>(Object.entries(Code).map(([name, code]) => [code, name]))

/** @throws Error with the fault of a malformed command */
export function decodeCommand(bytes: Buffer): DecodedOperation[] {
  const reader = new CommandReader()
  const operations: DecodedOperation[] = []
  reader.open(bytes, 0, bytes.length)
  while (reader.next()) {
    const { expect, expectedSequence } = reader
    operations.push({
      code: NAMES.get(reader.code) ?? '',
      expect:
        expect === Expect.any ? undefined : expect === Expect.absent ? 'absent' : expectedSequence,
      tree: reader.tree,
      key: Buffer.from(reader.key),
      value: Buffer.from(reader.value),
      number: reader.number,
    })
  }
  if (reader.fault !== undefined) throw new Error(reader.fault)
  return operations
}
