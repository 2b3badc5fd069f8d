/** docs/FORMAT.md against the code: what is inside pages, keys, documents and commands. */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { DocumentCodec } from './document/codec.ts'
import { encodeId, encodeIndexKey } from './document/keys.ts'
import { CommandBuilder } from './sequencer/command.ts'
import { decodeNoteFrame, encodeNoteFrame } from './sequencer/group-note.ts'
import * as tree from './tree/layout.ts'

const format = readFileSync(new URL('../../../docs/FORMAT.md', import.meta.url), 'utf8')

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(' ')
}

/** The hex block below a heading, as one line. */
function example(heading: string): string {
  const part = format.slice(format.indexOf(`\n# ${heading}\n`))
  const [, block = ''] = /```hex\n([^`]*)```/.exec(part) ?? []
  return block.trim().replaceAll('\n', ' ')
}

test("the nodes' offsets are the code's", () => {
  const offsets: Record<string, number> = {
    NODE_COUNT_BYTE: tree.NODE_COUNT_WORD * 4,
    NODE_HEAP_BYTE: tree.NODE_COUNT_WORD * 4 + 2,
    NODE_GARBAGE_BYTE: tree.NODE_GARBAGE_WORD * 4,
    NODE_PREFIX_BYTE: tree.NODE_GARBAGE_WORD * 4 + 2,
    NODE_LOW_FENCE_BYTE: tree.NODE_FENCES_WORD * 4,
    NODE_HIGH_FENCE_BYTE: tree.NODE_FENCES_WORD * 4 + 2,
    NODE_HINT_BYTE: tree.NODE_HINT_WORD * 4,
    LEAF_OVERFLOWS_BYTE: tree.LEAF_OVERFLOWS_WORD * 4,
    LEAF_DELETED_BYTE: tree.LEAF_DELETED_LOW_WORD * 4,
    NODE_HEADS_BYTE: tree.NODE_HEADS_WORD * 4,
  }
  const rows = Array.from(format.matchAll(/^\| `((?:NODE|LEAF)_\w+)` \| (\d+) \|/gm))
  expect(Object.fromEntries(rows.map(([, name, offset]) => [name, Number(offset)]))).toEqual(
    offsets,
  )
  expect(tree.NO_FENCE).toBe(65_535)
  expect(tree.HEADS_GROUP).toBe(16)
  expect(tree.OVERFLOW_REMAINING_WORD * 4).toBe(20)
  expect(tree.OVERFLOW_NEXT_WORD * 4).toBe(24)
  expect(tree.OVERFLOW_DATA_BYTE).toBe(32)
  expect([tree.DIRECTORY_FIRST_WORD * 4, tree.DIRECTORY_ENTRIES]).toEqual([32, 255])
  expect([tree.ENTRY_COUNT_LOW, tree.ENTRY_DEFINITION, tree.ENTRY_STATE]).toEqual([2, 4, 5])
})

test('the example of a command is what is built', () => {
  const command = new CommandBuilder()
  command.checkDefinition(1, 2)
  command.put(1, encodeId(7), Buffer.from('v'), 'absent')
  expect(hex(command.finish(3))).toBe(example('Commands'))
})

test('the example of a note is what is written, and is read again', () => {
  const note = { pageIds: [5, 3, 200], reclaimedPagesMax: 0, timeMs: 3 * 24 * 3_600_000 }
  const frame = encodeNoteFrame(note)
  expect(hex(frame.subarray(4, 4 + 24))).toBe(example('Notes'))
  expect(decodeNoteFrame(frame)).toEqual({ note, endByte: frame.length })
})

test('the example of a document is what is encoded', () => {
  const codec = new DocumentCodec({ shape: () => undefined, idOf: () => undefined })
  expect(hex(codec.encode({ id: 7, city: 'Cork', age: 41 }, 1))).toBe(example('Documents'))
})

test.each([
  ['id 1', encodeId(1)],
  ['id 2147483648', encodeId(2 ** 31)],
  ["id 'ab'", encodeId('ab')],
  ['(41) and id 7', encodeIndexKey([41], 7)],
  ["('Cork', 41) and id 7", encodeIndexKey(['Cork', 41], 7)],
])('the example of a key: %s', (name, key) => {
  const line = format.split('\n').find((text) => text.startsWith(`    ${name} `))
  expect(line?.slice(name.length + 4).trim()).toBe(hex(key))
})
