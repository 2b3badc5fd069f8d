import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { PAGE_COUNT_MAX } from '../space/main-layout.ts'
import { decodeSharedHead, encodeSharedHead, logTag, type SharedHead } from './shared-head.ts'

const SOUND: SharedHead = { lsn: 4096, epoch: 7, checkpoint: 3, pageEnd: 12, log: 5 }

function decoded(head: SharedHead): SharedHead | undefined {
  const said = new DataView(new ArrayBuffer(64))
  encodeSharedHead(said, head)
  return decodeSharedHead(said)
}

describe('what is said on the board', () => {
  test('is read as it was said', () => {
    expect(decoded(SOUND)).toEqual(SOUND)
    const log = logTag(new Uint8Array(16).fill(255))
    expect(log).toBe(2 ** 48 - 1)
    const large = {
      lsn: 2 ** 53 - 1,
      epoch: 2 ** 40,
      checkpoint: 2 ** 32,
      pageEnd: PAGE_COUNT_MAX,
      log,
    }
    expect(decoded(large)).toEqual(large)
  })

  test('S9 is nothing when a field is no count, or beyond what there can be', () => {
    for (const field of ['lsn', 'epoch', 'checkpoint', 'pageEnd', 'log'] as const) {
      for (const value of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53]) {
        expect(decoded({ ...SOUND, [field]: value }), `${field} ${value}`).toBeUndefined()
      }
    }
    expect(decoded({ ...SOUND, pageEnd: PAGE_COUNT_MAX + 1 })).toBeUndefined()
    expect(decoded({ ...SOUND, pageEnd: 0 })).toBeUndefined()
    expect(decodeSharedHead(new DataView(new ArrayBuffer(64)))).toBeUndefined()
  })

  test('S9 whatever the bytes, every field that is given is a count', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 64, maxLength: 64 }), (bytes) => {
        const said = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
        said.setUint32(32, 2, true)
        const head = decodeSharedHead(said)
        for (const value of Object.values(head ?? {})) {
          expect(Number.isSafeInteger(value)).toBe(true)
          expect(value).toBeGreaterThanOrEqual(0)
        }
      }),
    )
  })
})
