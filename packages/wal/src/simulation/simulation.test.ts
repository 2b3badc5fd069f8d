/**
 * The log on simulated disks, seed by seed. RINGBOLT_SEED names the first seed, RINGBOLT_SEEDS their
 * number. A failing seed leaves its operation log in the folder for temporary files.
 */
import { writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { type CampaignResult, runCampaign, runSeed } from './campaign.ts'
import type { Coverage } from './coverage.ts'

const FIRST_SEED_DEFAULT = 1
const SEEDS_DEFAULT = 10_000
const firstSeed = Number(process.env['RINGBOLT_SEED'] ?? FIRST_SEED_DEFAULT)
const count = Number(process.env['RINGBOLT_SEEDS'] ?? SEEDS_DEFAULT)
const TIMEOUT_MS = 600_000

/** What 10,000 seeds exercise at least; about half of what they do as a rule. */
const COVERAGE_MIN: Readonly<Record<string, number>> = {
  'crash at: create': 100,
  'crash at: length': 60,
  'crash at: list': 50,
  'crash at: none': 7_000,
  'crash at: open': 200,
  'crash at: read': 90,
  'crash at: remove': 40,
  'crash at: rename': 200,
  'crash at: sync': 1_000,
  'crash at: syncFolder': 600,
  'crash at: write': 2_000,
  'crash phase: after': 1_000,
  'crash phase: before': 1_000,
  'crash phase: middle': 1_000,
  'crash while: cutting': 500,
  'crash while: opening': 1_000,
  'crash while: preparing a spare': 600,
  'crash while: releasing': 400,
  'crash while: rotating': 700,
  'crash while: salvaging': 300,
  'crash: kill': 5_000,
  'crash: power': 7_000,
  'create lost': 500,
  'remove lost': 100,
  'rename lost': 100,
  'length kept': 100,
  'length lost': 200,
  'sector dropped': 8_000,
  'sector kept': 8_000,
  'sector of an older version': 700,
  'sector torn': 8_000,
  'write cut short': 1_000,
  'disk full': 500,
  'EIO for ever': 400,
  'EIO once': 1_000,
  'ENOSPC injected': 300,
  'sync failed, bytes kept': 1_000,
  'sync failed, bytes lost': 3_000,
  'sync failed, bytes reverted': 1_000,
  'page evicted': 200,
  'fault while: opening': 600,
  'fault while: prepareStep': 200,
  'fault while: truncateAfter': 100,
  'fault while: truncateBefore': 7,
  poisoned: 1_000,
  closed: 10_000,
  cut: 1_000,
  'damage: group': 300,
  'damage: header': 400,
  'damage: unused': 100,
  'damage: last groups dropped': 50,
  'damage: refused': 700,
  'damage: salvaged': 700,
  'operation: append': 60_000,
  'operation: appendAndSync': 10_000,
  'operation: acknowledge': 6_000,
  'operation: cleanupSegments': 2_000,
  'operation: ensureDurable': 4_000,
  'operation: flush': 10_000,
  'operation: prepareStep': 8_000,
  'operation: read': 2_000,
  'operation: sync': 10_000,
  'operation: truncate': 300,
  'operation: truncateAfter': 2_000,
  'operation: truncateBefore': 6_000,
  'operation: writeGroup': 10_000,
  'opened read-only and strictly': 400,
  'opened read-only, refused by strict': 70,
  'opened twice': 1_000,
  'recovery: clean': 20_000,
  'recovery: log made': 4_000,
  'recovery: several groups dropped': 200,
  'recovery: tail dropped': 1_000,
  restarts: 10_000,
  rotations: 8_000,
  'segments created': 10_000,
  'segments recycled': 1_000,
}

function report({ failures }: CampaignResult): string {
  return failures
    .map(({ seed, message, replay, operationLog }) => {
      const file = join(tmpdir(), `ringbolt-seed-${seed}.log`)
      writeFileSync(file, operationLog)
      return `seed ${seed}: ${message}\nreplay: ${replay}\noperations: ${file}`
    })
    .join('\n\n')
}

function uncovered(coverage: Coverage): string[] {
  return Object.entries(COVERAGE_MIN)
    .filter(([event, least]) => coverage.get(event) < least)
    .map(([event, least]) => `${event}: ${coverage.get(event)}, expected ${least} at least`)
}

test(
  'W4 W5 W10 W11 W12 W13: what was acknowledged survives crashes and faults, and nothing else appears',
  () => {
    console.log(`simulation of the log: RINGBOLT_SEED=${firstSeed} RINGBOLT_SEEDS=${count}`)
    const result = runCampaign({ firstSeed, count })
    expect(report(result)).toBe('')
    expect(result.seeds).toBe(count)
    const { operations, coverage } = result
    console.log(`${operations} operations, ${coverage.get('restarts')} restarts`)
    // Fewer seeds, or chosen ones, need not exercise everything.
    if (count >= SEEDS_DEFAULT) expect(uncovered(coverage)).toEqual([])
  },
  TIMEOUT_MS,
)

test('a seed gives the same run again', () => {
  for (const seed of [1, 2, 3, 4, 5]) {
    const [first, second] = [runSeed(seed), runSeed(seed)]
    expect(second.operations).toBe(first.operations)
    expect(second.coverage.entries()).toEqual(first.coverage.entries())
  }
})

test('a campaign can be stopped, and tells how far it is', () => {
  const stop = new AbortController()
  const done: number[] = []
  const result = runCampaign({
    firstSeed: 1,
    count: 100,
    signal: stop.signal,
    onProgress: (seeds) => {
      done.push(seeds)
      if (seeds === 3) stop.abort()
    },
  })
  expect(done).toEqual([1, 2, 3])
  expect(result.seeds).toBe(3)
})
