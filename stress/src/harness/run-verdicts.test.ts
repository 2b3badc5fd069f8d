import { describe, expect, test } from 'vitest'
import { DOCUMENT_SETTINGS_DEFAULT } from '../documents/document-settings.ts'
import type { Verdict } from '../verdicts.ts'
import type { Proof } from './proof.ts'
import type { RunEvent } from './run-data.ts'
import { type Evidence, verdictsOn } from './run-verdicts.ts'

const MIB = 1024 * 1024

const proof: Proof = {
  openMs: 20,
  result: {
    lanes: 4,
    operations: 1000,
    documents: 450,
    unacknowledgedCommitted: 3,
    findings: [],
    findingCount: 0,
  },
  structure: [],
}

const worker = {
  kind: 'worker-killed',
  atS: 1,
  process: 0,
  how: 'abort',
  incarnation: 1,
  detectedMs: 5,
  progressMs: 2,
} as const
const killed = { kind: 'process-killed', atS: 3, process: 1, pid: 77 } as const
const back = { kind: 'process-back', atS: 4, process: 1, afterMs: 900, openMs: 60 } as const
const backup = {
  kind: 'backup',
  atS: 5,
  process: 0,
  seconds: 1,
  bytes: 9,
  documents: 200,
  sound: true,
} as const
const events: RunEvent[] = [worker, killed, back, backup]

const evidence: Evidence = {
  settings: { ...DOCUMENT_SETTINGS_DEFAULT, seed: 1 },
  killed: true,
  backedUp: true,
  processes: 2,
  acknowledged: 1000,
  proof,
  failures: [],
  staleReads: [],
  freshnessChecks: 12,
  events,
  rssBytes: [100, 100, 101, 100, 101, 100].map((mib) => mib * MIB),
}

function failing(changes: Partial<Evidence>): Verdict[] {
  return verdictsOn({ ...evidence, ...changes }).filter(({ ok }) => !ok)
}

test('M6: all hold', () => {
  expect(failing({})).toEqual([])
  expect(verdictsOn(evidence)).toHaveLength(8)
  // What was not asked for is not judged.
  expect(verdictsOn({ ...evidence, killed: false, backedUp: false })).toHaveLength(5)
})

describe('each can fail', () => {
  const cases: [string, Partial<Evidence>, RegExp][] = [
    ['M6: an operation that is missing', { acknowledged: 1001 }, /1,000 of 1,001 operations/],
    [
      'M6: nothing done',
      { acknowledged: 0, proof: { ...proof, result: { ...proof.result, operations: 0 } } },
      /0 of 0/,
    ],
    [
      'M6: a finding',
      { proof: { ...proof, result: { ...proof.result, findingCount: 2 } } },
      /2 findings/,
    ],
    [
      'M6: a structure that is not sound',
      { proof: { ...proof, structure: ['page 4: order'] } },
      /1 findings/,
    ],
    ['M6: a load that failed', { failures: ['SilenceError'] }, /1 failures/],
    ['M4: a read that was behind', { staleReads: ['0.1.2'] }, /1 of them behind/],
    ['M4: no reads at all', { freshnessChecks: 0 }, /^0 reads/],
    [
      'S11: a worker whose death held others up',
      { events: [{ ...worker, progressMs: 4000 }] },
      /4000.0 ms/,
    ],
    [
      'M6: a process that did not come back',
      { events: [worker, killed, backup] },
      /1 did not come back/,
    ],
    [
      'M6: one that came back, was killed again and did not',
      { events: [...events, { ...killed, atS: 9 }] },
      /1 did not come back/,
    ],
    [
      'M5: a backup that is not sound',
      { events: [worker, killed, back, backup, { ...backup, sound: false }] },
      /1 of 2 sound/,
    ],
    ['M5: none at all', { events: [worker, killed, back] }, /0 of 0 sound/],
    ['memory', { rssBytes: [10, 10, 10, 10, 900, 900].map((mib) => mib * MIB) }, /900 at the end/],
  ]

  test.each(cases)('%s', (_, changes, detail) => {
    const found = failing(changes)
    expect(found.map((verdict) => verdict.detail).join('\n')).toMatch(detail)
    // One that failed on several counts says so on each.
    expect(found.length).toBeLessThanOrEqual(2)
  })

  test('a run that did not get to its proof', () => {
    expect(failing({ proof: undefined })).toHaveLength(2)
  })
})

test('M5: a backup whose process was killed meanwhile is neither sound nor not', () => {
  const cut: RunEvent = {
    kind: 'backup',
    atS: 6,
    process: 0,
    seconds: 1,
    bytes: 0,
    documents: 0,
    sound: null,
  }
  expect(failing({ events: [...events, cut] })).toEqual([])
})
