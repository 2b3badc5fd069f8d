/** docs/FORMAT.md against the code: increments and archive files. */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { type ArchiveHeader, archiveName, isArchiveName } from './archive-format.ts'
import * as layout from './layout.ts'

const format = readFileSync(new URL('../../../../docs/FORMAT.md', import.meta.url), 'utf8')
const part = format.slice(format.indexOf('\n# Backups\n'))

function rowsOf(prefix: string): Record<string, number> {
  const rows = Array.from(part.matchAll(/^\| `(\w+)` \| (\d+) \|/gm))
  return Object.fromEntries(
    rows
      .filter(([, name = '']) => name.startsWith(prefix))
      .map(([, name, offset]) => [name, Number(offset)]),
  )
}

const constants: Record<string, unknown> = { ...layout }

function offsetsOf(prefix: string): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(constants).filter(
      ([name]) => name.startsWith(prefix) && /(_OFFSET|HEADER_BYTES)$/.test(name),
    ),
  )
}

test("offsets of increments and of archive files are the code's", () => {
  expect(rowsOf('INCREMENT_')).toEqual(offsetsOf('INCREMENT_'))
  expect(rowsOf('ARCHIVE_')).toEqual(offsetsOf('ARCHIVE_'))
})

test("magic, versions and names are the code's", () => {
  expect(part).toContain(`magic, \`${layout.INCREMENT_MAGIC}\``)
  expect(part).toContain(`magic, \`${layout.ARCHIVE_MAGIC}\``)
  expect([layout.INCREMENT_VERSION, layout.ARCHIVE_VERSION]).toEqual([1, 1])
  expect(layout.INCREMENT_META_PAGE).toBe(1)
  const header: ArchiveHeader = {
    databaseId: new Uint8Array(16).fill(0xab),
    logId: new Uint8Array(16).fill(0xcd),
    baseSequence: 200,
    firstEpoch: 3,
    firstLsn: 8,
    endLsn: 16,
    firstOrdinal: 55,
    endOrdinal: 56,
    contentBytes: 1,
    contentChecksum: 2,
  }
  const name = archiveName(header)
  expect(name).toBe(`${'ab'.repeat(16)}-00000000000000ff-${'cd'.repeat(16)}-0000000000000003.log`)
  expect(isArchiveName(name, header.databaseId)).toBe(true)
  expect(isArchiveName(name, header.logId)).toBe(false)
  expect(isArchiveName(`${name}.part`, header.databaseId)).toBe(false)
})
