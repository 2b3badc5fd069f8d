/** The stores that documents are put into. */
import { level } from './level.ts'
import { lmdb } from './lmdb.ts'
import { ringbolt } from './ringbolt.ts'
import { sqlite } from './sqlite.ts'
import type { Candidate } from './store.ts'

const all: readonly Candidate[] = [
  ringbolt,
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
  const candidate = all.find((one) => one.name === name)
  if (candidate === undefined || !(await candidate.load())) throw new Error(`no store ${name}`)
  return candidate
}
