import { describe, expect, test } from 'vitest'
import { MemoryStore, SegmentedLog } from './index.ts'
import { removeLog } from './remove-log.ts'

const own = new Uint8Array(16).fill(1)
const other = new Uint8Array(16).fill(2)

function logIn(store: MemoryStore, logId: Uint8Array): void {
  const log = SegmentedLog.open(store, { create: true, logId, segmentBytes: 8192 })
  for (let at = 0; at < 50; at++) log.appendAndSync(new Uint8Array(500).fill(at + 1))
  log.truncateBefore(log.endLsn)
  log.close()
}

describe('removing a log', () => {
  test('takes segments and spares, and leaves other files', () => {
    const store = new MemoryStore()
    logIn(store, own)
    store.create('notes.txt').close()
    removeLog(store, own)
    expect(store.list()).toEqual(['notes.txt'])
    removeLog(store, own)
  })

  test('refuses the log of another, and touches nothing', () => {
    const store = new MemoryStore()
    logIn(store, other)
    const before = store.list()
    expect(() => removeLog(store, own)).toThrow(
      expect.objectContaining({ code: 'RINGBOLT_WRONG_LOG' }),
    )
    expect(store.list()).toEqual(before)
  })
})
