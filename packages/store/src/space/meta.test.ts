import { crc32c } from '@node-rs/crc32'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { PAGE_BYTES } from '../page/page.ts'
import * as layout from './main-layout.ts'
import { chooseMeta, decodeMeta, encodeMeta, type Meta, type MetaRead } from './meta.ts'

const databaseId = new Uint8Array(16).fill(7)
const logId = new Uint8Array(16).fill(9)

const base: Meta = {
  clean: false,
  checkpoint: 6,
  sequence: 1000,
  databaseId,
  logId,
  logLsn: 4096,
  baseSequence: 400,
  pageCount: 50,
  freeCount: 3,
  freeList: { pageId: 49, checksum: 5 },
  directory: [{ pageId: 2, checksum: 6 }, ...Array(7).fill({ pageId: 0, checksum: 0 })] as const,
}

function read(meta: Meta): MetaRead {
  return decodeMeta(encodeMeta(meta), meta.checkpoint % 2)
}

/** A page whose checksum fits what was done to it. */
function forged(change: (page: Buffer) => void, slot = 0): MetaRead {
  const page = encodeMeta({ ...base, checkpoint: 6 + slot })
  change(page)
  const checksum = crc32c(page.subarray(layout.META_VERSION_OFFSET))
  page.writeUInt32LE(checksum, layout.META_CHECKSUM_OFFSET)
  return decodeMeta(page, slot)
}

test('metas survive', () => {
  const u64 = fc.maxSafeNat()
  const u32 = fc.integer({ min: 1, max: 2 ** 32 - 1 })
  const id = fc.uint8Array({ minLength: 16, maxLength: 16 })
  const numbers = fc.record({ sequence: u64, logLsn: u64, baseSequence: u64, clean: fc.boolean() })
  fc.assert(
    fc.property(numbers, id, u32, u64, (facts, someId, checksum, checkpoint) => {
      const meta: Meta = {
        ...base,
        ...facts,
        checkpoint,
        databaseId: someId,
        freeList: { pageId: 49, checksum },
      }
      expect(read(meta)).toEqual({ kind: 'sound', meta })
    }),
  )
})

test('S8: every bit flip in a meta is found, and the other meta is taken', () => {
  const older = read(base)
  const page = encodeMeta({ ...base, checkpoint: 7 })
  for (let at = 0; at < PAGE_BYTES; at++) {
    const byte = page[at] ?? 0
    page[at] = byte ^ (1 << (at % 8))
    const damaged = decodeMeta(page, 1)
    expect(damaged.kind === 'damaged' || (at < 8 && damaged.kind === 'foreign')).toBe(true)
    if (at % 97 === 0 || at < layout.META_BYTES) {
      const choice = chooseMeta([older, damaged], 'app.db')
      expect(choice.meta).toEqual(base)
      expect(choice.other?.offset).toBeGreaterThanOrEqual(PAGE_BYTES)
    }
    page[at] = byte
  }
})

test('the newer of two sound metas is taken', () => {
  const newer = { ...base, checkpoint: 7 }
  const both = [read(base), read(newer)] as const
  expect(chooseMeta([both[0], both[1]], 'f')).toEqual({ meta: newer, other: undefined })
  const old = read({ ...base, checkpoint: 3 })
  const choice = chooseMeta([both[0], old], 'f')
  expect(choice.meta).toEqual(base)
  expect(choice.other).toMatchObject({ what: 'checkpoint number', expected: 5, actual: 3 })
})

test('metas of two databases are refused', () => {
  const other = read({ ...base, checkpoint: 7, databaseId: new Uint8Array(16) })
  expect(() => chooseMeta([read(base), other], 'f')).toThrow('database id')
})

test('what a newer release, or another page size, has written is refused, whatever the other says', () => {
  const sound = read({ ...base, checkpoint: 7 })
  const version = forged((page) => page.writeUInt32LE(2, layout.META_VERSION_OFFSET))
  expect(() => chooseMeta([version, sound], 'f')).toThrow(
    expect.objectContaining({
      name: 'MainFileVersionError',
      code: 'RINGBOLT_VERSION',
      facts: { file: 'f', offset: 12, what: 'format version', expected: 1, actual: 2 },
    }),
  )
  const flags = forged((page) => page.writeUInt32LE(2, layout.META_FLAGS_OFFSET))
  expect(() => chooseMeta([flags, sound], 'f')).toThrow(
    expect.objectContaining({ name: 'MainFileVersionError' }),
  )
  const size = forged((page) => page.writeUInt32LE(4096, layout.META_PAGE_BYTES_OFFSET), 1)
  expect(() => chooseMeta([read(base), size], 'f')).toThrow(
    expect.objectContaining({
      name: 'MainFilePageSizeError',
      facts: { file: 'f', offset: 8192 + 16, what: 'page size', expected: 8192, actual: 4096 },
    }),
  )
})

test('a meta with a fitting checksum and impossible facts is damaged', () => {
  const changes: Record<string, (page: Buffer) => void> = {
    'format version': (page) => page.writeUInt32LE(0, layout.META_VERSION_OFFSET),
    'checkpoint number': (page) => page.writeUInt32LE(7, layout.META_CHECKPOINT_OFFSET),
    'commit sequence': (page) => page.fill(255, layout.META_SEQUENCE_OFFSET, 40),
    'log LSN': (page) => page.writeUInt32LE(2 ** 31, layout.META_LOG_LSN_OFFSET + 4),
    'base sequence': (page) => page.writeUInt32LE(2 ** 31, layout.META_BASE_SEQUENCE_OFFSET + 4),
    'page count': (page) => page.writeUInt32LE(1, layout.META_PAGE_COUNT_OFFSET),
    'free pages': (page) => page.writeUInt32LE(49, layout.META_FREE_COUNT_OFFSET),
    reference: (page) => page.writeUInt32LE(50, layout.META_FREE_LIST_OFFSET),
  }
  for (const [what, change] of Object.entries(changes)) {
    expect(forged(change)).toMatchObject({ kind: 'damaged', finding: { what } })
  }
  const at = layout.META_DIRECTORY_OFFSET
  for (const [pageId, checksum] of [
    [1, 5],
    [49, 5],
    [3, 0],
    [0, 3],
    [2 ** 32 - 1, 1],
  ] as const) {
    const change = (page: Buffer): void => {
      page.writeUInt32LE(pageId, at)
      page.writeUInt32LE(checksum, at + 4)
    }
    expect(forged(change)).toMatchObject({ kind: 'damaged', finding: { what: 'reference' } })
  }
})
