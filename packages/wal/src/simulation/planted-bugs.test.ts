/** The campaign bites: each planted bug is found within a bounded number of seeds. */
import { describe, expect, test } from 'vitest'
import { runCampaign, runSeed } from './campaign.ts'
import { PLANTED_BUGS, UNTIDY_BUGS } from './planted-bugs.ts'
import type { SeedOptions } from './simulation.ts'

const SEEDS_MAX = 8_000
const TIMEOUT_MS = 300_000

function expectFound(name: string, options: SeedOptions): void {
  const { seeds, failures } = runCampaign({
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
  // With the bug the same seed fails word for word; without it, it passes.
  expect(runSeed(seed, options).failure).toEqual(failure)
  expect(runSeed(seed, { ...options, wrapStore: (store) => store }).failure).toBeUndefined()
  expect(operations).toBeLessThanOrEqual(operationsWhole)
  expect(operationLog).toContain(`seed ${seed} `)
  expect(operationLog).toContain(`FAILED: ${failure.message}`)
}

describe('planted bugs', () => {
  test.each([...PLANTED_BUGS])(
    '%s is found by what it does',
    { timeout: TIMEOUT_MS },
    (name, wrapStore) => {
      expectFound(name, { wrapStore, consequencesOnly: true })
    },
  )

  test.each([...UNTIDY_BUGS])('%s is found', { timeout: TIMEOUT_MS }, (name, wrapStore) => {
    expectFound(name, { wrapStore })
  })
})
