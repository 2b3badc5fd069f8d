/** One round of one candidate under one shape of load. */
import type { AppendWork, LoadShape } from './append-work.ts'
import { type Candidate, withFolder } from './log-candidates.ts'
import { type LoadResult, Phases } from './phases.ts'
import { percentile } from './statistics.ts'
import { measureLoad, startThread, type Window } from './threads.ts'

export interface LoadSetting {
  readonly shape: LoadShape
  readonly recordBytes: number
  readonly timed: boolean
  readonly window: Window
  /** On the disk that is measured; each round makes a folder of its own in it. */
  readonly folder: string
}

export interface LoadFigures {
  readonly recordsPerSecond: number
  readonly latencyMs: { readonly p50: number; readonly p99: number } | undefined
  readonly syncs: number | undefined
}

export async function loadCandidate(
  candidate: Candidate,
  setting: LoadSetting,
): Promise<LoadFigures> {
  return await withFolder(setting.folder, async (folder) => {
    const { shape, recordBytes, timed } = setting
    const prepared = await candidate.prepare(folder, shape)
    const phases = new Phases()
    const threads = Array.from({ length: shape.threads }, (_, threadIndex) => {
      const work: AppendWork = {
        target: prepared.target,
        shape,
        recordBytes,
        threadIndex,
        timed,
        phases: phases.shared,
      }
      return startThread<LoadResult>(new URL('./append-thread.js', import.meta.url), work)
    })
    const { results, elapsedMs } = await measureLoad(threads, phases, setting.window)
    const { syncs } = await prepared.close()
    const operations = results.reduce((sum, result) => sum + result.operations, 0)
    return {
      recordsPerSecond: (operations / elapsedMs) * 1000,
      latencyMs: timed ? latencyOf(results) : undefined,
      syncs,
    }
  })
}

function latencyOf(results: readonly LoadResult[]): { p50: number; p99: number } {
  const all = Float64Array.from(results.flatMap(({ latenciesMs }) => [...latenciesMs])).sort()
  return { p50: percentile(all, 0.5), p99: percentile(all, 0.99) }
}
