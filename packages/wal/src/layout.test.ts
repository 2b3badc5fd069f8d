import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import * as layout from './layout.ts'
import { MemoryStore } from './memory-store.ts'
import { SegmentedLog } from './segmented-log.ts'

const format = readFileSync(new URL('../../../docs/FORMAT.md', import.meta.url), 'utf8')
const constants: Record<string, unknown> = { ...layout }

interface Row {
  readonly offset: number
  readonly bytes: number | undefined
  readonly constant: string
}

/** The tables whose rows name a constant, as lists of rows. */
function tables(): Row[][] {
  const found: Row[][] = []
  let table: Row[] = []
  for (const line of format.split('\n')) {
    const cells = /^\| (\d+) \| (\d*) ?\| .* \| `([A-Z_]+)` \|$/.exec(line)
    const [, offset, bytes, constant] = cells ?? []
    if (offset !== undefined && constant !== undefined) {
      table.push({ offset: Number(offset), bytes: bytes ? Number(bytes) : undefined, constant })
    } else if (table.length > 0) {
      found.push(table)
      table = []
    }
  }
  return found
}

test("FORMAT.md's tables are the code's constants, without gaps", () => {
  expect(tables().map((rows) => rows.length)).toEqual([11, 15, 12, 8])
  for (const rows of tables()) {
    let expectedOffset = 0
    for (const { offset, bytes, constant } of rows) {
      expect([constant, offset]).toEqual([constant, constants[constant]])
      expect([constant, offset]).toEqual([constant, expectedOffset])
      expectedOffset = offset + (bytes ?? 0)
    }
  }
})

test('every offset of the code stands in FORMAT.md', () => {
  const named = new Set(tables().flatMap((rows) => rows.map(({ constant }) => constant)))
  const offsets = Object.keys(layout).filter((name) => name.endsWith('_OFFSET'))
  expect(offsets.filter((name) => !named.has(name))).toEqual(['SEGMENT_FIRST_GROUP_OFFSET'])
})

function magicText(magic: number): string {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(magic)
  return bytes.toString('latin1')
}

test('FORMAT.md names sizes, magics and version as they are', () => {
  for (const magic of [layout.SEGMENT_MAGIC, layout.GROUP_MAGIC, layout.CERTIFICATE_MAGIC]) {
    expect(format).toContain(`magic, \`${magicText(magic)}\``)
  }
  expect(format).toContain(`The first ${layout.SEGMENT_BLOCK_BYTES} bytes of a segment`)
  expect(format).toContain(
    `${layout.SEGMENT_BYTES_DEFAULT / 1024 / 1024} MiB\nunless told otherwise`,
  )
  expect(format).toContain(`${layout.certificateBytes(1)} bytes with one lane`)
  const overhead = layout.groupBytes(0, 1)
  expect(format).toContain(`A group costs ${overhead} bytes beyond its frames`)
  expect(layout.GROUP_BODY_BYTES_MAX).toBe(4 * 1024 ** 3 - 8)
  expect(layout.TERMINATOR_BYTES).toBe(8)
  expect(format).toContain(`| ${layout.LOG_FORMAT_VERSION} | 0.1.0 | the first |`)
})

test("FORMAT.md's example is what the code writes", () => {
  const store = new MemoryStore()
  const logId = Buffer.from('000102030405060708090a0b0c0d0e0f', 'hex')
  const log = SegmentedLog.open(store, { create: true, logId, segmentBytes: 8192 })
  log.append(Buffer.from('hello'))
  log.append(Buffer.from('ring'))
  log.sync()
  log.close()
  const shown = Buffer.alloc(8192)
  const lines = /```hex\n([^`]*)```/.exec(format)?.[1]?.trim().split('\n') ?? []
  expect(lines).toHaveLength(15)
  for (const line of lines) {
    const [offset = '', bytes = ''] = line.split('  ')
    shown.set(Buffer.from(bytes.replaceAll(' ', ''), 'hex'), Number.parseInt(offset, 16))
  }
  const file = store.open('0000000000000001.seg')
  const written = Buffer.alloc(file.length())
  file.readAt(0, written)
  expect(written.toString('hex')).toBe(shown.toString('hex'))
})

test('64-bit integers survive, up to 2^53-1', () => {
  const view = new DataView(new ArrayBuffer(8))
  for (const value of [0, 1, 2 ** 32 - 1, 2 ** 32, 2 ** 40 + 7, Number.MAX_SAFE_INTEGER]) {
    layout.writeU64(view, 0, value)
    expect(layout.readU64(view, 0)).toBe(value)
    expect(view.getBigUint64(0, true)).toBe(BigInt(value))
  }
})

test('certificates end at a multiple of 8, for any number of lanes', () => {
  for (const laneCount of [1, 2, 3, 4, 100, layout.LANE_COUNT_MAX]) {
    const bytes = layout.certificateBytes(laneCount)
    expect(bytes % 8).toBe(0)
    expect(layout.certificateChecksumOffset(laneCount)).toBeGreaterThanOrEqual(
      layout.CERTIFICATE_LANES_OFFSET + 4 * laneCount,
    )
  }
})
