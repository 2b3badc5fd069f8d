import { readFileSync } from 'node:fs'
import { MemoryStore } from '@ringbolt/wal'
import { expect, test } from 'vitest'
import * as page from '../page/page.ts'
import { Checkpoint, type CheckpointSpace } from './checkpoint.ts'
import { MainFile } from './main-file.ts'
import * as layout from './main-layout.ts'

const format = readFileSync(new URL('../../../../docs/FORMAT.md', import.meta.url), 'utf8')
const constants: Record<string, unknown> = {
  ...layout,
  PAGE_CHECKSUM_OFFSET: page.PAGE_CHECKSUM_WORD * 4,
  PAGE_ID_OFFSET: page.PAGE_ID_WORD * 4,
  PAGE_KIND_OFFSET: page.PAGE_KIND_BYTE,
  PAGE_LEVEL_OFFSET: page.PAGE_LEVEL_BYTE,
  PAGE_TREE_OFFSET: page.PAGE_TREE_BYTE,
  PAGE_SEQUENCE_OFFSET: page.PAGE_SEQUENCE_LOW_WORD * 4,
  PAGE_HEADER_BYTES: page.PAGE_HEADER_BYTES,
}

interface Row {
  readonly offset: number
  readonly bytes: number | undefined
  readonly constant: string
}

/** The main file's tables: rows that begin with a constant's name, of the prefixes given. */
function tables(prefix: RegExp): Row[][] {
  const found: Row[][] = []
  let table: Row[] = []
  for (const line of format.split('\n')) {
    const [, constant, offset, bytes] =
      /^\| `([A-Z_]+)` \| (\d+) \| (\d*) ?\| .* \|$/.exec(line) ?? []
    if (constant !== undefined && prefix.test(constant)) {
      table.push({ constant, offset: Number(offset), bytes: bytes ? Number(bytes) : undefined })
    } else if (table.length > 0) {
      found.push(table)
      table = []
    }
  }
  return found
}

test("FORMAT.md's tables of the main file are the code's constants, without gaps", () => {
  const all = tables(/^(META|PAGE|FREE)_/)
  expect(all.map((rows) => rows.length)).toEqual([16, 7, 3])
  for (const rows of all) {
    let expectedOffset = rows[0]?.offset ?? 0
    for (const { offset, bytes, constant } of rows) {
      expect([constant, offset]).toEqual([constant, constants[constant]])
      expect([constant, offset]).toEqual([constant, expectedOffset])
      expectedOffset = offset + (bytes ?? 0)
    }
  }
})

test('every offset of the main file stands in FORMAT.md', () => {
  const rows = tables(/^(META|PAGE|FREE)_/).flat()
  const named = new Set(rows.map(({ constant }) => constant))
  const offsets = Object.keys(layout).filter((name) => name.endsWith('_OFFSET'))
  expect(offsets.filter((name) => !named.has(name))).toEqual([])
})

test('FORMAT.md names sizes, magic and kinds as they are', () => {
  expect(format).toContain(`magic, \`${layout.META_MAGIC}\``)
  expect(format).toContain(`page size in bytes, ${page.PAGE_BYTES}`)
  expect(format).toContain(`format version, ${layout.MAIN_FORMAT_VERSION}`)
  expect(format).toContain(`up to ${layout.FREE_EXTENTS_MAX.toLocaleString('en')} extents`)
  const kinds = Object.values(page.PageKind)
  expect(kinds).toEqual([1, 2, 3, 4, 5])
  expect(format).toContain('1 leaf, 2 branch, 3 overflow, 4 directory, 5 free list')
})

/** A space in which there is nothing to be written. */
const emptySpace: CheckpointSpace = {
  bytes: new Uint8Array(0),
  words: new Uint32Array(0),
  residentFrame: () => -1,
  isDirty: () => false,
  writeBack: () => undefined,
  forEachRetired: (visit) => visit(2, 0, 1),
  checkpointed: () => undefined,
}

/** The example of FORMAT.md: pages 2 to 4 taken, 2 let go of, the rest used by nobody that matters here. */
test("FORMAT.md's example of the main file is what the code writes", () => {
  const store = new MemoryStore()
  const databaseId = Buffer.from('000102030405060708090a0b0c0d0e0f', 'hex')
  const main = MainFile.create(store, 'app.db', { databaseId })
  for (let count = 0; count < 3; count++) main.pageIds.take(1)
  const pages = new Uint32Array(layout.META_DIRECTORY_COUNT)
  const checksums = new Uint32Array(layout.META_DIRECTORY_COUNT)
  pages[0] = 4
  checksums[0] = 0xaabb_ccdd
  const target = {
    version: 1,
    sequence: 7,
    directory: { pages, checksums },
    logId: Buffer.from('101112131415161718191a1b1c1d1e1f', 'hex'),
    logLsn: 256,
    baseSequence: 3,
    clean: false,
  }
  new Checkpoint(main, emptySpace, () => undefined, target).finish()
  const [, shownText = ''] = format.split('## Example of a main file')
  const lines = /```hex\n([^`]*)```/.exec(shownText)?.[1]?.trim().split('\n') ?? []
  const bytes = Buffer.alloc(6 * page.PAGE_BYTES)
  store.open('app.db').readAt(0, bytes)
  const dump = hexLines(bytes, [0, 5 * page.PAGE_BYTES])
  expect(lines).toEqual(dump)
})

/** Lines of 16 bytes that are not zeros, of the pages at those offsets. */
function hexLines(bytes: Buffer, offsets: readonly number[]): string[] {
  return offsets.flatMap((start) => {
    const lines: string[] = []
    for (let at = start; at < start + page.PAGE_BYTES; at += 16) {
      const line = bytes.subarray(at, at + 16)
      if (line.every((byte) => byte === 0)) continue
      const text = line.toString('hex').replaceAll(/(..)(?=.)/g, '$1 ')
      lines.push(`${at.toString(16).padStart(8, '0')}  ${text}`)
    }
    return lines
  })
}
