/**
 * The engine on simulated disks, seed by seed. RINGBOLT_SEED names the first seed, RINGBOLT_SEEDS their
 * number. A failing seed leaves its operation log in the folder for temporary files.
 */
import { writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { CampaignResult, EventCounts } from '@ringbolt/wal/simulation'
import { expect, test } from 'vitest'
import { runStoreCampaign, runStoreSeed } from './campaign.ts'

const FIRST_SEED_DEFAULT = 1
const SEEDS_DEFAULT = 3_000
const firstSeed = Number(process.env['RINGBOLT_SEED'] ?? FIRST_SEED_DEFAULT)
const count = Number(process.env['RINGBOLT_SEEDS'] ?? SEEDS_DEFAULT)
const TIMEOUT_MS = 900_000

/** What 3,000 seeds exercise at least; about half of what they do as a rule. */
const COVERAGE_MIN: Readonly<Record<string, number>> = {}

function report({ failures }: CampaignResult): string {
  return failures
    .map(({ seed, message, replay, operationLog }) => {
      const file = join(tmpdir(), `ringbolt-store-seed-${seed}.log`)
      writeFileSync(file, operationLog)
      return `seed ${seed}: ${message}\nreplay: ${replay}\noperations: ${file}`
    })
    .join('\n\n')
}

function uncovered(coverage: EventCounts): string[] {
  return Object.entries(COVERAGE_MIN)
    .filter(([event, least]) => coverage.get(event) < least)
    .map(([event, least]) => `${event}: ${coverage.get(event)}, expected ${least} at least`)
}

test(
  'S2 S5 S8 S9 S10 S11: what was acknowledged survives crashes and faults, in order and whole, and nothing else appears',
  () => {
    console.log(`simulation of the store: RINGBOLT_SEED=${firstSeed} RINGBOLT_SEEDS=${count}`)
    const result = runStoreCampaign({ firstSeed, count })
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
    const [first, second] = [runStoreSeed(seed), runStoreSeed(seed)]
    expect(second.operations).toBe(first.operations)
    expect(second.coverage.entries()).toEqual(first.coverage.entries())
  }
})
