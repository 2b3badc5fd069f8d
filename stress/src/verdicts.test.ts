import { describe, expect, test } from 'vitest'
import type { Kill } from './load.ts'
import type { OracleResult } from './oracle.ts'
import {
  abortedVerdict,
  failuresVerdict,
  flatVerdict,
  killsVerdict,
  oracleVerdict,
  refusedVerdict,
  SCHEDULING_MAX_MS,
  slotsVerdict,
} from './verdicts.ts'

const clean: OracleResult = {
  records: 12,
  recordBytes: 1200,
  acknowledged: 10,
  counts: { lost: 0, duplicated: 0, reordered: 0, altered: 0, torn: 0, invented: 0 },
  findings: [],
}

function kill(changes: Partial<Kill>): Kill {
  const base = { kind: 'abort', incarnation: 1, atMs: 0, detectedMs: 8, progressMs: 1 } as const
  return { ...base, silenceMs: 5, ...changes }
}

function flat(bytes: number[]): boolean {
  return flatVerdict('it', bytes, 50).ok
}

describe('each verdict can go both ways', () => {
  test('W3: acknowledged records', () => {
    expect(oracleVerdict(clean, 10).ok).toBe(true)
    expect(oracleVerdict(clean, 11).ok).toBe(false)
    expect(oracleVerdict({ ...clean, acknowledged: 0 }, 0).ok).toBe(false)
    const lossy = { ...clean, counts: { ...clean.counts, lost: 3, torn: 1 } }
    expect(oracleVerdict(lossy, 10)).toMatchObject({ ok: false, detail: '3 lost, 1 torn' })
  })

  test('failures', () => {
    expect(failuresVerdict([]).ok).toBe(true)
    expect(failuresVerdict(['disk gone']).ok).toBe(false)
  })

  test('R9: aborted frames', () => {
    expect(abortedVerdict(2, 2).ok).toBe(true)
    expect(abortedVerdict(3, 2).ok).toBe(false)
  })

  test('R9: kills', () => {
    expect(killsVerdict([kill({})], 1).ok).toBe(true)
    expect(killsVerdict([kill({})], 2).ok).toBe(false)
    const silenceMs = 8 + SCHEDULING_MAX_MS + 1
    expect(killsVerdict([kill({ silenceMs })], 1).ok).toBe(false)
    expect(killsVerdict([kill({ silenceMs, detectedMs: 20 })], 1).ok).toBe(true)
  })

  test('R9: places in the ring', () => {
    expect(slotsVerdict(1).ok).toBe(true)
    expect(slotsVerdict(2).ok).toBe(false)
  })

  test('growth, of what does not go back', () => {
    expect(flat([10, 100, 100, 100, 100, 100, 140, 140])).toBe(true)
    expect(flat([10, 100, 100, 100, 100, 100, 160, 160])).toBe(false)
    expect(flat([10, 100, 100, 100, 100, 100, 999, 140])).toBe(true)
    expect(flat([10, 70])).toBe(false)
    expect(flat([])).toBe(false)
  })

  test('L1: the second opener', () => {
    expect(refusedVerdict({ code: 'RINGBOLT_BUSY', message: 'held' }).ok).toBe(true)
    expect(refusedVerdict({ code: 'RINGBOLT_NOT_FOUND', message: 'gone' }).ok).toBe(false)
    expect(refusedVerdict({ code: null, message: 'given' }).ok).toBe(false)
    expect(refusedVerdict(undefined).ok).toBe(false)
  })
})
