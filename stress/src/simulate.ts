/**
 * A campaign over a simulation, the store's or the log's: seeds, spread over threads, each a workload on a
 * simulated disk with its faults and crashes. The operation log of each failing seed is saved.
 */
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { Worker } from 'node:worker_threads'
import { errorFromPlain } from '@ringbolt/ring'
import type { SeedFailure } from '@ringbolt/wal/simulation'
import type { ProgressView } from './progress.ts'
import { type Report, thousands } from './report.ts'
import type { Stretch, StretchReply, Subject } from './simulate-thread.ts'

export interface SimulateOptions {
  readonly of: Subject
  readonly firstSeed: number
  readonly count: number
  readonly threads: number
  readonly failuresMax: number
  /** Where operation logs go; made when there is one to save. */
  readonly failureFolder: string
}

const STRETCH_SEEDS = 50
const SHOW_MS = 1000

export async function simulate(
  options: SimulateOptions,
  progress: ProgressView,
): Promise<Omit<Report, 'replay'>> {
  const campaign = new Campaign(options)
  const startedMs = performance.now()
  const showing = setInterval(() => {
    const perSecond = (campaign.seeds / (performance.now() - startedMs)) * 1000
    const text = `${thousands(campaign.seeds)} seeds, ${thousands(perSecond)}/s, ${campaign.failures.length} failed`
    progress.show(campaign.seeds / options.count, text)
  }, SHOW_MS)
  try {
    await Promise.all(Array.from({ length: options.threads }, () => campaign.work()))
  } finally {
    clearInterval(showing)
  }
  const seconds = (performance.now() - startedMs) / 1000
  const saved = campaign.failures.map((failure) => save(options.failureFolder, failure))
  return {
    run: `simulation of the ${options.of}, seeds ${options.firstSeed} to ${options.firstSeed + options.count - 1}`,
    seed: options.firstSeed,
    folder: saved.length > 0 ? resolve(options.failureFolder) : null,
    figures: [
      { section: 'Campaign', name: 'seeds', value: campaign.seeds, unit: '' },
      { section: 'Campaign', name: 'operations', value: campaign.operations, unit: '' },
      { section: 'Campaign', name: 'seeds', value: campaign.seeds / seconds, unit: '/s' },
      ...[...campaign.coverage]
        .toSorted(([a], [b]) => (a < b ? -1 : 1))
        .map(([name, value]) => ({ section: 'Exercised', name, value, unit: '' })),
    ],
    verdicts: [
      {
        name: `the ${options.of} does what its model does, under every seed`,
        ok: campaign.failures.length === 0 && campaign.seeds === options.count,
        detail: `${thousands(campaign.seeds)} of ${thousands(options.count)} seeds run, ${campaign.failures.length} failed`,
      },
    ],
    findings: campaign.failures.map(
      ({ seed, message, operations, operationsWhole }, at) =>
        `seed ${seed}, reduced from ${operationsWhole} operations to ${operations}, ${saved[at]}: ${message.split('\n', 1)[0]}`,
    ),
  }
}

class Campaign {
  readonly failures: SeedFailure[] = []
  readonly coverage = new Map<string, number>()
  seeds = 0
  operations = 0
  readonly #options: SimulateOptions
  #nextSeed: number

  constructor(options: SimulateOptions) {
    this.#options = options
    this.#nextSeed = options.firstSeed
  }

  /** One thread's share: stretches until none is left, or too many seeds have failed. */
  async work(): Promise<void> {
    const worker = new Worker(new URL('./simulate-thread.js', import.meta.url))
    try {
      for (let stretch = this.#take(); stretch !== undefined; stretch = this.#take()) {
        worker.postMessage(stretch)
        const [reply]: StretchReply[] = await once(worker, 'message')
        if (reply !== undefined) this.#add(reply)
      }
    } finally {
      await worker.terminate()
    }
  }

  #take(): Stretch | undefined {
    const { of, firstSeed, count, failuresMax } = this.#options
    const remaining = firstSeed + count - this.#nextSeed
    if (remaining <= 0 || this.failures.length >= failuresMax) return undefined
    const stretch = { of, firstSeed: this.#nextSeed, count: Math.min(STRETCH_SEEDS, remaining) }
    this.#nextSeed += stretch.count
    return stretch
  }

  #add(reply: StretchReply): void {
    if (reply.kind === 'failed') throw errorFromPlain(reply.error)
    this.seeds += reply.seeds
    this.operations += reply.operations
    this.failures.push(...reply.failures)
    for (const [name, count] of reply.coverage) {
      this.coverage.set(name, (this.coverage.get(name) ?? 0) + count)
    }
  }
}

/** Returns the file's path. */
function save(folder: string, failure: SeedFailure): string {
  mkdirSync(folder, { recursive: true })
  const path = join(folder, `seed-${failure.seed}.log`)
  writeFileSync(path, `${failure.message}\n${failure.replay}\n\n${failure.operationLog}\n`)
  return path
}
