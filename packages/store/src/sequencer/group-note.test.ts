/** Notes: any come back as they were; no other bytes are taken for one. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { PAGE_COUNT_MAX } from '../space/main-layout.ts'
import { decodeNoteFrame, encodeNoteFrame } from './group-note.ts'

const notes = fc.record({
  pageIds: fc.array(fc.integer({ min: 2, max: PAGE_COUNT_MAX - 1 }), { maxLength: 40 }),
  reclaimedPagesMax: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  timeMs: fc.double({ noNaN: true, noDefaultInfinity: true }),
})

test('S9: any note comes back as it was', () => {
  fc.assert(
    fc.property(notes, (note) => {
      const frame = encodeNoteFrame(note)
      expect(decodeNoteFrame(frame)).toEqual({ note, endByte: frame.length })
    }),
  )
})

test('S9: a byte changed is another note, or none; never an error or an id that cannot be', () => {
  fc.assert(
    fc.property(notes, fc.nat(), fc.integer({ min: 1, max: 255 }), (note, at, change) => {
      const frame = encodeNoteFrame(note)
      const byte = 4 + (at % (frame.length - 4))
      frame[byte]! ^= change
      const read = decodeNoteFrame(frame)
      if (typeof read === 'string') return
      for (const pageId of read.note.pageIds) {
        expect(pageId).toBeGreaterThan(1)
        expect(pageId).toBeLessThan(PAGE_COUNT_MAX)
      }
    }),
  )
})

test('S9: a record, and a note that claims more than it has, are none', () => {
  const frame = encodeNoteFrame({ pageIds: [7], reclaimedPagesMax: 0, timeMs: 0 })
  const record = Buffer.from(frame)
  record.writeInt32LE(21, 0)
  expect(decodeNoteFrame(record)).toBe('a record')
  frame.writeUInt32LE(1e9, 4 + 16)
  expect(decodeNoteFrame(frame)).toBe('1000000000 page ids in 21 bytes')
})
