/** What the disk itself takes for a sync: the floor of every synced append. */
import * as fs from 'node:fs'
import { join } from 'node:path'
import { median } from './statistics.ts'

const FILE_BYTES = 4 * 1024 * 1024
const WRITE_BYTES = 4096

/**
 * Median time of an `fdatasync` after a write of 4 KiB in a file that was filled with zeros and
 * synced before, so that no sync has to write metadata.
 */
export function medianFdatasyncMs(folder: string, syncs: number): number {
  // A folder of its own: another run may look at the same disk.
  const own = fs.mkdtempSync(join(folder, 'ringbolt-bench-'))
  const descriptor = fs.openSync(join(own, 'fdatasync.probe'), 'wx', 0o600)
  try {
    fs.writeSync(descriptor, Buffer.alloc(FILE_BYTES))
    fs.fsyncSync(descriptor)
    const block = Buffer.alloc(WRITE_BYTES, 1)
    return median(
      Array.from({ length: syncs }, (_, index) => {
        fs.writeSync(descriptor, block, 0, WRITE_BYTES, (index * WRITE_BYTES) % FILE_BYTES)
        const begunMs = performance.now()
        fs.fdatasyncSync(descriptor)
        return performance.now() - begunMs
      }),
    )
  } finally {
    fs.closeSync(descriptor)
    fs.rmSync(own, { recursive: true })
  }
}
