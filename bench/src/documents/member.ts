/** Processes that have a store open at once: each in a process of its own, all moved through the phases together. */
import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { type LoadThread, measureLoad, type Window, watchLoad } from '../threads.ts'
import type { Job, JobResult } from './job.ts'
import type { Setup } from './store.ts'

/** One process: what it opens, and what its threads do. */
export interface Member {
  readonly candidate: string
  readonly folder: string
  readonly setup: Setup
  /** One for each thread; none: it only has the store open. */
  readonly jobs: readonly Job[]
  /** So that no two threads of a database give the same ids. */
  readonly firstThread: number
}

export interface MemberResult {
  readonly results: readonly JobResult[]
  /** By its own clock: the word of the parent comes to one sooner than to the other. */
  readonly elapsedMs: number
  /** For its turn to write, each that ended while it was measured; undefined where there are no turns. */
  readonly turnWaitsMs: Float64Array | undefined
}

/** What a process is told: its work, then each phase. */
export type MemberOrder =
  | { readonly kind: 'work'; readonly member: Member }
  | { readonly kind: 'phase'; readonly phase: number }

/** Started in turn, each once the one before is ready: what is measured is not how they open. */
export async function measureMembers(
  members: readonly Member[],
  window: Window,
): Promise<readonly MemberResult[]> {
  const file = fileURLToPath(new URL('./member-process.js', import.meta.url))
  const children: ChildProcess[] = []
  const loads: LoadThread<MemberResult>[] = []
  const order = (child: ChildProcess, what: MemberOrder): void => {
    child.send(what)
  }
  try {
    for (const member of members) {
      const child = fork(file, { execArgv: [], serialization: 'advanced' })
      const load = watchLoad<MemberResult>(child, 'a process that shares a store')
      children.push(child)
      loads.push(load)
      order(child, { kind: 'work', member })
      await load.ready
    }
    const enter = (phase: number): void => {
      for (const child of children) order(child, { kind: 'phase', phase })
    }
    return (await measureLoad(loads, { enter }, window)).results
  } finally {
    // Those of a run that failed.
    for (const child of children) child.kill()
    await Promise.allSettled(loads.map(({ ended }) => ended))
  }
}

export function operationsPerSecond({ results, elapsedMs }: MemberResult): number {
  return (results.reduce((sum, { operations }) => sum + operations, 0) / elapsedMs) * 1000
}
