import { describe, expect, test } from 'vitest'
import { type FindingKind, Oracle, type OracleResult } from './oracle.ts'
import { Workload } from './workload.ts'

const workload = new Workload({ seed: 7, recordBytesMin: 16, recordBytesMax: 200 })
const INCARNATIONS = 3
const IN_FLIGHT = 8

interface Entry {
  lsn: number
  readonly record: Buffer
}

function recordOf(incarnation: number, ordinal: number): Buffer {
  const buffer = Buffer.alloc(workload.recordBytesMax)
  return buffer.subarray(0, workload.encode(buffer, incarnation, ordinal))
}

/** Three incarnations taking turns, 20 records each. */
function log(): Entry[] {
  return Array.from({ length: 20 * INCARNATIONS }, (_, at) => ({
    lsn: at * 256,
    record: recordOf(at % INCARNATIONS, Math.floor(at / INCARNATIONS)),
  }))
}

function verdict(entries: readonly Entry[], acknowledged = [20, 20, 20]): OracleResult {
  const oracle = new Oracle(workload, INCARNATIONS)
  for (const { lsn, record } of entries) oracle.accept(lsn, record)
  return oracle.finish(acknowledged, IN_FLIGHT)
}

function found(result: OracleResult): Partial<Record<FindingKind, number>> {
  return Object.fromEntries(Object.entries(result.counts).filter(([, count]) => count > 0))
}

/** Puts other records in, at rising LSNs. */
function relabelled(records: readonly Buffer[]): Entry[] {
  return records.map((record, at) => ({ lsn: at * 256, record }))
}

describe('W3: the oracle accepts', () => {
  test('a log that holds what was acknowledged', () => {
    const result = verdict(log())
    expect(found(result)).toEqual({})
    expect(result).toMatchObject({ records: 60, acknowledged: 60 })
  })

  test('records that were never acknowledged, as many as can have been in flight', () => {
    expect(found(verdict(log(), [12, 20, 15]))).toEqual({})
  })

  test('incarnations that appended nothing', () => {
    expect(found(verdict([], [0, 0, 0]))).toEqual({})
  })
})

describe('W3: the oracle bites', () => {
  test('lost: one acknowledged record in the middle', () => {
    const result = verdict(log().toSpliced(30, 1))
    expect(found(result)).toEqual({ lost: 1 })
    expect(result.acknowledged).toBe(59)
    expect(result.findings[0]).toMatchObject({ incarnation: 0, ordinal: 10 })
  })

  test('lost: the last acknowledged ones, each counted', () => {
    const result = verdict(log().slice(0, 51))
    expect(found(result)).toEqual({ lost: 9 })
    expect(result.acknowledged).toBe(51)
  })

  test('lost: one that nobody acknowledged, while later ones are there', () => {
    expect(found(verdict(log().toSpliced(54, 1), [14, 20, 20]))).toEqual({
      lost: 1,
    })
  })

  test('duplicated: a record that stands there twice', () => {
    const entries = log()
    const again = { lsn: 60 * 256, record: recordOf(1, 4) }
    expect(found(verdict([...entries, again]))).toEqual({ duplicated: 1 })
  })

  test('reordered: two records of one worker have changed places', () => {
    const records = log().map(({ record }) => record)
    const [earlier, later] = [recordOf(2, 5), recordOf(2, 6)]
    const swapped = records.with(17, later).with(20, earlier)
    expect(found(verdict(relabelled(swapped)))).toEqual({ reordered: 1 })
  })

  test('reordered: LSNs that do not rise', () => {
    const entries = log()
    entries[10]!.lsn = entries[9]!.lsn
    expect(found(verdict(entries))).toEqual({ reordered: 1 })
  })

  test('altered: any byte of the payload, any bit', () => {
    const record = recordOf(0, 0)
    for (let bit = 16 * 8; bit < record.length * 8; bit++) {
      const damaged = Buffer.from(record)
      damaged[bit >> 3]! ^= 1 << (bit & 7)
      const counts = found(verdict([{ lsn: 0, record: damaged }], [1, 0, 0]))
      const last = bit >> 3 === record.length - 1
      if (last && damaged.at(-1) === 0) expect(counts).toEqual({ torn: 1 })
      else expect(counts).toEqual({ altered: 1 })
    }
  })

  test('altered: any byte of the header; the record it was counts as lost', () => {
    const record = recordOf(0, 0)
    for (let at = 0; at < 16; at++) {
      const damaged = Buffer.from(record)
      damaged[at]! ^= 0x10
      expect(found(verdict([{ lsn: 0, record: damaged }], [1, 0, 0]))).toEqual({
        altered: 1,
        lost: 1,
      })
    }
  })

  test('torn: cut short, or zeros from some byte on', () => {
    const entries = log()
    const whole = entries.find(({ record }) => record.length > 100)!.record
    const cut = whole.subarray(0, 60)
    const zeroed = Buffer.concat([cut, Buffer.alloc(whole.length - cut.length)])
    for (const torn of [cut, zeroed]) {
      const records = entries.map(({ record }) => (record === whole ? torn : record))
      expect(found(verdict(relabelled(records)))).toEqual({ torn: 1 })
    }
    expect(found(verdict([{ lsn: 0, record: whole.subarray(0, 9) }], [0, 0, 0]))).toEqual({
      torn: 1,
    })
  })

  test('invented: of an incarnation that never was', () => {
    const stranger = { lsn: 60 * 256, record: recordOf(3, 0) }
    expect(found(verdict([...log(), stranger]))).toEqual({ invented: 1 })
  })

  test('invented: more than can have been in flight', () => {
    expect(found(verdict(log(), [11, 20, 20]))).toEqual({ invented: 1 })
  })

  test('invented: an ordinal far beyond any gap', () => {
    const beyond = { lsn: 60 * 256, record: recordOf(1, 1_000_000) }
    expect(found(verdict([...log(), beyond]))).toEqual({ invented: 1 })
  })

  test('altered: written under another seed', () => {
    const other = new Workload({ seed: 8, recordBytesMin: 16, recordBytesMax: 200 })
    const buffer = Buffer.alloc(200)
    const record = buffer.subarray(0, other.encode(buffer, 0, 0))
    expect(found(verdict([{ lsn: 0, record }], [0, 0, 0]))).toEqual({ altered: 1 })
  })
})

test('W3: findings are counted all, and kept up to a hundred', () => {
  const oracle = new Oracle(workload, 1)
  for (let at = 0; at < 500; at++) oracle.accept(at * 256, recordOf(2, at))
  const result = oracle.finish([0], IN_FLIGHT)
  expect(result.counts.invented).toBe(500)
  expect(result.findings).toHaveLength(100)
})
