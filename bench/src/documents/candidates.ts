/** The stores that documents are put into. */
import { level } from './level.ts'
import { lmdb } from './lmdb.ts'
import { ringbolt } from './ringbolt.ts'
import { sqlite } from './sqlite.ts'
import type { Candidate } from './store.ts'

/** Ringbolt with one option otherwise, shown beside itself. */
export const variants: Readonly<Record<'unlocked' | 'lagging', Candidate>> = {
  unlocked: ringbolt('ringbolt, crossProcessLock: false', { crossProcessLock: false }),
  lagging: ringbolt('ringbolt, readStalenessMs: 5', { readStalenessMs: 5 }),
}

const all: readonly Candidate[] = [
  ringbolt('ringbolt'),
  lmdb('lmdb-js, overlappingSync: false', 'synced'),
  lmdb('lmdb-js, default', 'at its commit'),
  sqlite('better-sqlite3'),
  sqlite('node:sqlite'),
  level,
]

/** Those whose code is installed, the first being what the others are set in relation to. */
export async function installedCandidates(): Promise<readonly Candidate[]> {
  const loaded = await Promise.all(all.map(async (candidate) => await candidate.load()))
  return all.filter((_, index) => loaded[index])
}

/** As another process names it. */
export async function candidateNamed(name: string): Promise<Candidate> {
  const candidate = [...all, ...Object.values(variants)].find((one) => one.name === name)
  if (candidate === undefined || !(await candidate.load())) throw new Error(`no store ${name}`)
  return candidate
}
