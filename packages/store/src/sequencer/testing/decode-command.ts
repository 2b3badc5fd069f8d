/** A command as an array of operations, for tests. */
import { Code, CommandReader, Expect } from '../command.ts'

export interface DecodedOperation {
  readonly code: keyof typeof Code
  readonly expect: 'absent' | number | undefined
  readonly tree: number
  readonly key: Buffer
  readonly value: Buffer
  readonly number: number
}

const NAMES = new Map(Object.entries(Code).map(([name, code]) => [code as number, name]))

/** @throws Error with the fault of a malformed command */
export function decodeCommand(bytes: Buffer): DecodedOperation[] {
  const reader = new CommandReader()
  const operations: DecodedOperation[] = []
  reader.open(bytes, 0, bytes.length)
  while (reader.next()) {
    const { expect, expectedSequence } = reader
    operations.push({
      code: NAMES.get(reader.code) as keyof typeof Code,
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
