/** The engine on simulated disks with what backups need of it: an archive, and checkpoints that are kept. */
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

test(`M5: a checkpoint that is kept stays as it is, whatever goes on (seeds from ${firstSeed})`, () => {
  const { failures, coverage } = runStoreCampaign({ firstSeed, count, holds: true })
  expect(failures.map(({ seed, message, replay }) => ({ seed, message, replay }))).toEqual([])
  expect(coverage.get('looks at held checkpoints')).toBeGreaterThan(count)
}, 600_000)
