/** Runs stretches of seeds as it is given them. Composition root of that thread. */
import { parentPort } from 'node:worker_threads'
import { errorToPlain, type PlainError } from '@ringbolt/ring'
import { runCampaign, type SeedFailure } from '@ringbolt/wal/simulation'
import { runStoreCampaign } from 'ringbolt/simulation'

export type Subject = 'store' | 'log'

export interface Stretch {
  readonly of: Subject
  readonly firstSeed: number
  readonly count: number
}

export type StretchReply =
  | {
      readonly kind: 'done'
      readonly seeds: number
      readonly operations: number
      readonly coverage: readonly (readonly [string, number])[]
      readonly failures: readonly SeedFailure[]
    }
  | { readonly kind: 'failed'; readonly error: PlainError }

function run({ of, firstSeed, count }: Stretch): StretchReply {
  try {
    const campaign = of === 'store' ? runStoreCampaign : runCampaign
    const { seeds, operations, coverage, failures } = campaign({
      firstSeed,
      count,
      failuresMax: count,
    })
    return { kind: 'done', seeds, operations, coverage: coverage.entries(), failures }
  } catch (error) {
    return { kind: 'failed', error: errorToPlain(error) }
  }
}

parentPort?.on('message', (stretch: Stretch) => parentPort?.postMessage(run(stretch)))
