/**
 * Several engines on one simulated disk, seed by seed: turns, followers, checkpoints, kills at any call. RINGBOLT_SEED
 * names the first seed, RINGBOLT_SEEDS their number.
 */
import { messageOf } from '@ringbolt/wal/simulation'
import { expect, test } from 'vitest'
import { SharedSimulation } from './shared-simulation.ts'

const FIRST_SEED_DEFAULT = 1
const SEEDS_DEFAULT = 1_000
const firstSeed = Number(process.env['RINGBOLT_SEED'] ?? FIRST_SEED_DEFAULT)
const count = Number(process.env['RINGBOLT_SEEDS'] ?? SEEDS_DEFAULT)

/** What a seed does, on average, is a multiple of this. */
const COVERAGE_PER_SEED: Readonly<Record<string, number>> = {
  'shared: write': 3,
  'shared: look': 1,
  'shared: follow': 1,
  'shared: checkpoint': 0.5,
  'shared: open': 0.3,
  'shared: close': 0.2,
  'shared: killed': 0.3,
}

test('M2 M3 M4 S9: whoever takes turns, lags, comes, goes or is killed: each sees what was acknowledged, and nothing else', () => {
  const failures: string[] = []
  const seen = new Map<string, number>()
  for (let seed = firstSeed; seed < firstSeed + count && failures.length < 3; seed++) {
    const failure = failureOf(seed, seen)
    if (failure !== undefined) failures.push(`RINGBOLT_SEED=${seed}: ${failure}`)
  }
  expect(failures).toEqual([])
  if (count < SEEDS_DEFAULT) return
  for (const [event, least] of Object.entries(COVERAGE_PER_SEED)) {
    expect(seen.get(event) ?? 0, event).toBeGreaterThan(least * count)
  }
}, 600_000)

function failureOf(seed: number, seen: Map<string, number>): string | undefined {
  const simulation = new SharedSimulation(seed, false)
  try {
    simulation.run()
  } catch (error) {
    return messageOf(error)
  }
  for (const [event, times] of simulation.coverage.entries()) {
    seen.set(event, (seen.get(event) ?? 0) + times)
  }
  return undefined
}
