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
const COVERAGE_MIN: Readonly<Record<string, number>> = {}

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
