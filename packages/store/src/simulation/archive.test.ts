/** The engine with an archive on simulated disks: after each crash archive and log together have every commit. */
import { expect, test } from 'vitest'
import { runStoreCampaign } from './campaign.ts'

const firstSeed = Number(process.env['RINGBOLT_SEED'] ?? 1)
const count = Number(process.env['RINGBOLT_SEEDS'] ?? 200)

test(`M8: nothing is lost and nothing comes twice (seeds from ${firstSeed})`, () => {
  const result = runStoreCampaign({ firstSeed, count, archives: true })
  const { failures, coverage } = result
  expect(failures.map(({ seed, message, replay }) => ({ seed, message, replay }))).toEqual([])
  expect(coverage.get('archived segments looked at')).toBeGreaterThan(count)
}, 600_000)
