/** A large database with an index that is open while something is done to it. */
import { join } from 'node:path'
import { attach, type Database } from 'ringbolt'
import { withFolder } from '../log-candidates.ts'
import type { BenchOptions } from '../options.ts'
import type { JobResult } from './job.ts'
import { mainFileIn } from './ringbolt.ts'
import { closeAndVerify, type Loaded, loadStore } from './runs.ts'
import type { Candidate } from './store.ts'

export interface Large {
  readonly loaded: Loaded
  /** This thread's. */
  readonly database: Database
  readonly mainFile: string
  /** For what is made of it. */
  readonly folder: string
  /** What was written since it was loaded: looked for when it is opened again. */
  readonly written: JobResult[]
}

/** Loaded, and all of it in the main file; compared with what was written when it is done. */
export async function withLarge<T>(
  candidate: Candidate,
  { folder: under, documentsOpened, cacheBytes }: BenchOptions,
  use: (large: Large) => Promise<T>,
): Promise<T> {
  return await withFolder(under, async (folder) => {
    const own = join(folder, 'database')
    const loaded = await loadStore(candidate, own, documentsOpened, { indexed: true, cacheBytes })
    const { target } = loaded.store
    if (target.kind !== 'ringbolt') throw new Error(`${candidate.name} has no backups here`)
    const database = attach(target.handle)
    await database.checkpoint()
    const written: JobResult[] = []
    const mainFile = mainFileIn(own)
    const result = await use({ loaded, database, mainFile, folder, written })
    await database.close()
    await closeAndVerify(loaded, written)
    return result
  })
}

/** A million bytes: what disks are told in. */
export const MEGABYTE = 1e6
