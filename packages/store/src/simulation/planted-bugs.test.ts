/** The campaign bites: each planted bug is found within a bounded number of seeds. */
import { describe, expect, test } from 'vitest'
import { runStoreCampaign, runStoreSeed } from './campaign.ts'
import { PLANTED_ENGINE_BUGS, PLANTED_FOLDER_BUGS } from './planted-bugs.ts'
import type { StoreSeedOptions } from './store-simulation.ts'

const SEEDS_MAX = 1_500
const TIMEOUT_MS = 300_000

function expectFound(name: string, options: StoreSeedOptions): number {
  const { seeds, failures } = runStoreCampaign({
    ...options,
    firstSeed: 1,
    count: SEEDS_MAX,
    failuresMax: 1,
  })
  const failure = failures[0]
  if (failure === undefined) throw new Error(`${name}: not found in ${SEEDS_MAX} seeds`)
  const { seed, operations, operationsWhole, operationLog } = failure
  const [message] = failure.message.split('\n')
  console.log(
    `${name}: RINGBOLT_SEED=${seed}, number ${seeds}; ${operations} of ${operationsWhole} operations: ${message}`,
  )
  expect(operationLog).toContain(`FAILED: ${failure.message}`)
  return seed
}

describe('planted bugs of the disk', () => {
  test.each([...PLANTED_FOLDER_BUGS])(
    '%s is found by what it does',
    { timeout: TIMEOUT_MS },
    (name, wrapFolder) => {
      const seed = expectFound(name, { wrapFolder })
      expect(runStoreSeed(seed).failure).toBeUndefined()
    },
  )
})

describe('planted bugs of the engine', () => {
  test.each([...PLANTED_ENGINE_BUGS])(
    '%s is found by what it does',
    { timeout: TIMEOUT_MS },
    (name, plant) => {
      const takeOut = plant()
      let seed: number
      try {
        seed = expectFound(name, {})
      } finally {
        takeOut()
      }
      expect(runStoreSeed(seed).failure).toBeUndefined()
    },
  )
})
