/** Compacting a database that nobody has open. */
import { randomBytes } from 'node:crypto'
import type { CompactionCounts } from './compact-file.ts'
import { mainPathOf } from './file-folders.ts'
import { runInThread, type WorkProgress } from './maintenance.ts'
import { linkOptionsOf, type OpenOptions, settingsOf } from './options.ts'
import { openAlone } from './process-link.ts'

export interface CompactOptions
  extends Pick<
    OpenOptions,
    'archive' | 'busyTimeout' | 'cacheBytes' | 'crossProcessLock' | 'lockMethod'
  > {
  readonly onProgress?: (progress: WorkProgress) => void
}

export interface CompactResult extends CompactionCounts {
  readonly path: string
  readonly durationMs: number
}

const ID_BYTES = 16

/**
 * Makes the main file as short as it can be, with pages in the order of their keys. A crash at any point leaves the
 * old database or the new one, whole. Backups begin anew: the next must be a full one.
 * @throws BusyError while anybody has the database open; what opening throws. Nothing is changed then
 */
export async function compact(path: string, options: CompactOptions = {}): Promise<CompactResult> {
  const begunMs = performance.now()
  const { onProgress, ...openOptions } = options
  const settings = settingsOf({ ...openOptions, create: false })
  const mainPath = mainPathOf(path)
  const release = await openAlone(mainPath, linkOptionsOf(openOptions))
  try {
    const databaseId = new Uint8Array(randomBytes(ID_BYTES))
    const job = { path: mainPath, settings, databaseId }
    const counts = await runInThread<'compact'>({ kind: 'compact', job }, { onProgress })
    return { ...counts, path: mainPath, durationMs: performance.now() - begunMs }
  } finally {
    await release()
  }
}
